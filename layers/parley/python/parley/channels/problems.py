"""Problems: what a caller is told of an error, as RFC 9457 has it.

Pure. The only place where our errors become HTTP statuses, also for channels that are no HTTP.
"""

from http import HTTPStatus
from typing import Any

from parley.errors import (
    Busy,
    MalformedRequest,
    NotFound,
    NotKnown,
    NotTaken,
    NotYours,
    OverQuota,
    ParleyError,
    Rejected,
    TooLarge,
)

BROKEN = "something broke on our side"


def told(error: Exception) -> dict[str, Any]:
    """What a caller is told of any error: of our own mistakes, nothing but that there was one."""
    status = status_of(error) if isinstance(error, ParleyError) else HTTPStatus.INTERNAL_SERVER_ERROR
    told = problem(status, BROKEN if status == HTTPStatus.INTERNAL_SERVER_ERROR else str(error))
    return {**told, "retry_after_seconds": error.retry_after_seconds} if isinstance(error, OverQuota) else told


def problem(status: int, detail: str) -> dict[str, Any]:
    """The problem document of RFC 9457 for a status."""
    return {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}


def status_of(error: ParleyError) -> int:
    """The HTTP status for an error of ours. This is the only place where errors become statuses."""
    match error:
        case MalformedRequest():
            return HTTPStatus.BAD_REQUEST
        case NotKnown():
            return HTTPStatus.UNAUTHORIZED
        case NotYours():
            return HTTPStatus.FORBIDDEN
        case NotFound():
            return HTTPStatus.NOT_FOUND
        case OverQuota():
            return HTTPStatus.TOO_MANY_REQUESTS
        case TooLarge():
            return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        case NotTaken():
            return HTTPStatus.UNSUPPORTED_MEDIA_TYPE
        case Rejected():
            return HTTPStatus.BAD_REQUEST
        case Busy():
            return HTTPStatus.SERVICE_UNAVAILABLE
        case _:
            return HTTPStatus.INTERNAL_SERVER_ERROR
