"""Imports run one way: from the doors down to the values."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "layers/parley/python/parley"

# Lowest first; a module may import from its own part and from lower layers only.
LAYERS = [
    {"errors", "access", "__init__"},
    {"conversation", "actions"},
    {"ports", "settings", "logs", "documents", "files"},
    {"bots"},
    {"nlu", "dialogue", "knowledge", "caching", "generation"},
    {"channels"},
    {"loaded"},
    {"metering", "callers"},
    {
        "services",
        "handoff",
        "lines",
        "live",
        "waiting",
        "current_bots",
        "following",
        "http_app",
        "delivering",
    },
    {"slack_delivery", "slack_draft", "slack_install", "live_completion", "callback_delivery"},
    {"sharing", "compile", "ingest", "uploading"},
    {"act"},
    {"turn"},
    {"adapters", "desk", "late"},
    {"http_door", "queue_door", "socket_door", "slack_door", "documents_door"},
    {"rasa_door", "knowledge_door", "openai_door", "keys_door", "webhook_door"},
    {"notify_door", "deliver_door", "subscriptions_door"},
    {"openai_api", "keys_api", "subscriptions_api"},
    {"http_api", "stream_api"},
]
RANK = {part: rank for rank, layer in enumerate(LAYERS) for part in layer}
MODULES = sorted(PACKAGE.rglob("*.py"))


def part_of(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def imported_parts(path: Path) -> set[str]:
    parts = set()
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.ImportFrom(module=str(module)) if module == "parley":
                parts |= {alias.name if alias.name in RANK else "__init__" for alias in node.names}
            case ast.ImportFrom(module=str(module)) if module.startswith("parley."):
                parts.add(module.split(".")[1])
            case ast.Import():
                parts |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("parley.")}
    return parts - {part_of(path)}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_from_lower_layers(path: Path) -> None:
    own = RANK[part_of(path)]

    upward = {part for part in imported_parts(path) if RANK[part] >= own}

    assert not upward


@pytest.mark.parametrize(
    "path", [path for path in MODULES if part_of(path) in {"conversation", "actions"}], ids=lambda p: p.name
)
def test_the_values_need_the_standard_library_only(path: Path) -> None:
    source = path.read_text()

    assert not any(name in source for name in ("import numpy", "import msgspec", "import boto3", "pydantic"))


@pytest.mark.parametrize("path", [path for path in MODULES if part_of(path) != "adapters"], ids=lambda p: p.name)
def test_only_adapters_know_aws(path: Path) -> None:
    source = path.read_text()

    assert not any(name in source for name in ("import boto3", "from botocore", "from pynamodb"))
