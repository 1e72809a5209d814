"""A bot's files as far as they can be read, faults or not: what is declared, what is used, and where each stands.

The compiler stops at what it must refuse; an author who mends that wants to hear of the rest in the same breath. So
nothing here is refused: what cannot be read is simply not in the draft. Knows Rasa's sections, no models.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from parley.bots.bot import BUILT_IN_ACTIONS, EntityPatterns
from parley.bots.flows import Flow, FlowReader
from parley.bots.source import BotSource, Faults, Placed, read_source
from parley.bots.training import Example, read_training_data

_PLACEHOLDER = re.compile(r"\{([\w.-]+)\}")


@dataclass(frozen=True, slots=True)
class Draft:
    """What the files say, in so far as they say anything. Names are given with their place (file:line)."""

    examples: tuple[Example, ...]
    patterns: EntityPatterns
    lines: tuple[tuple[str, str, Placed], ...]  # of nlu blocks that are no intents: (kind, name, the line in its place)
    intents: Mapping[str, str]
    entities: Mapping[str, str]
    slots: Mapping[str, Placed]
    responses: Mapping[str, Placed]
    forms: Mapping[str, Placed]
    actions: Mapping[str, str]
    rules: tuple[Placed, ...]  # and stories, as they are written
    flows: tuple[Flow, ...]  # what these tell of
    triggers: Mapping[str, str]  # Rasa 2: intent -> the action that always follows
    policies: tuple[Any, ...]  # of config.yml
    language: Placed | None
    settings: Mapping[str, Placed]

    @property
    def has_custom_actions(self) -> bool:
        """Whether somebody's own actions may say things, and set and read slots, in ways that no file tells."""
        named = (action for action in self.actions if not action.startswith("utter_"))
        is_declared = any(name in self.settings for name in ("actions", "action_server"))
        return is_declared or any(action not in BUILT_IN_ACTIONS for action in named)

    def told(self, kind: str) -> set[str]:
        """The names of this kind of event (user, action, slot) in rules and stories."""
        names = {event.name for flow in self.flows for event in flow.events if event.kind == kind}
        if kind == "slot":
            names |= {slot for flow in self.flows for start in flow.starts for slot in start.slots}
        return {name for name in names if name}


def read_draft(folder: Path) -> Draft:
    """The draft of the bot in `folder`.

    Raises:
        BadBot: there is no bot here.
    """
    unheard = Faults()  # the compiler tells them
    source = read_source(folder, unheard)
    training = read_training_data(source, {}, unheard)
    reader = FlowReader({}, unheard)
    settings = source.settings or {}
    languages = (*filter(None, [settings.get("language")]), *source.words["language"])
    return Draft(
        examples=training.examples,
        patterns=training.patterns,
        lines=tuple(_pattern_lines(source)),
        intents=dict(_declared(source.lists["intents"])),
        entities=dict(_declared(source.lists["entities"])),
        slots=source.maps["slots"],
        responses=source.maps["responses"],
        forms=source.maps["forms"],
        actions=dict(_declared(source.lists["actions"])),
        rules=(*source.lists["rules"], *source.lists["stories"]),
        flows=(*reader.rules(source.lists["rules"]), *reader.stories(source.lists["stories"])),
        triggers=dict(_triggers(source.lists["intents"])),
        policies=tuple(item.value for item in source.lists["policies"]),
        language=next(iter(languages), None),
        settings=settings,
    )


def _declared(items: tuple[Placed, ...]) -> Iterator[tuple[str, str]]:
    for item in items:
        match item.value:
            case str(name):
                yield name, item.place
            case dict() if item.value:
                yield str(next(iter(item.value))), item.place


def _triggers(items: tuple[Placed, ...]) -> Iterator[tuple[str, str]]:
    for item in items:
        for name, options in item.value.items() if isinstance(item.value, dict) else ():
            if isinstance(options, dict) and isinstance(action := options.get("triggers"), str):
                yield str(name), action


def _pattern_lines(source: BotSource) -> Iterator[tuple[str, str, Placed]]:
    for block in source.lists["nlu"]:
        if isinstance(block.value, dict):
            for kind in ("regex", "lookup", "synonym"):
                if isinstance(name := block.value.get(kind), str):
                    yield from ((kind, name, line) for line in _lines(block.value.get("examples"), block.place))


def _lines(listing: Any, place: str) -> Iterator[Placed]:
    """The lines of `examples`; the first of a block stands two lines below where the nlu item begins."""
    if isinstance(listing, str):
        file, _, first = place.rpartition(":")
        for offset, line in enumerate(listing.split("\n")):
            if text := line.lstrip().removeprefix("-").strip():
                yield Placed(text, f"{file}:{int(first) + 2 + offset}")
    elif isinstance(listing, list):
        yield from (Placed(item.strip(), place) for item in listing if isinstance(item, str) and item.strip())


def values_of(tree: Any, key: str) -> Iterator[Any]:
    """Everything that stands under `key`, at any depth."""
    if isinstance(tree, Mapping):
        for name, value in tree.items():
            if name == key:
                yield value
            yield from values_of(value, key)
    elif isinstance(tree, list | tuple):
        for item in tree:
            yield from values_of(item, key)


def names_of(tree: Any, key: str) -> set[str]:
    """The names that stand under `key`, at any depth, one or a list of them."""
    found: set[str] = set()
    for value in values_of(tree, key):
        found.update(item for item in (value if isinstance(value, list) else [value]) if isinstance(item, str))
    return found


def texts_of(tree: Any) -> Iterator[str]:
    """Every text in a tree."""
    if isinstance(tree, str):
        yield tree
    elif isinstance(tree, Mapping):
        for value in tree.values():
            yield from texts_of(value)
    elif isinstance(tree, list | tuple):
        for item in tree:
            yield from texts_of(item)


def placeholders(response: Any) -> set[str]:
    """The slots that a response asks to be filled in."""
    return {name for text in texts_of(response) for name in _PLACEHOLDER.findall(text)}


def required_slots(form: Any) -> list[str]:
    """The slots that a form asks for; in older files they are the keys of a mapping."""
    match form:
        case {"required_slots": [*slots]}:
            return [slot for slot in slots if isinstance(slot, str)]
        case {"required_slots": dict() as slots}:
            return [str(slot) for slot in slots]
        case _:
            return []


def settings_tree(draft: Draft) -> dict[str, Any]:
    """What stands in bot.yml."""
    return {name: placed.value for name, placed in draft.settings.items()}
