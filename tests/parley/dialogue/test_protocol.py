"""Rasa's action-server protocol: the dialogue as rasa_sdk reads it, and a strict reading of what actions send."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from parley.bots.bot import (
    OTHER_VALUE,
    Bot,
    Form,
    MappingCondition,
    SessionSettings,
    Slot,
    SlotMapping,
    Variation,
)
from parley.conversation import Button, Entity, Event, Message, Understanding
from parley.dialogue.protocol import (
    MOST_SLOT_BYTES,
    domain_json,
    entity_json,
    event_json,
    events_of,
    message_json,
    message_of,
    request,
    tracker_json,
)
from parley.errors import ActionFailed
from tests.builders import SOME_SERVER, Talk, a_bot, a_dialogue, a_photo, an_understanding, does

AT = 1_000.5
CITY = Entity("city", "Wien", 9, 14, "vienna", role="to", group="1", found_by="lookup", confidence=0.75)
HEARD = Event("user", "fly", "fly", "fly me to vienna", (CITY,))
LISTENED = Event("action", "action_listen", policy="rule")
SLOTS = (
    Slot(
        "size", "categorical", (SlotMapping("from_entity", entity="size", role="big"),), values=("s", "xl", OTHER_VALUE)
    ),
    Slot(
        "note",
        "text",
        (SlotMapping("from_text", not_intents=("stop",), conditions=(MappingCondition("pizza_form", "note"),)),),
        initial_value="none",
        influences=False,
    ),
)


def a_domain_bot(**changes: Any) -> Bot:
    return a_bot(
        rules={},
        **{
            "slots": SLOTS,
            "forms": {"pizza_form": Form("pizza_form", ("size", "note"), ignored_intents=("chat",))},
            "entity_names": ("city", "size"),
            "actions": ("action_look", "action_restart"),
            "responses": {
                "utter_x": (
                    Variation("hi", (Button("Yes", "/affirm"),), channel="slack", conditions={"size": "xl"}, id="a"),
                )
            },
            **changes,
        },
    )


def a_tracker(*events: Event, bot: Bot | None = None, understanding: Understanding | None = None) -> dict[str, Any]:
    bot = bot or a_domain_bot()
    dialogue = a_dialogue(bot, *events)
    return tracker_json(
        bot,
        conversation_id="c1",
        channel="slack",
        at=AT,
        dialogue=dialogue,
        events=[event_json(event, at=AT, channel="slack") for event in dialogue.trail],
        understanding=understanding,
    )


# What rasa_sdk 3.6.2 does with a tracker, where it is more than looking something up in it.


def latest_entity_values(tracker: dict[str, Any], name: str, role: str | None, group: str | None) -> Iterator[Any]:
    for entity in tracker["latest_message"]["entities"]:
        if (entity.get("entity"), entity.get("role"), entity.get("group")) == (name, role, group):
            yield entity.get("value")


def slots_to_validate(tracker: dict[str, Any]) -> dict[str, Any]:
    last: list[dict[str, Any]] = []
    for event in reversed(tracker["events"]):
        if event["event"] != "slot":
            break
        last.insert(0, event)
    return {event["name"]: event["value"] for event in last}


def intent_of_latest_message(tracker: dict[str, Any]) -> str:
    """Without the fallback."""
    first, *others = tracker["latest_message"]["intent_ranking"]
    return str(others[0]["name"] if first["name"] == "nlu_fallback" and others else first["name"])


def test_a_tracker_has_all_that_rasas_has() -> None:
    tracker = a_tracker(HEARD, Event("active_loop", "pizza_form"))

    assert tracker.keys() == {
        "sender_id",
        "slots",
        "latest_message",
        "latest_event_time",
        "followup_action",
        "paused",
        "events",
        "latest_input_channel",
        "active_loop",
        "latest_action",
        "latest_action_name",
    }
    assert (tracker["sender_id"], tracker["latest_event_time"], tracker["paused"]) == ("c1", AT, False)
    assert tracker["latest_action"] == {"action_name": "action_listen"}
    assert tracker["latest_action_name"] == "action_listen"
    assert json.loads(json.dumps(tracker)) == tracker


def test_every_slot_of_the_domain_is_there_set_or_not() -> None:
    assert a_tracker(HEARD)["slots"] == {"size": None, "note": "none", "requested_slot": None}
    assert a_tracker(Event("slot", "size", "xl"))["slots"]["size"] == "xl"


def test_a_bot_without_forms_asks_for_no_slot() -> None:
    assert "requested_slot" not in a_tracker(HEARD, bot=a_domain_bot(forms={}))["slots"]


def test_the_form_under_way_is_there_with_what_became_of_it() -> None:
    rejected = Event("active_loop", "pizza_form"), Event("action_execution_rejected", "pizza_form")

    assert a_tracker(HEARD, *rejected)["active_loop"] == {
        "name": "pizza_form",
        "is_interrupted": False,
        "rejected": True,
        "trigger_message": None,
    }
    assert a_tracker(HEARD)["active_loop"] == {}


def test_before_anything_was_said_there_is_no_latest_message() -> None:
    assert a_tracker()["latest_message"] is None


def test_entities_are_found_by_name_role_and_group() -> None:
    tracker = a_tracker(HEARD)

    assert list(latest_entity_values(tracker, "city", "to", "1")) == ["Wien"]
    assert list(latest_entity_values(tracker, "city", None, None)) == []


def test_the_slots_that_a_form_has_found_are_the_last_events() -> None:
    tracker = a_tracker(
        HEARD, Event("slot", "size", "s"), LISTENED, Event("slot", "size", "xl"), Event("slot", "note", "a")
    )

    assert slots_to_validate(tracker) == {"size": "xl", "note": "a"}


def test_the_channel_is_that_of_the_last_utterance() -> None:
    users = [event for event in a_tracker(HEARD)["events"] if event["event"] == "user"]

    assert users[-1]["input_channel"] == a_tracker(HEARD)["latest_input_channel"] == "slack"


def test_a_message_has_its_text_its_intent_and_the_ranking() -> None:
    message = message_json(HEARD, an_understanding("fly"))

    assert (message["text"], message["intent"]) == ("fly me to vienna", {"name": "fly", "confidence": 0.9})
    assert message["intent_ranking"] == [{"name": "fly", "confidence": 0.9}, {"name": "other", "confidence": 0.1}]


def test_a_message_of_which_nothing_more_is_known_is_sure_of_its_intent() -> None:
    assert message_json(HEARD, None)["intent_ranking"] == [{"name": "fly", "confidence": 1.0}]


def test_what_was_not_understood_stands_first_in_the_ranking_and_the_likeliest_second() -> None:
    unclear = Event("user", "nlu_fallback", None, "hm")
    tracker = a_tracker(unclear, understanding=an_understanding(None, nearest="greet"))

    names = [each["name"] for each in tracker["latest_message"]["intent_ranking"]]

    assert names == ["nlu_fallback", "greet", "other"]
    assert intent_of_latest_message(tracker) == "greet"


def test_an_entity_is_written_with_where_it_stands_and_who_found_it() -> None:
    assert entity_json(CITY) == {
        "entity": "city",
        "value": "Wien",
        "start": 9,
        "end": 14,
        "confidence_entity": 0.75,
        "extractor": "lookup",
        "role": "to",
        "group": "1",
    }
    assert entity_json(Entity("city", 3, 0, 0, ""))["extractor"] == "Parley"


@pytest.mark.parametrize(
    ("event", "written"),
    [
        (Event("slot", "size", "xl"), {"event": "slot", "name": "size", "value": "xl"}),
        (Event("active_loop", "pizza_form"), {"event": "active_loop", "name": "pizza_form"}),
        (Event("active_loop", None), {"event": "active_loop", "name": None}),
        (Event("followup", "utter_x"), {"event": "followup", "name": "utter_x"}),
        (Event("action_execution_rejected", "f"), {"event": "action_execution_rejected", "name": "f"}),
        (Event("loop_interrupted", value=True), {"event": "loop_interrupted", "is_interrupted": True}),
        (Event("bot", "utter_x", text="hi"), {"event": "bot", "text": "hi", "data": {}}),
        (Event("rewind"), {"event": "rewind"}),
        (Event("restart"), {"event": "restart"}),
        (Event("session_started"), {"event": "session_started"}),
        (
            Event("action", "utter_x", hidden=True, policy="rule"),
            {
                "event": "action",
                "name": "utter_x",
                "policy": "rule",
                "confidence": 1.0,
                "action_text": None,
                "hide_rule_turn": True,
            },
        ),
    ],
    ids=lambda each: each.kind if isinstance(each, Event) else "",
)
def test_an_event_is_written_as_rasas(event: Event, written: dict[str, Any]) -> None:
    assert event_json(event, at=AT, channel="slack") == {"timestamp": AT, "metadata": {}, **written}


def test_an_utterance_is_written_with_what_was_understood() -> None:
    written = event_json(HEARD, at=AT, channel="slack")

    assert (written["text"], written["input_channel"]) == ("fly me to vienna", "slack")
    assert written["parse_data"]["intent"] == {"name": "fly", "confidence": 1.0}


def test_a_request_names_the_action_and_has_tracker_and_domain() -> None:
    bot = a_domain_bot()
    dialogue = a_dialogue(bot, HEARD, Event("slot", "size", "xl"))

    sent = request(
        bot,
        "action_look",
        conversation_id="c1",
        channel="slack",
        at=AT,
        dialogue=dialogue,
        events=dialogue.trail,
        understanding=None,
    )

    assert sent.action == sent.body["next_action"] == "action_look"
    assert (sent.body["sender_id"], sent.body["version"]) == ("c1", "3.6.21")
    assert sent.body["domain"] == domain_json(bot)
    assert sent.body["tracker"]["slots"]["size"] == sent.slots["size"] == "xl"
    assert [event["event"] for event in sent.body["tracker"]["events"]] == ["action", "user", "slot"]


def test_a_domain_has_slots_with_mappings_forms_responses_and_actions() -> None:
    bot = replace(a_domain_bot(), intents={"fly": ("city",)}, session=SessionSettings(5, False))

    assert domain_json(bot) == {
        "version": "3.1",
        "intents": ["fly"],
        "entities": ["city", "size"],
        "slots": {
            "size": {
                "type": "categorical",
                "values": ["s", "xl"],
                "initial_value": None,
                "influence_conversation": True,
                "mappings": [{"type": "from_entity", "entity": "size", "role": "big"}],
            },
            "note": {
                "type": "text",
                "initial_value": "none",
                "influence_conversation": False,
                "mappings": [
                    {
                        "type": "from_text",
                        "not_intent": ["stop"],
                        "conditions": [{"active_loop": "pizza_form", "requested_slot": "note"}],
                    }
                ],
            },
        },
        "responses": {
            "utter_x": [
                {
                    "text": "hi",
                    "channel": "slack",
                    "id": "a",
                    "buttons": [{"title": "Yes", "payload": "/affirm"}],
                    "condition": [{"type": "slot", "name": "size", "value": "xl"}],
                }
            ]
        },
        "actions": ["action_look"],
        "forms": {"pizza_form": {"required_slots": ["size", "note"], "ignored_intents": ["chat"]}},
        "session_config": {"session_expiration_time": 5, "carry_over_slots_to_new_session": False},
        "e2e_actions": [],
    }


# Events that an action sends


@pytest.mark.parametrize(
    ("sent", "event"),
    [
        (
            {"event": "slot", "name": "size", "value": ["a", {"b": 1}], "timestamp": None},
            Event("slot", "size", ["a", {"b": 1}]),
        ),
        ({"event": "slot", "name": "size"}, Event("slot", "size")),
        ({"event": "active_loop", "name": "f"}, Event("active_loop", "f")),
        ({"event": "active_loop", "name": None}, Event("active_loop")),
        ({"event": "form", "name": "f"}, Event("active_loop", "f")),
        ({"event": "followup", "name": "action_look"}, Event("followup", "action_look")),
        ({"event": "action", "name": "action_listen", "policy": None}, Event("action", "action_listen")),
        (
            {"event": "action_execution_rejected", "name": "f", "policy": None, "confidence": None},
            Event("action_execution_rejected", "f"),
        ),
        ({"event": "loop_interrupted", "is_interrupted": True}, Event("loop_interrupted", value=True)),
        ({"event": "loop_interrupted"}, Event("loop_interrupted", value=False)),
        ({"event": "bot", "text": "hi", "data": {"image": "x"}}, Event("bot", value={"image": "x"}, text="hi")),
        *(
            ({"event": kind, "timestamp": None}, Event(kind))
            for kind in ("pause", "resume", "restart", "session_started", "reset_slots", "rewind", "undo")
        ),
    ],
    ids=lambda each: each.kind if isinstance(each, Event) else "",
)
def test_an_event_of_an_action_is_read(sent: dict[str, Any], event: Event) -> None:
    assert events_of([sent]) == [event]


def test_an_utterance_of_an_action_is_read_with_its_entities() -> None:
    parsed = {"intent": {"name": "fly"}, "entities": [{"entity": "city", "value": "Wien", "role": "to"}]}

    [event] = events_of([{"event": "user", "text": "to vienna", "parse_data": parsed}])

    assert (event.kind, event.name, event.text) == ("user", "fly", "to vienna")
    assert event.entities == (Entity("city", "Wien", 0, 0, "", "to", found_by="client"),)


@pytest.mark.parametrize("kind", ["reminder", "cancel_reminder", "export", "agent", "entities", "user_featurization"])
def test_events_that_mean_nothing_here_are_left_out(kind: str) -> None:
    assert events_of([{"event": kind}, {"event": "pause"}]) == [Event("pause")]


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        ({}, "without its kind"),
        ({"event": None}, "without its kind"),
        ({"event": 3}, "without its kind"),
        ({"event": "nix"}, "of a kind that there is not"),
        ({"event": "slot", "value": 1}, "`slot` event without a name"),
        ({"event": "slot", "name": 3}, "`slot` event without a name"),
        ({"event": "action", "name": None}, "`action` event without a name"),
        ({"event": "followup", "name": ["a"]}, "`followup` event without a name"),
        ({"event": "user", "text": "hi"}, "without an intent"),
        ({"event": "user", "parse_data": {"intent": "greet"}}, "without an intent"),
        ({"event": "user", "parse_data": {"intent": {}, "entities": {"city": "Wien"}}}, "entities that are none"),
        ({"event": "user", "parse_data": {"intent": {}, "entities": [{"value": "Wien"}]}}, "entities that are none"),
    ],
)
def test_an_event_that_is_none_fails_the_action_by_name(sent: dict[str, Any], reason: str) -> None:
    with pytest.raises(ActionFailed, match=reason):
        events_of([{"event": "pause"}, sent])


def nested(depth: int) -> Any:
    value: Any = "deep"
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("x" * MOST_SLOT_BYTES, "more than 64 KB"),
        (["ü" * (MOST_SLOT_BYTES // 6)], "more than 64 KB"),
        ({"x": object()}, "cannot be kept"),
        (nested(100_000), "cannot be kept"),
    ],
    ids=["long", "long when written", "no JSON", "deep"],
)
def test_slots_that_a_conversation_cannot_keep_fail_the_action(value: Any, reason: str) -> None:
    with pytest.raises(ActionFailed, match=reason):
        events_of([{"event": "slot", "name": "size", "value": value}])


def test_what_several_events_set_is_counted_together() -> None:
    half = {"event": "slot", "name": "size", "value": "x" * (MOST_SLOT_BYTES // 2)}

    assert len(events_of([half])) == 1
    with pytest.raises(ActionFailed):
        events_of([half, half])


# Responses that an action sends


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ({"text": "hi"}, Message("hi")),
        ({"text": None, "custom": {"a": 1}}, Message("", custom={"a": 1})),
        ({"text": "hi", "custom": {}, "attachment": None, "elements": []}, Message("hi")),
        ({"text": 3}, Message("3")),
        ({"image": "https://shop.example/a.png"}, Message("", image="https://shop.example/a.png")),
        ({"text": "?", "attachment": {"type": "file"}}, Message("?", attachment={"type": "file"})),
        (
            {"text": "?", "buttons": [{"title": "Yes", "payload": "/affirm"}, {"title": "Or"}]},
            Message("?", (Button("Yes", "/affirm"), Button("Or", ""))),
        ),
        (
            {"text": "?", "quick_replies": [{"title": "Yes", "payload": "/affirm"}]},
            Message("?", (Button("Yes", "/affirm"),)),
        ),
    ],
)
def test_a_response_of_an_action_is_a_message(sent: dict[str, Any], message: Message) -> None:
    assert message_of(sent) == message


@pytest.mark.parametrize("buttons", ["Yes", {"title": "Yes"}, ["Yes"], [None]])
def test_buttons_that_are_none_fail_the_action(buttons: Any) -> None:
    with pytest.raises(ActionFailed, match="buttons that are none"):
        message_of({"text": "?", "buttons": buttons})


def test_a_response_that_says_nothing_is_not_said() -> None:
    rules = {"look": {"steps": [{"intent": "look"}, {"action": "action_look"}]}}
    bot = a_bot(rules, actions=("action_look",), custom=SOME_SERVER)
    empty: dict[str, Any] = {
        "text": None,
        "buttons": [],
        "elements": [],
        "custom": {},
        "image": None,
        "attachment": None,
    }

    assert Talk(bot, {"action_look": {**does(), "responses": [empty]}}).hears("look").said == ()


def test_files_stand_in_the_metadata_of_what_was_said() -> None:
    photo = a_photo()
    said = Event("user", "greet", "greet", "look", uploads=(photo,))

    written = event_json(said, at=1.0, channel="http")

    assert message_json(said, None)["metadata"] == {"uploads": [photo.as_json()]}
    assert written["metadata"] == written["parse_data"]["metadata"] == {"uploads": [photo.as_json()]}
