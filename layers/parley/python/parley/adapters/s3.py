"""Bot bundles in S3, loaded once per function instance and kept."""

from collections.abc import Mapping
from urllib.parse import urlsplit

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from parley.adapters.patience import PATIENCE
from parley.bots.bundle import unpack
from parley.errors import BadBot, NotFound, Unavailable
from parley.loaded import LoadedBot, load
from parley.ports import Encoder


class S3Bots:
    """The bots of a deployment, by name."""

    def __init__(self, locations: Mapping[str, str], encoder: Encoder) -> None:
        self._locations = locations  # name -> s3://bucket/key
        self._encoder = encoder
        self._client = boto3.client("s3", config=PATIENCE)
        self._loaded: dict[str, LoadedBot] = {}

    def __call__(self, name: str) -> LoadedBot:
        """The bot called `name`.

        Raises:
            NotFound: no such bot is deployed.
            BadBot: its bundle cannot be read, is another bot's, or was made with another encoder.
            Unavailable: S3 did not give the bundle.
        """
        if name not in self._locations:
            raise NotFound(f"there is no bot {name!r} here; there is {', '.join(sorted(self._locations))}")
        if name not in self._loaded:
            loaded = load(unpack(self._fetch(self._locations[name])), self._encoder)
            if loaded.bot.name != name:
                raise BadBot(f"the bundle that is deployed as {name!r} is the bot {loaded.bot.name!r}")
            self._loaded[name] = loaded
        return self._loaded[name]

    def _fetch(self, location: str) -> bytes:
        url = urlsplit(location)
        try:
            return self._client.get_object(Bucket=url.netloc, Key=url.path.lstrip("/"))["Body"].read()
        except (BotoCoreError, ClientError) as error:
            raise Unavailable("the bot's bundle could not be fetched") from error
