"""Conversations that the real Rasa 3.6.21 had with a small bot go the same way here, turn by turn.

`against_rasa/` is a Rasa project. Its `tests/conversations.yml` was written down from Rasa's `MessageProcessor`, with
`RulePolicy` and `AugmentedMemoizationPolicy`, before an action server that does what `ACTS` does. What Rasa keeps in
`requested_slot` while no form is under way is left out.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from parley.bots.bot import Bot
from parley.bots.reader import read_bot
from parley.bots.source import Faults
from parley.conversation import Entity
from parley.dialogue.actions import Call
from parley.dialogue.learn import learn
from tests.builders import SOME_SERVER, Act, Talk, does, done, sets, texts

PROJECT = Path(__file__).parent / "against_rasa"
CONVERSATIONS = YAML(typ="safe").load(PROJECT / "tests/conversations.yml")


@cache
def the_bot() -> Bot:
    faults = Faults()
    read = read_bot(PROJECT, faults)
    bot = learn(replace(read.bot, custom=SOME_SERVER), read.rules, read.stories, faults)
    faults.raise_if_any()
    return bot


def words(call: Call) -> str:
    """What was said last."""
    return str(call.dialogue.now.heard.text) if call.dialogue.now.heard else ""


def just_set(call: Call, slot: str) -> Any:
    """What the last events of the conversation set a slot to."""
    for event in reversed(call.events):
        if event.kind != "slot":
            break
        if event.name == slot:
            return event.value
    return None


def looks_for_cold(call: Call) -> Mapping[str, Any]:
    return does(*sets(cold=True)) if "cold" in words(call) else does()


def lifts_five(call: Call) -> Mapping[str, Any]:
    return does(*sets(level="7"), say="seven") if just_set(call, "level") == "5" else does()


def knows_drinks(call: Call) -> Mapping[str, Any]:
    drink = just_set(call, "drink")
    if not drink:
        return does()
    if str(drink).lower() in ("cola", "water", "juice"):
        return does(*sets(drink=str(drink).lower()))
    return does(*sets(drink=None), say="no such drink")


ACTS: Mapping[str, Act] = {
    "action_cold": looks_for_cold,
    "action_mood": lambda call: does(*sets(mooded="good" in words(call)), say="hm"),
    "action_do": lambda call: does(*json.loads(words(call)), say="done"),  # the events that were asked for
    "action_reject": does(rejects=True),
    "action_ask_note": does(say="note?"),
    "action_validate_slot_mappings": lifts_five,
    "validate_drink_form": knows_drinks,
}


@pytest.mark.parametrize("conversation", CONVERSATIONS, ids=lambda conversation: conversation["name"])
def test_a_conversation_goes_as_with_rasa(conversation: dict[str, Any]) -> None:
    talk = Talk(the_bot(), ACTS)
    expected: dict[str, Any] = {}
    for number, turn in enumerate(conversation["turns"], start=1):
        entities = [
            Entity(each["entity"], each["value"], 0, 0, "", each.get("role")) for each in turn.get("entities", ())
        ]
        intent, nearest = turn["intent"], "greet"
        expected = {**expected, **turn.get("sets", {})}

        outcome = talk.hears(
            None if intent == "nlu_fallback" else intent, turn["hears"], entities=entities, nearest=nearest
        )

        loop = talk.now.loop.name if talk.now.loop else None
        slots = {name: value for name, value in talk.slots.items() if loop or name != "requested_slot"}
        happened = (
            [action for action in done(outcome) if action != "action_session_start"],
            texts(outcome),
            slots,
            loop,
            talk.now.paused,
        )
        assert happened == (
            turn["does"],
            turn["says"],
            {name: value for name, value in expected.items() if value is not None},
            turn.get("loop"),
            turn.get("paused", False),
        ), f"turn {number}: {turn['hears']}"
