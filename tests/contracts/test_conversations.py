"""The contract of `ports.Conversations`, kept by the fake and by DynamoDB alike."""

import threading
import time
import uuid
from dataclasses import replace
from typing import Any

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from parley.adapters.dynamodb import DynamoConversations
from parley.adapters.memory import MemoryConversations
from parley.conversation import (
    Button,
    Dialogue,
    Entity,
    Event,
    Feedback,
    Loop,
    Message,
    RecordedTurn,
    Reply,
    Session,
    Situation,
)
from parley.conversation.session import GIVEN_UP_SECONDS
from parley.errors import NotFound, SessionConflict, Unavailable
from parley.ports import Conversations
from tests.builders import a_photo, a_recorded_turn, a_session, a_turn
from tests.contracts.conftest import Tables

SLOTS = {
    "text": "größer",
    "truth": True,
    "lie": False,
    "count": 7,
    "share": 0.25,
    "whole": 2.0,
    "list": ["a", 1, None, ["b"]],
    "object": {"city": {"name": "Köln", "at": [50.9, 6.9]}, "seen": None},
    "empty text": "",
    "empty list": [],
    "empty object": {},
}


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["memory", "dynamodb"])
def conversations(request: pytest.FixtureRequest, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Conversations:
    if request.param == "memory":
        return MemoryConversations(clock)
    for name, value in request.getfixturevalue("aws").items():
        monkeypatch.setenv(name, value)
    tables: Tables = request.getfixturevalue("tables")
    return DynamoConversations(tables.conversations, retention_days=30, clock=clock)


def one_turn_on(session: Session) -> Session:
    return replace(session, version=session.version + 1)


def test_an_unknown_conversation_opens_empty(conversations: Conversations) -> None:
    opened = conversations.open("nobody", "t")

    assert opened.session is None
    assert opened.recorded is None


def test_which_files_came_with_a_turn_is_read_back(conversations: Conversations) -> None:
    session = a_session()
    heard = Event("user", "greet", text="", uploads=(a_photo(), a_photo(id="u2", name="Grüße.png")))
    dialogue = Dialogue(Situation(heard=heard), Situation(), (heard,))
    turn = a_recorded_turn(uploads=heard.uploads, events=(heard,))

    conversations.start(session)
    conversations.record(replace(one_turn_on(session), dialogue=dialogue), turn)

    opened = conversations.open(session.conversation_id, turn.turn_id)
    assert opened.recorded == turn
    assert opened.session is not None
    assert opened.session.dialogue == dialogue


def test_what_is_recorded_is_read_back_whole(conversations: Conversations) -> None:
    size = Entity("size", "xl", 2, 8, "riesig", role="wanted", group="1", found_by="tagger", confidence=0.5)
    heard = Event("user", "faq", value="faq/sizes", text="schön 😀", entities=(size,))
    asked = Event("action", "order_form", hidden=True, policy="rule", because="rule `Order` at data/rules.yml:5")
    now = Situation(SLOTS, Loop("order_form", interrupted=True, rejected=True), "order_form", heard, None, paused=True)
    dialogue = Dialogue(now, Situation({"size": "s"}), (heard, asked), ("faq", None), heard_at=1_000.5)
    session = a_session(version=1, user_id="u1", dialogue=dialogue, handed_off_at=1_001.5)
    said = Message("Hm?", (Button("Yes", "/affirm"),), "https://x.example/i.png", (), {"type": "file"}, {"blocks": [1]})
    turn = a_recorded_turn(message="schön 😀", reply=Reply((said,), "scripted"), events=(heard, asked))

    conversations.record(session, turn, begins=True)

    opened = conversations.open(session.conversation_id, turn.turn_id)
    assert opened.session == session
    assert opened.recorded == turn
    assert conversations.history(session.conversation_id, limit=1) == (turn,)


@pytest.mark.parametrize("value", [*SLOTS.values(), None], ids=str)
def test_a_slot_keeps_a_value_of_any_type_of_json(conversations: Conversations, value: Any) -> None:
    told = Event("slot", "any", value)
    session = a_session(version=1, dialogue=Dialogue(now=Situation({"any": value}), trail=(told,)))

    conversations.record(session, a_recorded_turn(events=(told,)), begins=True)

    kept = conversations.open(session.conversation_id).session
    assert kept is not None
    assert repr(kept.slots) == repr(session.slots)  # 1 is not 1.0, nor True
    assert kept == session


def test_a_turn_that_nobody_recorded_is_not_found(conversations: Conversations) -> None:
    session = a_session(version=1)
    conversations.record(session, a_recorded_turn(), begins=True)

    assert conversations.open(session.conversation_id, "another").recorded is None


def test_a_session_that_was_kept_by_itself_is_found_as_it_is_and_kept_once(conversations: Conversations) -> None:
    session = a_session(version=3, user_id="u1", dialogue=Dialogue(now=Situation({"size": "xl"})))

    conversations.start(session)

    assert conversations.open(session.conversation_id).session == session
    with pytest.raises(SessionConflict):
        conversations.start(replace(session, version=4))
    assert conversations.open(session.conversation_id).session == session


def test_a_conversation_begins_once(conversations: Conversations) -> None:
    session = a_session(version=1)
    conversations.record(session, a_recorded_turn(), begins=True)

    with pytest.raises(SessionConflict):
        conversations.record(session, a_recorded_turn(), begins=True)
    with pytest.raises(SessionConflict):
        conversations.start(session)


def test_a_save_on_an_old_version_is_refused_and_changes_nothing(conversations: Conversations) -> None:
    session = a_session(version=1)
    conversations.record(session, a_recorded_turn(), begins=True)
    conversations.record(one_turn_on(session), a_recorded_turn(number=2))
    late = a_recorded_turn(number=2, turn_id="late")

    with pytest.raises(SessionConflict):
        conversations.record(replace(one_turn_on(session), dialogue=Dialogue(now=Situation({"size": "xl"}))), late)

    opened = conversations.open(session.conversation_id, "late")
    assert opened.session == one_turn_on(session)
    assert opened.recorded is None
    assert len(conversations.history(session.conversation_id, limit=10)) == 2


def test_a_turn_is_recorded_once_even_on_a_newer_version(conversations: Conversations) -> None:
    session, turn = a_session(version=1), a_recorded_turn()
    conversations.record(session, turn, begins=True)

    with pytest.raises(SessionConflict):
        conversations.record(one_turn_on(session), replace(turn, number=2))

    assert conversations.open(session.conversation_id).session == session
    assert len(conversations.history(session.conversation_id, limit=10)) == 1


def test_a_turn_of_no_conversation_is_not_accepted(conversations: Conversations) -> None:
    session = a_session()
    conversations.start(session)
    conversations.erase(session.conversation_id)
    turn = a_turn(conversation_id=session.conversation_id)

    with pytest.raises(NotFound):
        conversations.accept(turn)

    assert conversations.progress(session.conversation_id, turn.id) is None


def test_of_two_writers_at_once_one_wins_and_one_knows(conversations: Conversations) -> None:
    session = a_session(version=1)
    conversations.record(session, a_recorded_turn(), begins=True)
    outcomes: list[str] = []

    def write(name: str) -> None:
        try:
            conversations.record(one_turn_on(session), a_recorded_turn(number=2, turn_id=name))
            outcomes.append("won")
        except SessionConflict:
            outcomes.append("lost")

    writers = [threading.Thread(target=write, args=(f"w{i}",)) for i in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    assert sorted(outcomes) == ["lost", "won"]


def test_history_gives_the_last_turns_oldest_first_and_pages_back(conversations: Conversations) -> None:
    session = a_session()
    conversations.start(session)
    for number in range(1, 6):
        conversations.record(replace(session, version=number), a_recorded_turn(number=number))

    last = conversations.history(session.conversation_id, limit=2)
    earlier = conversations.history(session.conversation_id, limit=10, before=last[0].number)

    assert [turn.number for turn in last] == [4, 5]
    assert [turn.number for turn in earlier] == [1, 2, 3]
    assert conversations.history(session.conversation_id, limit=10, before=1) == ()


def test_an_erased_conversation_is_gone_with_all_its_turns(conversations: Conversations) -> None:
    session, turn = a_session(version=1), a_recorded_turn()
    conversations.record(session, turn, begins=True)

    conversations.erase(session.conversation_id)

    assert conversations.open(session.conversation_id, turn.turn_id).session is None
    assert conversations.history(session.conversation_id, limit=10) == ()
    assert conversations.progress(session.conversation_id, turn.turn_id) is None


def test_erasing_what_is_not_there_is_no_error(conversations: Conversations) -> None:
    conversations.erase("nobody")


def test_a_turn_under_way_does_not_bring_an_erased_conversation_back(conversations: Conversations) -> None:
    session = a_session()
    conversations.start(session)
    turn = a_turn(conversation_id=session.conversation_id)
    conversations.accept(turn)
    conversations.erase(session.conversation_id)

    with pytest.raises(SessionConflict):
        conversations.record(one_turn_on(session), a_recorded_turn(turn_id=turn.id))
    conversations.mark_failed(turn, "erased")

    assert conversations.open(session.conversation_id).session is None
    assert conversations.progress(session.conversation_id, turn.id) is None


def test_an_accepted_turn_is_queued_then_running_then_done(conversations: Conversations) -> None:
    session = a_session()
    conversations.start(session)
    turn = a_turn(conversation_id=session.conversation_id)

    assert conversations.accept(turn) is None
    queued = conversations.progress(session.conversation_id, turn.id)
    conversations.mark_running(turn)
    running = conversations.progress(session.conversation_id, turn.id)
    recorded = a_recorded_turn(turn_id=turn.id)
    conversations.record(one_turn_on(session), recorded)
    done = conversations.progress(session.conversation_id, turn.id)

    assert [progress and progress.status for progress in (queued, running, done)] == ["queued", "running", "done"]
    assert done is not None
    assert done.recorded == recorded


def test_a_turn_is_accepted_once(conversations: Conversations) -> None:
    session = a_session()
    conversations.start(session)
    turn = a_turn(conversation_id=session.conversation_id)
    conversations.accept(turn)

    again = conversations.accept(turn)

    assert again is not None
    assert again.status == "queued"


def test_what_the_channel_has_taken_of_a_reply_is_known(conversations: Conversations) -> None:
    session, turn = a_session(), a_recorded_turn()
    conversations.start(session)
    conversations.record(one_turn_on(session), turn)

    conversations.mark_delivered(session.conversation_id, turn.turn_id, 2)
    conversations.mark_delivered(session.conversation_id, "nobody's", 1)
    conversations.mark_delivered("nowhere", turn.turn_id, 1)

    progress = conversations.progress(session.conversation_id, turn.turn_id)
    assert progress is not None
    assert (progress.status, progress.delivered, progress.recorded) == ("done", 2, turn)
    assert conversations.progress(session.conversation_id, "nobody's") is None
    assert conversations.progress("nowhere", turn.turn_id) is None


def test_the_post_in_which_a_reply_was_begun_is_known_also_once_it_is_kept(conversations: Conversations) -> None:
    session = a_session()
    conversations.start(session)
    turn = a_turn(conversation_id=session.conversation_id)
    conversations.accept(turn)

    conversations.mark_drafted(session.conversation_id, turn.id, "17.5")
    conversations.mark_drafted(session.conversation_id, "nobody's", "17.5")
    conversations.mark_running(turn)  # by the next worker, when the first has died
    running = conversations.progress(session.conversation_id, turn.id)
    conversations.record(one_turn_on(session), a_recorded_turn(turn_id=turn.id))
    done = conversations.progress(session.conversation_id, turn.id)

    assert running is not None
    assert (running.status, running.draft) == ("running", "17.5")
    assert done is not None
    assert (done.status, done.draft, done.delivered) == ("done", "17.5", 0)
    assert conversations.progress(session.conversation_id, "nobody's") is None


def test_that_an_accepted_turn_is_counted_is_known_until_it_is_sent_anew(conversations: Conversations) -> None:
    session = a_session()
    conversations.start(session)
    turn = a_turn(conversation_id=session.conversation_id)
    nobodys = a_turn(conversation_id=session.conversation_id, id="nobody's")
    conversations.accept(turn)

    def known(turn_id: str) -> tuple[bool, bool]:
        opened = conversations.open(session.conversation_id, turn_id)
        return opened.is_accepted, opened.is_admitted

    queued = known(turn.id)
    conversations.mark_admitted(turn)
    conversations.mark_admitted(nobodys)
    conversations.mark_running(turn)
    running = known(turn.id)
    conversations.mark_failed(turn, "away")
    failed = known(turn.id)
    conversations.accept(turn)

    assert (queued, running, failed, known(turn.id)) == ((True, False), (True, True), (False, False), (True, False))
    assert known(nobodys.id) == (False, False)


def test_a_failed_turn_says_why_and_may_be_sent_again(conversations: Conversations) -> None:
    session = a_session()
    conversations.start(session)
    turn = a_turn(conversation_id=session.conversation_id)
    conversations.accept(turn)

    conversations.mark_failed(turn, "the bot is ill")
    failed = conversations.progress(session.conversation_id, turn.id)

    assert failed is not None
    assert (failed.status, failed.reason) == ("failed", "the bot is ill")
    assert conversations.accept(turn) is None


def test_a_turn_that_runs_again_has_no_reason_left(conversations: Conversations) -> None:
    session = a_session()
    conversations.start(session)
    turn = a_turn(conversation_id=session.conversation_id)
    conversations.accept(turn)
    conversations.mark_failed(turn, "the bot is ill")

    conversations.mark_running(turn)

    progress = conversations.progress(session.conversation_id, turn.id)
    assert progress is not None
    assert (progress.status, progress.reason) == ("running", None)


def test_a_turn_that_is_done_stays_done(conversations: Conversations) -> None:
    session, recorded = a_session(version=1), a_recorded_turn()
    conversations.record(session, recorded, begins=True)
    turn = a_turn(conversation_id=session.conversation_id, id=recorded.turn_id)

    conversations.mark_running(turn)
    conversations.mark_failed(turn, "too late")

    progress = conversations.progress(session.conversation_id, turn.id)
    assert progress is not None
    assert progress.status == "done"


def test_a_turn_that_never_ends_is_given_up(conversations: Conversations, clock: Clock) -> None:
    session = a_session()
    conversations.start(session)
    turn = a_turn(conversation_id=session.conversation_id)
    conversations.accept(turn)

    clock.now += GIVEN_UP_SECONDS + 1

    progress = conversations.progress(session.conversation_id, turn.id)
    assert progress is not None
    assert progress.status == "failed"
    assert conversations.accept(turn) is None


@pytest.mark.timeout(300)
def keep_as_recorded(conversations: Conversations, session: Session, turns: list[RecordedTurn]) -> None:
    """Puts turns where `record` would, without a transaction for each, which takes the local AWS half a minute."""
    if isinstance(conversations, MemoryConversations):
        conversations._stored[session.conversation_id].turns.extend(turns)
        return
    assert isinstance(conversations, DynamoConversations)
    with conversations._item.batch_write() as batch:
        for turn in turns:
            batch.save(conversations._turn(session, turn))


def test_the_five_thousandth_turn_works_like_the_first(conversations: Conversations) -> None:
    session = a_session(version=4_900)
    conversations.start(session)
    long = "x" * 4_000  # with one growing item, DynamoDB would refuse at 400 KB, after some 70 of these
    keep_as_recorded(conversations, session, [a_recorded_turn(number=n, message=long) for n in range(1, 4_901)])
    for number in range(4_901, 5_001):
        session = replace(session, version=number)
        conversations.record(session, a_recorded_turn(number=number, message=long))

    last = conversations.history(session.conversation_id, limit=2)

    assert conversations.open(session.conversation_id).session == session
    assert [turn.number for turn in last] == [4_999, 5_000]
    conversations.erase(session.conversation_id)
    assert conversations.history(session.conversation_id, limit=1) == ()


def test_an_erasure_that_broke_off_can_be_repeated(
    clock: Clock, tables: Tables, aws: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in aws.items():
        monkeypatch.setenv(name, value)
    conversations = DynamoConversations(tables.conversations, retention_days=30, clock=clock)
    session, turn = a_session(version=1), a_recorded_turn()
    conversations.record(session, turn, begins=True)
    conversations._mark_erasing(f"conversation#{session.conversation_id}")  # as far as the first one came

    half_erased = conversations.open(session.conversation_id).session
    with pytest.raises(SessionConflict):
        conversations.record(one_turn_on(session), a_recorded_turn(number=2))
    with pytest.raises(NotFound):
        conversations.accept(a_turn(conversation_id=session.conversation_id))
    conversations.erase(session.conversation_id)

    assert half_erased is not None
    assert half_erased.is_being_erased
    assert half_erased.token_digest == session.token_digest
    assert conversations.open(session.conversation_id).session is None
    assert conversations.progress(session.conversation_id, turn.turn_id) is None


def test_what_somebody_thinks_of_a_reply_is_kept_with_its_turn(conversations: Conversations) -> None:
    session, turn = a_session(version=1), a_recorded_turn()
    conversations.record(session, turn, begins=True)
    conversations.rate(session.conversation_id, turn.turn_id, Feedback("up", 1_000.5))

    conversations.rate(session.conversation_id, turn.turn_id, Feedback("down", 1_001.5, "schön falsch 😀"))

    rated = replace(turn, feedback=Feedback("down", 1_001.5, "schön falsch 😀"))
    assert conversations.history(session.conversation_id, limit=1) == (rated,)
    assert conversations.open(session.conversation_id, turn.turn_id).recorded == rated


def test_a_turn_that_nobody_answered_cannot_be_rated(conversations: Conversations) -> None:
    queued = a_turn(id="queued")
    session = a_session(conversation_id=queued.conversation_id)
    conversations.start(session)
    conversations.accept(queued)

    for turn_id in (queued.id, "another"):
        with pytest.raises(NotFound):
            conversations.rate(session.conversation_id, turn_id, Feedback("up", 1_000.5))


def test_the_conversations_of_a_user_are_listed_the_latest_first(conversations: Conversations, clock: Clock) -> None:
    user = uuid.uuid4().hex
    ids = [uuid.uuid4().hex for _ in range(3)]
    for conversation_id in ids:
        clock.now += 10
        conversations.start(a_session(conversation_id=conversation_id, user_id=user))
    conversations.start(a_session(conversation_id=uuid.uuid4().hex, user_id="another"))

    latest = conversations.of_user(user, limit=2)
    earlier = conversations.of_user(user, limit=2, before=latest[-1].updated_at)

    assert [each.conversation_id for each in (*latest, *earlier)] == ids[::-1]
    assert conversations.of_user("nobody", limit=2) == ()


def test_a_state_that_was_left_to_others_is_listed_as_nobodys_and_goes_with_its_conversation(
    conversations: Conversations,
) -> None:
    user, left = uuid.uuid4().hex, uuid.uuid4().hex
    session = a_session(conversation_id=uuid.uuid4().hex, version=1, user_id=user)
    conversations.record(session, a_recorded_turn(), begins=True)
    state = replace(session, conversation_id=left, dialogue=Dialogue(now=Situation({"size": "xl"})))

    conversations.leave(session.conversation_id, state)
    found, listed = conversations.open(left).session, conversations.of_user(user, limit=9)
    conversations.erase(session.conversation_id)

    assert found == state
    assert [each.conversation_id for each in listed] == [session.conversation_id]
    assert conversations.open(left).session is None
    assert conversations.of_user(user, limit=9) == ()


def test_a_state_is_left_once_and_never_changed(conversations: Conversations) -> None:
    first, second, left = (uuid.uuid4().hex for _ in range(3))
    for conversation_id in (first, second):
        conversations.start(a_session(conversation_id=conversation_id))
    state = a_session(conversation_id=left, dialogue=Dialogue(now=Situation({"size": "xl"})))
    conversations.leave(first, state)

    with pytest.raises(SessionConflict):
        conversations.leave(second, replace(state, dialogue=None))
    conversations.erase(second)

    assert conversations.open(left).session == state


def test_an_erased_conversation_leaves_nothing(conversations: Conversations) -> None:
    session, left = a_session(conversation_id=uuid.uuid4().hex), uuid.uuid4().hex
    conversations.start(session)
    conversations.erase(session.conversation_id)

    with pytest.raises(SessionConflict):
        conversations.leave(session.conversation_id, replace(session, conversation_id=left))

    assert conversations.open(left).session is None


def test_a_conversation_that_went_on_comes_first_and_an_erased_one_is_gone(
    conversations: Conversations, clock: Clock
) -> None:
    user, first, second = (uuid.uuid4().hex for _ in range(3))
    begun = a_session(conversation_id=first, user_id=user)
    conversations.start(begun)
    clock.now += 10
    conversations.start(a_session(conversation_id=second, user_id=user))
    clock.now += 10

    conversations.record(one_turn_on(begun), a_recorded_turn(number=1))
    conversations.erase(second)

    assert [each.conversation_id for each in conversations.of_user(user, limit=9)] == [first]


def held(
    operation: str, times: int, reasons: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:  # the local AWS has no two requests at one moment
    """DynamoDB refuses so many writes of a kind because of another request."""
    inner, left = BaseClient._make_api_call, [times]

    def call(client: Any, name: str, parameters: Any) -> Any:
        if name != operation or not left[0]:
            return inner(client, name, parameters)
        left[0] -= 1
        code = "TransactionCanceledException" if operation == "TransactWriteItems" else f"{reasons[0]}Exception"
        told = {"Error": {"Code": code, "Message": ""}, "CancellationReasons": [{"Code": each} for each in reasons]}
        raise ClientError(told, name)  # type: ignore[arg-type]

    monkeypatch.setattr(BaseClient, "_make_api_call", call)


@pytest.fixture
def in_dynamodb(
    tables: Tables, aws: dict[str, str], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> DynamoConversations:
    for name, value in aws.items():
        monkeypatch.setenv(name, value)
    return DynamoConversations(tables.conversations, retention_days=30, clock=clock)


def test_a_note_that_met_the_saving_of_its_turn_is_made_all_the_same(
    in_dynamodb: DynamoConversations, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = a_session()
    in_dynamodb.start(session)
    turn = a_turn(conversation_id=session.conversation_id)
    in_dynamodb.accept(turn)

    for note in (
        lambda: in_dynamodb.mark_drafted(session.conversation_id, turn.id, "17.5"),
        lambda: in_dynamodb.mark_failed(turn, "away"),
    ):
        held("UpdateItem", 2, ("TransactionConflict",), monkeypatch)
        note()

    progress = in_dynamodb.progress(session.conversation_id, turn.id)
    assert progress is not None
    assert (progress.draft, progress.status) == ("17.5", "failed")


def test_a_note_that_is_in_the_way_each_time_is_no_silent_loss(
    in_dynamodb: DynamoConversations, monkeypatch: pytest.MonkeyPatch
) -> None:
    held("UpdateItem", 99, ("TransactionConflict",), monkeypatch)

    with pytest.raises(Unavailable):
        in_dynamodb.mark_drafted("c1", "t1", "17.5")


def test_a_turn_whose_note_came_between_is_saved_without_running_again(
    in_dynamodb: DynamoConversations, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, turn = a_session(version=1), a_recorded_turn()
    held("TransactWriteItems", 2, ("None", "None", "TransactionConflict"), monkeypatch)

    in_dynamodb.record(session, turn, begins=True)

    assert in_dynamodb.open(session.conversation_id, turn.turn_id).recorded == turn


def test_a_turn_that_lost_its_race_is_not_saved_again(
    in_dynamodb: DynamoConversations, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, turn = a_session(version=1), a_recorded_turn()
    held("TransactWriteItems", 1, ("ConditionalCheckFailed", "None", "TransactionConflict"), monkeypatch)

    with pytest.raises(SessionConflict):
        in_dynamodb.record(session, turn, begins=True)

    assert in_dynamodb.open(session.conversation_id, turn.turn_id).recorded is None
