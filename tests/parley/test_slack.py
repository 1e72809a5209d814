"""Slack's requests as turns, and replies as Slack's posts."""

import json
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from parley.channels import slack, slack_posts
from parley.channels.slack import Challenge, Ignored, Rated, Said
from parley.conversation import Button, Citation, Message, Reply
from parley.errors import MalformedRequest
from parley.ports import SlackThread

THREAD = "slack:T1:C1:1700000000.000100"
COMMANDED = "slack:T1:C1:U1"
RESPONSE_URL = "https://hooks.slack.com/actions/T1/1/abc"
AUTHORIZED = [{"team_id": "T1", "user_id": "UBOT"}]


def an_event(**changes: Any) -> bytes:
    event = {"type": "app_mention", "user": "U1", "text": "<@UBOT> hi", "channel": "C1", "ts": "1700000000.000100"}
    told = {"type": "event_callback", "team_id": "T1", "event_id": "Ev1", "authorizations": AUTHORIZED}
    return json.dumps({**told, "event": {**event, **changes}}).encode()


def a_direct_message(**changes: Any) -> bytes:
    return an_event(**{"type": "message", "channel": "D1", "channel_type": "im", "text": "hi", **changes})


def a_click(**changes: Any) -> bytes:
    action = {"type": "button", "block_id": f"{THREAD}/1", "value": "/greet", "action_ts": "1700000009.5", **changes}
    payload = {"type": "block_actions", "user": {"id": "U1"}, "actions": [action], "response_url": RESPONSE_URL}
    return f"payload={quote(json.dumps(payload))}".encode()


def a_thumb(turn_id: str, rating: str) -> bytes:
    block = f"{THREAD}/rate/{turn_id}/3"
    return a_click(block_id=block, value=rating, action_id=f"rate.{rating}")


def a_command(**changes: str) -> bytes:
    fields = {"command": "/wren", "text": "when are you open?", "team_id": "T1", "channel_id": "C1", "user_id": "U1"}
    return urlencode({**fields, "trigger_id": "13.7.8ab", "response_url": RESPONSE_URL, **changes}).encode()


def said(body: bytes) -> Said:
    found = slack.read_event(body)
    assert isinstance(found, Said), found
    return found


def test_slack_asks_whether_we_are_there() -> None:
    body = b'{"type": "url_verification", "challenge": "abc", "token": "old"}'

    assert slack.read_event(body) == Challenge("abc")


def test_a_mention_begins_a_conversation_in_its_thread() -> None:
    assert said(an_event()) == Said(THREAD, "m1700000000.000100", "slack:T1:U1", "hi", 1700000000.0001)


def test_a_mention_in_a_thread_goes_on_with_it() -> None:
    again = said(an_event(ts="1700000005.000200", thread_ts="1700000000.000100"))

    assert (again.conversation_id, again.turn_id) == (THREAD, "m1700000005.000200")


def test_direct_messages_are_one_conversation_and_a_thread_among_them_is_another() -> None:
    assert said(a_direct_message()).conversation_id == "slack:T1:D1"
    assert said(a_direct_message(thread_ts="1700000000.000001")).conversation_id == "slack:T1:D1:1700000000.000001"


def test_what_is_told_twice_is_one_turn_also_where_it_was_edited_between() -> None:
    assert said(an_event()).turn_id == said(an_event(edited={"ts": "1700000009.0"}, text="<@UBOT> hello")).turn_id


@pytest.mark.parametrize(
    "event",
    [
        an_event(bot_id="B1"),
        an_event(user="UBOT"),
        an_event(type="message", channel_type="channel"),
        an_event(type="reaction_added"),
        a_direct_message(subtype="message_changed", message={"text": "hi"}),
        a_direct_message(subtype="message_deleted"),
        a_direct_message(subtype="bot_message", bot_id="B1"),
        a_direct_message(text=""),
        a_direct_message(user="USLACKBOT"),
        a_direct_message(ts="yesterday"),
        an_event(thread_ts="../C2"),
        b'{"type": "app_rate_limited", "team_id": "T1"}',
    ],
)
def test_what_is_not_for_the_bot_is_left_alone(event: bytes) -> None:
    assert isinstance(slack.read_event(event), Ignored)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"\xff", b"[" * 10_000, b'{"type": 1}'])
def test_what_slack_never_sends_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedRequest):
        slack.read_event(body)
    with pytest.raises(MalformedRequest):
        slack.read_interaction(b"payload=" + body)
    with pytest.raises(MalformedRequest):
        slack.read_command(body, at=0.0)


def test_a_command_has_a_conversation_of_its_person_in_that_channel() -> None:
    asked = slack.read_command(a_command(), at=5.0)

    assert asked == Said(COMMANDED, "s13.7.8ab", "slack:T1:U1", "when are you open?", 5.0, reply_to=RESPONSE_URL)
    assert slack.thread_of(COMMANDED) == SlackThread("T1", "C1", person="U1")


def test_a_click_on_what_only_one_person_sees_is_answered_to_him_alone() -> None:
    clicked = slack.read_interaction(a_click(block_id=f"{COMMANDED}/1"))

    assert isinstance(clicked, Said)
    assert clicked.reply_to == RESPONSE_URL


def test_a_thumb_names_the_reply_that_it_is_for() -> None:
    thumb = slack.read_interaction(a_thumb("m17.5.late", "down"))

    assert thumb == Rated(THREAD, "m17.5.late", "down", 1700000009.5, RESPONSE_URL)


def test_files_without_a_word_say_nothing() -> None:
    sent = said(a_direct_message(subtype="file_share", text="", files=[{"id": "F1"}]))

    assert (sent.text, sent.has_files) == ("", True)


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("<@UBOT> a &lt; b &amp;&amp; c", "a < b && c"),
        ("<@UBOT> ask <@U2|ann> in <#C2|garden> or <!here>", "ask @ann in #garden or @here"),
        ("<@UBOT> <http://x.example|x.example> <mailto:a@x.example|a@x.example>", "x.example a@x.example"),
        ("please <@UBOT> help", "please help"),
        ("<@UBOT>", slack.CALLED),
        ("<@UBOT> " + "x" * 5_000, "x" * 4_000),
        ("<@UBOT> a\x00b", "ab"),
    ],
)
def test_the_turn_says_what_the_person_saw(written: str, text: str) -> None:
    assert said(an_event(text=written)).text == text


def test_a_click_is_a_turn_of_its_conversation() -> None:
    assert slack.read_interaction(a_click()) == Said(THREAD, "c1700000009.5", "slack:T1:U1", "/greet", 1700000009.5)


@pytest.mark.parametrize("changes", [{"block_id": "theirs"}, {"value": " "}, {"action_ts": "now"}])
def test_a_click_on_something_else_is_left_alone(changes: dict[str, str]) -> None:
    assert isinstance(slack.read_interaction(a_click(**changes)), Ignored)


def test_a_conversation_says_where_it_takes_place() -> None:
    assert slack.thread_of(THREAD) == SlackThread("T1", "C1", "1700000000.000100")
    assert slack.thread_of("slack:T1:D1") == SlackThread("T1", "D1", None)
    assert slack.thread_of("9f3b") is None


def posts_of(*messages: Message, documents_at: str = "") -> list[dict[str, Any]]:
    posts = slack_posts.render_reply(Reply(messages, "scripted"), THREAD, bot="support", documents_at=documents_at)
    return [{"text": post.text, "blocks": list(post.blocks)} for post in posts]


def test_a_message_is_a_section_and_its_buttons_know_their_conversation() -> None:
    (post,) = posts_of(Message("**Hi**", buttons=(Button("Yes", "/affirm"), Button("n" * 80, "/deny"))))
    section, actions = post["blocks"]

    assert post["text"] == section["text"]["text"] == "*Hi*"
    assert section["text"]["verbatim"] is True
    assert [each["value"] for each in actions["elements"]] == ["/affirm", "/deny"]
    assert all(len(each["text"]["text"]) <= slack_posts.MOST_TITLE for each in actions["elements"])
    clicked = slack.read_interaction(a_click(block_id=actions["block_id"], value="/affirm"))
    assert isinstance(clicked, Said)
    assert clicked.conversation_id == THREAD


def test_two_rows_of_buttons_have_names_of_their_own() -> None:
    (post,) = posts_of(*(Message("?", buttons=(Button("Yes", "/affirm"),)) for _ in range(2)))

    assert len({block["block_id"] for block in post["blocks"] if block["type"] == "actions"}) == 2


def test_citations_stand_below_with_links_where_there_is_a_place_for_them() -> None:
    cited = (
        Citation("Returns", "returns.md", "How long", "…", "#how-long"),
        Citation("News", "https://x.example/n", "", ""),
    )
    linked = posts_of(Message("30 days", citations=cited), documents_at="https://api.example")[0]["blocks"][-1]
    plain = posts_of(Message("30 days", citations=cited))[0]["blocks"][-1]

    assert linked["type"] == plain["type"] == "context"
    here = "<https://api.example/v1/knowledge/support/returns.md#how-long|Returns, How long>"
    assert linked["elements"][0]["text"] == f"1. {here}  ·  2. <https://x.example/n|News>"
    assert plain["elements"][0]["text"].startswith("1. Returns, How long")


def test_a_very_long_reply_is_several_posts() -> None:
    posts = posts_of(*(Message("word " * 500) for _ in range(30)), *(Message("x") for _ in range(60)))

    assert len(posts) > 1
    assert all(len(post["blocks"]) <= slack_posts.MOST_BLOCKS for post in posts)
    assert all(len(post["text"]) <= slack_posts.MOST_POST_CHARACTERS + slack_posts.MOST_BLOCKS for post in posts)
    assert "".join(post["text"] for post in posts).count("word") == 15_000


def test_an_image_is_a_link_and_an_authors_own_blocks_go_through() -> None:
    (post,) = posts_of(
        Message("", image="https://x.example/a.png"), Message("", custom={"blocks": [{"type": "divider"}]})
    )

    assert post["blocks"][0]["text"]["text"] == "<https://x.example/a.png>"
    assert post["blocks"][1] == {"type": "divider"}


@pytest.mark.parametrize(("source", "asked"), [("generated", True), ("knowledge", True), ("scripted", False)])
def test_people_are_asked_about_replies_that_nobody_wrote_for_just_this(source: Any, asked: bool) -> None:
    reply = Reply((Message("word " * 5_000),), source)

    posts = slack_posts.render_reply(reply, THREAD, bot="support", turn_id="m1")

    rated = [block["block_id"] for post in posts for block in post.blocks if block["type"] == "actions"]
    assert bool(rated) == asked
    if asked:
        assert rated == [posts[-1].blocks[-1]["block_id"]]
        assert rated[0].startswith(f"{THREAD}/rate/m1")


def test_a_reply_of_nothing_is_no_post() -> None:
    assert posts_of() == []
