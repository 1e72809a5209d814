"""Secrets from Secrets Manager, kept in memory for a while and never anywhere else."""

from collections.abc import Callable

from aws_lambda_powertools.utilities.parameters import SecretsProvider
from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError

from parley.adapters.patience import PATIENCE
from parley.errors import Unavailable

MAX_AGE_SECONDS = 900  # a rotated secret is picked up within a quarter of an hour


def secret_from(arn: str) -> Callable[[], bytes]:
    """A function that gives the secret at `arn`; it raises `Unavailable` where the secret cannot be had."""
    named = secrets_below("")
    return lambda: named(arn).encode()


def secrets_below(prefix: str) -> Callable[[str], str]:
    """A function that gives the secret `prefix` + name; it raises `Unavailable` where the secret cannot be had."""
    provider = SecretsProvider(boto_config=PATIENCE)

    def fetch(name: str) -> str:
        try:
            return str(provider.get(f"{prefix}{name}", max_age=MAX_AGE_SECONDS))
        except GetParameterError as error:
            raise Unavailable("the secret could not be read") from error

    return fetch
