"""The contract of `ports.Documents` and `ports.Libraries`, kept by the fakes and by S3 alike."""

import uuid

import boto3
import pytest

from parley.adapters import documents as s3_documents
from parley.adapters.documents import S3Documents, S3Libraries
from parley.adapters.memory import MemoryDocuments, MemoryLibraries
from parley.errors import NotFound, TooLarge
from parley.ports import Catalogue, Documents, Libraries, Shelved


@pytest.fixture
def bucket(aws: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> str:
    for name, value in aws.items():
        monkeypatch.setenv(name, value)
    name = f"documents-{uuid.uuid4().hex[:8]}"
    boto3.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    return name


@pytest.fixture(params=["memory", "s3"])
def documents(request: pytest.FixtureRequest) -> Documents:
    return MemoryDocuments() if request.param == "memory" else S3Documents(request.getfixturevalue("bucket"))


@pytest.fixture(params=["memory", "s3"])
def libraries(request: pytest.FixtureRequest) -> Libraries:
    return MemoryLibraries() if request.param == "memory" else S3Libraries(request.getfixturevalue("bucket"))


def test_a_bot_has_no_documents_at_first(documents: Documents) -> None:
    assert tuple(documents.list("shop")) == ()


def test_a_document_is_read_back_whole(documents: Documents) -> None:
    documents.write("shop", "returns/policy.md", b"# Returns\n\xe2\x82\xac")

    assert documents.read("shop", "returns/policy.md") == b"# Returns\n\xe2\x82\xac"
    assert [each.name for each in documents.list("shop")] == ["returns/policy.md"]


def test_another_bots_documents_are_not_seen(documents: Documents) -> None:
    documents.write("shop", "a.md", b"a")
    documents.write("shopping", "b.md", b"b")

    assert [each.name for each in documents.list("shop")] == ["a.md"]
    with pytest.raises(NotFound):
        documents.read("shop", "b.md")


def test_the_version_changes_with_the_content_and_only_then(documents: Documents) -> None:
    documents.write("shop", "a.md", b"one")
    (first,) = documents.list("shop")
    documents.write("shop", "a.md", b"two")
    (second,) = documents.list("shop")
    documents.write("shop", "a.md", b"one")
    (third,) = documents.list("shop")

    assert first.version != second.version
    assert first == third


def test_a_deleted_document_is_gone_and_may_be_deleted_again(documents: Documents) -> None:
    documents.write("shop", "a.md", b"a")

    documents.delete("shop", "a.md")
    documents.delete("shop", "a.md")

    assert tuple(documents.list("shop")) == ()


def test_more_documents_than_a_page_of_s3_has_are_all_listed(bucket: str) -> None:
    documents = S3Documents(bucket)
    for number in range(1005):
        documents.write("shop", f"{number:04}.md", b"x")

    assert len(documents.list("shop")) == 1005


def test_a_document_that_is_too_large_is_not_fetched(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_documents, "MAX_DOCUMENT_BYTES", 10)
    documents = S3Documents(bucket)
    documents.write("shop", "a.md", b"eleven bytes")

    with pytest.raises(TooLarge, match=r"a\.md"):
        documents.read("shop", "a.md")


def test_there_is_no_library_at_first(libraries: Libraries) -> None:
    assert libraries.catalogue("shop") == Catalogue()


def test_what_was_published_is_read_back(libraries: Libraries) -> None:
    catalogue = Catalogue("f1", "e", {"a.md": Shelved("v", 3, None, ("row 2: no answer",))})

    libraries.publish("shop", catalogue, b"content")

    assert libraries.catalogue("shop") == catalogue
    assert libraries.read("shop", "f1") == b"content"


def test_whoever_began_to_read_before_a_publication_can_go_on(libraries: Libraries) -> None:
    libraries.publish("shop", Catalogue("f1", "e"), b"one")

    libraries.publish("shop", Catalogue("f2", "e"), b"two")

    assert libraries.read("shop", "f1") == b"one"
    assert libraries.catalogue("shop").file == "f2"


def test_a_file_that_is_not_there_is_not_found(libraries: Libraries) -> None:
    with pytest.raises(NotFound):
        libraries.read("shop", "nothing")
