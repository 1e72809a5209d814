"""A runtime for Lambda functions whose response leaves while it is being made: `python -m` this module.

The managed runtime for Python holds a response back until it is whole. `bin/streaming-runtime` starts this one in its
place, in the same environment: it asks Lambda's Runtime API for one event after the other and calls the handler, the
one that `_HANDLER` names, with the event, a context and a `ports.ResponseStream`. It knows no route and no bot.

Source: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-custom.html, runtimes-api.html
"""

import base64
import importlib
import json
import logging
import os
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPMessage
from typing import Any, NoReturn

from parley.logs import name_request
from parley.ports import ResponseStream

API = "/2018-06-01/runtime"
STALLED_SECONDS = 10.0  # after which nobody is waited for who takes no more bytes
TRACE_ID = "_X_AMZN_TRACE_ID"  # where X-Ray's and Powertools' code looks for it

_PRELUDE_END = bytes(8)
_ERROR_TYPE, _ERROR_BODY = "Lambda-Runtime-Function-Error-Type", "Lambda-Runtime-Function-Error-Body"
_OF_STREAMS = {
    "Lambda-Runtime-Function-Response-Mode": "streaming",
    "Transfer-Encoding": "chunked",
    "Content-Type": "application/vnd.awslambda.http-integration-response",
    "Trailer": f"{_ERROR_TYPE}, {_ERROR_BODY}",
}

logger = logging.getLogger(__name__)

Handler = Callable[[dict[str, Any], "Context", ResponseStream], None]


@dataclass(frozen=True, slots=True)
class Context:
    """What a handler is told of its invocation, by the names of the managed runtime."""

    aws_request_id: str
    invoked_function_arn: str
    deadline_ms: int  # since the Unix epoch
    function_name: str
    function_version: str
    memory_limit_in_mb: str

    def get_remaining_time_in_millis(self) -> int:
        """How long the function may still run."""
        return max(0, self.deadline_ms - int(time.time() * 1000))


class LambdaResponse:
    """`ports.ResponseStream` of one invocation."""

    def __init__(self, api: str, request_id: str) -> None:
        self.has_begun = False
        self._path = f"{API}/invocation/{request_id}/response"
        self._connection = HTTPConnection(api, timeout=STALLED_SECONDS)
        self._is_lost = False  # Lambda takes no more of it

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """See `ports.ResponseStream.begin`."""
        self.has_begun = True
        self._try(self._open)
        self.write(json.dumps({"statusCode": status, "headers": dict(headers)}).encode() + _PRELUDE_END)

    def write(self, content: bytes) -> None:
        """See `ports.ResponseStream.write`."""
        if content:  # an empty chunk would be the last one
            self._try(lambda: self._connection.send(b"%x\r\n%b\r\n" % (len(content), content)))

    def end(self, error: Exception | None = None) -> None:
        """That it was all; or that the handler failed in the middle."""
        trailers = {} if error is None else _trailers(error)
        last = "".join(f"{name}: {value}\r\n" for name, value in trailers.items())
        self._try(lambda: self._connection.send(f"0\r\n{last}\r\n".encode()))
        self._try(lambda: self._connection.getresponse().read())
        self._connection.close()

    def _open(self) -> None:
        self._connection.putrequest("POST", self._path)
        for name, value in _OF_STREAMS.items():
            self._connection.putheader(name, value)
        self._connection.endheaders()

    def _try(self, send: Callable[[], object]) -> None:
        if self._is_lost:
            return
        try:
            send()
        except (OSError, HTTPException) as error:
            self._is_lost = True
            logger.warning("nobody takes the response any more", extra={"kind": type(error).__name__})


def serve(api: str, handler: Handler) -> NoReturn:
    """Answers one event after the other."""
    with closing(HTTPConnection(api)) as events:  # without a timeout: Lambda freezes the process while it waits
        while True:
            events.request("GET", f"{API}/invocation/next")
            answered = events.getresponse()
            content = answered.read()
            if answered.status != HTTPStatus.OK:
                raise RuntimeError(f"Lambda gives no event but {answered.status}")
            _answer(api, handler, content, answered.headers)


def _answer(api: str, handler: Handler, content: bytes, about: HTTPMessage) -> None:
    """Calls the handler with one event."""
    context = _context(about)
    name_request(context.aws_request_id)
    os.environ[TRACE_ID] = about.get("Lambda-Runtime-Trace-Id", "")
    response = LambdaResponse(api, context.aws_request_id)
    try:
        handler(json.loads(content), context, response)
        if not response.has_begun:
            raise RuntimeError("the handler has not answered")
    except Exception as error:
        logger.exception("the handler failed")
        if not response.has_begun:
            _tell(api, f"/invocation/{context.aws_request_id}/error", error)
        else:
            response.end(error)
    else:
        response.end()


def _context(about: HTTPMessage) -> Context:
    return Context(
        aws_request_id=about["Lambda-Runtime-Aws-Request-Id"],
        invoked_function_arn=about.get("Lambda-Runtime-Invoked-Function-Arn", ""),
        deadline_ms=int(about["Lambda-Runtime-Deadline-Ms"]),
        function_name=os.environ.get("AWS_LAMBDA_FUNCTION_NAME", ""),
        function_version=os.environ.get("AWS_LAMBDA_FUNCTION_VERSION", ""),
        memory_limit_in_mb=os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", ""),
    )


def _tell(api: str, path: str, error: Exception) -> None:
    """Tells Lambda of an error for which there is no response."""
    headers = {"Content-Type": "application/json", _ERROR_TYPE: type(error).__name__}
    with closing(HTTPConnection(api, timeout=STALLED_SECONDS)) as connection:
        connection.request("POST", f"{API}{path}", _described(error), headers)
        connection.getresponse().read()


def _trailers(error: Exception) -> dict[str, str]:
    return {_ERROR_TYPE: type(error).__name__, _ERROR_BODY: base64.b64encode(_described(error)).decode()}


def _described(error: Exception) -> bytes:
    """An error as Lambda wants it. Its message may hold what somebody wrote, so it stays in the log."""
    told = {"errorMessage": "see the function's log", "errorType": type(error).__name__, "stackTrace": []}
    return json.dumps(told).encode()


def _load(name: str) -> Handler:
    module, _, attribute = name.rpartition(".")
    handler: Handler = getattr(importlib.import_module(module), attribute)
    return handler


def main() -> NoReturn:
    """Loads the handler, and serves."""
    api = os.environ["AWS_LAMBDA_RUNTIME_API"]
    try:
        handler = _load(os.environ["_HANDLER"])
    except Exception as error:
        _tell(api, "/init/error", error)
        raise
    serve(api, handler)


if __name__ == "__main__":
    main()
