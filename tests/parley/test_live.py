"""Live: what people see of a turn while it goes on."""

import json
import time
from collections.abc import Callable
from typing import Any

from parley.adapters.memory import MemoryConnections, MemorySockets
from parley.conversation import Citation, Turn
from parley.errors import Unavailable
from parley.live import FRAMES_PER_DELIVERY, Live
from tests.builders import a_recorded_turn, a_turn

WITHIN_SECONDS = 10


class Room:
    """A turn, and the connections that follow it."""

    def __init__(self, sockets: MemorySockets | None = None) -> None:
        self.turn: Turn = a_turn(id="t", conversation_id="c")
        self.connections = MemoryConnections(time.time)
        self.sockets = sockets or MemorySockets()

    def live(self, delivery: int = 1) -> Live:
        return Live(self.turn, self.connections, self.sockets, delivery=delivery)

    def frames(self, connection_id: str = "one") -> list[dict[str, Any]]:
        return [json.loads(frame) for to, frame in self.sockets.sent if to == connection_id]

    def text(self, connection_id: str = "one") -> str:
        """What a client reads that does what the protocol says."""
        text = ""
        for frame in self.frames(connection_id):
            if frame["type"] == "delta":
                text = text[: frame["at"]] + frame["text"]
        return text

    def wait_for(self, happens: Callable[[], bool]) -> None:
        deadline = time.monotonic() + WITHIN_SECONDS
        while not happens():
            assert time.monotonic() < deadline, "it did not happen"
            time.sleep(0.01)


def test_pieces_arrive_before_the_reply_is_done_and_in_order() -> None:
    room = Room()
    room.connections.listen("one", "c")

    with room.live() as live:
        live.write("Very ", at=0)
        live.write("well", at=5)
        room.wait_for(lambda: room.text() == "Very well")
        live.write(", thanks.", at=9)
        live.done(a_recorded_turn(turn_id="t"))

    assert room.text() == "Very well, thanks."
    numbers = [frame["number"] for frame in room.frames()]
    assert numbers == list(range(1, len(numbers) + 1))
    assert room.frames()[-1]["type"] == "done"


def test_pieces_that_come_together_leave_together() -> None:
    room = Room()
    room.connections.listen("one", "c")

    with room.live() as live:
        for place, letter in enumerate("a word for each letter of a long sentence" * 20):
            live.write(letter, at=place)

    assert room.text() == "a word for each letter of a long sentence" * 20
    assert len(room.frames()) < 20


def test_what_is_written_again_from_the_start_replaces_what_stood_there() -> None:
    room = Room()
    room.connections.listen("one", "c")

    with room.live() as live:
        live.write("Half a", at=0)
        live.write("All is well.", at=0)

    assert room.text() == "All is well."


def test_who_connects_in_the_middle_gets_it_all_and_who_resumes_the_rest() -> None:
    room = Room()
    room.connections.listen("one", "c")

    with room.live() as live:
        live.write("First.", at=0)
        room.wait_for(lambda: room.text() == "First.")
        live.cite(Citation("Returns", "returns.md", "Returns", "30 days"))
        room.wait_for(lambda: len(room.frames()) == 2)
        room.connections.listen("late", "c")
        room.connections.listen("back", "c", turn_id="t", after=1)
        room.wait_for(lambda: len(room.frames("late")) == 2)
        live.done(a_recorded_turn(turn_id="t"))

    assert [frame["type"] for frame in room.frames("late")] == ["delta", "citation", "done"]
    assert [frame["number"] for frame in room.frames("back")] == [2, 3]


def test_a_number_that_was_reached_in_another_turn_means_nothing() -> None:
    room = Room()
    room.connections.listen("one", "c", turn_id="another", after=40)

    with room.live() as live:
        live.done(a_recorded_turn(turn_id="t"))

    assert [frame["number"] for frame in room.frames()] == [1]


def test_who_is_gone_is_forgotten_and_the_others_hear_on() -> None:
    room = Room()
    room.connections.listen("gone", "c")
    room.connections.listen("one", "c")
    room.sockets.gone.add("gone")

    with room.live() as live:
        live.write("Hello.", at=0)
        live.done(a_recorded_turn(turn_id="t"))

    assert room.text() == "Hello."
    assert [who.connection_id for who in room.connections.listeners("c").listeners] == ["one"]


def test_a_frame_that_cannot_be_sent_now_is_sent_again_and_none_is_left_out() -> None:
    class Shaky(MemorySockets):
        def __init__(self) -> None:
            super().__init__()
            self.refusals = 2

        def send(self, connection_id: str, frame: str) -> bool:
            if self.refusals:
                self.refusals -= 1
                raise Unavailable("too many requests")
            return super().send(connection_id, frame)

    room = Room(Shaky())
    room.connections.listen("one", "c")

    with room.live() as live:
        live.write("Hello.", at=0)
        live.done(a_recorded_turn(turn_id="t"))

    assert [frame["type"] for frame in room.frames()] == ["delta", "done"]


def test_a_cancellation_is_noticed() -> None:
    room = Room()

    with room.live() as live:
        assert not live.wants_no_more
        room.connections.cancel("c", "another")
        room.connections.cancel("c", "t")
        room.wait_for(lambda: live.wants_no_more)


def test_a_turn_that_is_delivered_again_numbers_on() -> None:
    room = Room()
    room.connections.listen("one", "c")

    with room.live(delivery=2) as live:
        live.done(a_recorded_turn(turn_id="t"))

    assert [frame["number"] for frame in room.frames()] == [FRAMES_PER_DELIVERY + 1]


def test_a_store_that_is_away_costs_the_frames_and_not_the_turn() -> None:
    class Away(MemoryConnections):
        def listeners(self, conversation_id: str) -> Any:
            raise Unavailable("the database did not answer")

    room = Room()
    room.connections = Away(time.time)

    with room.live() as live:
        live.write("Hello.", at=0)
        live.done(a_recorded_turn(turn_id="t"))

    assert room.frames() == []
