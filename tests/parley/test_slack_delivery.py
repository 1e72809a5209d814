"""Replies on their way into Slack: once, in the thread, and with patience."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from parley.adapters.memory import (
    MemoryAnnouncements,
    MemoryConversations,
    MemoryGenerator,
    MemoryLateQueue,
    MemoryQueue,
    MemorySlack,
    memory_callers,
    memory_lines,
)
from parley.channels import slack_posts
from parley.conversation import Turn
from parley.errors import GenerationAsleep, Throttled, Unavailable, Undeliverable
from parley.http_door import HttpDoor
from parley.lines import Lines
from parley.ports import LateTurn, Remark, SlackThread
from parley.queue_door import MAX_DELIVERIES, QueueDoor
from parley.services import Services
from parley.slack_delivery import PATIENCE_SECONDS, deliver
from tests.builders import a_recorded_turn, a_reply, a_session, a_turn
from tests.parley.test_queue_door import a_record, broken
from tests.parley.test_slack import COMMANDED, RESPONSE_URL

WHERE = SlackThread("T1", "C1", "1700000000.000100")
CONVERSATION = "slack:T1:C1:1700000000.000100"


@pytest.fixture
def slack() -> MemorySlack:
    return MemorySlack()


@pytest.fixture
def lines(slack: MemorySlack) -> Lines:
    return replace(memory_lines(), slack=slack)


@pytest.fixture
def services(make_services: Callable[..., Services]) -> Services:
    return make_services()


def accepted(services: Services, **changes: Any) -> Turn:
    """A turn from Slack that waits in the queue."""
    services.conversations.start(a_session(bot="support", conversation_id=CONVERSATION))
    turn = a_turn(bot="support", channel="slack", conversation_id=CONVERSATION, **changes)
    services.conversations.accept(turn)
    return turn


def said(slack: MemorySlack) -> list[str]:
    assert {where for where, _ in slack.posts} <= {WHERE}
    return [post.text for _, post in slack.posts]


def test_the_reply_is_posted_in_the_thread_after_it_was_kept(
    services: Services, lines: Lines, slack: MemorySlack
) -> None:
    turn = accepted(services)

    QueueDoor(services, lines)(a_record(turn))

    assert len(said(slack)) == 1
    progress = services.conversations.progress(CONVERSATION, turn.id)
    assert progress is not None
    assert (progress.status, progress.delivered) == ("done", 1)


def test_a_turn_delivered_twice_is_posted_once(services: Services, lines: Lines, slack: MemorySlack) -> None:
    turn, door = accepted(services), QueueDoor(services, lines)

    door(a_record(turn))
    door(a_record(turn, delivery=2))

    assert len(said(slack)) == 1


def test_what_slack_did_not_take_is_posted_when_the_queue_delivers_again(
    services: Services, lines: Lines, slack: MemorySlack
) -> None:
    turn, door = accepted(services), QueueDoor(services, lines)
    slack.fails_with = [Unavailable("no answer")]

    with pytest.raises(Unavailable):
        door(a_record(turn))
    door(a_record(turn, delivery=2))

    assert len(said(slack)) == 1
    assert len(services.conversations.history(CONVERSATION, limit=10)) == 1


def test_of_several_posts_those_that_were_taken_are_not_said_again(lines: Lines, slack: MemorySlack) -> None:
    conversations = MemoryConversations(lambda: 0.0)
    conversations.start(session := a_session(conversation_id=CONVERSATION))
    recorded = a_recorded_turn(reply=a_reply("word " * 5_000))
    conversations.record(replace(session, version=1), recorded)
    turn = a_turn(id=recorded.turn_id, bot="support", conversation_id=CONVERSATION)
    slack.fails_with = [Throttled("", retry_after_seconds=0.5), Unavailable("no answer")]
    pauses: list[float] = []

    with pytest.raises(Unavailable):
        deliver(recorded, turn, lines, conversations, pauses.append)
    deliver(recorded, turn, lines, conversations, pauses.append)
    deliver(recorded, turn, lines, conversations, pauses.append)

    assert pauses == [0.5]
    assert " ".join(said(slack)).count("word") == 5_000


def test_a_long_pause_is_the_queues_to_wait(services: Services, lines: Lines, slack: MemorySlack) -> None:
    turn = accepted(services)
    slack.fails_with = [Throttled("", retry_after_seconds=PATIENCE_SECONDS + 1)]

    with pytest.raises(Throttled):
        QueueDoor(services, lines)(a_record(turn))

    assert said(slack) == []


def test_what_slack_refuses_for_good_ends_as_a_dead_letter(
    services: Services, lines: Lines, slack: MemorySlack
) -> None:
    turn = accepted(services)
    slack.fails_with = [Undeliverable("", reason="channel_not_found")]

    with pytest.raises(Undeliverable):
        QueueDoor(services, lines)(a_record(turn))


def test_where_blocks_are_refused_the_words_are_said(services: Services, lines: Lines, slack: MemorySlack) -> None:
    turn = accepted(services)
    slack.fails_with = [Undeliverable("", reason="invalid_blocks")]

    QueueDoor(services, lines)(a_record(turn))

    ((_, post),) = slack.posts
    assert post.text
    assert post.blocks == ()


def test_a_turn_that_failed_for_good_is_told_readably(
    services: Services, lines: Lines, slack: MemorySlack, monkeypatch: pytest.MonkeyPatch
) -> None:
    turn, door = accepted(services), QueueDoor(services, lines)
    monkeypatch.setattr(MemoryConversations, "record", broken)

    for delivery in range(1, MAX_DELIVERIES + 1):
        with pytest.raises(Unavailable):
            door(a_record(turn, delivery=delivery))

    assert said(slack) == [":warning: Sorry, that did not work: the database did not answer"]


def test_a_late_answer_comes_into_the_thread(
    make_services: Callable[..., Services], lines: Lines, slack: MemorySlack
) -> None:
    services = make_services(generator=MemoryGenerator(fails_with=GenerationAsleep("no instance is up")))
    turn = accepted(services, text="how are you today?", waits=True)
    QueueDoor(services, lines)(a_record(turn))
    assert isinstance(lines.late, MemoryLateQueue)
    ((late, _),) = lines.late.sent
    assert isinstance(late, LateTurn)

    QueueDoor(replace(services, generator=MemoryGenerator("Very well.")), lines)(a_record(late))

    assert said(slack)[1:] == ["Very well."]


def commanded(services: Services, **changes: Any) -> Turn:
    """A command's turn that waits in the queue."""
    services.conversations.start(a_session(bot="support", conversation_id=COMMANDED))
    turn = a_turn(bot="support", channel="slack", conversation_id=COMMANDED, reply_to=RESPONSE_URL, **changes)
    services.conversations.accept(turn)
    return turn


def test_a_command_is_answered_where_only_its_person_sees_it(
    services: Services, lines: Lines, slack: MemorySlack
) -> None:
    QueueDoor(services, lines)(a_record(commanded(services)))

    assert slack.posts == []
    assert [url for url, _ in slack.responses] == [RESPONSE_URL]


def test_where_its_address_is_used_up_a_command_is_answered_in_a_direct_message(
    services: Services, lines: Lines, slack: MemorySlack
) -> None:
    slack.fails_with = [Undeliverable("", reason="expired_url")]

    QueueDoor(services, lines)(a_record(commanded(services)))

    assert [where for where, _ in slack.posts] == [SlackThread("T1", "U1")]


def test_a_late_answer_to_a_command_knows_its_address(
    make_services: Callable[..., Services], lines: Lines, slack: MemorySlack
) -> None:
    services = make_services(generator=MemoryGenerator(fails_with=GenerationAsleep("no instance is up")))
    QueueDoor(services, lines)(a_record(commanded(services, text="how are you today?", waits=True)))
    assert isinstance(lines.late, MemoryLateQueue)
    ((late, _),) = lines.late.sent

    assert late.turn.reply_to == RESPONSE_URL


def test_help_says_what_the_bot_is_for_and_offers_questions(
    services: Services, lines: Lines, slack: MemorySlack
) -> None:
    bot = services.bots("support").bot
    remark = Remark("s1", COMMANDED, "support", "bot", RESPONSE_URL)

    QueueDoor(services, lines)(a_record(remark))

    ((_, post),) = slack.responses
    assert bot.description in post.text
    assert [button["value"] for button in post.blocks[-1]["elements"]] == list(bot.suggestions)


def test_who_sent_a_file_is_told_that_it_is_not_read(services: Services, lines: Lines, slack: MemorySlack) -> None:
    QueueDoor(services, lines)(a_record(Remark("files", CONVERSATION, "support", "files")))

    assert said(slack) == [slack_posts.FILES]


def test_a_conversation_elsewhere_posts_nothing(services: Services, lines: Lines, slack: MemorySlack) -> None:
    services.conversations.start(a_session(bot="support", conversation_id="c1"))
    turn = a_turn(bot="support", conversation_id="c1")
    services.conversations.accept(turn)

    QueueDoor(services, lines)(a_record(turn))

    assert slack.posts == []


def test_what_a_person_writes_who_has_taken_over_comes_into_the_thread(
    services: Services, lines: Lines, slack: MemorySlack
) -> None:
    services.conversations.start(a_session(bot="support", conversation_id=CONVERSATION, handed_off_at=1_000.0))
    queue = MemoryQueue()
    desk = HttpDoor(services, queue, memory_lines(), memory_callers("support", operator_key=b"key"), "support", "prod")

    desk.write(CONVERSATION, "Good day, *Maeve* here.", "Bearer key")
    (turn,) = queue.sent
    for delivery in (1, 2):
        QueueDoor(services, lines)(a_record(turn, delivery=delivery))

    assert said(slack) == ["Good day, _Maeve_ here."]
    assert len(services.conversations.history(CONVERSATION, limit=10)) == 1


def test_what_somebody_says_to_a_person_is_announced_and_the_bot_posts_nothing(
    services: Services, lines: Lines, slack: MemorySlack
) -> None:
    services.conversations.start(a_session(bot="support", conversation_id=CONVERSATION, handed_off_at=1_000.0))
    services.conversations.accept(turn := a_turn(bot="support", channel="slack", conversation_id=CONVERSATION))

    QueueDoor(services, lines)(a_record(turn))

    assert slack.posts == []
    assert isinstance(services.announcements, MemoryAnnouncements)
    assert [kind for kind, _ in services.announcements.told] == ["conversation.message"]
