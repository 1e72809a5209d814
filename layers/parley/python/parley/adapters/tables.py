"""What every table of ours shares: how a model is bound to it, how long it may take, what its errors mean."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from pynamodb.exceptions import DeleteError, PutError, PynamoDBException, TransactWriteError, UpdateError
from pynamodb.models import Model

from parley.adapters.patience import CONNECT_SECONDS, READ_SECONDS, TRIES
from parley.errors import SessionConflict, Unavailable

LOST = "ConditionalCheckFailed"
_HELD = "TransactionConflict"  # another request has an item at this very moment; nothing is known of its condition
_RACES = frozenset({LOST, _HELD})  # as transactions name them
SINGLE_RACES = frozenset(f"{code}Exception" for code in _RACES)
PATIENCE: dict[str, Any] = {
    "connect_timeout_seconds": CONNECT_SECONDS,
    "read_timeout_seconds": READ_SECONDS,
    "max_retry_attempts": TRIES - 1,
}
_PAUSES_SECONDS = (0.02, 0.05, 0.1, 0.2)  # a transaction holds its items for some milliseconds
M = TypeVar("M", bound=Model)


class Held(SessionConflict):
    """Somebody had the item at that moment. The same write may succeed at the next."""


def bind(model: type[M], table: str) -> type[M]:
    """The model with its table."""
    return type(model.__name__, (model,), {"Meta": type("Meta", (), {"table_name": table, **PATIENCE})})


def again_where_held(write: Callable[[], None]) -> None:
    """Writes, and once more where another request only held an item.

    Raises:
        Held: it was held each time.
    """
    for pause in _PAUSES_SECONDS:
        try:
            write()
        except Held:
            time.sleep(pause)
        else:
            return
    write()


@contextmanager
def translated() -> Iterator[None]:
    """PynamoDB's errors as ours, the cause kept."""
    try:
        yield
    except TransactWriteError as error:
        codes = {reason.code for reason in error.cancellation_reasons if reason is not None}
        if codes & _RACES == {_HELD}:
            raise Held("another turn of this conversation was being saved") from error
        if codes & _RACES:
            raise SessionConflict("another turn of this conversation was saved first") from error
        raise Unavailable("the conversation could not be saved") from error
    except (PutError, UpdateError, DeleteError) as error:
        if error.cause_response_code == f"{_HELD}Exception":
            raise Held("somebody else was changing this") from error
        if error.cause_response_code in SINGLE_RACES:
            raise SessionConflict("somebody else changed this first") from error
        raise Unavailable("the database did not take the change") from error
    except PynamoDBException as error:
        raise Unavailable("the database did not answer") from error
