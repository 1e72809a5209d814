"""The generator behind a SageMaker endpoint, streamed.

Knows the runtime's errors and what each means for a turn: `GenerationBusy` may be
tried later, `GenerationFailed` not. There are no retries here: a person is waiting,
and the bot has a fallback reply.
"""

import json
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import boto3
import urllib3.exceptions
from botocore.config import Config
from botocore.eventstream import ParserError
from botocore.exceptions import BotoCoreError, ClientError, EventStreamError

from parley.errors import GenerationBusy, GenerationFailed
from parley.generation.stream import deltas
from parley.ports import Prompt

CONNECT_TIMEOUT_SECONDS = 1
READ_TIMEOUT_SECONDS = 3.5  # between two parts of a stream; a turn ends this long after its budget at the latest

_BUSY = frozenset(
    {"ThrottlingException", "ServiceUnavailable", "ServiceUnavailableException", "ModelNotReadyException"}
)


class SageMakerGenerator:
    """`ports.Generator` over `InvokeEndpointWithResponseStream`."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._client = boto3.client(
            "sagemaker-runtime",
            config=Config(
                connect_timeout=CONNECT_TIMEOUT_SECONDS,
                read_timeout=READ_TIMEOUT_SECONDS,
                retries={"total_max_attempts": 1},
            ),
        )

    @property
    def model(self) -> str:
        """See `ports.Generator.model`."""
        return self._endpoint

    def stream(self, prompt: Prompt, *, budget_seconds: float) -> Iterator[str]:
        """See `ports.Generator.stream`."""
        deadline = time.monotonic() + budget_seconds
        body = {
            "messages": [{"role": role, "content": content} for role, content in prompt.messages],
            "max_tokens": prompt.max_tokens,
            "temperature": prompt.temperature,
            "stream": True,
        }
        try:
            response = self._client.invoke_endpoint_with_response_stream(
                EndpointName=self._endpoint, ContentType="application/json", Body=json.dumps(body)
            )
            with closing(response["Body"]) as events:  # one that is given up must not hold its connection
                yield from deltas(_parts(events, deadline))
        except EventStreamError as error:  # a ClientError too, so it comes first
            raise GenerationFailed("the generator's stream broke off") from error
        except ClientError as error:
            raise _translated(error) from error
        except (BotoCoreError, urllib3.exceptions.TimeoutError) as error:
            raise GenerationBusy("the generator cannot be reached, or takes too long") from error
        except (urllib3.exceptions.HTTPError, ParserError) as error:
            raise GenerationFailed("the generator's stream broke off") from error


def _parts(events: Any, deadline: float) -> Iterator[bytes]:
    for event in events:
        if time.monotonic() > deadline:
            raise GenerationBusy("the generator takes longer than the turn may wait")
        if "PayloadPart" in event:
            yield event["PayloadPart"]["Bytes"]
        else:
            raise GenerationFailed(f"the generator's stream broke off with {next(iter(event))}")


def _translated(error: ClientError) -> GenerationBusy | GenerationFailed:
    code = error.response["Error"]["Code"]
    no_capacity = code == "ValidationError" and "capacity" in error.response["Error"]["Message"].lower()
    if code in _BUSY or no_capacity:
        return GenerationBusy(f"the generator has no capacity now ({code})")
    return GenerationFailed(f"the generator failed ({code})")
