"""The domain: what each section means, what Rasa 2 wrote otherwise, and what is refused or told."""

from pathlib import Path
from typing import Any

import pytest

from parley.bots.bot import (
    OTHER_VALUE,
    Form,
    MappingCondition,
    SessionSettings,
    Slot,
    SlotCheck,
    SlotMapping,
    Variation,
)
from parley.bots.domain import Domain, DomainReader
from parley.bots.shapes import CheckShape
from parley.bots.source import Faults, read_source
from parley.conversation import Button


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def read(folder: Path, text: str, **checks: Any) -> tuple[Domain, Faults]:
    (folder / "domain.yml").write_text(text, encoding="utf-8")
    faults = Faults()
    return DomainReader(read_source(folder, faults), faults).read(checks), faults


def slot(folder: Path, settings: str, more: str = "entities: [size]") -> tuple[Slot, Faults]:
    """The slot `size` with these settings."""
    domain, faults = read(folder, f"{more}\nslots:\n  size: {{{settings}}}\n")
    return domain.slots["size"], faults


# Intents and entities


def test_intents_and_entities_are_known_with_their_places(folder: Path) -> None:
    domain, faults = read(folder, "intents:\n- greet\n- bye\nentities:\n- city\n")

    assert domain.intents == {"greet": "domain.yml:2", "bye": "domain.yml:3"}
    assert domain.entities["city"].place == "domain.yml:5"
    assert faults.lines == faults.notes == []


SEEN = """
entities:
- city: {roles: [from, to], groups: [1]}
- name
- colour: {influence_conversation: false}
intents:
- greet
- plain: {}
- none: {use_entities: []}
- some: {use_entities: [name, colour]}
- all: {use_entities: true}
- less: {ignore_entities: [city]}
- both: {use_entities: [city, name], ignore_entities: [name]}
"""
CITY = {"city", "city#from", "city#to", "city#1"}


@pytest.mark.parametrize(
    ("intent", "seen"),
    [
        ("greet", {*CITY, "name"}),
        ("plain", {*CITY, "name"}),
        ("none", set()),
        ("some", {"name"}),
        ("all", {*CITY, "name"}),
        ("less", {"name"}),
        ("both", CITY),
    ],
)
def test_an_intent_says_which_entities_stories_look_at(folder: Path, intent: str, seen: set[str]) -> None:
    domain, _ = read(folder, SEEN)

    assert set(domain.seen_entities[intent]) == seen


def test_an_entity_that_an_intent_speaks_of_and_that_is_not_there_is_told(folder: Path) -> None:
    _, faults = read(folder, "intents:\n- greet\n- bye: {use_entities: [city]}\n")

    assert faults.notes == ["domain.yml:3: intent `bye`: there is no entity `city`"]


def test_a_colon_with_nothing_behind_it_is_told(folder: Path) -> None:
    domain, faults = read(folder, "intents:\n- greet:\nentities:\n- city:\n")

    assert (set(domain.intents), set(domain.entities)) == ({"greet"}, {"city"})
    assert [note.partition(": ")[2] for note in faults.notes] == [
        "entity `city` has a colon and nothing behind it",
        "intent `greet` has a colon and nothing behind it",
    ]


def test_a_name_that_stands_twice_in_a_file_is_refused(folder: Path) -> None:
    _, faults = read(folder, "intents:\n- greet\n- greet\nentities: [city, city]\n")

    assert faults.lines == [
        "domain.yml:4: entity `city` stands already at domain.yml:4",
        "domain.yml:3: intent `greet` stands already at domain.yml:2",
    ]


# Slots


@pytest.mark.parametrize(
    ("written", "kind", "influences"),
    [
        ("text", "text", True),
        ("bool", "bool", True),
        ("list", "list", True),
        ("any", "any", False),
        ("unfeaturized", "any", False),
        ("rasa.shared.core.slots.TextSlot", "text", True),
        ("rasa.core.slots.BooleanSlot", "bool", True),
        ("rasa.shared.core.slots.ListSlot", "list", True),
        ("rasa.shared.core.slots.AnySlot", "any", False),
        ("rasa.core.slots.UnfeaturizedSlot", "any", False),
    ],
)
def test_a_slot_has_a_type_by_name_or_by_class(folder: Path, written: str, kind: str, influences: bool) -> None:
    read_slot, faults = slot(folder, f"type: {written}, mappings: []")

    assert (read_slot.type, read_slot.influences) == (kind, influences)
    assert faults.notes == []


def test_a_slot_of_a_class_of_somebodys_own_counts_as_any_and_that_is_told(folder: Path) -> None:
    read_slot, faults = slot(folder, "type: addons.slots.PostcodeSlot, mappings: []")

    assert (read_slot.type, read_slot.influences) == ("any", False)
    assert faults.notes == [
        "domain.yml:3: slot `size`: `addons.slots.PostcodeSlot` is a class of somebody's own; it counts as `any`"
    ]


def test_a_categorical_slot_has_its_values_in_lower_case_and_one_for_all_others(folder: Path) -> None:
    read_slot, _ = slot(folder, "type: categorical, values: [S, xl, 3, true, null, s], mappings: []")

    assert read_slot.values == ("s", "xl", "3", "true", OTHER_VALUE)


def test_a_float_slot_has_a_range(folder: Path) -> None:
    read_slot, _ = slot(folder, "type: float, min_value: -10, max_value: 30.5, initial_value: 1, mappings: []")

    assert (read_slot.least, read_slot.most, read_slot.initial_value) == (-10.0, 30.5, 1)


def test_a_range_the_wrong_way_round_is_refused(folder: Path) -> None:
    _, faults = slot(folder, "type: float, min_value: 1, max_value: 1, mappings: []")

    assert faults.lines == ["domain.yml:3: slot `size`: `min_value` must be below `max_value`"]


def test_a_slot_may_have_no_influence(folder: Path) -> None:
    assert not slot(folder, "type: text, influence_conversation: false, mappings: []")[0].influences


@pytest.mark.parametrize(
    ("written", "mapping"),
    [
        (
            "type: from_entity, entity: size, role: big, group: 2",
            SlotMapping("from_entity", entity="size", role="big", group="2"),
        ),
        ("type: from_text, intent: inform", SlotMapping("from_text", intents=("inform",))),
        ("type: from_text, not_intent: [a, b]", SlotMapping("from_text", not_intents=("a", "b"))),
        ("type: from_text, intent: null", SlotMapping("from_text")),
        ("type: from_intent, value: false, intent: [deny]", SlotMapping("from_intent", value=False, intents=("deny",))),
        ("type: from_trigger_intent, value: 3", SlotMapping("from_trigger_intent", value=3)),
        ("type: custom, action: action_x", SlotMapping("custom", action="action_x")),
        (
            "type: from_text, conditions: [{active_loop: f, requested_slot: size}, {active_loop: null}]",
            SlotMapping("from_text", conditions=(MappingCondition("f", "size"), MappingCondition(None))),
        ),
    ],
)
def test_a_mapping_is_read(folder: Path, written: str, mapping: SlotMapping) -> None:
    assert slot(folder, f"type: text, mappings: [{{{written}}}]")[0].mappings == (mapping,)


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("type: from_entity", "a mapping `from_entity` needs an `entity`"),
        ("type: from_intent", "a mapping `from_intent` needs a `value`"),
        ("type: from_trigger_intent, value: null", "a mapping `from_trigger_intent` needs a `value`"),
        ("type: from_space", "Invalid enum value 'from_space'"),
        ("entity: size", "missing required field `type`"),
    ],
)
def test_a_mapping_that_cannot_work_is_refused(folder: Path, written: str, reason: str) -> None:
    _, faults = slot(folder, f"type: text, mappings: [{{{written}}}]")

    [fault] = faults.lines
    assert fault.startswith("domain.yml:3: slot `size`")
    assert reason in fault


def test_a_slot_without_a_type_is_refused(folder: Path) -> None:
    _, faults = slot(folder, "mappings: []")

    assert "missing required field `type`" in faults.lines[0]


# As Rasa 2 wrote it


def test_a_slot_without_mappings_is_filled_from_the_entity_of_its_name(folder: Path) -> None:
    read_slot, faults = slot(folder, "type: text")

    assert read_slot.mappings == (SlotMapping("from_entity", entity="size"),)
    assert faults.notes == [
        "domain.yml:3: slot `size` has no `mappings`, as in Rasa 2; it is filled from the entity `size`"
    ]


@pytest.mark.parametrize(
    ("settings", "more"), [("type: text, auto_fill: false", "entities: [size]"), ("type: text", "")]
)
def test_a_slot_without_mappings_and_entity_is_filled_by_actions_only(folder: Path, settings: str, more: str) -> None:
    read_slot, faults = slot(folder, settings, more)

    assert read_slot.mappings == ()
    assert faults.notes[0].endswith("it is filled by actions only")


IN_FORMS = """
entities: [size]
slots:
  size: {type: text}
  note: {type: text}
  how: {type: text}
forms:
  pizza_form:
    size:
    - {type: from_entity, entity: size, not_intent: chat}
    note:
    - {type: from_text}
    - {type: from_intent, intent: deny, value: none}
    how:
    - {type: from_trigger_intent, intent: order, value: by order}
"""


def test_mappings_that_stood_in_a_form_hold_in_that_form(folder: Path) -> None:
    domain, faults = read(folder, IN_FORMS)

    assert domain.forms["pizza_form"] == Form("pizza_form", ("size", "note", "how"))
    assert domain.slots["size"].mappings == (
        SlotMapping("from_entity", entity="size", not_intents=("chat",), conditions=(MappingCondition("pizza_form"),)),
        SlotMapping("from_entity", entity="size"),
    )
    assert domain.slots["how"].mappings[0].conditions == (MappingCondition("pizza_form"),)
    assert (
        "domain.yml:8: form `pizza_form` has slot mappings, as in Rasa 2; they are moved to the slots" in faults.notes
    )
    assert faults.lines == []


def test_of_those_only_entities_fill_what_was_not_asked_for(folder: Path) -> None:
    domain, _ = read(folder, IN_FORMS)

    asked_for = (MappingCondition("pizza_form", "note"),)
    assert domain.slots["note"].mappings == (
        SlotMapping("from_text", conditions=asked_for),
        SlotMapping("from_intent", intents=("deny",), value="none", conditions=asked_for),
    )


def test_mappings_under_required_slots_are_moved_too(folder: Path) -> None:
    text = IN_FORMS.replace("  pizza_form:\n", "  pizza_form:\n    ignored_intents: [chat]\n    required_slots:\n")
    head, _, form = text.partition("    required_slots:\n")

    domain, _ = read(folder, head + "    required_slots:\n" + "".join(f"  {line}\n" for line in form.splitlines()))

    assert domain.forms["pizza_form"] == Form("pizza_form", ("size", "note", "how"), ("chat",))
    assert domain.slots["note"].mappings[0].conditions == (MappingCondition("pizza_form", "note"),)


def test_a_slot_that_two_forms_fill_is_filled_in_both(folder: Path) -> None:
    more = "  drink_form:\n    note:\n    - {type: from_text}\n"

    domain, _ = read(folder, IN_FORMS + more)

    texts = [mapping for mapping in domain.slots["note"].mappings if mapping.type == "from_text"]
    assert {mapping.conditions for mapping in texts} == {
        (MappingCondition("pizza_form", "note"),),
        (MappingCondition("drink_form", "note"),),
    }


def test_an_intent_may_set_off_an_action(folder: Path) -> None:
    domain, _ = read(folder, "intents:\n- greet\n- help: {triggers: utter_help}\n")

    assert domain.triggers == {"help": "utter_help"}


def test_responses_may_stand_under_templates(folder: Path) -> None:
    domain, _ = read(folder, "templates:\n  utter_x:\n  - text: hi\n")

    assert domain.responses == {"utter_x": (Variation("hi"),)}


# Forms


@pytest.mark.parametrize(
    ("settings", "form"),
    [
        ("{required_slots: [a, b]}", Form("f", ("a", "b"))),
        ("{required_slots: []}", Form("f", ())),
        ("{required_slots: null}", Form("f", ())),
        ("{required_slots: [a], ignored_intents: chat}", Form("f", ("a",), ("chat",))),
        ("{required_slots: [a], ignored_intents: [chat, bye]}", Form("f", ("a",), ("chat", "bye"))),
        ("{a: [], b: null}", Form("f", ("a", "b"))),
        ("{}", Form("f", ())),
        ("null", Form("f", ())),
    ],
)
def test_a_form_asks_for_slots_in_order(folder: Path, settings: str, form: Form) -> None:
    domain, faults = read(folder, f"forms:\n  f: {settings}\n")

    assert domain.forms["f"] == form
    assert faults.lines == []


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ("[a]", " must be a mapping with `required_slots`"),
        ("{ignored_intents: [chat]}", ": `ignored_intents` needs `required_slots` beside it"),
        ("{required_slots: a}", ": `required_slots` must be a list of slots"),
        ("{required_slots: [a], ignore_intents: [chat]}", ": `ignore_intents` is not known here"),
    ],
)
def test_a_form_that_cannot_work_is_refused(folder: Path, settings: str, reason: str) -> None:
    _, faults = read(folder, f"forms:\n  f: {settings}\n")

    assert faults.lines == [f"domain.yml:2: form `f`{reason}"]


def test_what_bot_yml_accepts_for_a_slot_belongs_to_the_form(folder: Path) -> None:
    domain, _ = read(folder, "forms:\n  f: {required_slots: [a]}\n", f={"a": CheckShape(r"\d+", "utter_no")})

    assert domain.forms["f"].checks == {"a": SlotCheck(r"\d+", "utter_no")}


# Responses, actions, sessions

VARIATIONS = """
slots:
  size: {type: text, mappings: []}
responses:
  utter_x:
  - text: "  hi  "
    id: greeting
  - text: which?
    channel: slack
    image: https://shop.example/a.png
    condition:
    - {type: slot, name: size, value: yes}
    buttons:
    - {title: Yes, payload: /affirm}
    quick_replies:
    - {title: No, payload: /deny}
    metadata: {of: somebody}
  - custom: {blocks: [1]}
    attachment: {type: file}
"""


def test_a_response_has_variations(folder: Path) -> None:
    domain, faults = read(folder, VARIATIONS)

    assert domain.responses["utter_x"] == (
        Variation("hi", id="greeting"),
        Variation(
            "which?",
            (Button("Yes", "/affirm"), Button("No", "/deny")),
            image="https://shop.example/a.png",
            channel="slack",
            conditions={"size": "yes"},
        ),
        Variation(custom={"blocks": [1]}, attachment={"type": "file"}),
    )
    assert faults.lines == faults.notes == []


@pytest.mark.parametrize(
    ("variation", "reason"),
    [
        ("{image: a.png}", "a variation needs `text` or `custom`"),
        ("{txt: hi}", "unknown field `txt`"),
        ("{text: hi, condition: [{type: weather, name: a, value: b}]}", "Invalid enum value 'weather'"),
        ("hi", "Expected `object`, got `str`"),
    ],
)
def test_a_variation_that_cannot_be_said_is_refused(folder: Path, variation: str, reason: str) -> None:
    _, faults = read(folder, f"responses:\n  utter_x:\n  - {variation}\n")

    assert reason in faults.lines[0]
    assert faults.lines[0].startswith("domain.yml:2: response `utter_x`")


@pytest.mark.parametrize(
    ("variations", "told"),
    [
        ("[{text: a, id: one}, {text: b, id: one}]", "two variations have the id `one`"),
        ("[{text: a, elements: [1]}]", "`elements` are not shown by any channel and left out"),
        (
            "[{text: a, condition: [{type: slot, name: nix, value: 1}]}]",
            "there is no slot `nix`, so its condition never holds",
        ),
    ],
)
def test_what_is_probably_not_meant_in_a_response_is_told(folder: Path, variations: str, told: str) -> None:
    _, faults = read(folder, f"responses:\n  utter_x: {variations}\n")

    assert faults.notes == [f"domain.yml:2: response `utter_x`: {told}"]
    assert faults.lines == []


def test_actions_may_say_that_they_need_the_domain(folder: Path) -> None:
    domain, faults = read(folder, "actions:\n- action_a\n- action_b: {send_domain: true}\n- action_a\n")

    assert set(domain.actions) == {"action_a", "action_b"}
    assert faults.notes == ["domain.yml:4: action `action_a` stands already at domain.yml:2"]


def test_what_the_bot_says_word_for_word_is_known(folder: Path) -> None:
    assert read(folder, "e2e_actions:\n- Hello there!\n")[0].texts == ("Hello there!",)


@pytest.mark.parametrize(
    ("settings", "session"),
    [
        ("", SessionSettings(60, True)),
        ("session_config: {}", SessionSettings(60, True)),
        ("session_config: {session_expiration_time: 0}", SessionSettings(0, True)),
        (
            "session_config: {session_expiration_time: 2.5, carry_over_slots_to_new_session: false}",
            SessionSettings(2.5, False),
        ),
    ],
)
def test_sessions_last_as_long_as_the_domain_says(folder: Path, settings: str, session: SessionSettings) -> None:
    assert read(folder, f"intents: []\n{settings}\n")[0].session == session


def test_a_session_cannot_end_before_it_began(folder: Path) -> None:
    _, faults = read(folder, "session_config:\n  session_expiration_time: -1\n")

    assert faults.lines[0].startswith("domain.yml:2: session_config:")
