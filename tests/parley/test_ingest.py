"""Ingest: what is read, what is embedded, what stays when something breaks."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from parley.adapters.memory import MemoryDocuments, MemoryLibraries, MemoryPages
from parley.current_bots import LOOK_AGAIN_SECONDS, CurrentBots
from parley.errors import Unavailable
from parley.following import MAX_NOTES
from parley.ingest import Ingested, ingest
from parley.knowledge.library import Library, unpack
from parley.loaded import LoadedBot
from parley.nlu.encoder import OnnxEncoder
from parley.ports import Catalogue, Encoded, Page, Shelved


class CountingEncoder:
    """The real encoder; counts what it is asked."""

    def __init__(self, real: OnnxEncoder, version: str = "") -> None:
        self._real = real
        self.version = version or real.version
        self.asked: list[str] = []

    def encode(self, text: str) -> Encoded:
        return self._real.encode(text)

    def knows(self, word: str) -> bool:
        return self._real.knows(word)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.asked += texts
        return self._real.embed(texts)

    def read(self, text: str, parts: Sequence[tuple[int, int]]) -> NDArray[np.float32]:
        self.asked.append(text)
        return self._real.read(text, parts)


class Shop:
    """Documents of one bot, and what is made of them."""

    def __init__(self, encoder: OnnxEncoder) -> None:
        self.documents, self.libraries, self.pages = MemoryDocuments(), MemoryLibraries(), MemoryPages()
        self.encoder = CountingEncoder(encoder)

    def put(self, name: str, text: str) -> None:
        self.documents.write("shop", name, text.encode())

    def ingest(self, *, deadline: float = 1.0, clock: Callable[[], float] = lambda: 0.0) -> Ingested:
        self.encoder.asked.clear()
        return ingest("shop", self.documents, self.libraries, self.pages, self.encoder, deadline=deadline, clock=clock)

    @property
    def library(self) -> Library:
        catalogue = self.libraries.catalogue("shop")
        return unpack(catalogue, self.libraries.read("shop", catalogue.file))

    def found(self, question: str) -> str:
        (best,) = self.library.snapshot.search(question, self.encoder.embed([question])[0], limit=1)
        return best.passage.text


@pytest.fixture
def shop(encoder: OnnxEncoder) -> Shop:
    shop = Shop(encoder)
    shop.put("hours.md", "# Hours\n\nWe open at nine and close at six.")
    shop.put("returns.md", "# Returns\n\nYou may send things back within thirty days.\n\n## Cost\n\nIt is free.")
    return shop


def test_what_is_put_in_is_found(shop: Shop) -> None:
    done = shop.ingest()

    assert done == Ingested(3, 3, ("hours.md", "returns.md"), (), {}, is_complete=True)
    assert shop.found("When do you open?") == "We open at nine and close at six."


def test_where_nothing_changed_nothing_is_done(shop: Shop) -> None:
    shop.ingest()
    before = shop.libraries.catalogue("shop")

    done = shop.ingest()

    assert (done.read, done.removed, done.embedded) == ((), (), 0)
    assert shop.libraries.catalogue("shop") is before


def test_of_a_document_that_changed_only_the_new_passages_are_embedded(shop: Shop) -> None:
    shop.ingest()
    shop.put("returns.md", "# Returns\n\nYou may send things back within thirty days.\n\n## Cost\n\nIt is four euros.")

    done = shop.ingest()

    assert (done.read, done.embedded) == (("returns.md",), 1)
    assert not any("thirty days" in text for text in shop.encoder.asked)
    assert shop.found("How many euros does it cost?") == "It is four euros."


def test_a_passage_that_was_kept_is_found_as_well_as_before(shop: Shop) -> None:
    shop.ingest()
    before = shop.library.snapshot.search("thirty days", shop.encoder.embed(["thirty days"])[0])[0].score
    shop.put("returns.md", "# Returns\n\nYou may send things back within thirty days.")

    shop.ingest()

    after = shop.library.snapshot.search("thirty days", shop.encoder.embed(["thirty days"])[0])[0].score
    assert after == pytest.approx(before, abs=0.2)  # rarities change with the library
    assert shop.found("thirty days") == "You may send things back within thirty days."


def test_a_deleted_document_is_not_found_any_more(shop: Shop) -> None:
    shop.ingest()
    shop.documents.delete("shop", "hours.md")

    done = shop.ingest()

    assert (done.removed, done.passages) == (("hours.md",), 2)
    assert "hours.md" not in shop.library.documents
    assert "hours.md" not in shop.library.snapshot.documents


def test_a_broken_document_is_named_and_the_rest_goes_on(shop: Shop) -> None:
    shop.documents.write("shop", "broken.pdf", b"no pdf at all")

    done = shop.ingest()

    assert set(done.faults) == {"broken.pdf"}
    assert "broken.pdf" in done.faults["broken.pdf"]
    assert done.passages == 3
    assert shop.libraries.catalogue("shop").documents["broken.pdf"].fault == done.faults["broken.pdf"]


def test_what_a_document_said_before_it_was_broken_stays_found(shop: Shop) -> None:
    shop.ingest()
    shop.documents.write("shop", "hours.md", b"\xff\xfe\xff no text")

    shop.ingest()

    shelved = shop.libraries.catalogue("shop").documents["hours.md"]
    assert shelved.fault is not None
    assert shelved.passages == 1
    assert shop.found("When do you open?") == "We open at nine and close at six."


def test_a_broken_document_is_not_tried_again_until_it_changes(shop: Shop) -> None:
    shop.documents.write("shop", "broken.pdf", b"no pdf at all")
    shop.ingest()

    assert shop.ingest().read == ()

    shop.documents.write("shop", "broken.pdf", b"still no pdf")
    assert shop.ingest().read == ("broken.pdf",)


def test_what_there_is_no_time_for_comes_next_time(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("parley.ingest.ROUND_DOCUMENTS", 1)

    first = shop.ingest(deadline=0.0)
    second = shop.ingest(deadline=0.0)

    assert (first.read, first.is_complete) == (("hours.md",), False)
    assert (second.read, second.is_complete) == (("returns.md",), True)
    assert shop.library.snapshot.documents == {"hours.md", "returns.md"}


def test_another_encoder_reads_everything_anew(shop: Shop, encoder: OnnxEncoder) -> None:
    shop.ingest()
    shop.encoder = CountingEncoder(encoder, "another")

    assert shop.ingest().embedded == 3
    assert shop.libraries.catalogue("shop").encoder == "another"


def test_a_library_that_cannot_be_read_is_made_anew(shop: Shop) -> None:
    shop.ingest()
    shop.libraries.publish("shop", shop.libraries.catalogue("shop"), b"of another version")

    assert shop.ingest().passages == 3


# Lists of links.

A, B, C = (f"https://shop.example/{name}" for name in "abc")


def web(shop: Shop, **texts: str) -> None:
    """The pages of the shop's site, by the last part of their URLs."""
    shop.pages.pages = {
        f"https://shop.example/{name}": Page(f"https://shop.example/{name}", text.encode(), "text/markdown")
        for name, text in texts.items()
    }


def sitemap(*urls: str, root: str = "urlset", each: str = "url") -> str:
    return f"<{root}>{''.join(f'<{each}><loc>{url}</loc></{each}>' for url in urls)}</{root}>"


def put_sitemap(shop: Shop, url: str, content: str) -> None:
    shop.pages.pages[url] = Page(url, content.encode(), "application/xml")


@pytest.mark.parametrize(("name", "content"), [("help.urls", f"{A}\n{B}"), ("help.xml", sitemap(A, B))])
def test_the_pages_of_a_list_are_found_under_their_urls(shop: Shop, name: str, content: str) -> None:
    web(shop, a="# Post\n\nParcels take two days.", b="# Pay\n\nYou may pay by card.\n\n## Later\n\nOr by invoice.")
    shop.put(name, content)

    done = shop.ingest()

    assert (done.passages, done.is_complete) == (6, True)
    assert shop.library.snapshot.documents == {"hours.md", "returns.md", A, B}
    assert shop.library.documents[name] == Shelved(shop.library.documents[name].version, 3, pages=(A, B))
    assert shop.found("How long does a parcel take?") == "Parcels take two days."


def test_a_list_that_has_not_changed_is_not_followed_again(shop: Shop) -> None:
    web(shop, a="Parcels take two days.")
    shop.put("help.urls", A)
    shop.ingest()

    assert shop.ingest().read == ()
    assert shop.pages.fetched == [A]


def test_the_pages_of_a_deleted_list_go_with_it(shop: Shop) -> None:
    web(shop, a="Parcels take two days.", b="You may pay by card.")
    shop.put("help.urls", f"{A}\n{B}")
    shop.put("more.urls", B)
    shop.ingest()
    shop.documents.delete("shop", "help.urls")

    shop.ingest()

    assert shop.library.snapshot.documents == {"hours.md", "returns.md", B}  # which another list names, too


def test_pages_that_a_list_names_no_longer_go(shop: Shop) -> None:
    web(shop, a="Parcels take two days.", b="You may pay by card.")
    shop.put("help.urls", f"{A}\n{B}")
    shop.ingest()
    shop.put("help.urls", f"{B}\n# that is all")

    done = shop.ingest()

    assert (done.embedded, done.passages) == (0, 4)
    assert shop.library.documents["help.urls"].pages == (B,)
    assert A not in shop.library.snapshot.documents


def test_a_page_that_cannot_be_had_is_a_note_and_the_rest_goes_on(shop: Shop) -> None:
    web(shop, c="You may pay by card.")
    shop.pages.pages[B] = Unavailable(f"{B}: answered 503")
    shop.put("help.urls", f"{A}\n{B}\n{C}\nmailto:jo@shop.example")

    done = shop.ingest()

    assert (done.faults, done.is_complete) == ({}, True)
    shelved = shop.library.documents["help.urls"]
    assert (shelved.fault, shelved.pages, shelved.passages) == (None, (C,), 1)
    assert [note.partition(": ")[0] for note in shelved.notes] == ["line=4", A, B]


def test_what_a_page_said_stays_found_while_its_server_is_away_and_goes_with_the_page(shop: Shop) -> None:
    web(shop, a="Parcels take two days.", b="You may pay by card.")
    shop.put("help.urls", f"{A}\n{B}")
    shop.ingest()
    shop.pages.pages = {A: Unavailable(f"{A}: answered 503")}
    shop.put("help.urls", f"# anew\n{A}\n{B}")

    shop.ingest()

    assert shop.library.documents["help.urls"].pages == (A,)
    assert shop.library.snapshot.documents == {"hours.md", "returns.md", A}


def test_a_page_that_moved_is_known_by_where_it_is(shop: Shop) -> None:
    web(shop, a="Parcels take two days.")
    shop.put("help.urls", f"{A}\n{B}")
    shop.ingest()
    web(shop, c="Parcels take two days.")
    shop.pages.pages[A] = shop.pages.pages[B] = shop.pages.pages[C]
    shop.put("help.urls", f"# anew\n{A}\n{B}")

    shop.ingest()

    assert shop.library.documents["help.urls"].pages == (C,)
    assert shop.library.snapshot.counts() == {"hours.md": 1, "returns.md": 2, C: 1}


def test_the_sitemaps_that_a_list_leads_to_are_followed_once(shop: Shop) -> None:
    web(shop, a="Parcels take two days.", b="You may pay by card.")
    index, inner = "https://shop.example/index.xml", "https://shop.example/inner.xml"
    put_sitemap(shop, index, sitemap(index, inner, root="sitemapindex", each="sitemap"))
    put_sitemap(shop, inner, sitemap(A, B, index))
    shop.put("help.urls", f"{index}\n{A}")

    shop.ingest()

    assert shop.pages.fetched == [index, A, inner, B]
    assert shop.library.documents["help.urls"].pages == (A, B)


def test_a_list_leads_to_no_more_pages_than_it_may_name(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("parley.following.MAX_LINKS", 3)
    web(shop, a="Parcels take two days.", b="You may pay by card.")
    put_sitemap(shop, "https://shop.example/site.xml", sitemap(A, B, C))
    shop.put("help.urls", "https://shop.example/site.xml")

    shop.ingest()

    assert shop.library.documents["help.urls"].pages == (A, B)
    assert "1 left out" in shop.library.documents["help.urls"].notes[0]


def test_a_page_that_is_no_sitemap_after_all_is_a_note(shop: Shop) -> None:
    put_sitemap(shop, A, "<rss/>")
    shop.put("help.urls", A)

    shop.ingest()

    assert "no sitemap" in shop.library.documents["help.urls"].notes[0]


def test_a_long_list_goes_on_in_the_next_run(shop: Shop) -> None:
    web(shop, a="Parcels take two days.", b="You may pay by card.", c="We are near the station.")
    shop.ingest()
    shop.put("help.urls", f"{A}\n{B}\n{C}")

    runs = [shop.ingest(deadline=0.0) for _ in range(3)]

    assert [(run.read, run.is_complete) for run in runs] == [(("help.urls",), False)] * 2 + [(("help.urls",), True)]
    assert shop.pages.fetched == [A, B, C]
    assert shop.library.documents["help.urls"].pages == (A, B, C)
    assert shop.ingest().read == ()


def test_a_run_ends_at_its_deadline_in_the_middle_of_a_list(shop: Shop) -> None:
    web(shop, a="Parcels take two days.", b="You may pay by card.", c="We are near the station.")
    shop.put("help.urls", f"{A}\n{B}\n{C}")

    shop.ingest(deadline=2.0, clock=lambda: float(len(shop.pages.fetched)))

    assert shop.pages.fetched == [A, B]
    assert shop.library.documents["help.urls"].links == (A, B, C)


def test_a_list_that_changes_while_it_is_followed_begins_anew(shop: Shop) -> None:
    web(shop, a="Parcels take two days.", b="You may pay by card.", c="We are near the station.")
    shop.put("help.urls", f"{A}\n{B}")
    shop.ingest(deadline=0.0)
    shop.ingest(deadline=0.0)
    shop.put("help.urls", f"{C}\n{B}")

    shop.ingest()

    assert shop.pages.fetched == [A, C, B]
    assert shop.library.documents["help.urls"].pages == (C, B)
    assert A not in shop.library.snapshot.documents


def test_a_broken_list_leaves_its_pages_found(shop: Shop) -> None:
    web(shop, a="Parcels take two days.")
    shop.put("help.urls", A)
    shop.ingest()
    shop.put("help.urls", "# nothing any more")

    done = shop.ingest()

    assert set(done.faults) == {"help.urls"}
    assert A in shop.library.snapshot.documents
    assert shop.ingest().read == ()


def test_notes_come_to_an_end(shop: Shop) -> None:
    shop.put("help.urls", "\n".join(f"https://shop.example/{number}" for number in range(MAX_NOTES + 20)))

    shop.ingest()

    notes = shop.library.documents["help.urls"].notes
    assert (len(notes), notes[-1]) == (MAX_NOTES, "and more")


def current(shop: Shop, support: LoadedBot, clock: Callable[[], float]) -> CurrentBots:
    return CurrentBots(lambda _: support, shop.libraries, clock)


def test_a_running_bot_knows_a_new_document_soon(shop: Shop, support: LoadedBot) -> None:
    now = 0.0
    bots = current(shop, support, lambda: now)
    before = bots("shop")
    shop.ingest()

    assert bots("shop") is before

    now = LOOK_AGAIN_SECONDS
    assert bots("shop").knowledge.documents == support.knowledge.documents | {"hours.md", "returns.md"}
    assert bots("shop").library == shop.libraries.catalogue("shop").file


def test_a_document_takes_the_place_of_the_bots_own_of_its_name(shop: Shop, support: LoadedBot) -> None:
    name = min(support.knowledge.documents)
    shop.put(name, "# Anew\n\nAll of it is different now.")
    shop.ingest()

    knowledge = current(shop, support, lambda: 0.0)("shop").knowledge

    texts = [each.citation.text for each in knowledge.passages if each.citation.document == name]
    assert texts == ["All of it is different now."]


def test_while_the_store_is_away_a_bot_knows_what_it_knew(
    shop: Shop, support: LoadedBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    shop.ingest()
    bots = current(shop, support, lambda: now)
    before = bots("shop")

    def away(bot: str) -> Catalogue:
        raise Unavailable("the library could not be read")

    monkeypatch.setattr(shop.libraries, "catalogue", away)
    now = LOOK_AGAIN_SECONDS

    assert bots("shop") is before


def test_a_library_of_another_encoder_is_not_used(shop: Shop, support: LoadedBot, encoder: OnnxEncoder) -> None:
    shop.encoder = CountingEncoder(encoder, "another")
    shop.ingest()

    assert current(shop, support, lambda: 0.0)("shop") is support
