"""Secrets from Secrets Manager, kept in memory for a while and never anywhere else."""

from collections.abc import Callable

from aws_lambda_powertools.utilities.parameters import SecretsProvider
from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError
from botocore.exceptions import ClientError

from parley.adapters.patience import PATIENCE
from parley.errors import Unavailable

MAX_AGE_SECONDS = 900  # a rotated secret is picked up within a quarter of an hour


def secret_from(arn: str) -> Callable[[], bytes]:
    """A function that gives the secret at `arn`; it raises `Unavailable` where the secret cannot be had."""
    named = secrets_below("")
    return lambda: named(arn).encode()


def secret_if_any(name: str) -> Callable[[], str | None]:
    """A function that gives the secret of that name, None where nobody has put one in; it raises as `secret_from`."""
    named = secrets_below("")

    def fetch() -> str | None:
        try:
            return named(name)
        except Unavailable as error:
            if _is_missing(error.__cause__):
                return None
            raise

    return fetch


def _is_missing(error: BaseException | None) -> bool:
    cause = error.__context__ if error else None  # Powertools keeps it only there
    return isinstance(cause, ClientError) and cause.response["Error"]["Code"] == "ResourceNotFoundException"


def secrets_below(prefix: str) -> Callable[[str], str]:
    """A function that gives the secret `prefix` + name; it raises `Unavailable` where the secret cannot be had."""
    provider = SecretsProvider(boto_config=PATIENCE)

    def fetch(name: str) -> str:
        try:
            return str(provider.get(f"{prefix}{name}", max_age=MAX_AGE_SECONDS))
        except GetParameterError as error:
            raise Unavailable("the secret could not be read") from error

    return fetch
