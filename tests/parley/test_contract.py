"""The OpenAPI document, held to what the HTTP API does: Schemathesis calls every operation as it allows, and as not.

Whoever calls, there is no error of ours, and no response that the document does not describe.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import APIOperation, Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from parley.loaded import LoadedBot
from parley.services import Services
from tests import gateway
from tests.world import BOT, MINE, OPERATOR_KEY, World, a_built_page, with_every_route

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
# Operations with a query parameter that is nearly any text, and so is what Schemathesis takes for something else there.
OF_ANY_TEXT = {"GET /v1/conversations", "DELETE /v1/conversations"}
EXAMPLES = 12  # of each operation, caller and mode
WELL_KNOWN = {"conversation_id": MINE, "bot": BOT}  # or nearly all that is asked for would be unknown
Operation = APIOperation[Any, Any, Any, Any]

BASE = "http://localhost"  # the document's own is relative
EVERYBODY = {"POST /v1/understand", "GET /v1/health", "POST /webhooks/rest/webhook", "POST /model/parse", "GET /status"}
OPEN_TO = {
    "nobody": EVERYBODY,
    "operator": EVERYBODY | {"GET /v1/keys", "POST /v1/keys", "GET /v1/conversations/{conversation_id}"},
    "API key": EVERYBODY | {"GET /v1/models"},
}
CALLERS: dict[str, Callable[[World], str | None]] = {
    "nobody": lambda _: None,
    "operator": lambda _: OPERATOR_KEY,
    "API key": lambda world: world.key,
}


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_built_page(tmp_path_factory.mktemp("web"))


@pytest.fixture
def world(make_services: Callable[..., Services], support: LoadedBot, page: Path) -> World:
    return World(make_services(), with_every_route(support), page)


@pytest.mark.parametrize("mode", GenerationMode, ids=lambda mode: mode.value)
@pytest.mark.parametrize("caller", CALLERS)
def test_every_response_is_as_the_openapi_document_says(world: World, caller: str, mode: GenerationMode) -> None:
    shown = CALLERS[caller](world)
    headers = {"Authorization": f"Bearer {shown}"} if shown else {}
    schema = schemathesis.openapi.from_wsgi("/openapi.json", gateway.wsgi(lambda event: world.http_api(event, None)))

    told = {
        operation.label: _statuses(operation, mode, headers)
        for operation in (found.ok() for found in schema.get_all_operations())
        if mode is GenerationMode.POSITIVE or _has_anything_to_get_wrong(operation)
    }

    if mode is GenerationMode.POSITIVE:
        assert {label for label, statuses in told.items() if min(statuses) < 300} >= OPEN_TO[caller]


def test_the_document_describes_every_route(world: World) -> None:
    document: Any = json.loads(world.http_api(gateway.event("GET", "/openapi.json"), None)["body"])

    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            told = operation["responses"]
            assert {"400", "404", "413", "500", "503"} <= set(told), f"{method} {path}"
            assert all("content" in response for status, response in told.items() if status != "204"), (
                f"{method} {path}"
            )


def _statuses(operation: Operation, mode: GenerationMode, headers: dict[str, str]) -> set[int]:
    """With which statuses an operation was answered; fails where an answer is none that the document describes."""
    told = set()
    is_good = mode is GenerationMode.POSITIVE
    checks = [check for check in CHECKS if check is not negative_data_rejection or operation.label not in OF_ANY_TEXT]
    known = {name: WELL_KNOWN[name] for name in WELL_KNOWN if is_good and f"{{{name}}}" in operation.path}

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(mode, path_parameters=known))
    def holds(case: Case) -> None:
        response = case.call_and_validate(base_url=BASE, checks=checks, headers=headers)
        told.add(response.status_code)

    holds()
    return told


def _has_anything_to_get_wrong(operation: Operation) -> bool:
    """Whether it asks for anything but texts that may be any."""
    asked = [operation.path_parameters, operation.query, operation.body]
    return any(
        "type" not in part.definition.get("schema", {}) or len(part.definition["schema"]) > 2
        for parts in asked
        for part in parts
    )
