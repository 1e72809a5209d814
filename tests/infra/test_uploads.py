"""What the bucket of people's files means: who reaches it, and how long it keeps what."""

import json
from typing import Any

import pytest

from infra.stage import STAGES
from tests.infra.conftest import Synthesize
from tests.infra.template import Template


def uploads_bucket(template: Template) -> dict[str, Any]:
    (bucket,) = [
        each for each in template.of_type("AWS::S3::Bucket").values() if "-uploads-" in json.dumps(each["BucketName"])
    ]
    return bucket


@pytest.mark.parametrize("stage", STAGES)
def test_who_takes_files_keeps_them_worker_reads_them_and_nobody_else_reaches_them(
    stack_of: Synthesize, stage: str
) -> None:
    template = stack_of(stage)

    taking = {"chat"} if stage == "local" else {"chat", "stream"}  # images of OpenAI's clients
    assert template.who_may("s3:GetObject", to="-uploads-") == {*taking, "worker"}
    for action in ("s3:PutObject", "s3:DeleteObject"):
        assert template.who_may(action, to="-uploads-") == taking


@pytest.mark.parametrize("stage", STAGES)
def test_files_go_when_their_conversations_do_and_leave_no_old_versions(stack_of: Synthesize, stage: str) -> None:
    bucket = uploads_bucket(stack_of(stage))

    (rule,) = bucket["LifecycleConfiguration"]["Rules"]
    assert (rule["Status"], rule["ExpirationInDays"]) == ("Enabled", STAGES[stage].retention_days)
    assert "VersioningConfiguration" not in bucket


@pytest.mark.parametrize("stage", STAGES)
def test_files_are_encrypted_nobody_outside_reads_them_and_ingest_is_not_told(stack_of: Synthesize, stage: str) -> None:
    bucket = uploads_bucket(stack_of(stage))

    assert "BucketEncryption" in bucket
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert "NotificationConfiguration" not in bucket


@pytest.mark.parametrize("stage", STAGES)
def test_no_bucket_with_a_fixed_name_stays_behind_where_a_first_deployment_failed(
    stack_of: Synthesize, stage: str
) -> None:
    resources = [it for part in stack_of(stage).parts for it in part["Resources"].values()]
    named = [it for it in resources if it["Type"] == "AWS::S3::Bucket" and "BucketName" in it["Properties"]]

    assert len(named) == 2
    kept = "RetainExceptOnCreate" if STAGES[stage].keeps_data else "Delete"
    assert {it["DeletionPolicy"] for it in named} == {kept}
