"""What a bot's author probably did not mean, found in the files alone. Pure: a draft in, findings out.

These are warnings: the compiler takes such a bot. What it does not take, it tells itself, and `validate_bot.py`
puts both together. Each check has a name, by which it can be left out.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from draft_bot import (
    Draft,
    names_of,
    placeholders,
    required_slots,
    settings_tree,
    texts_of,
    values_of,
)
from parley.bots.bot import DEFAULT_INTENTS
from parley.nlu.language import detect_language
from parley.nlu.system_entities import KINDS

# A logistic regression on the frozen encoder gets 91 % of CLINC150 right with 10 examples per intent, 87 % with 5.
FEWEST_EXAMPLES = 5
FOREIGN_SHARE = 0.2  # of the examples; of the support bot's 521, all English, two are taken for another language

_BLANKS = re.compile(r"\s+")
_BROKEN_MARK = re.compile(r"\]\s*[({]|[\[\]]")
# What Rasa's own actions say; beside these, what forms ask with: `utter_ask_SLOT`, `utter_ask_FORM_SLOT`.
_SAID_BY_RASA = frozenset({"utter_default", "utter_restart", "utter_back"})
_ASKING = "utter_ask_"
_TRIGGER = re.compile(r"^/([\w/+-]+)")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that an author should look at."""

    place: str  # file:line
    severity: Literal["error", "warning"]
    check: str  # its name, by which it can be left out
    message: str

    @property
    def order(self) -> tuple[str, int, str]:
        """By file, then line."""
        file, _, line = self.place.rpartition(":")
        return (file, int(line), self.message) if line.isdigit() else (self.place, 0, self.message)


def findings_in(draft: Draft) -> Iterator[Finding]:
    """Everything worth a warning."""
    for check, found in (
        ("few-examples", _few_examples(draft)),
        ("duplicate-example", _duplicates(draft)),
        ("odd-mark", _odd_marks(draft)),
        ("uneven-marks", _uneven_marks(draft)),
        ("unused-intent", _unused_intents(draft)),
        ("unused-entity", _unused_entities(draft)),
        ("unused-slot", _unused_slots(draft)),
        ("unused-response", _unused_responses(draft)),
        ("unused-form", _unused_forms(draft)),
        ("button", _wrong_buttons(draft)),
        ("pattern", _odd_patterns(draft)),
        ("synonym", _odd_synonyms(draft)),
        ("same-rule", _same_rules(draft)),
        ("language", _other_language(draft)),
    ):
        for place, message in found:
            yield Finding(place, "warning", check, message)


Found = Iterator[tuple[str, str]]  # place and message


def _few_examples(draft: Draft) -> Found:
    counts = Counter(example.intent for example in draft.examples)
    first = {example.intent: example.place for example in reversed(draft.examples)}
    for intent, count in counts.items():
        if count < FEWEST_EXAMPLES:
            place = draft.intents.get(intent, first[intent])
            yield place, f"intent `{intent}` has {_counted(count, 'example')}; {FEWEST_EXAMPLES} is little enough"


def _duplicates(draft: Draft) -> Found:
    seen: dict[tuple[str, str], str] = {}
    for example in draft.examples:
        first = seen.setdefault((example.intent, plain(example.text)), example.place)
        if first != example.place:
            yield example.place, f"{example.text!r} stands in `{example.intent}` already, at {first}"


def plain(text: str) -> str:
    """The text as a person compares it: case and spacing do not count."""
    return _BLANKS.sub(" ", text).strip().casefold()


def _odd_marks(draft: Draft) -> Found:
    for example in draft.examples:
        rest = list(example.text)
        for entity in example.entities:
            rest[entity.start : entity.end] = "_" * (entity.end - entity.start)
            span = f"[{entity.text}]({entity.name})"
            if entity.text != entity.text.strip():
                yield example.place, f"the mark {span} begins or ends with a blank"
            elif _cuts_word(example.text, entity.start, entity.end):
                yield example.place, f"the mark {span} begins or ends in the middle of a word"
        if _BROKEN_MARK.search("".join(rest)):
            yield example.place, f"is this a mark gone wrong? It is read as words: {example.text!r}"


def _cuts_word(text: str, start: int, end: int) -> bool:
    before = start > 0 and text[start - 1].isalnum() and text[start].isalnum()
    return before or (end < len(text) and text[end - 1].isalnum() and text[end].isalnum())


def _uneven_marks(draft: Draft) -> Found:
    """A phrase marked in one example and left unmarked in another teaches a tagger two things at once."""
    listed = {plain(line.value) for kind, _, line in draft.lines if kind == "lookup"}
    marked: dict[str, tuple[str, str]] = {}
    for example in draft.examples:
        for entity in example.entities:
            if len(entity.text) > 2 and plain(entity.text) not in listed:
                marked.setdefault(plain(entity.text), (entity.name, example.place))
    if not marked:
        return
    longest_first = sorted(marked, key=len, reverse=True)
    expression = re.compile(r"(?<!\w)(?:" + "|".join(map(re.escape, longest_first)) + r")(?!\w)")
    for example in draft.examples:
        covered = {at for entity in example.entities for at in range(entity.start, entity.end)}
        text = example.text.lower()
        for match in expression.finditer(text) if len(text) == len(example.text) else ():
            name, place = marked[match.group()]
            if not covered & set(range(*match.span())):
                yield example.place, f"{match.group()!r} is not marked here; at {place} it is `{name}`"


def _unused_intents(draft: Draft) -> Found:
    used = draft.told("user") | names_of(settings_tree(draft), "small_talk") | draft.triggers.keys() | DEFAULT_INTENTS
    for mapped in (*draft.slots.values(), *draft.forms.values()):
        used |= names_of(mapped.value, "intent")
    for intent, place in draft.intents.items():
        if intent not in used:
            yield place, f"nothing is done on intent `{intent}`: it stands in no rule or story"


def _unused_entities(draft: Draft) -> Found:
    marked = {entity.name for example in draft.examples for entity in example.entities}
    sought = {name for kind, name, _ in draft.lines if kind in ("regex", "lookup")}
    used = {slot for slot in draft.slots if _is_filled_by_name(draft, slot)}
    for mapped in (*draft.slots.values(), *draft.forms.values()):
        used |= names_of(mapped.value, "entity")
    used |= {entity.name for flow in draft.flows for event in flow.events for entity in event.entities}
    for entity, place in draft.entities.items():
        if entity not in marked | sought | KINDS.keys():
            yield place, f"entity `{entity}` is never found: no example marks it, no regex or lookup table seeks it"
        if entity not in used and not draft.has_custom_actions:
            yield place, f"entity `{entity}` is never used: no slot takes it"


def _unused_slots(draft: Draft) -> Found:
    if draft.has_custom_actions:
        return
    used = {slot for form in draft.forms.values() for slot in required_slots(form.value)} | draft.told("slot")
    for response in draft.responses.values():
        used |= placeholders(response.value) | names_of(list(values_of(response.value, "condition")), "name")
    for placed in draft.slots.values():
        used |= names_of(placed.value, "requested_slot")
    for slot, placed in draft.slots.items():
        settings = placed.value if isinstance(placed.value, dict) else {}
        is_filled = settings.get("mappings") or settings.get("initial_value") is not None
        if not is_filled and not _is_filled_by_name(draft, slot) and not _is_filled_by_form(draft, slot):
            yield placed.place, f"slot `{slot}` is never filled: it has neither `mappings` nor `initial_value`"
        if slot not in used:
            yield placed.place, f"slot `{slot}` is never used: in no form, no rule, no story and no response"


def _is_filled_by_name(draft: Draft, slot: str) -> bool:
    """Rasa 2: an entity fills the slot of its name."""
    settings = draft.slots[slot].value
    if not isinstance(settings, dict) or slot not in draft.entities:
        return False
    return settings.get("mappings") is None and settings.get("auto_fill") is not False


def _is_filled_by_form(draft: Draft, slot: str) -> bool:
    """Rasa 2: the mappings stand in the form."""
    return any(isinstance(mappings, list) for form in draft.forms.values() for mappings in values_of(form.value, slot))


def _unused_responses(draft: Draft) -> Found:
    if draft.has_custom_actions:
        return
    used = draft.told("action") | set(texts_of([settings_tree(draft), *draft.policies])) | set(draft.triggers.values())
    for response, placed in draft.responses.items():
        family = response.partition("/")[0]  # `utter_faq` says `utter_faq/hours`
        if not used & {response, family} and response not in _SAID_BY_RASA and not response.startswith(_ASKING):
            yield placed.place, f"response `{response}` is never said"


def _unused_forms(draft: Draft) -> Found:
    begun = draft.told("action") | set(draft.triggers.values())
    for form, placed in draft.forms.items():
        if form not in begun:
            yield placed.place, f"form `{form}` never begins: no rule or story has it as an action"


def _wrong_buttons(draft: Draft) -> Found:
    intents = DEFAULT_INTENTS | set(draft.intents) | {example.intent for example in draft.examples}
    for response, placed in draft.responses.items():
        for payload in sorted(names_of(placed.value, "payload")):
            trigger = _TRIGGER.match(payload)
            if trigger and trigger[1] not in intents:
                yield (
                    placed.place,
                    f"a button of response `{response}` sends `/{trigger[1]}`, which is no intent",
                )


def _odd_patterns(draft: Draft) -> Found:
    seen: dict[tuple[str, str], str] = {}
    marked: dict[str, list[str]] = {}
    for example in draft.examples:
        for entity in example.entities:
            marked.setdefault(entity.name, []).append(entity.text)
    looked_up = {name for kind, name, _ in draft.lines if kind == "lookup"}
    for kind, name, line in draft.lines:
        if kind == "lookup":
            first = seen.setdefault((name, plain(line.value)), line.place)
            if first != line.place:
                yield line.place, f"{line.value!r} stands in the lookup table of `{name}` already, at {first}"
        elif kind == "regex" and (expression := _expression(line.value)):
            if expression.fullmatch(""):
                yield line.place, f"the regex of `{name}` matches nothing at all, which is everywhere"
            elif name in marked and name not in looked_up and not any(map(expression.search, marked[name])):
                found = _counted(len(marked[name]), "marked example")
                yield line.place, f"the regex of `{name}` finds none of its {found}, such as {marked[name][0]!r}"


def _expression(pattern: str) -> re.Pattern[str] | None:
    try:
        return re.compile(pattern, re.IGNORECASE)
    except (re.error, OverflowError, RecursionError):
        return None  # the compiler tells


def _odd_synonyms(draft: Draft) -> Found:
    first: dict[str, tuple[str, str]] = {}
    for phrase, value, place in _synonyms(draft):
        known, at = first.setdefault(plain(phrase), (value, place))
        if known != value:
            yield place, f"{phrase!r} means `{value}` here and `{known}` at {at}"
    found = {plain(line.value) for kind, _, line in draft.lines if kind == "lookup"}
    found |= {plain(entity.text) for example in draft.examples for entity in example.entities}
    expressions = [_expression(line.value) for kind, _, line in draft.lines if kind == "regex"]
    for kind, value, line in draft.lines:
        if kind != "synonym" or plain(line.value) in found:
            continue
        if not any(expression and expression.search(line.value) for expression in expressions):
            why = "no example marks it, and it is in no lookup table"
            yield line.place, f"synonym {line.value!r} of `{value}` finds nothing by itself: {why}"


def _synonyms(draft: Draft) -> Iterator[tuple[str, str, str]]:
    """Every phrase that has a value: (phrase, value, place)."""
    for kind, value, line in draft.lines:
        if kind == "synonym":
            yield line.value, value, line.place
    for example in draft.examples:
        for entity in example.entities:
            if entity.value != entity.text:
                yield entity.text, entity.value, example.place


def _same_rules(draft: Draft) -> Found:
    seen: dict[str, str] = {}
    for rule in draft.rules:
        if isinstance(rule.value, dict):
            content = repr({key: value for key, value in rule.value.items() if key not in ("rule", "story")})
            first = seen.setdefault(content, rule.place)
            if first != rule.place:
                yield rule.place, f"this rule says the same as the one at {first}"


def _other_language(draft: Draft) -> Found:
    setting = draft.language
    spoken = str(setting.value) if setting else "en"
    other = Counter(detect_language(example.text, spoken) for example in draft.examples)
    del other[spoken]
    for language, count in other.most_common(1):
        if count >= FOREIGN_SHARE * len(draft.examples):
            place = setting.place if setting else "bot.yml:1"
            yield place, f"the bot's `language` is `{spoken}`, but {_counted(count, 'example')} seem to be `{language}`"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
