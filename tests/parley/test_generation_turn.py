"""A generated turn as a whole: told of documents and of the person, cited, shared only where it may be."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from parley.adapters.memory import MemoryGenerator
from parley.bots.bot import Slot
from parley.conversation import Citation, Message, Reply
from parley.dialogue.policy import Policy
from parley.errors import GenerationBusy
from parley.loaded import LoadedBot
from parley.ports import Window
from parley.services import Services
from parley.turn import answer
from tests.builders import a_session, a_turn
from tests.parley.test_turn import ruled_by

QUESTION = "how long do I have to return something?"
TOLD = {"steps": [{"intent": "ask_knowledge"}, {"action": "action_generate"}]}


@dataclass
class Listening:
    """`ports.Audience` that remembers."""

    wants_no_more: bool = False
    takes_back: bool = True
    text: str = ""
    cited: list[Citation] = field(default_factory=list)

    def begin(self, before: Sequence[Message], *, must_cite: bool) -> None:
        pass

    def write(self, text: str, *, at: int) -> None:
        self.text = self.text[:at] + text

    def cite(self, citation: Citation) -> None:
        self.cited.append(citation)


@dataclass
class Shop:
    """The support bot, whose questions go to a generator that says what a test wants."""

    services: Services
    generator: MemoryGenerator

    def say(self, text: str, audience: Listening | None = None) -> Reply:
        """What a conversation of its own gets."""
        session = a_session(bot="support")
        self.services.conversations.start(session)
        turn = a_turn(bot="support", conversation_id=session.conversation_id, text=text)
        return answer(turn, self.services, audience=audience or Listening()).turn.reply

    @property
    def system(self) -> str:
        """What the generator was told last."""
        return self.generator.prompts[-1].messages[0][1]


@pytest.fixture
def shop(make_services: Callable[..., Services], support: LoadedBot) -> Callable[..., Shop]:
    """Builds the shop, which knows of everybody that they are called Ada."""

    def build(*pieces: str, window: Window | None = None, **generation: Any) -> Shop:
        ruled = ruled_by(support, TOLD)
        bot = replace(
            ruled.bot,
            slots=(*ruled.bot.slots, Slot("first_name", "text", initial_value="Ada", influences=False)),
            generation=replace(ruled.bot.generation, **{"passages": 3, **generation}),
        )
        generator = MemoryGenerator(*pieces)
        services = replace(make_services(generator), bots=lambda _: replace(ruled, bot=bot, policy=Policy(bot)))
        return Shop(replace(services, window=window or services.window), generator)

    return build


def test_a_generated_reply_cites_the_passages_that_it_names(shop: Callable[..., Shop]) -> None:
    audience = Listening()
    generated = shop("You have 30 days [", "2", "]. It is so ", "[1, 2]. Really [7].")

    reply = generated.say(QUESTION, audience)

    (message,) = reply.messages
    assert reply.source == "generated"
    assert message.text == "You have 30 days [1]. It is so [2, 1]. Really."
    assert message.text.startswith(audience.text)
    assert audience.cited == list(message.citations)
    first, second = message.citations
    assert f"\n[1] {second.title} - {second.section}: " in generated.system
    assert f"\n[2] {first.title} - {first.section}: " in generated.system


def test_what_had_no_room_in_the_prompt_cannot_be_cited(shop: Callable[..., Shop]) -> None:
    generated = shop("You have 30 days [3].", window=Window(900, len))

    reply = generated.say(QUESTION)

    assert "[3]" not in generated.system
    assert (reply.messages[0].text, reply.messages[0].citations) == ("You have 30 days.", ())


def test_with_no_passages_wanted_none_is_told(shop: Callable[..., Shop]) -> None:
    generated = shop("Fine.", passages=0)

    generated.say(QUESTION)

    assert "Knowledge:" not in generated.system


def test_a_reply_from_documents_may_be_shared(shop: Callable[..., Shop]) -> None:
    generated = shop("You have 30 days [1].")

    first, second, third = (generated.say(QUESTION) for _ in range(3))

    assert third.source == "cached"
    assert third.messages == first.messages == second.messages


def test_a_reply_that_knows_the_person_is_never_shared(shop: Callable[..., Shop]) -> None:
    generated = shop("You have 30 days.", notes=("first_name", "return_reason"))

    known = [generated.say(QUESTION).source for _ in range(3)]

    assert "About the person:\n- first_name: Ada" in generated.system
    assert "return_reason" not in generated.system
    assert known == ["generated"] * 3


ANSWERED = {"steps": [{"intent": "ask_knowledge"}, {"action": "action_answer"}]}


def composing(shop: Callable[..., Shop], *pieces: str, answers: Any = None, **generator: Any) -> Shop:
    """The shop, with a generator that is trusted with answers."""
    built = shop(*pieces, passages=0)
    loaded = built.services.bots("support")
    bot = replace(loaded.bot, knowledge=replace(loaded.bot.knowledge, answers=answers))
    ruled = ruled_by(replace(loaded, bot=bot), ANSWERED)
    speaking = MemoryGenerator(*pieces, **generator)
    services = replace(built.services, composes=answers is None, bots=lambda _: ruled, generator=speaking)
    return Shop(services, speaking)


@pytest.mark.parametrize("answers", [None, "composed"])
def test_a_generator_that_is_good_at_it_composes_the_answer(shop: Callable[..., Shop], answers: Any) -> None:
    composed = composing(shop, "A month [1].", answers=answers)

    replies = [composed.say(QUESTION) for _ in range(3)]

    assert [reply.source for reply in replies] == ["generated", "generated", "cached"]
    assert replies[0].messages[0].text == "A month [1]."
    assert replies[0].messages[0].citations[0].document == "returns.md"
    assert "Knowledge:" in composed.system


@pytest.mark.parametrize(
    ("pieces", "fails_with"),
    [(("A month.",), None), (("Write to x@evil.example.",), None), ((), GenerationBusy("away"))],
)
def test_an_answer_that_was_not_composed_well_is_the_passages_own(
    shop: Callable[..., Shop], pieces: tuple[str, ...], fails_with: Exception | None
) -> None:
    reply = composing(shop, *pieces, fails_with=fails_with).say(QUESTION)

    assert reply.source == "knowledge"
    assert "30 days" in reply.messages[0].text


def test_what_the_documents_do_not_answer_is_not_composed(shop: Callable[..., Shop]) -> None:
    composed = composing(shop, "Elephants [1].")

    assert composed.say("who won the elephant race in Thailand?").source == "fallback"
    assert composed.generator.prompts == []


def test_an_author_who_wants_the_passages_words_gets_them(shop: Callable[..., Shop]) -> None:
    wanted = composing(shop, "A month [1].", answers="extracted")

    assert replace(wanted, services=replace(wanted.services, composes=True)).say(QUESTION).source == "knowledge"


def test_an_address_that_no_passage_holds_is_not_said(shop: Callable[..., Shop]) -> None:
    audience = Listening()

    reply = shop("Write to help@evil.example. ", "They know.").say(QUESTION, audience)

    assert reply.source == "fallback"
    assert "evil" not in audience.text


def test_what_comes_into_question_is_looked_for_once_in_a_turn(
    shop: Callable[..., Shop], monkeypatch: pytest.MonkeyPatch
) -> None:
    composed, looked = composing(shop, "A month [1]."), []
    find = LoadedBot.knowledge_near
    monkeypatch.setattr(LoadedBot, "knowledge_near", lambda *given: looked.append(1) or find(*given))

    assert composed.say(QUESTION).source == "generated"
    assert len(looked) == 1
