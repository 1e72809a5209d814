"""The main path, with the bot and the models that ship."""

import random
import time
from collections.abc import Callable, Sequence
from collections.abc import Generator as Yields
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from parley.act import NOBODY
from parley.adapters.memory import MemoryConversations, MemoryGenerator
from parley.bots.flows import FlowReader
from parley.bots.source import Faults, Placed
from parley.conversation import Citation, Message, RecordedTurn, Session
from parley.dialogue.learn import learn
from parley.dialogue.policy import Policy
from parley.errors import (
    GenerationAsleep,
    GenerationBusy,
    GenerationFailed,
    NotFound,
    ParleyError,
    SessionConflict,
)
from parley.generation.persistence import Persistent
from parley.loaded import LoadedBot
from parley.ports import Audience, Patience, Prompt
from parley.services import Services
from parley.turn import AT_A_LOSS, Answered, answer
from tests.builders import a_session, a_turn

MakeServices = Callable[..., Services]


class Talk:
    """A conversation with the support bot."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.session = a_session(bot="support")
        services.conversations.start(self.session)

    def say(self, text: str, audience: Audience = NOBODY, **changes: object) -> Answered:
        turn = a_turn(bot="support", conversation_id=self.session.conversation_id, text=text, **changes)
        return answer(turn, self.services, audience=audience)

    def replies(self, text: str) -> list[str]:
        return [message.text for message in self.say(text).turn.reply.messages]


def ruled_by(loaded: LoadedBot, rule: dict[str, Any]) -> LoadedBot:
    """The bot with one rule in the place of its own."""
    flows = FlowReader({}, Faults()).rules([Placed({"rule": "one", **rule}, "rules.yml:1")])
    bot = learn(loaded.bot, flows, (), Faults())
    return replace(loaded, bot=bot, policy=Policy(bot))


def test_hello_gets_a_scripted_reply(make_services: MakeServices) -> None:
    answered = Talk(make_services()).say("hello")

    assert answered.turn.reply.source == "scripted"
    assert answered.turn.understanding.intent == "greet"
    assert answered.turn.reply.messages[0].text


def test_the_order_form_is_filled_over_three_messages(make_services: MakeServices) -> None:
    talk = Talk(make_services())

    asked = talk.say("where is my order?")
    explained = talk.say("WB-12")
    told = talk.say("WB-204518")

    assert "WB-" in asked.turn.reply.messages[0].text
    assert "six digits" in explained.turn.reply.messages[0].text
    assert "WB-204518" in told.turn.reply.messages[0].text
    assert {answered.turn.reply.source for answered in (asked, explained, told)} == {"scripted"}


def test_never_mind_ends_the_form(make_services: MakeServices) -> None:
    talk = Talk(make_services())
    talk.say("where is my order?")

    talk.say("never mind")

    opened = talk.services.conversations.open(talk.session.conversation_id)
    assert opened.session is not None
    assert opened.session.form is None


def test_a_question_is_answered_from_a_document_with_its_citation(make_services: MakeServices) -> None:
    reply = Talk(make_services()).say("how long do I have to return something?").turn.reply

    assert reply.source == "knowledge"
    assert "30 days" in reply.messages[0].text
    assert reply.messages[0].citations[0].document == "returns.md"


def test_what_the_documents_do_not_hold_is_declined(make_services: MakeServices) -> None:
    reply = Talk(make_services()).say("who won the world cup in 1998?").turn.reply

    assert reply.source == "fallback"
    assert reply.messages[0].citations == ()


def test_small_talk_is_generated_and_cut_to_whole_sentences(make_services: MakeServices) -> None:
    reply = Talk(make_services()).say("how are you today?").turn.reply

    assert reply.source == "generated"
    assert reply.messages[0].text == "Very well, thank you."


@pytest.mark.parametrize("error", [GenerationBusy("no capacity"), GenerationFailed("broke off")])
def test_without_a_generator_the_bot_says_its_fallback(make_services: MakeServices, error: Exception) -> None:
    reply = Talk(make_services(MemoryGenerator("Half a", fails_with=error))).say("how are you today?").turn.reply

    assert reply.source == "fallback"
    assert reply.messages[0].text


def test_a_question_that_was_asked_twice_is_answered_from_the_cache(make_services: MakeServices) -> None:
    generator, listening = MemoryGenerator("Very well, thank you."), Listening()
    services = make_services(generator)
    first, second = (Talk(services).say("how are you today?").turn.reply for _ in range(2))

    third = Talk(services).say("  HOW ARE YOU TODAY", listening).turn.reply

    assert [reply.source for reply in (first, second, third)] == ["generated", "generated", "cached"]
    assert third.messages == second.messages
    assert listening.looks == ["Very well, thank you."]
    assert len(generator.prompts) == 2


def test_what_the_documents_answer_costs_nothing_and_is_not_cached(make_services: MakeServices) -> None:
    generator = MemoryGenerator("Very well, thank you.")
    services = make_services(generator)

    replies = [Talk(services).say("how long do I have to return something?").turn.reply for _ in range(3)]

    assert [reply.source for reply in replies] == ["knowledge"] * 3
    assert generator.prompts == []


def test_a_fallback_is_never_shared(make_services: MakeServices) -> None:
    services = make_services(MemoryGenerator(fails_with=GenerationBusy("no capacity")))
    Talk(services).say("how are you today?")

    working = replace(services, generator=MemoryGenerator("Fine, thanks."))

    assert Talk(working).say("how are you today?").turn.reply.source == "generated"


def test_of_a_reply_that_is_partly_a_fallback_only_the_answer_is_shared(
    make_services: MakeServices, support: LoadedBot
) -> None:
    both = {"steps": [{"intent": "ask_knowledge"}, {"action": "action_answer"}, {"action": "action_generate"}]}
    bot = ruled_by(support, both)
    away = replace(make_services(MemoryGenerator(fails_with=GenerationBusy("no capacity"))), bots=lambda _: bot)
    question = "how long do I have to return something?"

    answer, apology = Talk(away).say(question).turn.reply.messages
    working = replace(away, generator=MemoryGenerator("Fine, thanks."))

    assert [message.text for message in Talk(working).say(question).turn.reply.messages] == [
        answer.text,
        "Fine, thanks.",
    ]
    assert apology.text != "Fine, thanks."


def test_a_turn_in_which_the_bot_says_nothing_ends_in_words_all_the_same(
    make_services: MakeServices, support: LoadedBot
) -> None:
    bot = ruled_by(support, {"steps": [{"intent": "greet"}, {"action": "action_listen"}]})

    reply = Talk(replace(make_services(), bots=lambda _: bot)).say("hello").turn.reply

    assert reply.source == "fallback"
    assert reply.messages[0].text == AT_A_LOSS


def test_however_often_a_turn_runs_it_has_one_budget_for_the_generator(
    make_services: MakeServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    budgets: list[float] = []

    class Slow(MemoryGenerator):
        def stream(self, prompt: Prompt, *, patience: Patience) -> Yields[str]:
            budgets.append(patience.whole_seconds)
            time.sleep(0.02)
            return super().stream(prompt, patience=patience)

    racing = Racing(lambda: 1_000.0, races=2)
    services = make_services(Slow("Fine."), conversations=racing)
    monkeypatch.setattr(type(services.cache), "key", lambda _: None)

    Talk(services).say("how are you today?")

    assert len(budgets) == 3
    assert budgets[0] > budgets[1] > budgets[2]


def test_a_question_with_a_number_of_ones_own_is_not_shared(make_services: MakeServices) -> None:
    services = make_services()
    question = "how long do I have to return something? My telephone is 01 23 45 67"
    Talk(services).say(question)

    assert Talk(services).say(question).turn.reply.source != "cached"


def test_a_turn_delivered_twice_gets_the_same_reply_and_counts_once(make_services: MakeServices) -> None:
    talk = Talk(make_services())

    first = talk.say("hello", id="once")
    again = talk.say("hello", id="once")

    assert again.turn == first.turn
    assert len(talk.services.conversations.history(talk.session.conversation_id, limit=10)) == 1


class Racing(MemoryConversations):
    """Lets another turn be saved just before each of the first `races` saves."""

    def __init__(self, clock: Callable[[], float], races: int) -> None:
        super().__init__(clock)
        self.races = races

    def record(self, session: Session, turn: RecordedTurn, *, begins: bool = False) -> None:
        if self.races:
            self.races -= 1
            other = replace(turn, turn_id=f"other{self.races}", message="from another door")
            super().record(session, other, begins=begins)
        super().record(session, turn, begins=begins)


def test_the_loser_of_a_race_runs_again_on_the_newer_state(make_services: MakeServices) -> None:
    talk = Talk(make_services(conversations=Racing(lambda: 1_000.0, races=2)))

    answered = talk.say("hello")

    history = talk.services.conversations.history(talk.session.conversation_id, limit=10)
    assert answered.turn.number == 3
    assert [turn.message for turn in history] == ["from another door", "from another door", "hello"]


def test_a_turn_that_always_loses_says_so(make_services: MakeServices) -> None:
    talk = Talk(make_services(conversations=Racing(lambda: 1_000.0, races=99)))

    with pytest.raises(SessionConflict):
        talk.say("hello")


def test_an_unknown_conversation_is_not_found(make_services: MakeServices) -> None:
    with pytest.raises(NotFound):
        answer(a_turn(bot="support", conversation_id="nobody"), make_services())


def test_every_step_is_timed(make_services: MakeServices) -> None:
    timings = Talk(make_services()).say("hello").timings_ms

    assert list(timings) == ["open", "understand", "converse", "save", "total"]
    assert timings["total"] >= timings["understand"] > 0


@dataclass
class Listening:
    """`ports.Audience` that writes down how the reply looked after each piece, and may stop it."""

    enough: int = 1_000  # characters, after which it wants no more
    looks: list[str] = field(default_factory=list)
    cited: list[Citation] = field(default_factory=list)
    takes_back: bool = True

    @property
    def wants_no_more(self) -> bool:
        return bool(self.looks) and len(self.looks[-1]) >= self.enough

    def begin(self, before: Sequence[Message], *, must_cite: bool) -> None:
        pass

    def write(self, text: str, *, at: int) -> None:
        self.looks.append((self.looks[-1] if self.looks else "")[:at] + text)

    def cite(self, citation: Citation) -> None:
        self.cited.append(citation)


STORY = [f"The heron stood in pond number {number} and looked for frogs. " for number in range(1, 9)]


def test_a_listener_sees_the_reply_grow_and_never_more_than_it_becomes(make_services: MakeServices) -> None:
    listening = Listening()

    reply = Talk(make_services(MemoryGenerator(*STORY))).say("how are you today?", listening).turn.reply

    text = reply.messages[0].text
    assert len(listening.looks) > 3
    assert all(text.startswith(look.rstrip()) for look in listening.looks)
    assert text == "".join(STORY).rstrip()


def test_nothing_the_guard_refuses_reaches_a_listener(make_services: MakeServices) -> None:
    listening = Listening()
    generator = MemoryGenerator(*STORY[:3], "Call us at 555 123 4567 ", "or not. ", *STORY[3:])

    reply = Talk(make_services(generator)).say("how are you today?", listening).turn.reply

    assert reply.source == "fallback"
    assert listening.looks
    assert not any("555" in look for look in listening.looks)


class Breaking(MemoryGenerator):
    """Breaks off in the middle of its first `times` answers."""

    def __init__(self, *pieces: str, times: int) -> None:
        super().__init__(*pieces)
        self.times = times

    def stream(self, prompt: Prompt, *, patience: Patience) -> Yields[str]:
        whole = super().stream(prompt, patience=patience)
        if len(self.prompts) >= self.times:
            yield from whole
        else:
            yield next(whole)
            yield next(whole)
            raise GenerationFailed("broke off")


@pytest.mark.parametrize(("times", "source"), [(1, "generated"), (2, "fallback")])
def test_an_answer_that_breaks_off_is_begun_once_more(make_services: MakeServices, times: int, source: str) -> None:
    listening = Listening()

    reply = Talk(make_services(Breaking(*STORY, times=times))).say("how are you today?", listening).turn.reply

    assert reply.source == source
    assert listening.looks[0].startswith("The heron")


def test_who_wants_no_more_ends_the_generation_and_keeps_what_had_come(make_services: MakeServices) -> None:
    closed = []

    class Endless(MemoryGenerator):
        def stream(self, prompt: Prompt, *, patience: Patience) -> Yields[str]:
            try:
                for number in range(100_000):
                    yield f"The heron caught {number} frogs. "
            finally:
                closed.append(True)

    services = make_services(Endless())
    reply = Talk(services).say("how are you today?", Listening(enough=200)).turn.reply

    assert closed == [True]
    assert reply.source == "generated"
    assert 100 < len(reply.messages[0].text) < 400
    assert Talk(services).say("how are you today?", Listening(enough=200)).turn.reply.source != "cached"


def test_what_a_second_generator_says_is_not_shared(make_services: MakeServices) -> None:
    class Small(MemoryGenerator):
        @property
        def model(self) -> str:
            return "small"

    first = MemoryGenerator(fails_with=GenerationAsleep("no instance is up"))
    persistent = Persistent(first, Small("Fine, thanks."), sleep=time.sleep, clock=time.monotonic, random=random.random)
    services = make_services(persistent)

    sources = [Talk(services).say("how are you today?").turn.reply.source for _ in range(2)]

    assert sources == ["generated", "generated"]


@pytest.mark.parametrize(
    ("error", "may_wait"), [(GenerationAsleep("no instance"), True), (GenerationFailed("broke"), False)]
)
def test_a_fallback_says_whether_waiting_may_help(
    make_services: MakeServices, error: ParleyError, *, may_wait: bool
) -> None:
    reply = Talk(make_services(MemoryGenerator(fails_with=error))).say("how are you today?").turn.reply

    assert (reply.source, reply.may_wait) == ("fallback", may_wait)


def test_what_the_author_wants_said_after_an_answer_is_said_after_each_also_in_a_form(
    make_services: MakeServices, support: LoadedBot
) -> None:
    bot = replace(support.bot, answered="utter_welcome")
    loaded = replace(support, bot=bot, policy=Policy(bot))
    services = replace(make_services(), bots=lambda _: loaded)
    question = "how long do I have to return something?"
    talk = Talk(services)

    told = talk.say(question).turn.reply
    talk.say("where is my order?")
    aside = talk.say("do you sharpen secateurs?").turn.reply

    assert (len(told.messages), told.source) == (2, "knowledge")
    assert len(aside.messages) == 3
    assert "order number" in aside.messages[-1].text
