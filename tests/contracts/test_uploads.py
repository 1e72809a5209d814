"""The contract of `ports.Uploads`, kept by the fake and by S3 alike."""

import uuid

import boto3
import pytest

from parley.adapters.memory import MemoryUploads
from parley.adapters.uploads import S3Uploads
from parley.conversation import Upload
from parley.errors import NotFound, Unavailable
from parley.ports import Uploads
from tests.builders import PNG

PHOTO = Upload("u1", "Grüße 100%.png", "image/png", len(PNG))


@pytest.fixture
def bucket(aws: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> str:
    for name, value in aws.items():
        monkeypatch.setenv(name, value)
    name = f"uploads-{uuid.uuid4().hex[:8]}"
    boto3.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    return name


@pytest.fixture(params=["memory", "s3"])
def uploads(request: pytest.FixtureRequest) -> Uploads:
    return MemoryUploads() if request.param == "memory" else S3Uploads(request.getfixturevalue("bucket"))


def test_a_file_is_found_and_read_back_whole(uploads: Uploads) -> None:
    uploads.put("shop", "c1", PHOTO, PNG)

    assert uploads.find("shop", "c1", "u1") == PHOTO
    assert uploads.read("shop", "c1", "u1") == (PHOTO, PNG)


def test_a_file_is_nobody_elses(uploads: Uploads) -> None:
    uploads.put("shop", "c1", PHOTO, PNG)

    for bot, conversation_id, upload_id in (("shop", "c2", "u1"), ("clinic", "c1", "u1"), ("shop", "c1", "u2")):
        assert uploads.find(bot, conversation_id, upload_id) is None
        with pytest.raises(NotFound):
            uploads.read(bot, conversation_id, upload_id)


def test_erasing_takes_all_files_of_a_conversation_and_no_others(uploads: Uploads) -> None:
    for conversation_id in ("c1", "c10"):
        for upload_id in ("u1", "u2"):
            uploads.put("shop", conversation_id, Upload(upload_id, "a.png", "image/png", len(PNG)), PNG)

    uploads.erase("shop", "c1")
    uploads.erase("shop", "c1")
    uploads.erase("shop", "never")

    assert [uploads.find("shop", "c1", each) for each in ("u1", "u2")] == [None, None]
    assert [bool(uploads.find("shop", "c10", each)) for each in ("u1", "u2")] == [True, True]


def test_a_store_that_is_away_is_named(aws: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in aws.items():
        monkeypatch.setenv(name, value)
    away = S3Uploads("there-is-no-such-bucket")

    with pytest.raises(Unavailable):
        away.put("shop", "c1", PHOTO, PNG)
    with pytest.raises(Unavailable):
        away.erase("shop", "c1")
