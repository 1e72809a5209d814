"""What the stack of documents means: who may do what, what is told of a change, what outlives a mistake."""

import json
from pathlib import Path
from typing import Any

import pytest

from parley.adapters.passages import INDEX
from tests.infra.conftest import Synthesize
from tests.infra.template import Template

ROOT = Path(__file__).parents[2]

STAGES = ("local", "dev", "prod")


def documents_bucket(template: Template) -> dict[str, Any]:
    (bucket,) = [each for each in template.of_type("AWS::S3::Bucket").values() if "NotificationConfiguration" in each]
    return bucket


@pytest.mark.parametrize("stage", STAGES)
def test_every_change_of_a_document_is_told_to_ingest(stack_of: Synthesize, stage: str) -> None:
    bucket = documents_bucket(stack_of(stage))

    told = bucket["NotificationConfiguration"]["QueueConfigurations"]

    assert {each["Event"] for each in told} == {"s3:ObjectCreated:*", "s3:ObjectRemoved:*"}
    for each in told:
        rules = each["Filter"]["S3Key"]["Rules"]
        assert rules == [{"Name": "prefix", "Value": "documents/"}]  # a library that is published calls nobody


@pytest.mark.parametrize("stage", STAGES)
def test_nobody_outside_reads_documents_and_old_versions_can_be_had_back(stack_of: Synthesize, stage: str) -> None:
    bucket = documents_bucket(stack_of(stage))

    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    assert "BucketEncryption" in bucket


@pytest.mark.parametrize("stage", STAGES)
def test_only_chat_puts_documents_in_only_ingest_publishes_and_worker_reads(stack_of: Synthesize, stage: str) -> None:
    template = stack_of(stage)

    def may(function: str, *actions: str) -> bool:
        return set(actions) <= template.actions_of(function)

    assert may("chat", "s3:PutObject", "s3:DeleteObject", "s3:GetObject")
    assert may("ingest", "s3:PutObject", "s3:GetObject")
    assert may("worker", "s3:GetObject")
    assert not may("ingest", "s3:DeleteObject")
    assert not may("worker", "s3:PutObject")
    assert not any(action.startswith("s3:") for action in template.actions_of("socket") | template.actions_of("web"))


@pytest.mark.parametrize("stage", STAGES)
def test_each_writes_into_its_own_folder_only(stack_of: Synthesize, stage: str) -> None:
    written = {
        json.dumps(resource)
        for statement in stack_of(stage).statements()
        if "s3:PutObject" in statement.actions
        for resource in statement.resources
        if "-documents-" in json.dumps(resource)
    }

    assert len(written) == 2
    assert all("/documents/*" in each or "/libraries/*" in each for each in written)


@pytest.mark.parametrize("stage", STAGES)
def test_a_batch_of_changes_is_hidden_longer_than_ingest_may_take(stack_of: Synthesize, stage: str) -> None:
    template = stack_of(stage)
    queues = template.of_type("AWS::SQS::Queue").items()
    (changes,) = [queue for name, queue in queues if "Changes" in name and "RedrivePolicy" in queue]

    assert changes["VisibilityTimeout"] > template.functions()["ingest"]["Timeout"]


@pytest.mark.parametrize("stage", STAGES)
def test_there_is_no_table_of_passages_unless_the_stage_has_a_limit_to_memory(stack_of: Synthesize, stage: str) -> None:
    template = stack_of(stage)

    assert not any("VectorIndexes" in table for table in template.of_type("AWS::DynamoDB::Table").values())
    assert not any("PASSAGES_TABLE" in each["Environment"]["Variables"] for each in template.functions().values())
    assert not any("dynamodb:SearchVectors" in each.actions for each in template.statements())


def passages_table(template: Template) -> dict[str, Any]:
    (table,) = [each for each in template.of_type("AWS::DynamoDB::Table").values() if "VectorIndexes" in each]
    return table


@pytest.mark.parametrize("stage", ["dev", "prod"])
def test_the_index_of_passages_is_what_the_adapter_searches(stack_of: Synthesize, stage: str) -> None:
    table = passages_table(stack_of(stage, passages_in_memory="50000"))

    (index,) = table["VectorIndexes"]

    assert index["IndexName"] == INDEX
    assert index["Dimensions"] == json.loads((ROOT / "models/encoder/config.json").read_text())["dimensions"]
    assert index["SearchSchema"] == [{"AttributeName": "pk", "SearchSchemaElementType": "HASH"}]
    assert table["BillingMode"] == "PAY_PER_REQUEST"  # the only mode in which DynamoDB has vector indexes
    assert {each["AttributeName"] for each in table["KeySchema"]} == {"pk", "sk"}


@pytest.mark.parametrize("stage", ["dev", "prod"])
def test_only_ingest_writes_passages_and_only_those_who_answer_search_them(stack_of: Synthesize, stage: str) -> None:
    template = stack_of(stage, passages_in_memory="50000")

    searching = {name for name in template.functions() if "dynamodb:SearchVectors" in template.actions_of(name)}
    written = [each.actions for each in template.statements() if "Passages" in json.dumps(each.resources)]

    assert searching == {"chat", "worker", "stream"}
    assert sorted(sorted(actions) for actions in map(set, written)) == sorted(
        [["dynamodb:BatchWriteItem"], *[["dynamodb:Query"], ["dynamodb:SearchVectors"]] * 3]
    )
    for name in ("chat", "worker", "stream", "ingest"):
        assert "PASSAGES_TABLE" in template.functions()[name]["Environment"]["Variables"]
    assert template.functions()["ingest"]["Environment"]["Variables"]["PASSAGES_IN_MEMORY"] == "50000"
