"""What subscribers are told of what was recorded, and the door that sends it on its way."""

import json
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from parley.access import Access
from parley.adapters.conversation_stream import kept_in
from parley.adapters.memory import MemoryDeliveryQueue, MemorySubscriptions
from parley.channels.webhooks import KINDS, MOST_BYTES, Kept, Notice, delivery_to, notices_of
from parley.conversation import Event, Feedback, Message, RecordedTurn, Reply, Understanding
from parley.errors import Unavailable
from parley.notify_door import NotifyDoor
from parley.ports import Subscription

HEARD = Understanding("ask_opening", 0.98765, (), (), "en")
TURN = RecordedTurn(
    "t2", 2, "when are you open?", "http", 1_700_000_000.25, Reply((Message("At nine."),), "knowledge"), HEARD
)
FORM = Event("active_loop", None, {"form": "order_form", "slots": {"order": "WB-1", "size": 3}})


def kept(turn: RecordedTurn = TURN, **changes: Any) -> Kept:
    return replace(Kept(turn, "c1", "support", "u1", None, is_new=True), **changes)


def told(it: Kept, *, content: bool = True) -> dict[str, Any]:
    return {notice.kind: json.loads(notice.body(content=content)) for notice in notices_of(it)}


def test_a_turn_is_told_with_what_was_said_and_where_the_reply_comes_from() -> None:
    (body,) = told(kept()).values()

    assert body.pop("id").startswith("msg_")
    assert body == {
        "type": "turn.answered",
        "timestamp": "2023-11-14T22:13:20.250Z",
        "data": {
            "conversation_id": "c1",
            "turn_id": "t2",
            "number": 2,
            "bot": "support",
            "channel": "http",
            "user_id": "u1",
            "source": "knowledge",
            "intent": "ask_opening",
            "confidence": 0.9877,
            "message": "when are you open?",
            "replies": [{"text": "At nine."}],
        },
    }


def test_who_wants_no_words_is_told_none() -> None:
    turn = replace(TURN, number=1, events=(FORM,), feedback=Feedback("down", 5.0, "no!"))
    bodies = [*told(kept(turn), content=False).values(), *told(kept(turn, is_new=False), content=False).values()]

    assert len(bodies) == 4
    assert not [word for word in ("open?", "nine", "WB-1", "no!") if word in json.dumps(bodies)]
    assert [body["data"]["rating"] for body in bodies if "rating" in body["data"]] == ["down"]


def test_the_first_turn_begins_a_conversation() -> None:
    assert list(told(kept(replace(TURN, number=1)))) == ["conversation.started", "turn.answered"]


def test_a_form_that_has_all_its_slots_is_told_with_them() -> None:
    body = told(kept(replace(TURN, events=(FORM,))))["form.completed"]

    assert body["data"]["form"] == "order_form"
    assert body["data"]["slots"] == {"order": "WB-1", "size": 3}


@pytest.mark.parametrize(
    "event",
    [
        Event("active_loop", None),
        Event("active_loop", "order_form"),
        Event("active_loop", None, {"form": "order_form", "slots": {"order": "WB-1", "size": None}}),
    ],
    ids=["ended by a rule", "begun", "ended without a slot"],
)
def test_a_form_that_has_not_is_not_completed(event: Event) -> None:
    assert "form.completed" not in told(kept(replace(TURN, events=(event,))))


def test_the_turn_that_hands_off_is_told_and_those_after_it_are_turns() -> None:
    assert "conversation.handed_off" in told(kept(handed_off_at=TURN.sent_at))
    assert list(told(kept(handed_off_at=TURN.sent_at - 60))) == ["turn.answered"]


def test_feedback_is_told_and_the_turn_is_not_told_again() -> None:
    rated = replace(TURN, feedback=Feedback("up", 1_700_000_100.0, "thanks"))

    (body,) = told(kept(rated, is_new=False)).values()

    assert (body["type"], body["timestamp"]) == ("feedback.given", "2023-11-14T22:15:00.000Z")
    assert (body["data"]["rating"], body["data"]["comment"], body["data"]["turn_id"]) == ("up", "thanks", "t2")
    assert told(kept(is_new=False)) == {}


def test_the_same_told_twice_has_the_same_id_and_nothing_else_has() -> None:
    rated = replace(TURN, feedback=Feedback("up", 5.0))
    changed = replace(TURN, feedback=Feedback("up", 6.0))
    turn = replace(TURN, number=1, events=(FORM, FORM))
    all_of_it = [kept(turn, handed_off_at=TURN.sent_at), kept(conversation_id="c2"), kept(replace(TURN, turn_id="t3"))]
    all_of_it += [kept(rated, is_new=False), kept(changed, is_new=False)]

    once, again = ([notice.id for each in all_of_it for notice in notices_of(each)] for _ in range(2))

    assert once == again
    assert len(set(once)) == len(once) == 9


@pytest.mark.parametrize("words", ["x" * MOST_BYTES, '"' * (MOST_BYTES // 3), "ж" * (MOST_BYTES // 7)])
def test_what_is_too_large_for_the_queue_is_told_without_words(words: str) -> None:
    turn = replace(TURN, reply=Reply((Message(words),), "scripted"))
    subscription = Subscription("s", "main", "s", "https://shop.example/", KINDS, (), True, (), 1.0)

    (notice,) = notices_of(kept(turn))
    delivery = delivery_to(subscription, notice, now=1.0)
    body = json.loads(delivery.body)

    assert len(msgspec.json.encode(delivery)) <= MOST_BYTES
    assert body["data"]["content_left_out"] is True
    assert "replies" not in body["data"]
    assert body["data"]["turn_id"] == "t2"


def a_record(it: Kept, name: str = "INSERT") -> dict[str, Any]:
    """A record of the stream, as DynamoDB gives it."""
    body = msgspec.json.encode(replace(it.turn, feedback=None)).decode()
    image: dict[str, Any] = {"pk": {"S": f"conversation#{it.conversation_id}"}, "sk": {"S": "turn#000002"}}
    image |= {"body": {"S": body}, "bot": {"S": it.bot}, "number": {"N": "2"}, "expires_at": {"N": "1"}}
    if it.user_id:
        image["said_by"] = {"S": it.user_id}
    if it.handed_off_at is not None:
        image["handed_off_at"] = {"N": repr(it.handed_off_at)}
    if it.turn.feedback:
        image["feedback"] = {"S": msgspec.json.encode(it.turn.feedback).decode()}
    return {"eventName": name, "dynamodb": {"NewImage": image}}


@pytest.mark.parametrize(
    ("it", "name"),
    [
        (kept(), "INSERT"),
        (kept(replace(TURN, events=(FORM,)), user_id=None, handed_off_at=TURN.sent_at), "INSERT"),
        (kept(replace(TURN, feedback=Feedback("down", 5.5, "no")), is_new=False), "MODIFY"),
    ],
)
def test_what_the_stream_shows_is_read_as_it_was_kept(it: Kept, name: str) -> None:
    assert kept_in(a_record(it, name)) == it


def test_what_is_no_turn_is_passed_over() -> None:
    state = {"eventName": "INSERT", "dynamodb": {"NewImage": {"pk": {"S": "conversation#c1"}, "sk": {"S": "state"}}}}
    gone = {"eventName": "REMOVE", "dynamodb": {}}
    old = a_record(kept())
    del old["dynamodb"]["NewImage"]["bot"]

    assert [kept_in(record) for record in (state, gone, old)] == [None, None, None]


def a_subscription(name: str, **changes: Any) -> Subscription:
    subscription = Subscription(name, "main", name, "https://shop.example/", KINDS, (), True, (), 1.0)
    return replace(subscription, **changes)


class Notify:
    """The door, with subscribers."""

    def __init__(self, *subscriptions: Subscription) -> None:
        self.queue, kept_ones = MemoryDeliveryQueue(), MemorySubscriptions()
        for each in subscriptions:
            kept_ones.save(each)
        access = {"support": Access(), "tutor": Access(), "clinic": Access(tenant="acme")}
        self.door = NotifyDoor(kept_ones, self.queue, access, lambda: 5_000.0)

    def told(self, *records: dict[str, Any]) -> list[tuple[str, str]]:
        self.door({"Records": list(records)}, None)
        return [(delivery.to, delivery.kind) for delivery, _ in self.queue.sent]


def test_each_subscriber_is_told_what_it_wants_of_the_bots_it_wants() -> None:
    notify = Notify(
        a_subscription("all"),
        a_subscription("feedback", kinds=("feedback.given",)),
        a_subscription("tutor", bots=("tutor",)),
        a_subscription("other-tenant", tenant="acme"),
    )
    rated = kept(replace(TURN, feedback=Feedback("up", 5.0)), is_new=False)

    assert notify.told(a_record(kept()), a_record(rated, "MODIFY"), a_record(kept(bot="clinic"))) == [
        ("all", "turn.answered"),
        ("all", "feedback.given"),
        ("feedback", "feedback.given"),
        ("other-tenant", "turn.answered"),
    ]


def test_a_batch_that_the_stream_gives_twice_is_the_same_messages() -> None:
    notify = Notify(a_subscription("all"), a_subscription("no words", content=False))

    notify.told(a_record(kept()))
    first, second = notify.queue.sent
    notify.told(a_record(kept()))

    assert [delivery for delivery, _ in notify.queue.sent[2:]] == [first[0], second[0]]
    assert first[0].id == second[0].id
    assert ("when are you open?" in first[0].body, "when are you open?" in second[0].body) == (True, False)


def test_what_the_queue_does_not_take_the_stream_gives_again(monkeypatch: pytest.MonkeyPatch) -> None:
    notify = Notify(a_subscription("all"))

    def refuse(*_: object, **__: object) -> None:
        raise Unavailable("the queue did not take the delivery")

    monkeypatch.setattr(MemoryDeliveryQueue, "send", refuse)

    with pytest.raises(Unavailable):
        notify.told(a_record(kept()))


def test_a_notice_of_nothing_has_a_body_all_the_same() -> None:
    assert json.loads(Notice("msg_1", "ping", 0.5, "", {}).body(content=True))["data"] == {}
