"""Rules: which one applies. The more a rule says about its situation, the earlier it is asked."""

from collections.abc import Iterable, Mapping

from parley.bots.bot import ANY_FORM, Bot, Rule
from parley.conversation import ActiveForm


def matching(bot: Bot, form: ActiveForm | None, slots: Mapping[str, str], intent: str | None) -> Rule | None:
    """The rule for this intent in this situation."""
    if intent is None:
        return None
    return _most_specific(
        rule for rule in bot.rules if rule.intent == intent and _in_form(rule, form) and _with_slots(rule, slots)
    )


def finishing(bot: Bot, form: str, slots: Mapping[str, str]) -> Rule | None:
    """The rule that goes on where a form ended."""
    return _most_specific(rule for rule in bot.rules if rule.finishes == form and _with_slots(rule, slots))


def _most_specific(rules: Iterable[Rule]) -> Rule | None:
    return max(rules, key=lambda rule: (rule.form != ANY_FORM) + len(rule.slots), default=None)


def _in_form(rule: Rule, form: ActiveForm | None) -> bool:
    return rule.form == ANY_FORM or rule.form == (form.name if form else None)


def _with_slots(rule: Rule, slots: Mapping[str, str]) -> bool:
    return all(slots.get(name) == value for name, value in rule.slots.items())
