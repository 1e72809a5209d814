"""The course of a turn: hear, fill slots, then one action after the other until the bot listens.

Pure: what needs a network is yielded as a `Need`, and whoever drives the generator sends back what came of it. So the
same code runs in a function, in a terminal, in tests and in benchmarks.

Source: `MessageProcessor` of Rasa 3.6. Where Rasa's log would swallow a failed action, the turn is taken back and the
person is told.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import Any

from parley.bots.bot import ACTION_FALLBACK, ACTION_SESSION_START, ACTION_UNSURE, Bot
from parley.conversation import FALLBACK_INTENT, LISTEN, Dialogue, Event, Session, Turn, Understanding, Upload
from parley.dialogue.actions import Need, Said
from parley.dialogue.doing import Doing, Happenings, Rejected
from parley.dialogue.policy import Policy, Prediction
from parley.dialogue.repertoire import Repertoire, as_fallback, new_session
from parley.errors import ActionFailed

MOST_ACTIONS = 10  # of one turn; Rasa's own limit
_TAKEN_BACK = (ACTION_FALLBACK, ACTION_UNSURE)  # after these it is as if nothing had been said
_RESTART = "restart"  # the one intent that is heard while the bot is paused

Perform = Callable[[Need], Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a turn has led to."""

    dialogue: Dialogue
    events: tuple[Event, ...]
    said: tuple[Said, ...]
    handed_off: bool
    because: str  # what decided, for people


def converse(
    policy: Policy, session: Session, turn: Turn, understanding: Understanding, *, sent: tuple[Upload, ...] = ()
) -> Generator[Need, Any, Outcome]:
    """The course of one turn. Yields needs, wants what came of each, and returns the outcome.

    `sent` are the files that came with the turn.
    """
    dialogue = session.dialogue or policy.tracker.begin()
    doing = Doing(policy, turn, understanding, dialogue, sent=sent, told=list(dialogue.trail))
    return (yield from _Course(doing).run(is_new=session.dialogue is None))


def drive(course: Generator[Need, Any, Outcome], perform: Perform) -> Outcome:
    """Goes through a course; `perform` gives what it needs, and may raise `ActionFailed` for a custom action."""
    try:
        need = next(course)
        while True:
            try:
                got = perform(need)
            except ActionFailed as error:
                need = course.throw(error)
            else:
                need = course.send(got)
    except StopIteration as end:
        outcome: Outcome = end.value
        return outcome


def utterance(understanding: Understanding, text: str, sent: tuple[Upload, ...] = ()) -> Event:
    """What was said, as rules and stories hear it, and the files that were sent with it."""
    intent = understanding.intent
    whole = understanding.retrieval_intent or intent
    return Event("user", intent or FALLBACK_INTENT, whole, text, understanding.entities, uploads=sent)


class _Course:
    """One turn on its way."""

    def __init__(self, doing: Doing) -> None:
        self._doing = doing
        self._repertoire = Repertoire(doing)
        self._because: list[str] = []

    @property
    def _bot(self) -> Bot:
        return self._doing.bot

    @property
    def _dialogue(self) -> Dialogue:
        return self._doing.dialogue

    def run(self, *, is_new: bool) -> Generator[Need, Any, Outcome]:
        """Hears and answers."""
        doing = self._doing
        if is_new or self._has_expired():
            yield from self._begin_session()
        doing.apply([utterance(doing.understanding, doing.turn.text, doing.sent)])
        doing.dialogue = replace(self._dialogue, heard_at=doing.turn.sent_at)
        doing.apply((yield from self._repertoire.extracted(self._dialogue)))
        yield from self._act()
        dialogue = doing.policy.tracker.trimmed(self._dialogue)
        return Outcome(
            dialogue,
            tuple(doing.happened),
            tuple(doing.said),
            doing.handed_off,
            " > ".join(dict.fromkeys(self._because)),
        )

    def _has_expired(self) -> bool:
        minutes, heard_at = self._bot.session.minutes, self._dialogue.heard_at
        return bool(minutes and heard_at is not None and self._doing.turn.sent_at - heard_at > minutes * 60)

    def _begin_session(self) -> Generator[Need, Any, None]:
        try:
            begun = yield from self._repertoire.do(ACTION_SESSION_START, self._dialogue)
        except (Rejected, ActionFailed):  # of an action of the bot's own; a conversation begins all the same
            begun = new_session(self._bot, self._dialogue)
        self._doing.apply(begun)
        self._doing.told = []

    def _act(self) -> Generator[Need, Any, None]:
        """One action after the other."""
        doing = self._doing
        rejected: str | None = None
        for _ in range(MOST_ACTIONS):
            if self._is_paused():
                return
            prediction = doing.policy.next(self._dialogue, rejected=rejected)
            try:
                happened = yield from self._happening(prediction)
            except Rejected:
                rejected = prediction.action
                self._note(prediction, "action_execution_rejected")
                continue
            except ActionFailed:
                self._give_up(prediction)
                return
            by_hand = any(isinstance(e, Event) and e.kind == "action_execution_rejected" for e in happened)
            rejected = prediction.action if by_hand else None
            if not by_hand:
                self._note(prediction, "action")
            doing.apply(happened)
            if any(isinstance(each, Event) and each.kind == "user" for each in happened):
                doing.apply((yield from self._repertoire.extracted(self._dialogue)))
            if prediction.action in _TAKEN_BACK:
                self._listen()
            if prediction.action in (LISTEN, ACTION_SESSION_START, *_TAKEN_BACK):
                return
        self._because.append("too many actions in a row")

    def _happening(self, prediction: Prediction) -> Happenings:
        doing = self._doing
        before = doing.dialogue
        if prediction.interrupts:
            doing.dialogue = doing.after([Event("loop_interrupted", value=True)])
        try:
            return (yield from self._repertoire.do(prediction.action, doing.dialogue))
        finally:
            doing.dialogue = before

    def _note(self, prediction: Prediction, kind: Any) -> None:
        noted = Event(
            kind,
            prediction.action,
            hidden=prediction.hidden,
            policy=prediction.policy,
            because=prediction.because,
        )
        self._doing.apply([noted])
        if prediction.action != LISTEN:
            self._because.append(prediction.because)

    def _give_up(self, prediction: Prediction) -> None:
        """A custom action failed: says so, and takes the turn back if nothing has been done outside in its course."""
        doing, bot = self._doing, self._bot
        self._because.append(f"{prediction.because}, and `{prediction.action}` failed")
        failed = bot.custom.said_when_failed(prediction.action) or bot.fallback or "utter_default"
        doing.apply(as_fallback(doing.say(failed)))
        if doing.called == 0:
            doing.apply([Event("rewind")])
        self._listen()

    def _listen(self) -> None:
        """Listens, as the policy would before the turn was taken back, so that stories see the same of it."""
        prediction = self._doing.policy.next(self._dialogue)
        self._doing.apply([Event("action", LISTEN, hidden=prediction.hidden and prediction.action == LISTEN)])

    def _is_paused(self) -> bool:
        now = self._dialogue.now
        return now.paused and not (now.heard is not None and now.heard.name == _RESTART)
