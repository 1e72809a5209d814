"""The contract of `ports.Workspaces`, kept by the fake and, with KMS, by DynamoDB alike."""

import uuid

import boto3
import pytest

from parley.adapters.memory import MemoryWorkspaces
from parley.adapters.workspaces import DynamoWorkspaces
from parley.errors import Unavailable
from parley.ports import Workspace, Workspaces
from tests.contracts.conftest import Tables

TOKEN = "xoxb-1-of-a-test"


@pytest.fixture(params=["memory", "dynamodb"])
def workspaces(request: pytest.FixtureRequest) -> Workspaces:
    if request.param == "memory":
        return MemoryWorkspaces()
    stored: Workspaces = request.getfixturevalue("dynamo")
    return stored


@pytest.fixture
def dynamo(aws: dict[str, str], tables: Tables, monkeypatch: pytest.MonkeyPatch) -> DynamoWorkspaces:
    for name, value in aws.items():
        monkeypatch.setenv(name, value)
    return DynamoWorkspaces(tables.workspaces, tables.tokens_key)


def a_workspace(bot: str = "support", installed_at: float = 1_000.25) -> Workspace:
    return Workspace(f"T{uuid.uuid4().hex[:8].upper()}", bot, installed_at)


def test_a_workspace_is_found_with_its_bot_and_its_token(workspaces: Workspaces) -> None:
    workspace = a_workspace("clinic")

    workspaces.save(workspace, TOKEN)

    assert workspaces.get(workspace.team) == workspace
    assert workspaces.token(workspace.team) == TOKEN


def test_nobody_knows_a_workspace_that_has_not_installed_the_app(workspaces: Workspaces) -> None:
    assert workspaces.get("TNONE") is None
    assert workspaces.token("TNONE") is None
    assert not workspaces.delete("TNONE", before=2_000)


def test_an_installation_takes_the_place_of_an_earlier_one(workspaces: Workspaces) -> None:
    first = a_workspace()
    workspaces.save(first, "xoxb-old")

    workspaces.save(again := Workspace(first.team, "clinic", 2_000.0), TOKEN)

    assert (workspaces.get(first.team), workspaces.token(first.team)) == (again, TOKEN)


def test_what_is_deleted_is_gone_at_once(workspaces: Workspaces) -> None:
    workspace = a_workspace()
    workspaces.save(workspace, TOKEN)

    assert workspaces.delete(workspace.team, before=2_000)

    assert workspaces.get(workspace.team) is None
    assert workspaces.token(workspace.team) is None


def test_a_late_word_of_an_uninstallation_leaves_the_installation_after_it(workspaces: Workspaces) -> None:
    workspace = a_workspace(installed_at=1_000.25)
    workspaces.save(workspace, TOKEN)

    assert not workspaces.delete(workspace.team, before=1_000)

    assert workspaces.token(workspace.team) == TOKEN


def test_the_table_holds_no_token_that_can_be_read_or_moved_to_another_workspace(
    dynamo: DynamoWorkspaces, aws: dict[str, str], tables: Tables
) -> None:
    mine, theirs = a_workspace(), a_workspace()
    dynamo.save(mine, TOKEN)
    dynamo.save(theirs, "xoxb-other")
    table = boto3.resource("dynamodb", endpoint_url=aws["AWS_ENDPOINT_URL"]).Table(tables.workspaces)
    item = table.get_item(Key={"pk": f"workspace#{mine.team}"})["Item"]

    table.put_item(Item={**item, "pk": f"workspace#{theirs.team}"})

    assert TOKEN not in str(item)
    with pytest.raises(Unavailable):
        dynamo.token(theirs.team)
