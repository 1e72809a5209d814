"""Knowledge beyond memory: who brings it there, who finds it, and that nobody notices."""

from collections.abc import Iterable

import pytest

from parley.adapters.memory import MemoryDocuments, MemoryLibraries, MemoryPages, MemoryPassages
from parley.current_bots import CurrentBots
from parley.errors import Unavailable
from parley.ingest import Memory, ingest
from parley.knowledge.beyond import places_by_id
from parley.knowledge.library import unpack
from parley.loaded import LoadedBot
from parley.nlu.encoder import OnnxEncoder
from parley.ports import StoredPassage

MANY, FEW = 1, 100  # how many passages fit in memory


class CountingPassages(MemoryPassages):
    """Remembers what was put and deleted."""

    def __init__(self) -> None:
        super().__init__()
        self.put_ids: list[str] = []
        self.deleted: list[str] = []
        self.is_away = False

    def put(self, shelf: str, passages: Iterable[StoredPassage]) -> None:
        if self.is_away:
            raise Unavailable("the store is away")
        found = list(passages)
        self.put_ids += [each.id for each in found]
        super().put(shelf, found)

    def delete(self, shelf: str, ids: Iterable[str]) -> None:
        found = list(ids)
        self.deleted += found
        super().delete(shelf, found)


class Shop:
    """A bot whose library is larger than memory, or not."""

    def __init__(self, encoder: OnnxEncoder, support: LoadedBot) -> None:
        self.documents, self.libraries, self.store = MemoryDocuments(), MemoryLibraries(), CountingPassages()
        self.encoder, self.support = encoder, support
        self.put("hours.md", "# Hours\n\nWe open the planetarium at nine and close it at six.")
        self.put(
            "entry.md", "# Entry\n\nThe planetarium costs nine euros.\n\n## Children\n\nUnder six years it is free."
        )

    def put(self, name: str, text: str) -> None:
        self.documents.write("shop", name, text.encode())

    def ingest(self, in_memory: int) -> None:
        self.store.put_ids.clear()
        self.store.deleted.clear()
        memory = Memory(in_memory, self.store)
        ingest("shop", self.documents, self.libraries, MemoryPages(), self.encoder, deadline=9e9, memory=memory)

    def bot(self, *, has_store: bool = True) -> LoadedBot:
        passages = self.store if has_store else None
        return CurrentBots(lambda _: self.support, self.libraries, lambda: 0.0, passages)("shop")

    def found(self, question: str, *, has_store: bool = True) -> tuple[str, float]:
        vector = self.encoder.encode(question).vector
        near = self.bot(has_store=has_store).knowledge_near(vector)
        (best,) = near.search(question, vector, limit=1)
        return best.passage.text, best.score


@pytest.fixture
def shop(encoder: OnnxEncoder, support: LoadedBot) -> Shop:
    return Shop(encoder, support)


def test_a_library_too_large_for_memory_is_searched_beyond_it(shop: Shop, support: LoadedBot) -> None:
    shop.ingest(MANY)

    text, score = shop.found("When does the planetarium open?")

    assert text == "We open the planetarium at nine and close it at six."
    assert shop.bot().knowledge.documents == support.knowledge.documents
    assert score == pytest.approx(shop.found("When does the planetarium open?", has_store=False)[1], abs=0.05)


def test_a_library_that_fits_is_in_memory(shop: Shop) -> None:
    shop.ingest(FEW)

    assert shop.bot().beyond is None
    assert "hours.md" in shop.bot().knowledge.documents
    assert shop.store.put_ids == []


def test_the_bots_own_documents_are_found_beside_those_beyond_memory(shop: Shop, support: LoadedBot) -> None:
    shop.ingest(MANY)
    own = support.knowledge.passages[0].citation

    assert shop.found(own.text)[0] == own.text


def test_a_document_beyond_memory_takes_the_place_of_the_bots_own(shop: Shop, support: LoadedBot) -> None:
    own = support.knowledge.passages[0].citation
    shop.put(own.document, "# Anew\n\nAll of it is different now.")
    shop.ingest(MANY)

    bot = shop.bot()

    assert own.document not in bot.knowledge.documents
    assert [each.text for each in bot.of_document(own.document)] == ["All of it is different now."]


def test_documents_beyond_memory_are_counted_and_read(shop: Shop) -> None:
    shop.ingest(MANY)

    bot = shop.bot()

    assert [each.text for each in bot.of_document("entry.md")] == [
        "The planetarium costs nine euros.",
        "Under six years it is free.",
    ]
    assert bot.of_document("nothing.md") == ()
    assert {name: bot.passages_by_document()[name] for name in ("hours.md", "entry.md")} == {
        "hours.md": 1,
        "entry.md": 2,
    }


def test_only_what_is_new_is_put_and_what_is_gone_is_deleted(shop: Shop) -> None:
    shop.ingest(MANY)
    assert len(shop.store.put_ids) == 3

    shop.put("hours.md", "# Hours\n\nWe open the planetarium at ten and close it at six.")
    shop.ingest(MANY)

    assert len(shop.store.put_ids) == len(shop.store.deleted) == 1
    assert shop.found("When does the planetarium open?")[0].startswith("We open the planetarium at ten")


def test_a_library_that_fits_again_leaves_nothing_behind(shop: Shop) -> None:
    shop.ingest(MANY)
    shop.documents.delete("shop", "entry.md")

    shop.ingest(FEW)

    assert shop.bot().beyond is None
    assert len(shop.store.deleted) == 3
    assert shop.found("When does the planetarium open?")[0].startswith("We open the planetarium at nine")


def test_nothing_is_published_before_its_passages_can_be_found(shop: Shop) -> None:
    shop.store.is_away = True

    with pytest.raises(Unavailable):
        shop.ingest(MANY)

    assert shop.libraries.catalogue("shop").file == ""


def test_passages_that_are_alike_have_ids_of_their_own(shop: Shop) -> None:
    shop.put("twice.md", "# Twice\n\n## One\n\nThe very same.\n\n## One\n\nThe very same.")
    shop.ingest(FEW)
    catalogue = shop.libraries.catalogue("shop")
    snapshot = unpack(catalogue, shop.libraries.read("shop", catalogue.file)).snapshot

    assert len(places_by_id(snapshot)) == len(snapshot.passages) == 5
