"""SageMaker's runtime API on this machine, in front of one serving container.

    python models/generator/sagemaker_runtime.py --container http://127.0.0.1:8080 --endpoint-name NAME [--port 8081]

boto3's `sagemaker-runtime` client works against it unchanged: set AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME to its URL.
It answers InvokeEndpoint and InvokeEndpointWithResponseStream with the shapes, errors and time limits SageMaker has;
signatures are not checked. A stream's parts are cut without regard to lines or characters, as SageMaker may do.

Source: the API reference of Amazon SageMaker Runtime, and the AWS event stream encoding.
"""

from __future__ import annotations

import argparse
import json
import struct
import uuid
import zlib
from collections.abc import AsyncIterator, Mapping
from http.client import HTTPConnection, HTTPException, HTTPResponse
from urllib.parse import urlsplit

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

VARIANT = "AllTraffic"
PLAIN_TIMEOUT_SECONDS = 60
STREAM_TIMEOUT_SECONDS = 480
PART_BYTES = 61  # odd and small, so that lines and characters really are cut
STRING_HEADER = 7


class ServiceError(Exception):
    """An error as SageMaker tells it: an HTTP status, a code and modelled fields."""

    def __init__(self, status: int, code: str, message: str, **details: str | int) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.body: dict[str, str | int] = {"Message": message, **details}

    def response(self) -> Response:
        headers = {"x-amzn-ErrorType": self.code, "x-amzn-RequestId": str(uuid.uuid4())}
        return Response(json.dumps(self.body), self.status, headers, "application/json")


def frame(headers: Mapping[str, str], payload: bytes) -> bytes:
    """One message of the AWS event stream encoding.

    Source: total length, headers length, their CRC, headers, payload, CRC of all before; 32-bit big-endian, CRC32
    """
    encoded = b"".join(
        struct.pack("!B", len(name)) + name.encode() + struct.pack("!BH", STRING_HEADER, len(value)) + value.encode()
        for name, value in headers.items()
    )
    prelude = struct.pack("!II", 16 + len(encoded) + len(payload), len(encoded))
    message = prelude + struct.pack("!I", zlib.crc32(prelude)) + encoded + payload
    return message + struct.pack("!I", zlib.crc32(message))


def payload_part(content: bytes) -> bytes:
    headers = {
        ":event-type": "PayloadPart",
        ":content-type": "application/octet-stream",
        ":message-type": "event",
    }
    return frame(headers, content)


def model_stream_error(message: str) -> bytes:
    headers = {
        ":exception-type": "ModelStreamError",
        ":content-type": "application/json",
        ":message-type": "exception",
    }
    return frame(headers, json.dumps({"Message": message, "ErrorCode": "ModelStreamFailed"}).encode())


class Container:
    """The container behind the endpoint, reached over plain HTTP; its methods block."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80

    def invoke(self, body: bytes, content_type: str, accept: str, timeout_seconds: float) -> HTTPResponse:
        """The container's answer to POST /invocations, its body not yet read.

        Raises:
            ServiceError: it cannot be reached, does not answer in time, or answers with an error.
        """
        connection = HTTPConnection(self._host, self._port, timeout=timeout_seconds)
        try:
            headers = {"Content-Type": content_type, "Accept": accept, "Connection": "close"}
            connection.request("POST", "/invocations", body, headers)
        except OSError as error:
            connection.close()
            raise ServiceError(503, "ServiceUnavailable", "The endpoint has no container that answers.") from error
        try:
            answer = connection.getresponse()
            if answer.status < 400:
                return answer
            raise model_error(answer.status, answer.read().decode("utf-8", "replace"))
        except TimeoutError as error:
            raise model_error(
                0, "Your invocation timed out while waiting for a response from the container."
            ) from error
        except (OSError, HTTPException) as error:
            raise model_error(500, "The container closed the connection without an answer.") from error


def model_error(status: int, message: str) -> ServiceError:
    """SageMaker's error for a container that fails: always 424, the container's own words inside."""
    side = "server" if status == 0 or status >= 500 else "client"
    return ServiceError(
        424,
        "ModelError",
        f'Received {side} error ({status}) from primary with message "{message}".',
        OriginalStatusCode=status,
        OriginalMessage=message,
        LogStreamArn="arn:aws:logs:us-east-1:000000000000:log-group:/aws/sagemaker/Endpoints/local",
    )


async def stream(answer: HTTPResponse) -> AsyncIterator[bytes]:
    """The container's body as PayloadPart events, and a ModelStreamError event when it breaks off.

    A client that leaves ends this, and closes the connection to the container, so that generation stops too.
    """
    try:
        while content := await run_in_threadpool(answer.read1, 65536):
            for start in range(0, len(content), PART_BYTES):
                yield payload_part(content[start : start + PART_BYTES])
    except (OSError, HTTPException):
        yield model_stream_error("The container broke off in the middle of its answer.")
    finally:
        answer.close()


def app(container: Container, endpoint_name: str) -> Starlette:
    async def invoke(request: Request, timeout_seconds: float) -> HTTPResponse:
        name = request.path_params["name"]
        if name != endpoint_name:
            raise ServiceError(400, "ValidationError", f"Endpoint {name} of account 000000000000 not found.")
        content_type = request.headers.get("content-type", "application/octet-stream")
        accept = request.headers.get("accept", "*/*")
        body = await request.body()
        return await run_in_threadpool(container.invoke, body, content_type, accept, timeout_seconds)

    async def plain(request: Request) -> Response:
        try:
            answer = await invoke(request, PLAIN_TIMEOUT_SECONDS)
            content = await run_in_threadpool(answer.read)
        except ServiceError as error:
            return error.response()
        except (OSError, HTTPException):
            return model_error(500, "The container broke off in the middle of its answer.").response()
        headers = {"x-Amzn-Invoked-Production-Variant": VARIANT, "x-amzn-RequestId": str(uuid.uuid4())}
        return Response(content, headers=headers, media_type=answer.headers.get("content-type"))

    async def streamed(request: Request) -> Response:
        try:
            answer = await invoke(request, STREAM_TIMEOUT_SECONDS)
        except ServiceError as error:
            return error.response()
        headers = {
            "x-Amzn-Invoked-Production-Variant": VARIANT,
            "X-Amzn-SageMaker-Content-Type": answer.headers.get("content-type", ""),
            "x-amzn-RequestId": str(uuid.uuid4()),
        }
        return StreamingResponse(stream(answer), headers=headers, media_type="application/vnd.amazon.eventstream")

    return Starlette(
        routes=[
            Route("/endpoints/{name}/invocations", plain, methods=["POST"]),
            Route("/endpoints/{name}/invocations-response-stream", streamed, methods=["POST"]),
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--container", required=True, help="URL of the serving container")
    parser.add_argument("--endpoint-name", required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8081)
    arguments = parser.parse_args()
    application = app(Container(arguments.container), arguments.endpoint_name)
    uvicorn.run(application, host=arguments.host, port=arguments.port, log_level="warning")


if __name__ == "__main__":
    main()
