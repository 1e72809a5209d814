"""Wording: which variation of a response is meant, and what slots make of its text, buttons and payloads."""

import json
from typing import Any

import pytest

from parley.bots.bot import Bot, Variation
from parley.conversation import Button, Message
from parley.dialogue.responses import fill, word
from tests.builders import SOME_SERVER, Talk, a_bot, does, done

SLOTS = {"size": "xl", "count": 3, "share": 2.0, "half": 0.5, "known": True, "empty": None, "toppings": ["ham", "egg"]}
WHEN_XL, WHEN_S = {"size": "XL"}, {"size": "s"}


def worded(*variations: Variation, channel: str = "http", seed: str = "t1", **extra: Any) -> Message | None:
    bot = a_bot(responses={"utter_x": variations})
    return word(bot, "utter_x", SLOTS, seed=seed, channel=channel, extra=extra)


def text_of(*variations: Variation, channel: str = "http") -> str | None:
    message = worded(*variations, channel=channel)
    return message.text if message else None


EVERY_KIND = (
    Variation("for all"),
    Variation("if xl", conditions=WHEN_XL),
    Variation("on slack", channel="slack"),
    Variation("on slack if xl", channel="slack", conditions=WHEN_XL),
)


@pytest.mark.parametrize(
    ("variations", "channel", "said"),
    [
        (EVERY_KIND, "slack", "on slack if xl"),
        (EVERY_KIND[:3], "slack", "on slack"),
        (EVERY_KIND[:2], "slack", "if xl"),
        (EVERY_KIND[:1], "slack", "for all"),
        (EVERY_KIND, "http", "if xl"),
        ((EVERY_KIND[0], EVERY_KIND[3]), "http", "for all"),
        ((Variation("for all"), Variation("if s", conditions=WHEN_S)), "http", "for all"),
        ((Variation("on slack", channel="slack"), Variation("if s", conditions=WHEN_S)), "http", None),
    ],
)
def test_the_channel_goes_before_conditions_and_both_before_what_is_for_all(
    variations: tuple[Variation, ...], channel: str, said: str | None
) -> None:
    assert text_of(*variations, channel=channel) == said


@pytest.mark.parametrize(
    ("conditions", "holds"),
    [
        ({"size": "Xl"}, True),
        ({"size": "s"}, False),
        ({"size": "xl", "count": 3}, True),
        ({"size": "xl", "count": 4}, False),
        ({"count": "3"}, False),
        ({"known": True}, True),
        ({"known": "true"}, False),
        ({"empty": None}, True),
        ({"never heard of": None}, True),
        ({"toppings": ["ham", "egg"]}, True),
    ],
)
def test_all_conditions_must_hold_and_texts_are_compared_in_any_case(conditions: dict[str, Any], holds: bool) -> None:
    assert text_of(Variation("for all"), Variation("special", conditions=conditions)) == (
        "special" if holds else "for all"
    )


def test_a_response_that_nobody_wrote_has_no_wording() -> None:
    assert word(a_bot(), "utter_nix", {}, seed="t", channel="http") is None


def test_among_equals_a_turn_always_gets_the_same_and_turns_differ() -> None:
    equals = tuple(Variation(f"way {number}", id=f"w{number}") for number in range(3))

    said = {seed: worded(*equals, seed=seed) for seed in map(str, range(40))}

    assert all(worded(*equals, seed=seed) == message for seed, message in said.items())
    assert {message.text for message in said.values() if message} == {"way 0", "way 1", "way 2"}


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("Size {size}, {count} pieces", "Size xl, 3 pieces"),
        ("{share} or {half}", "2 or 0.5"),
        ("{known}", "yes"),
        ("with {toppings}", "with ham, egg"),
        ("[{empty}]", "[]"),
        ("[{nix}]", "[]"),
        ("{not a name}, {}, {a.b}", "{not a name}, {}, {a.b}"),
        ("a { b", "a { b"),
        ("{{size}}", "{size}"),
        ("{{{size}}}", "{xl}"),
        ("an } alone", "an } alone"),
    ],
)
def test_slots_stand_in_the_place_of_their_names(template: str, said: str) -> None:
    assert fill(template, SLOTS) == said


def test_what_stands_in_a_slot_is_not_filled_in_again() -> None:
    assert fill("{a}", {"a": "{b}", "b": "secret"}) == "{b}"


def test_values_that_a_custom_action_gives_stand_beside_slots_and_go_before_them() -> None:
    message = worded(Variation("{size} for {price}"), price=9.5, size="s")

    assert message == Message("s for 9.5")


def test_images_attachments_and_buttons_are_filled_too() -> None:
    message = worded(
        Variation(
            "Which?",
            (Button("{size}?", "/inform"),),
            image="https://shop.example/{size}.png",
            attachment={"type": "file", "names": ["{size}.pdf"]},
        )
    )

    assert message == Message(
        "Which?",
        (Button("xl?", "/inform"),),
        "https://shop.example/xl.png",
        attachment={"type": "file", "names": ["xl.pdf"]},
    )


def test_a_payload_for_the_channel_is_filled_in_its_texts_at_any_depth() -> None:
    custom = {"blocks": [{"text": "{size}", "number": 1, "on": True, "none": None}], "{size}": "{count}"}

    message = worded(Variation(custom=custom))

    assert message is not None
    assert message.text == ""
    assert message.custom == {"blocks": [{"text": "xl", "number": 1, "on": True, "none": None}], "{size}": "3"}
    assert custom["blocks"] == [{"text": "{size}", "number": 1, "on": True, "none": None}]


@pytest.mark.parametrize(
    ("payload", "sent"),
    [
        ("/inform", "/inform"),
        ('/inform{"size": "s"}', '/inform{"size": "s"}'),
        ('/inform{{"size": "{size}"}}', '/inform{"size": "xl"}'),
        ('/inform{"size": "{size}"}', '/inform{"size": "xl"}'),
        ('/inform{"sizes": ["s", "m"], "more": {"a": 1}}', '/inform{"sizes": ["s", "m"], "more": {"a": 1}}'),
        ("I want {size}", "I want xl"),
    ],
)
def test_the_json_of_a_buttons_payload_stays_json(payload: str, sent: str) -> None:
    message = worded(Variation("Which?", (Button("This", payload),)))

    assert message is not None
    assert message.buttons == (Button("This", sent),)


def test_no_value_breaks_out_of_the_json_of_a_payload() -> None:
    hostile = 'xl", "admin": "yes\\'
    bot = a_bot(responses={"utter_x": (Variation("?", (Button("This", '/inform{{"size": "{size}"}}'),)),)})

    message = word(bot, "utter_x", {"size": hostile}, seed="t", channel="http")

    assert message is not None
    assert json.loads(message.buttons[0].payload.removeprefix("/inform")) == {"size": hostile}


def test_a_bot_says_the_variation_for_the_channel_where_it_is_talked_to() -> None:
    bot = a_bot(responses={"utter_greet": (Variation("Hello"), Variation("Hi there", channel="slack"))})

    said = [Talk(bot, channel=channel).hears("greet").said[0].message.text for channel in ("http", "slack")]

    assert said == ["Hello", "Hi there"]


def test_a_bot_says_nothing_where_no_variation_is_meant() -> None:
    bot = a_bot(responses={"utter_greet": (Variation("Hi there", channel="slack"),)})

    assert Talk(bot).hears("greet").said == ()


def an_offering_bot(*variations: Variation) -> Bot:
    rules = {"offer": {"steps": [{"intent": "offer"}, {"action": "action_offer"}]}}
    return a_bot(rules, responses={"utter_offer": variations}, actions=("action_offer",), custom=SOME_SERVER)


def offers(response: str, **more: Any) -> dict[str, Any]:
    """What rasa_sdk sends for `dispatcher.utter_message(response=...)`."""
    bare: dict[str, Any] = {
        "text": None,
        "buttons": [],
        "elements": [],
        "custom": {},
        "image": None,
        "attachment": None,
    }
    return {**does(), "responses": [{**bare, "template": response, "response": response, **more}]}


def test_a_custom_action_may_name_a_response_with_values_of_its_own() -> None:
    bot = an_offering_bot(Variation("{size} for {price}", (Button("Yes", "/affirm"),)))
    sent = offers("utter_offer", size="s", price=9.5, buttons=[{"title": "No", "payload": "/deny"}])

    [said] = Talk(bot, {"action_offer": sent}).hears("offer").said

    assert said.message == Message("s for 9.5", (Button("Yes", "/affirm"), Button("No", "/deny")))
    assert said.response == "utter_offer"


def test_what_a_custom_action_says_itself_goes_before_what_the_response_says() -> None:
    bot = an_offering_bot(Variation("from the response", image="https://shop.example/a.png"))

    [said] = (
        Talk(bot, {"action_offer": offers("utter_offer", text="from the action", custom={"a": 1})}).hears("offer").said
    )

    assert said.message == Message("from the action", image="https://shop.example/a.png", custom={"a": 1})


def test_a_response_without_a_variation_for_the_case_says_nothing_when_an_action_names_it() -> None:
    bot = an_offering_bot(Variation("for s", conditions=WHEN_S))

    outcome = Talk(bot, {"action_offer": offers("utter_offer")}).hears("offer")

    assert done(outcome) == ["action_offer"]
    assert outcome.said == ()


def test_an_action_that_names_a_response_that_there_is_not_has_failed() -> None:
    outcome = Talk(an_offering_bot(), {"action_offer": offers("utter_nix")}).hears("offer")

    assert "`action_offer` failed" in outcome.because
