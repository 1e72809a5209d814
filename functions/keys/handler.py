"""keys: API keys, for operators. The only function that may change them. Loads no model."""

import os
import time

from parley.adapters.callers import callers_of
from parley.adapters.keys import DynamoKeys
from parley.keys_api import KeysApi
from parley.keys_door import KeysDoor
from parley.logs import log_as_json
from parley.settings import read_settings

log_as_json("keys")
settings = read_settings(os.environ)
handler = KeysApi(KeysDoor(DynamoKeys(settings.keys_table), callers_of(settings), time.time))
