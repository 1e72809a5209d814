"""The generator behind a SageMaker endpoint, streamed.

Knows the runtime's errors and what each means for a turn. There are no retries here:
`generation.persistence` knows what is worth another try.
"""

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import boto3
import urllib3.exceptions
from botocore.config import Config
from botocore.eventstream import ParserError
from botocore.exceptions import BotoCoreError, ClientError, EventStreamError, ReadTimeoutError

from parley.errors import GenerationAsleep, GenerationBusy, GenerationFailed, GenerationSlow
from parley.generation.stream import Waiting, deltas
from parley.ports import Patience, Prompt

CONNECT_TIMEOUT_SECONDS = 1

_BUSY = frozenset(
    {"ThrottlingException", "ServiceUnavailable", "ServiceUnavailableException", "ModelNotReadyException"}
)
_BUSY_STATUSES = frozenset({429, 503})  # of the container: as many requests wait as may wait


class SageMakerGenerator:
    """`ports.Generator` over `InvokeEndpointWithResponseStream`.

    A stream that is silent for `silence_seconds` is given up: so long after its patience a call ends at the latest.
    """

    def __init__(self, endpoint: str, *, silence_seconds: float) -> None:
        self._endpoint = endpoint
        self._client = boto3.client(
            "sagemaker-runtime",
            config=Config(
                connect_timeout=CONNECT_TIMEOUT_SECONDS,
                read_timeout=silence_seconds,
                retries={"total_max_attempts": 1},
            ),
        )

    @property
    def model(self) -> str:
        """See `ports.Generator.model`."""
        return self._endpoint

    def stream(self, prompt: Prompt, *, patience: Patience) -> Iterator[str]:
        """See `ports.Generator.stream`."""
        waiting = Waiting(patience)
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
                yield from waiting.text(deltas(waiting.over(_parts(events))))
        except EventStreamError as error:  # a ClientError too, so it comes first
            raise GenerationFailed("the generator's stream broke off") from error
        except ClientError as error:
            raise _translated(error) from error
        except (ReadTimeoutError, urllib3.exceptions.ReadTimeoutError) as error:
            raise GenerationSlow("the generator has been silent for too long") from error
        except (BotoCoreError, urllib3.exceptions.TimeoutError) as error:
            raise GenerationBusy("the generator cannot be reached") from error
        except (urllib3.exceptions.HTTPError, ParserError) as error:
            raise GenerationFailed("the generator's stream broke off") from error


def _parts(events: Any) -> Iterator[bytes]:
    for event in events:
        if "PayloadPart" in event:
            yield event["PayloadPart"]["Bytes"]
        else:
            raise GenerationFailed(f"the generator's stream broke off with {next(iter(event))}")


def _translated(error: ClientError) -> GenerationBusy | GenerationFailed:
    code = error.response["Error"]["Code"]
    if code == "ValidationError" and "capacity" in error.response["Error"]["Message"].lower():
        return GenerationAsleep("the generator has no instance up, and is being woken")
    if code in _BUSY or (code == "ModelError" and error.response.get("OriginalStatusCode") in _BUSY_STATUSES):
        return GenerationBusy(f"the generator has no capacity now ({code})")
    return GenerationFailed(f"the generator failed ({code})")
