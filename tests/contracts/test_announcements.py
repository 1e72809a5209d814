"""The contract of `ports.Announcements`, kept by the fake and by EventBridge alike."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from parley.adapters.announcements import EventBridgeAnnouncements
from parley.adapters.memory import MemoryAnnouncements
from parley.errors import Unavailable
from parley.handoff import announcement
from parley.ports import Announcements
from tests.builders import a_recorded_turn, a_reply, a_session, a_turn
from tests.contracts.conftest import Bus

MOST_EVENT_BYTES = 255 * 1024  # of the 256 KB that EventBridge takes, with the name of the bus and what goes around
DETAIL = {
    "id": "t1",
    "at": 1_000.5,
    "user_id": None,
    "is_whole": True,
    "transcript": [{"from": "user", "text": "schön 😀"}],
}


@dataclass
class Told:
    """Announcements, and what those who listen hear of them."""

    announcements: Announcements
    heard: Callable[[], list[tuple[str, Mapping[str, Any]]]]


@pytest.fixture(params=["memory", "eventbridge"])
def told(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Told:
    if request.param == "memory":
        memory = MemoryAnnouncements()
        return Told(memory, lambda: memory.told)
    for name, value in request.getfixturevalue("aws").items():
        monkeypatch.setenv(name, value)
    bus: Bus = request.getfixturevalue("bus")
    return Told(
        EventBridgeAnnouncements(bus.name),
        lambda: [(event["detail-type"], event["detail"]) for event in bus.heard()],
    )


def test_what_is_announced_is_heard_whole(told: Told) -> None:
    told.announcements.announce("conversation.handed_off", DETAIL)

    assert told.heard() == [("conversation.handed_off", DETAIL)]


def test_what_is_announced_twice_carries_the_same_id(told: Told) -> None:
    session, turn = a_session(), a_turn()

    for _ in range(2):
        told.announcements.announce("conversation.message", announcement(session, turn, ()))

    assert [detail["id"] for _, detail in told.heard()] == [turn.id, turn.id]


@pytest.mark.parametrize("character", ["x", "\n", '"', "ж", "語", "😀"])
def test_the_longest_conversation_can_be_announced_in_any_script(told: Told, character: str) -> None:
    long = a_recorded_turn(message=character * 4_000, reply=a_reply(character * 4_000))
    detail = announcement(a_session(version=50), a_turn(text=character * 4_000), [long] * 50)

    told.announcements.announce("conversation.handed_off", detail)

    [(_, heard)] = told.heard()
    assert heard["transcript"][-1]["text"] == character * 4_000
    assert not heard["is_whole"]
    assert len(msgspec.json.encode(heard)) < MOST_EVENT_BYTES


@pytest.fixture(params=["memory", "a name that is no bus's", "an endpoint that is away"])
def away(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Announcements:
    if request.param == "memory":
        return MemoryAnnouncements(fails_with=Unavailable("away"))
    for name, value in request.getfixturevalue("aws").items():
        monkeypatch.setenv(name, value)
    if request.param == "an endpoint that is away":
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    return EventBridgeAnnouncements("arn:aws:events:eu-west-1:000000000000:rule/no-bus")


def test_what_nobody_takes_is_no_secret(away: Announcements) -> None:
    with pytest.raises(Unavailable):
        away.announce("conversation.handed_off", DETAIL)
