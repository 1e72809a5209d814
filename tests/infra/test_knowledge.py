"""What the stack of documents means: who may do what, what is told of a change, what outlives a mistake."""

import json

import pytest

from tests.infra.conftest import Synthesize

STAGES = ("local", "dev", "prod")


@pytest.mark.parametrize("stage", STAGES)
def test_every_change_of_a_document_is_told_to_ingest(stack_of: Synthesize, stage: str) -> None:
    template = stack_of(stage)
    (bucket,) = template.of_type("AWS::S3::Bucket").values()

    told = bucket["NotificationConfiguration"]["QueueConfigurations"]

    assert {each["Event"] for each in told} == {"s3:ObjectCreated:*", "s3:ObjectRemoved:*"}
    for each in told:
        rules = each["Filter"]["S3Key"]["Rules"]
        assert rules == [{"Name": "prefix", "Value": "documents/"}]  # a library that is published calls nobody


@pytest.mark.parametrize("stage", STAGES)
def test_nobody_outside_reads_documents_and_old_versions_can_be_had_back(stack_of: Synthesize, stage: str) -> None:
    (bucket,) = stack_of(stage).of_type("AWS::S3::Bucket").values()

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
    }

    assert len(written) == 2
    assert all("/documents/*" in each or "/libraries/*" in each for each in written)


@pytest.mark.parametrize("stage", STAGES)
def test_a_batch_of_changes_is_hidden_longer_than_ingest_may_take(stack_of: Synthesize, stage: str) -> None:
    template = stack_of(stage)
    queues = template.of_type("AWS::SQS::Queue").values()
    (changes,) = [queue for queue in queues if queue.get("RedrivePolicy", {}).get("maxReceiveCount") == 5]

    assert changes["VisibilityTimeout"] > template.functions()["ingest"]["Timeout"]
