"""Custom actions made real: Rasa's action servers, declared HTTP calls, and functions on AWS Lambda.

Knows the protocols, and that whoever answers may be slow, broken or hostile: an answer
is bounded in time, bytes, number and depth, and what went wrong is said without what
was sent. `adapters.exchange` holds one HTTP exchange to its deadline. Nothing is tried
twice, since an action may have done its work before it failed to say so.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any

import boto3
import msgspec
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from parley.actions import MAX_TIMEOUT_SECONDS, ActionServer, CustomActions, HttpCall, LambdaCall
from parley.actions.http_call import Prepared, header_value, read_slots, render, to_json
from parley.adapters.exchange import MAX_ANSWER_BYTES, exchange, within
from parley.adapters.http_connection import CONNECT_SECONDS
from parley.errors import ActionFailed, ParleyError
from parley.ports import ActionAnswer, ActionRequest

MAX_EVENTS = 200
MAX_RESPONSES = 50
MAX_DEPTH = 64  # real answers stay below 15; what is read deeper may be too deep to write again


class RemoteActions:
    """`ports.Actions` over HTTP and Lambda's API."""

    def __init__(self, secrets: Callable[[str], str], lambda_client: Any | None = None) -> None:
        self._secrets = secrets  # by name
        self._lambda_client = lambda_client  # made when first needed: most bots have none

    def run(self, where: CustomActions, request: ActionRequest, *, budget_seconds: float) -> ActionAnswer:
        """See `ports.Actions.run`."""
        try:
            return self._run(where, request, budget_seconds)
        except ActionFailed as error:
            raise ActionFailed(f"{request.action}: {error}") from error

    def _run(self, where: CustomActions, request: ActionRequest, budget_seconds: float) -> ActionAnswer:
        deadline = time.monotonic() + budget_seconds
        if request.action in where.calls:
            return self._call(where.calls[request.action], request, deadline)
        if request.action in where.lambdas:
            return self._invoke(where.lambdas[request.action], request, deadline)
        if where.server is not None:
            return self._ask(where.server, request, deadline)
        raise ActionFailed("nobody runs it")

    def _call(self, call: HttpCall, request: ActionRequest, deadline: float) -> ActionAnswer:
        prepared = render(call, request.slots, self._secret)
        status, content = exchange(prepared, _seconds(call.timeout_seconds, deadline))
        if status == 400:
            raise ActionFailed("answered 400")
        values = read_slots(call, _decoded(content)) if call.slots else {}
        return ActionAnswer(
            events=tuple({"event": "slot", "timestamp": None, "name": name, "value": values[name]} for name in values),
            responses=({"response": call.say},) if call.say is not None else (),
        )

    def _ask(self, server: ActionServer, request: ActionRequest, deadline: float) -> ActionAnswer:
        headers = {"Content-Type": "application/json"}
        if server.secret is not None:
            headers["Authorization"] = header_value("Authorization", f"Bearer {self._secret(server.secret)}")
        prepared = Prepared("POST", server.url, headers, to_json(request.body))
        status, content = exchange(prepared, _seconds(server.timeout_seconds, deadline))
        if status != 400:
            return _read(_decoded(content))
        refusal = _decoded(content, otherwise="answered 400")
        if isinstance(refusal, dict) and "action_name" in refusal:
            return ActionAnswer(rejected=True)
        raise ActionFailed("answered 400")

    def _invoke(self, call: LambdaCall, request: ActionRequest, deadline: float) -> ActionAnswer:
        content = to_json(request.body)

        def invoke() -> tuple[str | None, bytes]:
            answer = client.invoke(FunctionName=call.function, InvocationType="RequestResponse", Payload=content)
            with closing(answer["Payload"]) as payload:
                return answer.get("FunctionError"), payload.read(MAX_ANSWER_BYTES + 1)

        try:
            client = self._client()
            failure, answered = within(_seconds(call.timeout_seconds, deadline), invoke)
        except ClientError as error:
            raise ActionFailed(f"the function was not run ({error.response['Error']['Code']})") from error
        except BotoCoreError as error:
            raise ActionFailed("Lambda could not be reached, or did not answer") from error
        if failure is not None:
            raise ActionFailed(f"the function failed ({failure})")
        if len(answered) > MAX_ANSWER_BYTES:
            raise ActionFailed(f"sent more than {MAX_ANSWER_BYTES // 1_000_000} MB")
        return _read(_decoded(answered))

    def _client(self) -> Any:
        if self._lambda_client is None:
            patience = Config(
                connect_timeout=CONNECT_SECONDS, read_timeout=MAX_TIMEOUT_SECONDS, retries={"total_max_attempts": 1}
            )
            self._lambda_client = boto3.client("lambda", config=patience)
        return self._lambda_client

    def _secret(self, name: str) -> str:
        try:
            return self._secrets(name)
        except ParleyError as error:
            raise ActionFailed(f"the secret {name} could not be read") from error


def _seconds(timeout_seconds: float, deadline: float) -> float:
    return min(timeout_seconds, deadline - time.monotonic())


def _decoded(content: bytes, otherwise: str = "sent no JSON") -> Any:
    try:
        decoded = msgspec.json.decode(content)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ActionFailed(otherwise) from error
    if not _is_nested_at_most(MAX_DEPTH, decoded):
        raise ActionFailed("sent JSON that is nested too deeply")
    return decoded


def _is_nested_at_most(depth: int, value: Any) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return inner is None or (depth > 0 and all(_is_nested_at_most(depth - 1, one) for one in inner))


def _read(answer: Any) -> ActionAnswer:
    if not isinstance(answer, dict):
        raise ActionFailed("sent no JSON object")
    return ActionAnswer(_objects(answer, "events", MAX_EVENTS), _objects(answer, "responses", MAX_RESPONSES))


def _objects(answer: dict[str, Any], key: str, most: int) -> tuple[Mapping[str, Any], ...]:
    objects = answer.get(key, [])
    if not isinstance(objects, list) or not all(isinstance(one, dict) for one in objects):
        raise ActionFailed(f"sent {key} that are no list of objects")
    if len(objects) > most:
        raise ActionFailed(f"sent more than {most} {key}")
    return tuple(objects)
