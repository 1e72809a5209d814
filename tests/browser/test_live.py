"""A reply comes as it is being made: over the WebSocket, in a real browser, through the real doors.

What the emulated AWS cannot be asked for, `doors` can be: see there. The same page against the deployed stack:
`test_live_stack`.
"""

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, expect

from parley.act import Actor
from parley.conversation import Citation
from parley.errors import GenerationAsleep, GenerationFailed, Unavailable
from tests.browser.conftest import ChatPage, Operator, opened_tab
from tests.browser.doors import OPERATOR_KEY, Doors
from tests.builders import PNG

SMALL_TALK = "tell me something nice about your morning"
FIRST = "The dew was still on the lavender when I came in this morning, "
SECOND = "and a robin sat on the wheelbarrow by the door for quite a while. "
THIRD = "It sang until the kettle boiled, and then it was gone again."
ASLEEP = GenerationAsleep("no instance is up")
SECONDS = 1_000

# What of the last message changes from one painted frame to the next, and whether the end of the thread is in sight.
WATCH = """() => {
    window.seen = [];
    const elements = new Set();
    const thread = document.querySelector(".scroll");
    const painted = new MessageChannel();
    painted.port1.onmessage = () => {
        const message = [...document.querySelectorAll(".message")].at(-1);
        elements.add(message);
        const height = message.getBoundingClientRect().height;
        const length = message.textContent.length;
        const gap = thread.scrollHeight - thread.clientHeight - thread.scrollTop;
        if (length !== seen.at(-1)?.length) seen.push({height, length, gap, element: elements.size});
        look();
    };
    const look = () => requestAnimationFrame(() => painted.port2.postMessage(0));
    look();
}"""


@pytest.fixture
def chat(browser: Browser, doors: Doors) -> Iterator[ChatPage]:
    with opened_tab(browser, f"{doors.http}/") as chat:
        yield chat


def begin(chat: ChatPage, words: str) -> None:
    """Says something, and does not wait for the reply."""
    chat.composer.fill(words)
    chat.composer.press("Enter")


def coming(chat: ChatPage) -> Locator:
    """The reply while it comes."""
    return chat.page.locator(".coming")


def stop(chat: ChatPage) -> Locator:
    return chat.page.get_by_role("button", name="Stop the reply")


def wait_button(chat: ChatPage) -> Locator:
    return chat.page.get_by_role("button", name="Wait for an answer")


def turns(doors: Doors, chat: ChatPage) -> list[str]:
    """What was said in the tab's conversation, as it is stored."""
    history = doors.services.conversations.history(chat.remembered["id"], limit=50)
    return [turn.message for turn in history]


def test_the_beginning_of_a_reply_is_shown_before_its_end_is_known(chat, doors):
    chat.open()
    begin(chat, SMALL_TALK)
    expect(chat.page.locator(".typing")).to_be_visible()

    doors.generator.say(FIRST, SECOND)

    expect(coming(chat)).to_contain_text("The dew was still on the lavender")
    expect(coming(chat)).to_contain_text("writing")
    doors.generator.say(THIRD)
    doors.generator.finish()
    expect(chat.last_source).to_contain_text("generated")
    expect(chat.messages.last).to_contain_text(FIRST + SECOND + THIRD)
    expect(coming(chat)).to_have_count(0)
    assert doors.actions() == ["message"]
    assert "POST /v1/chat" not in doors.asked


@pytest.mark.parametrize(("width", "height"), [(360, 640), (1280, 800)])
def test_nothing_jumps_while_a_reply_comes(chat, doors, width, height):
    chat.page.set_viewport_size({"width": width, "height": height})
    chat.open()
    for _ in range(4):
        chat.say("hello")
    begin(chat, SMALL_TALK)
    expect(chat.page.locator(".typing")).to_be_visible()
    chat.page.evaluate(WATCH)

    for piece in [*re.findall(r"\S+\s*", FIRST + SECOND + THIRD), None]:
        doors.generator.say(piece)
        time.sleep(0.03)

    expect(chat.last_source).to_contain_text("generated")
    seen = chat.page.evaluate("seen")
    assert len(seen) > 5, "the reply came in steps"
    heights = [round(frame["height"]) for frame in seen]
    assert heights == sorted(heights), "it never shrank"
    assert [frame for frame in seen if frame["gap"] > 2] == [], "the end stayed in sight"
    assert {frame["element"] for frame in seen} == {1}, "the bubble stayed the same element"
    assert chat.page.evaluate("document.documentElement.scrollWidth") == width


def test_a_reply_is_read_out_once_and_when_it_is_finished(chat, doors):
    chat.open()
    announced = chat.page.locator(".thread > .unseen[role=status]")
    begin(chat, SMALL_TALK)
    doors.generator.say(FIRST, SECOND)
    expect(coming(chat)).to_contain_text("dew")

    expect(announced).to_have_text("Willow & Barrow support is typing")
    expect(chat.page.get_by_role("log")).to_have_attribute("aria-live", "off")

    doors.generator.say(THIRD)
    doors.generator.finish()
    expect(announced).to_have_text(f"Willow & Barrow support said: {FIRST}{SECOND}{THIRD}")
    chat.page.reload()
    expect(chat.messages).to_have_count(2)
    expect(announced).to_be_empty()


def test_what_a_reply_stands_on_comes_with_it(chat, doors, monkeypatch):
    def two(actor: Actor, *_: object, **__: object) -> tuple[Citation, ...]:
        return tuple(passage.citation for passage in actor.loaded.knowledge.passages[:2])

    monkeypatch.setattr(Actor, "_passages", two)  # the bot gives it none
    chat.open()
    begin(chat, SMALL_TALK)
    doors.generator.say("A can should be filled in the evening and carried in the morning, says the leaflet [1]. ")
    doors.generator.finish()

    expect(chat.last_source).to_contain_text("generated")
    expect(chat.messages.last.locator(".citations li")).to_have_count(1)


def test_a_reply_goes_on_where_the_line_broke(chat, doors):
    chat.open()
    begin(chat, SMALL_TALK)
    doors.generator.say(FIRST, SECOND)
    expect(coming(chat)).to_contain_text("The dew")

    doors.is_open = False
    doors.cut()
    doors.generator.say(THIRD)
    doors.is_open = True
    expect(coming(chat)).to_contain_text("robin sat on the wheelbarrow")
    wait_until(lambda: "resume" in doors.actions())
    doors.generator.finish()

    expect(chat.last_source).to_contain_text("generated")
    expect(chat.messages.last).to_contain_text(FIRST + SECOND + THIRD)
    resumed = next(frame for frame in doors.said if frame["action"] == "resume")
    assert resumed["after"] > 0
    assert [turn.text for turn in doors.workers.taken] == [SMALL_TALK]
    assert "POST /v1/chat" not in doors.asked


def test_a_reply_that_ended_while_the_line_was_broken_is_told_afterwards(chat, doors):
    chat.open()
    begin(chat, SMALL_TALK)
    doors.generator.say(FIRST, SECOND)
    expect(coming(chat)).to_contain_text("The dew")

    doors.is_open = False
    doors.cut()
    doors.generator.say(THIRD)
    doors.generator.finish()
    wait_until(lambda: turns(doors, chat) == [SMALL_TALK])
    doors.is_open = True

    expect(chat.last_source).to_contain_text("generated", timeout=15_000)
    expect(chat.messages.last).to_contain_text(FIRST + SECOND + THIRD)
    assert len(doors.workers.taken) == 1


def test_a_reply_survives_that_the_page_is_loaded_again(chat, doors):
    chat.open()
    begin(chat, SMALL_TALK)
    doors.generator.say(FIRST, SECOND)
    expect(coming(chat)).to_contain_text("The dew")

    chat.page.reload()

    expect(coming(chat)).to_contain_text("The dew")
    doors.generator.say(THIRD)
    doors.generator.finish()
    expect(chat.last_source).to_contain_text("generated")
    expect(chat.messages).to_have_count(2)
    expect(chat.messages.last).to_contain_text(FIRST + SECOND + THIRD)
    assert len(doors.workers.taken) == 1


def test_a_reply_can_be_stopped(chat, doors):
    chat.open()
    expect(stop(chat)).to_have_count(0)
    begin(chat, SMALL_TALK)
    doors.generator.say(FIRST + "really. ", SECOND)
    expect(coming(chat)).to_contain_text("The dew")

    stop(chat).click()

    expect(stop(chat)).to_have_count(0)
    expect(chat.composer).to_be_focused()
    wait_until(lambda: "cancel" in doors.actions())
    time.sleep(0.6)  # the worker looks every half second
    doors.generator.say("This is never said to anybody. ")
    expect(chat.last_source).to_contain_text("generated")
    assert doors.generator.was_stopped.is_set()
    expect(chat.messages.last).to_contain_text("The dew")
    expect(chat.messages.last).not_to_contain_text("never said")
    chat.say("hello")
    expect(chat.last_source).to_contain_text("scripted")


def test_a_turn_that_failed_is_a_sentence_and_can_be_sent_again(chat, doors, monkeypatch):
    chat.open()
    chat.say("hello")
    with monkeypatch.context() as broken:
        broken.setattr(doors.services.conversations, "record", away)
        begin(chat, "thank you")
        expect(chat.page.get_by_role("alert")).to_contain_text("The database did not answer.")
        expect(coming(chat)).to_have_count(0)

    chat.page.get_by_role("button", name="Try again").click()

    expect(chat.page.get_by_role("alert")).to_have_count(0)
    expect(chat.last_source).to_contain_text("scripted")
    assert turns(doors, chat) == ["hello", "thank you"]
    again = [frame["turn_id"] for frame in doors.said if frame.get("message") == "thank you"]
    assert len(again) == 2
    assert len(set(again)) == 1


def test_what_the_door_refuses_is_a_sentence(chat, doors):
    chat.open()

    begin(chat, "hel\u0007lo")

    expect(chat.page.get_by_role("alert")).to_have_text("Message: the message holds the control character U+0007.")
    assert doors.workers.taken == []


def test_where_the_queue_is_away_http_carries_the_same_turn(chat, doors):
    chat.open()
    doors.workers.is_away = True

    chat.say("hello")

    expect(chat.last_source).to_contain_text("scripted")
    assert doors.actions() == ["message"]
    assert doors.asked.count("POST /v1/chat") == 1
    assert turns(doors, chat) == ["hello"]


def test_where_no_connection_can_be_had_http_carries_the_conversation(chat, doors):
    doors.is_open = False
    chat.open()

    chat.say("hello")
    chat.say("thank you")

    expect(chat.last_source).to_contain_text("scripted")
    assert doors.said == []
    assert turns(doors, chat) == ["hello", "thank you"]


def test_a_connection_that_takes_long_keeps_nobody_waiting_twice(chat, doors):
    doors.is_slow = True
    chat.page.clock.install()
    chat.open()
    begin(chat, "hello")
    expect(chat.page.locator(".typing")).to_be_visible()

    chat.page.clock.run_for(4 * SECONDS)

    expect(chat.last_source).to_contain_text("scripted")
    chat.say("thank you")
    assert doors.asked.count("POST /v1/chat") == 2
    doors.is_slow = False
    wait_until(lambda: doors.opened == 1)
    chat.say("hello")
    assert doors.actions() == ["message"]
    assert turns(doors, chat) == ["hello", "thank you", "hello"]


def test_where_there_is_no_socket_api_none_is_tried(chat, doors):
    chat.page.route("**/v1/health", lambda route: route.fulfill(json={**route.fetch().json(), "websocket": None}))
    chat.open()

    chat.say("hello")

    expect(chat.last_source).to_contain_text("scripted")
    assert doors.opened == 0


def test_a_line_that_accepts_nothing_is_left_and_the_turn_acts_once(chat, doors):
    chat.page.clock.install()
    chat.open()
    chat.say("hello")
    doors.sockets.is_mute = True

    begin(chat, "thank you")
    wait_until(lambda: len(doors.said) == 2)
    chat.page.clock.run_for(8 * SECONDS)

    expect(chat.messages).to_have_count(4)
    assert doors.asked.count("POST /v1/chat") == 1
    assert turns(doors, chat) == ["hello", "thank you"]
    chat.say("hello")
    assert doors.asked.count("POST /v1/chat") == 2, "it is left alone for a while"
    assert len(doors.said) == 2


def test_a_line_that_falls_silent_is_asked_about_over_http(chat, doors):
    chat.page.clock.install()
    chat.open()
    begin(chat, SMALL_TALK)
    doors.generator.say(FIRST, SECOND)
    expect(coming(chat)).to_contain_text("The dew")
    doors.sockets.is_mute = True
    doors.generator.say(THIRD)
    doors.generator.finish()
    wait_until(lambda: turns(doors, chat) == [SMALL_TALK])

    for _ in range(4):
        chat.page.clock.run_for(5 * SECONDS)

    expect(chat.last_source).to_contain_text("generated")
    expect(chat.messages.last).to_contain_text(FIRST + SECOND + THIRD)
    assert "POST /v1/chat" not in doors.asked
    assert len(doors.workers.taken) == 1


def test_a_line_is_kept_open_and_one_that_is_dead_is_noticed(chat, doors):
    chat.page.clock.install()
    chat.open()
    chat.say("hello")

    chat.page.clock.run_for(240 * SECONDS)
    wait_until(lambda: doors.actions() == ["message", "ping"])
    chat.say("thank you")

    assert doors.opened == 1
    doors.sockets.is_mute = True
    chat.page.clock.run_for(240 * SECONDS)
    wait_until(lambda: doors.actions()[-1] == "ping")
    chat.page.clock.run_for(6 * SECONDS)
    doors.sockets.is_mute = False
    chat.say("hello")
    assert doors.opened == 2
    assert turns(doors, chat) == ["hello", "thank you", "hello"]


def test_a_generator_that_is_away_can_be_waited_for(chat, doors):
    doors.generator.away = ASLEEP
    chat.open()
    chat.say(SMALL_TALK)
    expect(chat.last_source).to_contain_text("fallback")

    wait_button(chat).click()

    expect(wait_button(chat)).to_have_count(0)
    expect(chat.page.get_by_text("The answer will come here")).to_be_visible()
    wait_until(lambda: doors.actions()[-1] == "wait")
    doors.generator.away = None
    doors.generator.say(FIRST, SECOND, THIRD)
    doors.generator.finish()
    expect(chat.messages).to_have_count(3)
    expect(chat.last_source).to_contain_text("generated")
    expect(chat.messages.last).to_contain_text("robin")
    expect(chat.page.get_by_text("The answer will come here")).to_have_count(0)
    expect(wait_button(chat)).to_have_count(0)


def test_waiting_survives_a_broken_line_and_another_load_of_the_page(chat, doors):
    doors.generator.away = ASLEEP
    chat.open()
    chat.say(SMALL_TALK)
    wait_button(chat).click()
    wait_until(lambda: doors.actions()[-1] == "wait")

    chat.page.reload()
    expect(chat.page.get_by_text("The answer will come here")).to_be_visible()
    wait_until(lambda: doors.actions()[-1] == "resume")
    doors.generator.away = None
    doors.generator.say(FIRST, SECOND, THIRD)
    doors.generator.finish()

    expect(chat.messages).to_have_count(3)
    expect(chat.messages.last).to_contain_text("robin")


def test_without_a_line_waiting_goes_over_http(chat, doors):
    doors.is_open = False
    doors.generator.away = ASLEEP
    chat.open()
    chat.say(SMALL_TALK)

    wait_button(chat).click()
    doors.generator.away = None
    doors.generator.say(FIRST, SECOND, THIRD)
    doors.generator.finish()

    expect(chat.messages).to_have_count(3, timeout=20_000)
    expect(chat.messages.last).to_contain_text("robin")
    assert any(asked.endswith("/wait") for asked in doors.asked)


def test_waiting_that_came_to_nothing_is_said(chat, doors):
    doors.generator.away = ASLEEP
    chat.open()
    chat.say(SMALL_TALK)
    doors.generator.away = GenerationFailed("the generator said nothing fit to be said")

    wait_button(chat).click()

    expect(chat.page.get_by_role("alert")).to_contain_text("No answer could be had after all")
    expect(chat.page.get_by_text("The answer will come here")).to_have_count(0)


def test_who_has_taken_over_is_heard_before_the_page_looks(chat, doors):
    operator = Operator(doors.http, OPERATOR_KEY)
    chat.open()
    chat.say("I want to talk to a person")
    expect(chat.page.locator(".notice")).to_have_text("A person has taken over")
    chat.tell("my barrow came without its wheel")
    looked = len(doors.asked)

    operator.write(chat.remembered["id"], "A new wheel is on its way.")

    expect(chat.page.locator(".of-desk")).to_contain_text("A new wheel", timeout=8_000)
    assert [asked for asked in doors.asked[looked:] if asked.startswith("GET")][1:] == []
    operator.hand_back(chat.remembered["id"])
    expect(chat.page.locator(".notice")).to_be_empty(timeout=8_000)
    chat.say("hello")
    expect(chat.last_source).to_contain_text("scripted")


def test_whose_line_broke_hears_who_has_taken_over(chat, doors):
    chat.open()
    chat.say("I want to talk to a person")
    doors.cut()
    wait_until(lambda: "resume" in doors.actions())

    Operator(doors.http, OPERATOR_KEY).write(chat.remembered["id"], "I am here.")

    expect(chat.page.locator(".of-desk")).to_contain_text("I am here.", timeout=8_000)
    expect(chat.page.locator(".notice")).to_have_text("A person has taken over")


def test_why_is_told_over_the_line_too(chat, doors):
    chat.open()
    chat.explain()

    chat.say("where is my order?")
    chat.page.get_by_role("button", name="Why?").click()

    expect(chat.panel).to_contain_text("order_form")
    assert doors.said[0]["explain"] is True


def test_a_new_conversation_is_one_on_a_line_of_its_own(chat, doors):
    chat.open()
    chat.say("hello")
    first = chat.remembered["id"]

    chat.page.get_by_role("button", name="New conversation").click()
    chat.say("hello")

    assert chat.remembered["id"] != first
    assert turns(doors, chat) == ["hello"]
    assert doors.actions() == ["message", "message"]


def test_a_new_conversation_leaves_the_reply_that_was_coming(chat, doors):
    chat.open()
    begin(chat, SMALL_TALK)
    doors.generator.say(FIRST, SECOND)
    expect(coming(chat)).to_contain_text("The dew")

    chat.page.get_by_role("button", name="New conversation").click()
    doors.generator.finish()
    chat.say("hello")

    expect(chat.messages).to_have_count(2)
    expect(chat.last_source).to_contain_text("scripted")


def test_a_conversation_that_is_erased_meanwhile_goes_on_as_a_new_one(chat, doors):
    chat.open()
    chat.say("hello")
    first = chat.remembered["id"]
    doors.services.conversations.erase(first)

    chat.say("thank you")

    expect(chat.last_source).to_contain_text("scripted")
    assert chat.remembered["id"] != first
    assert turns(doors, chat) == ["thank you"]


def test_a_conversation_whose_token_opens_nothing_starts_afresh(chat, doors):
    chat.open()
    chat.say("hello")
    first = chat.remembered["id"]
    chat.page.evaluate(
        """name => sessionStorage.setItem(name, JSON.stringify({...JSON.parse(sessionStorage[name]), token: "x"}))""",
        chat.page.evaluate("`parley ${new URL(document.baseURI).pathname}`"),
    )

    chat.page.reload()

    expect(chat.page.get_by_role("heading", name="How can I help?")).to_be_visible()
    chat.say("hello")
    assert chat.remembered["id"] != first


@pytest.mark.parametrize("status", [403, 404])
def test_what_stands_before_the_api_and_refuses_takes_no_conversation_away(chat, doors, status):
    chat.open()
    chat.say("hello")
    begun = chat.remembered
    chat.page.route(
        "**/v1/conversations/*",
        lambda route: route.fulfill(status=status, content_type="text/html", body="<h1>Forbidden</h1>"),
    )

    chat.page.reload()
    expect(chat.page.get_by_role("alert")).to_have_text("The bot cannot answer at the moment.")

    assert chat.remembered == begun
    chat.page.unroute("**/v1/conversations/*")
    chat.page.reload()
    expect(chat.messages).to_have_count(2)
    chat.say("thank you")
    assert turns(doors, chat) == ["hello", "thank you"]


def test_the_enter_that_ends_a_composition_sends_nothing(chat, doors):
    chat.open()
    chat.composer.fill("hello")

    chat.composer.evaluate(
        """field => field.dispatchEvent(new KeyboardEvent("keydown",
            {key: "Enter", keyCode: 229, bubbles: true, cancelable: true}))"""
    )

    chat.page.wait_for_timeout(200)
    expect(chat.composer).to_have_value("hello")
    assert "message" not in doors.actions()
    chat.composer.press("Enter")
    expect(chat.messages).to_have_count(2)


def test_whoever_only_looks_opens_no_connection(chat, doors):
    chat.open()
    expect(chat.page.get_by_role("list", name="First questions").get_by_role("button").first).to_be_visible()
    assert doors.opened == 0

    chat.composer.press_sequentially("h")

    wait_until(lambda: doors.opened == 1)
    assert doors.said == []


def away(*_: object, **__: object) -> None:
    raise Unavailable("the database did not answer")


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < deadline, "it did not become so"
        time.sleep(0.02)


def test_pictures_are_sent_with_words_and_without(chat, doors):
    chat.open()
    picked = chat.page.get_by_role("list", name="Files to send").locator(".sent")
    chooser = chat.page.locator("input[type=file]")
    chooser.set_input_files({"name": "one.png", "mimeType": "image/png", "buffer": PNG})
    expect(picked).to_have_count(1)
    expect(chat.composer).to_be_focused()
    chat.say("it arrived broken")
    chooser.set_input_files({"name": "two.png", "mimeType": "image/png", "buffer": PNG})
    expect(picked).to_have_count(1)

    chat.awaiting_reply(lambda: chat.composer.press("Enter"))

    turns = doors.services.conversations.history(chat.remembered["id"], limit=9)
    assert [(turn.message, [each.name for each in turn.uploads]) for turn in turns] == [
        ("it arrived broken", ["one.png"]),
        ("", ["two.png"]),
    ]
    chat.page.reload()
    expect(chat.page.locator(".of-person").last.get_by_role("button")).to_contain_text("two.png")
    with chat.page.expect_download() as download:
        chat.page.get_by_role("button", name="one.png").click()
    assert Path(download.value.path()).read_bytes() == PNG


def test_a_file_that_cannot_be_sent_is_told_and_a_new_conversation_forgets_the_others(chat):
    chat.open()
    chooser = chat.page.locator("input[type=file]")
    chooser.set_input_files(
        [
            {"name": "a.pdf", "mimeType": "application/pdf", "buffer": b"%PDF-"},
            {"name": "b.png", "mimeType": "image/png", "buffer": PNG},
        ]
    )
    expect(chat.page.get_by_text("a.pdf cannot be sent: this bot takes")).to_be_visible()
    picked = chat.page.get_by_role("list", name="Files to send").locator(".sent")
    expect(picked).to_have_count(1)
    expect(chat.page.get_by_role("button", name="Send")).to_be_enabled()

    chat.page.get_by_role("button", name="New conversation").click()

    expect(picked).to_have_count(0)
    expect(chat.page.get_by_role("button", name="Send")).to_be_disabled()
