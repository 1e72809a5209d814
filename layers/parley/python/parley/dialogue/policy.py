"""The policy: (bot, session, understanding) -> decision.

Pure, and the only place that decides. A form takes what it asked for, whatever else
was said; what it cannot use is left to the rules, after which the form asks again.
Where no rule applies, the bot's `unsure` list says what to try.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from parley.bots.bot import (
    ACTION_ANSWER,
    ACTION_DEACTIVATE_LOOP,
    ACTION_GENERATE,
    ACTION_LISTEN,
    UNSURE_ANSWER,
    UNSURE_GENERATE,
    Bot,
)
from parley.conversation import ActiveForm, Session, Understanding
from parley.dialogue import forms, rules, slots
from parley.dialogue.actions import Answer, Decision, FirstOf, Generate, Say, Step


@dataclass(frozen=True, slots=True)
class _State:
    """The dialogue while a decision is being made."""

    slots: Mapping[str, str]
    form: ActiveForm | None
    actions: tuple[Say | FirstOf, ...] = ()

    def saying(self, *actions: Say | FirstOf) -> "_State":
        return replace(self, actions=(*self.actions, *actions))


def decide(bot: Bot, session: Session, understanding: Understanding, text: str) -> Decision:
    """What the bot does about one utterance."""
    found = slots.extract(bot, session.form, understanding, text)
    filled = forms.without_invalid(bot, {**session.slots, **found})
    state = _State(filled, session.form)
    if state.form is not None and state.form.requested_slot in found:
        if state.form.requested_slot in filled:
            return _decision(_advance(bot, state, state.form.name), f"form {state.form.name}")
        return _decision(state.saying(_explanation(bot, state.form)), f"form {state.form.name}: not acceptable")
    rule = rules.matching(bot, state.form, state.slots, understanding.intent)
    if rule is None and state.form is not None:
        return _decision(_reject(bot, state, state.form), f"form {state.form.name}: not understood")
    if rule is not None:
        state = _perform(bot, state, _retrieving(bot, rule.actions, understanding))
        if session.form is not None and state.form == session.form and not _asks(bot, session.form, state):
            state = state.saying(Say(forms.ask(bot, session.form)))
        return _decision(state, f"rule {rule.name}")
    return _decision(state.saying(_when_unsure(bot, understanding)), "unsure")


def _retrieving(bot: Bot, actions: tuple[str, ...], understanding: Understanding) -> tuple[str, ...]:
    """The actions of a rule, where `utter_faq` stands for the response of the part that was meant: `utter_faq/hours`.

    A part without a response of its own is declined.
    """
    meant = f"utter_{understanding.retrieval_intent}"
    whole = meant.partition("/")[0]
    if understanding.retrieval_intent is None or whole in bot.responses:
        return actions
    answered = meant if meant in bot.responses else bot.declined
    return tuple(answered if action == whole else action for action in actions)


def _decision(state: _State, because: str) -> Decision:
    return Decision(state.actions, state.slots, state.form, because)


def _perform(bot: Bot, state: _State, actions: tuple[str, ...]) -> _State:
    for action in actions:
        if action == ACTION_LISTEN:
            break
        if action == ACTION_ANSWER:
            state = state.saying(FirstOf(((Answer(),), (Say(bot.declined, as_fallback=True),))))
        elif action == ACTION_GENERATE:
            state = state.saying(FirstOf(((Generate(),), (Say(bot.fallback, as_fallback=True),))))
        elif action == ACTION_DEACTIVATE_LOOP:
            state = replace(state, form=None)
        elif action in bot.forms:
            state = _advance(bot, state, action)
        else:
            state = state.saying(Say(action))
    return state


def _advance(bot: Bot, state: _State, form: str) -> _State:
    """Asks for the next slot of a form, or ends it and does what its rule says."""
    missing = forms.next_slot(bot.forms[form], state.slots)
    if missing is not None:
        return replace(state, form=ActiveForm(form, missing.slot)).saying(Say(missing.ask))
    ended = replace(state, form=None)
    rule = rules.finishing(bot, form, state.slots)
    return ended if rule is None else _perform(bot, ended, rule.actions)


def _reject(bot: Bot, state: _State, form: ActiveForm) -> _State:
    """Takes what was said for a question to the documents, and if it is none, for an attempt that failed."""
    return state.saying(FirstOf(((Answer(), Say(forms.ask(bot, form))), (_explanation(bot, form),))))


def _explanation(bot: Bot, form: ActiveForm) -> Say:
    return Say(forms.invalid(bot, form) or forms.ask(bot, form))


def _asks(bot: Bot, form: ActiveForm, state: _State) -> bool:
    """Whether what is said already asks for the form's slot, or explains what it must look like."""
    asking = {forms.ask(bot, form), forms.invalid(bot, form)}
    return any(isinstance(action, Say) and action.response in asking for action in state.actions)


def _when_unsure(bot: Bot, understanding: Understanding) -> FirstOf:
    ways: list[tuple[Step, ...]] = []
    for choice in bot.unsure:
        if choice == UNSURE_ANSWER:
            ways.append((Answer(),))
        elif choice == UNSURE_GENERATE:
            if understanding.nearest_intent in bot.small_talk:
                ways.append((Generate(),))
        else:
            ways.append((Say(choice, as_fallback=True),))
    return FirstOf(tuple(ways))
