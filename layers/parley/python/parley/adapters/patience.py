"""How long AWS's services may take. The SDK's own defaults outlast API Gateway, and a person.

A service that is slow is tried twice more within some seconds, then named as unavailable.
"""

from botocore.config import Config

CONNECT_SECONDS = 1
READ_SECONDS = 4
TRIES = 3

PATIENCE = Config(
    connect_timeout=CONNECT_SECONDS,
    read_timeout=READ_SECONDS,
    retries={"mode": "standard", "total_max_attempts": TRIES},
)
