"""A person takes over from the bot, writes, and hands the conversation back."""

import re

import pytest
from playwright.sync_api import Route, expect

TAKEN_OVER = "A person has taken over"
SECONDS = 1_000
HIDE = """hidden => {
    Object.defineProperty(document, "hidden", {value: hidden, configurable: true});
    document.dispatchEvent(new Event("visibilitychange"));
}"""


@pytest.mark.parametrize(("width", "height"), [(360, 740), (1280, 800)])
def test_a_person_takes_over_writes_and_hands_back(chat, operator, width, height):
    chat.page.set_viewport_size({"width": width, "height": height})
    chat.open()
    chat.say("I want to talk to a person")
    conversation_id = chat.remembered["id"]
    expect(notice(chat)).to_have_text(TAKEN_OVER)

    chat.tell("my barrow came without its wheel")
    operator.write(conversation_id, "This is Maeve. A new wheel is on its way.")

    desk = chat.page.locator(".of-desk")
    expect(desk).to_have_count(1)
    expect(desk).to_contain_text(re.compile("Person.*A new wheel is on its way."))
    assert chat.page.evaluate("document.documentElement.scrollWidth") == width
    shown = chat.messages.all_text_contents()
    chat.page.reload()
    expect(chat.messages).to_have_text(shown)
    expect(notice(chat)).to_have_text(TAKEN_OVER)

    operator.hand_back(conversation_id)

    expect(notice(chat)).to_be_empty()
    chat.say("hello")
    expect(chat.last_source).to_contain_text("scripted")
    shown = chat.messages.all_text_contents()
    chat.page.reload()
    expect(chat.messages).to_have_text(shown)
    expect(notice(chat)).to_be_empty()


def test_what_is_said_at_the_same_time_is_shown_once_and_in_the_order_of_the_turns(chat):
    desk = Desk(chat)
    chat.open()
    chat.say("I want to talk to a person")
    desk.turns.append(written(2, "I am here."))  # before the page looks again

    chat.tell("are you there?")

    expect(chat.messages).to_have_text(
        [re.compile("talk to a person"), re.compile("I call"), re.compile("I am here"), re.compile("are you there")]
    )
    desk.turns.append(written(4, "Tell me."))
    expect(chat.page.locator(".of-desk")).to_have_count(2)
    assert chat.messages.count() == 5


def test_what_was_said_before_the_bot_took_over_again_is_not_lost(chat):
    desk = Desk(chat)
    chat.open()
    chat.say("I want to talk to a person")
    desk.turns += [written(2, "It is sorted out."), written(3, "The bot again.", source="scripted")]
    desk.is_away = True

    chat.composer.fill("thank you")
    chat.composer.press("Enter")

    expect(chat.messages).to_have_count(6)
    expect(chat.messages).to_have_text(
        [
            re.compile(text)
            for text in ("talk to a person", "I call", "It is sorted", "The bot again", "thank you", "Answer 4")
        ]
    )
    expect(notice(chat)).to_be_empty()


def test_more_turns_than_the_page_looks_at_are_all_shown(chat):
    desk = Desk(chat)
    chat.open()
    chat.say("I want to talk to a person")

    desk.turns += [written(number, f"Message {number}.") for number in range(2, 27)]

    expect(chat.page.locator(".of-desk")).to_have_count(25)
    expect(chat.page.locator(".of-desk .bubble")).to_have_text([f"Message {number}." for number in range(2, 27)])


def test_the_page_looks_less_often_where_nothing_happens_and_not_at_all_where_nobody_does(chat):
    desk = Desk(chat)
    chat.page.clock.install()
    chat.open()
    chat.say("I want to talk to a person")

    for _ in range(42):
        desk.awaits_look(lambda: chat.page.clock.run_for(3 * SECONDS))
    assert desk.looks_within(12 * SECONDS) == 0
    desk.awaits_look(lambda: chat.page.clock.run_for(3 * SECONDS))

    chat.page.evaluate(HIDE, True)
    assert desk.looks_within(60 * SECONDS) == 0
    desk.awaits_look(lambda: chat.page.evaluate(HIDE, False))

    desk.turns.append(written(2, "Sorry for the wait."))
    desk.awaits_look(lambda: chat.page.clock.run_for(15 * SECONDS))
    expect(chat.page.locator(".of-desk")).to_have_count(1)
    desk.awaits_look(lambda: chat.page.clock.run_for(3 * SECONDS))


def test_a_look_that_fails_troubles_nobody(chat):
    desk = Desk(chat)
    desk.is_broken = True
    chat.open()
    chat.say("I want to talk to a person")
    chat.page.wait_for_event("response", lambda response: response.status == 503)

    desk.is_broken = False
    desk.turns.append(written(2, "Here I am."))

    expect(chat.page.locator(".of-desk")).to_have_count(1)
    assert chat.page.get_by_role("alert").count() == 0


class Desk:
    """An API whose bot has handed over; what the person writes is appended to `turns`."""

    def __init__(self, chat) -> None:
        self.chat = chat
        self.turns: list[dict[str, object]] = []
        self.is_away = False  # the bot has the conversation again
        self.is_broken = False
        self.looks = 0
        chat.page.route("**/v1/chat", self._say)
        chat.page.route("**/v1/conversations/*", self._look)

    def awaits_look(self, act) -> None:
        with self.chat.page.expect_response("**/v1/conversations/*"):
            act()

    def looks_within(self, milliseconds: int) -> int:
        before = self.looks
        self.chat.page.clock.run_for(milliseconds)
        return self.looks - before

    def _say(self, route: Route) -> None:
        asked, number = route.request.post_data_json, len(self.turns) + 1
        answers = [] if self.turns and not self.is_away else [f"Answer {number}" if self.turns else "I call a person."]
        turn = {
            "turn_id": asked["turn_id"],
            "replies": [{"text": text} for text in answers],
            "source": "scripted" if answers else "handoff",
        }
        self.turns.append({**turn, "number": number, "message": asked["message"], "channel": "http"})
        begun = {} if "conversation_id" in asked else {"conversation_token": "t"}
        route.fulfill(json={**turn, **begun, **self._owner, "conversation_id": "c"})

    def _look(self, route: Route) -> None:
        self.looks += 1
        if self.is_broken:
            route.fulfill(status=503, json={})
            return
        address = route.request.url
        limit = int(given[1]) if (given := re.search(r"limit=(\d+)", address)) else 50
        end = int(given[1]) - 1 if (given := re.search(r"before=(\d+)", address)) else len(self.turns)
        begin = max(0, end - limit)
        rest = {"next": begin + 1} if begin else {}
        route.fulfill(json={"conversation_id": "c", "turns": self.turns[begin:end], **rest, **self._owner})

    @property
    def _owner(self) -> dict[str, object]:
        return {} if self.is_away else {"handed_off": True}


def written(number: int, text: str, source: str = "person") -> dict[str, object]:
    """A turn of the person who has taken over."""
    turn = {"turn_id": f"p{number}", "number": number, "message": "", "channel": "person"}
    return {**turn, "replies": [{"text": text}], "source": source}


def notice(chat):
    return chat.page.locator(".notice[role=status]")
