"""Whole conversations with Rasa's own action server behind them: forms, said responses, rejections, failures."""

from dataclasses import replace
from typing import Any

from parley.actions import ActionServer, CustomActions
from parley.adapters.actions import RemoteActions
from parley.bots.bot import Bot, Form, MappingCondition, Slot, SlotMapping, Variation
from parley.conversation import Dialogue, Entity, IntentScore, Session, Turn, Understanding
from parley.dialogue import protocol
from parley.dialogue.actions import Call, Need
from parley.dialogue.course import Outcome, converse, drive
from parley.dialogue.policy import Policy
from tests.builders import a_bot
from tests.contracts import test_rasa_sdk as sdk

sdk_python, server = sdk.sdk_python, sdk.server  # fixtures

RULES: dict[str, dict[str, Any]] = {
    "order": {"steps": [{"intent": "order"}, {"action": "pizza_form"}, {"active_loop": "pizza_form"}]},
    "ordered": {
        "condition": [{"active_loop": "pizza_form"}],
        "steps": [{"action": "pizza_form"}, {"active_loop": None}, {"action": "utter_done"}],
    },
    "thanks": {"steps": [{"intent": "thanks"}, {"action": "utter_welcome"}]},
    "offer": {"steps": [{"intent": "offer"}, {"action": "action_offer"}]},
    "fail": {"steps": [{"intent": "fail"}, {"action": "action_fail"}, {"action": "utter_done"}]},
}


def a_pizza_bot(server: ActionServer) -> Bot:
    """A bot whose form is validated by the action server, which asks for one slot more than the domain."""
    said = ("ask_size", "ask_crust", "done", "welcome", "default", "offer")
    from_words = SlotMapping("from_text", not_intents=("thanks",), conditions=(MappingCondition("pizza_form", "size"),))
    return a_bot(
        RULES,
        slots=(
            Slot("size", "text", (from_words,), influences=False),
            Slot("crust", "text", (SlotMapping("custom"),), influences=False),
            Slot("offered", "text", (SlotMapping("custom"),), influences=False),
            Slot("words", "text", (SlotMapping("custom"),), influences=False),
        ),
        forms={"pizza_form": Form("pizza_form", ("size",))},
        actions=("validate_pizza_form", "action_offer", "action_fail"),
        responses={f"utter_{name}": (Variation(name),) for name in said}
        | {
            "utter_done": (Variation("a {size} pizza with a {crust} crust"),),
            "utter_offer": (Variation("at {price}"),),
        },
        entity_names=("person",),
        unsure=(),
        custom=CustomActions(server),
    )


def what_stories_see(dialogue: Dialogue) -> list[tuple[str, str | None, bool]]:
    return [(event.kind, event.name, event.hidden) for event in dialogue.trail]


class Talk:
    """A conversation with it."""

    def __init__(self, server: ActionServer) -> None:
        self.policy = Policy(a_pizza_bot(server))
        self.session = Session("c1", "shop", "", 0.0)
        self._actions = RemoteActions(lambda name: name)

    def say(self, text: str, intent: str | None = None, **entities: str) -> Outcome:
        found = tuple(Entity(name, value, 0, len(value), value) for name, value in entities.items())
        understood = Understanding(intent, 0.9, (IntentScore(intent or "order", 0.9),), found, "en")
        turn = Turn(f"t{self.session.version}", "c1", "shop", "http", text, 1_000.0 + self.session.version)

        def perform(need: Need) -> Any:
            assert isinstance(need, Call)
            request = protocol.request(
                self.policy.bot,
                need.action,
                conversation_id="c1",
                channel="http",
                at=turn.sent_at,
                dialogue=need.dialogue,
                events=need.events,
                understanding=understood,
            )
            return self._actions.run(self.policy.bot.custom, request, budget_seconds=10.0)

        outcome = drive(converse(self.policy, self.session, turn, understood), perform)
        self.session = replace(self.session, version=self.session.version + 1, dialogue=outcome.dialogue)
        return outcome

    def replies(self, text: str, intent: str | None = None, **entities: str) -> list[str]:
        return [said.message.text for said in self.say(text, intent, **entities).said]


def test_a_form_is_validated_corrected_and_lengthened_by_the_action_server(server: ActionServer) -> None:
    talk = Talk(server)

    asked = talk.replies("i want a pizza", "order")
    refused = talk.replies("huge")
    accepted = talk.replies("xl")
    done = talk.replies("thin, please")

    assert asked == ["ask_size"]
    assert refused == ["We have no huge.", "ask_size"]
    assert accepted == ["ask_crust"]
    assert done == ["a XL pizza with a thin crust"]
    assert talk.session.form is None


def test_a_form_that_is_interrupted_asks_again(server: ActionServer) -> None:
    talk = Talk(server)
    talk.say("i want a pizza", "order")

    interrupted = talk.replies("thanks so far", "thanks")

    assert interrupted == ["welcome", "ask_size"]
    assert talk.session.form is not None


def test_an_action_says_what_it_wants_and_what_it_sets_is_remembered(server: ActionServer) -> None:
    talk = Talk(server)

    outcome = talk.say("an offer for Ada", "offer", person="Ada")

    hello, question, named = (said.message for said in outcome.said)
    assert (hello.text, hello.image) == ("Grüß Gott, Ada!", "https://shop.example/a.png")
    assert question.buttons[0].payload == '/inform{"size": "xl"}'
    assert question.custom == {"a": [1]}
    assert named.text == "at 9.5"
    assert talk.session.slots["words"] == "an offer for Ada"


def test_an_action_that_breaks_costs_a_message_and_takes_the_turn_back(server: ActionServer) -> None:
    talk = Talk(server)
    talk.say("hello", "thanks")
    before = talk.session.dialogue

    outcome = talk.say("do it", "fail")

    assert [(said.message.text, said.source) for said in outcome.said] == [("default", "fallback")]
    assert before is not None
    assert what_stories_see(outcome.dialogue) == what_stories_see(before)
