"""The repertoire: what happens when an action is done, whichever it is.

A response, a form, one of Rasa's built-in actions, one of ours, or a custom action. Yields what it needs from outside,
see `dialogue.doing`; decides nothing about what comes next.

Source: `rasa.core.actions.action` of Rasa 3.6.
"""

from dataclasses import dataclass, replace

from parley.bots.bot import (
    ACTION_ASK_AFFIRMATION,
    ACTION_ASK_REPHRASE,
    ACTION_VALIDATE_SLOTS,
    BUILT_IN_ACTIONS,
    UNSURE_ANSWER,
    UNSURE_GENERATE,
    UNSURE_HANDOFF,
    UNSURE_WAYS,
    Bot,
)
from parley.conversation import FALLBACK_INTENT, LISTEN, REQUESTED_SLOT, Button, Dialogue, Event, Message
from parley.dialogue.actions import Answer, Generate, HandOff, Said, Say, Step
from parley.dialogue.doing import Doing, Happening, Happenings, Rejected
from parley.dialogue.loops import FormLoop, TwoStageFallback, run
from parley.dialogue.slots import ByAction, extract
from parley.errors import ActionFailed


@dataclass(frozen=True, slots=True)
class Repertoire:
    """All actions of a bot, done in one turn."""

    doing: Doing

    @property
    def _bot(self) -> Bot:
        return self.doing.bot

    def do(self, action: str, dialogue: Dialogue) -> Happenings:
        """What happens when an action is done."""
        bot = self._bot
        is_own = action in bot.actions and bot.custom.serves(action)
        if action in BUILT_IN_ACTIONS and not is_own:
            return (yield from self._built_in(action, dialogue))
        if action in bot.forms and not is_own:
            return (yield from run(FormLoop(bot.forms[action], self.extracted, self.do), self.doing))
        if bot.can_say(action) and not is_own:
            return self._response(action, dialogue)
        if bot.custom.serves(action):
            return (yield from self.doing.call(action, dialogue))
        return []

    def _built_in(self, action: str, dialogue: Dialogue) -> Happenings:
        """What happens when one of Rasa's actions, or one of ours, is done."""
        match action:
            case "action_restart":
                return [*self.doing.say("utter_restart", dialogue), Event("restart")]
            case "action_session_start":
                return new_session(self._bot, dialogue)
            case "action_back":
                return [*self.doing.say("utter_back", dialogue), Event("rewind"), Event("rewind")]
            case "action_default_fallback":
                return [*as_fallback(self.doing.say("utter_default", dialogue)), Event("rewind")]
            case "action_deactivate_loop":
                return [Event("active_loop", None), Event("slot", REQUESTED_SLOT, None)]
            case "action_default_ask_affirmation":
                return self._affirmation()
            case "action_default_ask_rephrase":
                return self.doing.say("utter_ask_rephrase", dialogue)
            case "action_revert_fallback_events":
                return _without_clarifying(dialogue)
            case "action_two_stage_fallback":
                return (yield from run(TwoStageFallback(self.do), self.doing))
            case "action_extract_slots":
                return (yield from self.extracted(dialogue))
            case "action_answer":
                return (yield from self.doing.first_of(self._answering(), self._declining()))
            case "action_generate":
                return (yield from self.doing.first_of((Generate(),), self._failing()))
            case "action_handoff":
                return (yield from self.doing.first_of((HandOff(),)))
            case "action_unsure":
                return (yield from self._unsure(dialogue))
            case _:  # listening, and what only Rasa's networks set off
                return []

    def _response(self, action: str, dialogue: Dialogue) -> list[Happening]:
        """A response; `utter_faq` stands for that of the part that was meant: `utter_faq/hours`."""
        bot = self._bot
        if action in bot.responses:
            return self.doing.say(action, dialogue)
        heard = dialogue.now.heard
        meant = f"utter_{heard.value}" if heard is not None and isinstance(heard.value, str) else ""
        if meant.startswith(f"{action}/") and meant in bot.responses:
            return self.doing.say(meant, dialogue)
        return as_fallback(self.doing.say(bot.declined, dialogue)) if bot.declined else []

    def _affirmation(self) -> list[Happening]:
        """Did you mean ...? with the likeliest intent, in the author's words for it."""
        ranking = [score.name for score in self.doing.understanding.ranking if score.name != FALLBACK_INTENT]
        if not ranking:
            return self.doing.say("utter_ask_rephrase")
        title = self._bot.intent_titles.get(ranking[0], ranking[0].replace("_", " "))
        if "utter_ask_affirmation" in self._bot.responses:
            return self.doing.say("utter_ask_affirmation", intent=title, payload=f"/{ranking[0]}")
        buttons = (Button("Yes", f"/{ranking[0]}"), Button("No", "/out_of_scope"))
        return self.doing.say_text(Message(f"Did you mean: {title}?", buttons))

    def extracted(self, dialogue: Dialogue) -> Happenings:
        """The slots that the last utterance fills, validated where the bot has an action for it."""
        happened: list[Happening] = []
        for found in extract(self._bot, dialogue.now):
            if isinstance(found, ByAction):
                happened += yield from self._from_action(found.action, dialogue)
            else:
                happened.append(found)
        validates = ACTION_VALIDATE_SLOTS in self._bot.actions and self._bot.custom.serves(ACTION_VALIDATE_SLOTS)
        if not validates:
            return happened
        slots = [each for each in happened if isinstance(each, Event)]
        seen = self.doing.policy.tracker.after_all(dialogue, slots)
        validated = yield from self._from_action(ACTION_VALIDATE_SLOTS, seen, slots)
        settled = {each.name for each in validated if isinstance(each, Event) and each.kind == "slot"}
        return [*validated, *(each for each in happened if isinstance(each, Event) and each.name not in settled)]

    def _from_action(self, action: str, dialogue: Dialogue, more: list[Event] | None = None) -> Happenings:
        """What an action says about slots; of its events only these count, and a failure costs just these."""
        try:
            happened = yield from self.doing.call(action, dialogue, more=more or ())
        except (Rejected, ActionFailed):
            return []
        return [each for each in happened if isinstance(each, Said) or each.kind == "slot"]

    def _answering(self) -> tuple[Step, ...]:
        """An answer from the documents, and what the author wants said after each."""
        return (Answer(), Say(self._bot.answered)) if self._bot.answered else (Answer(),)

    def _declining(self) -> tuple[Step, ...]:
        return (Say(self._bot.declined or self._bot.fallback or "utter_default", as_fallback=True),)

    def _failing(self) -> tuple[Step, ...]:
        return (Say(self._bot.fallback or "utter_default", as_fallback=True),)

    def _unsure(self, dialogue: Dialogue) -> Happenings:
        """Tries what the author lists; in a form, takes the words for a question, or for a failed attempt."""
        loop = dialogue.now.loop
        form = self._bot.forms.get(loop.name) if loop else None
        if form is not None:
            return [*(yield from self._aside(form.name, dialogue)), Event("rewind")]
        ways: list[tuple[Step, ...]] = []
        for choice in self._bot.unsure:
            if self._bot.custom.serves(choice) and not self._bot.can_say(choice) and choice not in UNSURE_WAYS:
                said = (yield from self.doing.first_of(*ways)) if ways else []
                said = said or (yield from self._looked_up(choice, dialogue))
                if said:
                    return [*said, Event("rewind")]
                ways = []
            elif choice == UNSURE_ANSWER:
                ways.append(self._answering())
            elif choice == UNSURE_GENERATE:
                if self.doing.understanding.nearest_intent in self._bot.small_talk:
                    ways.append((Generate(),))
            elif choice == UNSURE_HANDOFF:
                ways.append((HandOff(),))
            else:
                ways.append((Say(choice, as_fallback=True),))
        said = yield from self.doing.first_of(*ways)
        return [*said, Event("rewind")]

    def _looked_up(self, action: str, dialogue: Dialogue) -> Happenings:
        """What a custom action says to the question; nothing where it fails, so that the next way is tried."""
        try:
            happened = yield from self.doing.call(action, dialogue)
        except (Rejected, ActionFailed):
            return []
        return [each for each in happened if isinstance(each, Said)]

    def _aside(self, form: str, dialogue: Dialogue) -> Happenings:
        slot = dialogue.now.requested_slot
        check = self._bot.forms[form].checks.get(slot) if slot else None
        asks_for_form = self.doing.policy.without_stories(dialogue)[0] == form  # "where is my order?", a second time
        answers = UNSURE_ANSWER in self._bot.unsure and not asks_for_form
        said = (yield from self.doing.first_of(self._answering())) if answers else []
        if not said and check is not None and not asks_for_form:
            return self.doing.say(check.invalid, dialogue)
        loop = FormLoop(self._bot.forms[form], self.extracted, self.do)
        asked = (yield from loop.question(self.doing, slot, dialogue)) if slot else []
        return [*said, *asked]


def new_session(bot: Bot, dialogue: Dialogue) -> list[Happening]:
    """A new session, with the slots of the one before if the bot wants that."""
    kept: list[Happening] = []
    if bot.session.carries_slots_over:
        initial = bot.initial_slots()
        kept = [
            Event("slot", slot, value)
            for slot, value in dialogue.now.slots.items()
            if slot != REQUESTED_SLOT and initial.get(slot) != value
        ]
    return [Event("session_started"), *kept, Event("action", LISTEN)]


def _without_clarifying(dialogue: Dialogue) -> list[Happening]:
    """What was said last, as if it had been said at once, without the questions before it that asked what was meant."""
    asked = next((e.name for e in reversed(dialogue.trail) if e.kind == "action" and e.name != LISTEN), None)
    said = {ACTION_ASK_AFFIRMATION: 2, ACTION_ASK_REPHRASE: 3}.get(asked or "", 0)
    if not said or dialogue.now.heard is None:
        return []
    return [*(Event("rewind") for _ in range(said)), Event("action", LISTEN), dialogue.now.heard]


def as_fallback(said: list[Happening]) -> list[Happening]:
    """The same, marked as said for want of something better."""
    return [replace(each, source="fallback") if isinstance(each, Said) else each for each in said]
