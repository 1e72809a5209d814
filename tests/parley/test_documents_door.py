"""What ingest does with what S3 tells, in any order, late or twice."""

import json
from types import SimpleNamespace
from typing import Any

import pytest

from parley.adapters.memory import MemoryDocuments, MemoryLibraries, MemoryPages
from parley.documents_door import DocumentsDoor, bots_of
from parley.errors import Unavailable
from parley.nlu.encoder import OnnxEncoder
from parley.ports import Page

HOURS = b"# Hours\n\nWe open at nine and close at six."


class Bucket:
    """Documents, and the function that is told of them."""

    def __init__(self, encoder: OnnxEncoder) -> None:
        self.documents, self.libraries = MemoryDocuments(), MemoryLibraries()
        self.asked_again: list[str] = []
        bots = frozenset({"shop", "clinic"})
        self.pages = MemoryPages()
        self._door = DocumentsDoor(self.documents, self.libraries, self.pages, encoder, bots, self.asked_again.append)

    def tell(self, *bodies: dict[str, Any], seconds: float = 900) -> None:
        event = {"Records": [{"body": json.dumps(body)} for body in bodies]}
        self._door(event, SimpleNamespace(get_remaining_time_in_millis=lambda: seconds * 1000))

    def known(self, bot: str) -> set[str]:
        return set(self.libraries.catalogue(bot).documents)


def change(key: str) -> dict[str, Any]:
    return {"Records": [{"eventName": "ObjectCreated:Put", "s3": {"object": {"key": key}}}]}


@pytest.fixture
def bucket(encoder: OnnxEncoder) -> Bucket:
    return Bucket(encoder)


def test_a_document_that_came_is_taken_in(bucket: Bucket) -> None:
    bucket.documents.write("shop", "hours.md", HOURS)

    bucket.tell(change("documents/shop/hours.md"))

    assert bucket.known("shop") == {"hours.md"}


def test_the_bucket_is_asked_and_not_the_event(bucket: Bucket) -> None:
    bucket.documents.write("shop", "hours.md", HOURS)

    bucket.tell(change("documents/shop/long-gone.md"))

    assert bucket.known("shop") == {"hours.md"}


def test_a_batch_about_several_bots_serves_each(bucket: Bucket) -> None:
    for bot in ("shop", "clinic"):
        bucket.documents.write(bot, "hours.md", HOURS)

    bucket.tell(change("documents/shop/hours.md"), change("documents/clinic/hours.md"))

    assert bucket.known("shop") == bucket.known("clinic") == {"hours.md"}


def test_documents_of_a_bot_that_is_not_deployed_wait(bucket: Bucket) -> None:
    bucket.documents.write("nobody", "hours.md", HOURS)

    bucket.tell(change("documents/nobody/hours.md"))

    assert bucket.known("nobody") == set()


def test_what_there_is_no_time_for_is_asked_for_again(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("parley.ingest.ROUND_DOCUMENTS", 1)
    for name in ("a.md", "b.md"):
        bucket.documents.write("shop", name, HOURS)

    bucket.tell(change("documents/shop/b.md"), seconds=1)

    assert bucket.known("shop") == {"a.md"}
    assert bucket.asked_again == ["shop"]

    bucket.tell({"bot": "shop"}, seconds=1)
    assert bucket.known("shop") == {"a.md", "b.md"}


def test_pages_that_there_is_no_time_for_are_asked_for_again(bucket: Bucket) -> None:
    urls = [f"https://shop.example/{number}" for number in range(2)]
    bucket.pages.pages = {url: Page(url, b"Nine.", "text/plain") for url in urls}
    bucket.documents.write("shop", "help.urls", "\n".join(urls).encode())

    bucket.tell(change("documents/shop/help.urls"), seconds=1)
    assert bucket.asked_again == ["shop"]

    bucket.tell({"bot": "shop"}, seconds=1)
    assert bucket.asked_again == ["shop"]
    assert bucket.libraries.catalogue("shop").documents["help.urls"].pages == tuple(urls)


def test_a_change_during_a_run_is_not_lost(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket.documents.write("shop", "hours.md", HOURS)
    publish = bucket.libraries.publish

    def while_somebody_writes(*arguments: Any) -> None:
        publish(*arguments)
        if len(bucket.documents.list("shop")) == 1:
            bucket.documents.write("shop", "late.md", HOURS)

    monkeypatch.setattr(bucket.libraries, "publish", while_somebody_writes)
    bucket.tell(change("documents/shop/hours.md"))

    assert bucket.known("shop") == {"hours.md", "late.md"}


def test_while_the_store_is_away_the_queue_keeps_what_was_told(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(bot: str) -> Any:
        raise Unavailable("the documents could not be listed")

    monkeypatch.setattr(bucket.documents, "list", away)

    with pytest.raises(Unavailable):
        bucket.tell(change("documents/shop/hours.md"))


@pytest.mark.parametrize(
    ("body", "bots"),
    [
        ({"Event": "s3:TestEvent", "Bucket": "b"}, []),
        (change("documents/shop/returns/our+policy%2B.md"), ["shop"]),
        (change("libraries/shop/current"), []),
        (change("documents/stray.md"), []),
        ({"bot": "shop"}, ["shop"]),
    ],
)
def test_what_is_told_names_bots(body: dict[str, Any], bots: list[str]) -> None:
    assert list(bots_of({"Records": [{"body": json.dumps(body)}]})) == bots
