"""The generator behind a SageMaker endpoint, streamed.

Knows the runtime's errors and what each means for a turn. There are no retries here:
`generation.persistence` knows what is worth another try.
"""

import json
from collections.abc import Generator as Yields
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import boto3
import urllib3.exceptions
from botocore.config import Config
from botocore.eventstream import ParserError
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,  # noqa: A004  (botocore's, which is no OSError)
    EventStreamError,
    HTTPClientError,
    ReadTimeoutError,
)

from parley.errors import GenerationAsleep, GenerationBusy, GenerationFailed, GenerationSlow
from parley.generation.stream import Waiting, deltas
from parley.ports import Patience, Prompt

CONNECT_TIMEOUT_SECONDS = 1
LEAST_SILENCE_SECONDS = 1.0  # however little patience is left: reading a long prompt of another may hold a stream up

_OPERATION = "InvokeEndpointWithResponseStream"
# 503 is ServiceUnavailable, 429 ModelNotReadyException; in a ModelError they are the container's, whose queue is full.
_BUSY_STATUSES = frozenset({429, 503})
_THROTTLED = "ThrottlingException"  # a 400, and not in the service's model
_NO_COPIES = "has no capacity"  # "Inference Component has no capacity to process this request": it has no copy up


class SageMakerGenerator:
    """`ports.Generator` over `InvokeEndpointWithResponseStream`, of one inference component if one is named.

    A stream that is silent for `silence_seconds`, or as long as the first piece may take if that is less, is given up:
    so long after its patience a call ends at the latest.
    """

    def __init__(self, endpoint: str, *, silence_seconds: float, component: str | None = None) -> None:
        self._endpoint = endpoint
        self._component = component
        self._silence_seconds = silence_seconds
        self._client: Any = boto3.client(
            "sagemaker-runtime",
            config=Config(
                connect_timeout=CONNECT_TIMEOUT_SECONDS,
                read_timeout=silence_seconds,
                retries={"total_max_attempts": 1},
            ),
        )
        events = self._client.meta.events
        events.register(f"before-parameter-build.sagemaker-runtime.{_OPERATION}", _take_silence)

    @property
    def model(self) -> str:
        """See `ports.Generator.model`."""
        return self._component or self._endpoint

    def stream(self, prompt: Prompt, *, patience: Patience) -> Yields[str]:
        """See `ports.Generator.stream`."""
        waiting = Waiting(patience)
        body = {
            "messages": [{"role": role, "content": content} for role, content in prompt.messages],
            "max_tokens": prompt.max_tokens,
            "temperature": prompt.temperature,
            "stream": True,
        }
        where = {"InferenceComponentName": self._component} if self._component else {}
        silence = max(LEAST_SILENCE_SECONDS, min(self._silence_seconds, patience.first_seconds))
        try:
            response = self._client.invoke_endpoint_with_response_stream(
                EndpointName=self._endpoint,
                ContentType="application/json",
                Body=json.dumps(body),
                SilenceSeconds=silence,
                **where,
            )
            with closing(response["Body"]) as events:  # one that is given up must not hold its connection
                yield from waiting.text(deltas(waiting.over(_parts(events))))
        except EventStreamError as error:  # a ClientError too, so it comes first
            raise GenerationFailed(f"the generator's stream broke off ({error.response['Error']['Code']})") from error
        except ClientError as error:
            raise _translated(error) from error
        except (ReadTimeoutError, urllib3.exceptions.ReadTimeoutError) as error:
            raise GenerationSlow("the generator has been silent for too long") from error
        except (HTTPClientError, ConnectionError, urllib3.exceptions.TimeoutError) as error:
            raise GenerationBusy("the generator cannot be reached") from error
        except BotoCoreError as error:  # the call was never made: no credentials, or a name that is none
            raise GenerationFailed("the generator cannot be called") from error
        except (urllib3.exceptions.HTTPError, ParserError) as error:
            raise GenerationFailed("the generator's stream broke off") from error


def _take_silence(params: dict[str, Any], context: dict[str, Any], **_: object) -> None:
    """Gives one call a read timeout of its own, which the client's configuration cannot."""
    context["read_timeout"] = params.pop("SilenceSeconds")


def _parts(events: Any) -> Iterator[bytes]:
    for event in events:
        if "PayloadPart" in event:
            yield event["PayloadPart"]["Bytes"]
        else:
            raise GenerationFailed(f"the generator's stream broke off with {next(iter(event))}")


def _translated(error: ClientError) -> GenerationBusy | GenerationFailed:
    response: Any = error.response
    code, message = response["Error"]["Code"], response["Error"]["Message"]
    if code == "ValidationError" and _NO_COPIES in message:
        return GenerationAsleep("the generator has no instance up, and is being woken")
    statuses = {response["ResponseMetadata"]["HTTPStatusCode"], response.get("OriginalStatusCode")}
    if code == _THROTTLED or statuses & _BUSY_STATUSES:
        return GenerationBusy(f"the generator has no capacity now ({code})")
    return GenerationFailed(f"the generator failed ({code})")
