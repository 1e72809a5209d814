"""Why the bot said what it said: the panel beside the thread, and on a phone the sheet over it."""

import re

import pytest
from playwright.sync_api import Route, expect

PHONE = {"width": 360, "height": 740}
DESKTOP = {"width": 1400, "height": 900}

EVERYTHING = {
    "understanding": {
        "intent": "order",
        "confidence": 0.874,
        "ranking": [
            {"name": "order", "confidence": 0.874},
            {"name": "faq", "confidence": 0.09},
            {"name": "greet", "confidence": 0.004},
        ],
        "entities": [{"name": "city", "value": "lon", "start": 5, "end": 11, "text": "London", "role": "destination"}],
        "language": "en",
        "in_scope": 0.99,
    },
    "steps": [
        {"action": "pizza_form", "policy": "form", "because": "pizza_form asked", "rejected": True},
        {
            "action": "action_answer",
            "policy": "nearest-story",
            "because": "story `Ask` at data/a.yml:5",
            "rejected": False,
        },
    ],
    "slots": [{"name": "size", "before": None, "after": "xl"}, {"name": "toppings", "before": ["ham"], "after": []}],
    "form": {"name": "pizza_form", "requested_slot": "toppings"},
    "knowledge": [{"title": "Our oven", "document": "oven.md", "section": "How hot is it?", "text": "450 degrees."}],
    "timings_ms": {"open": 1.0, "understand": 4.0, "save": 5.0, "total": 10.0},
}


def test_an_order_is_explained_from_the_question_to_its_number(chat):
    chat.open()
    chat.explain()
    chat.say("where is my order?")
    chat.say("WB-204518")
    asked, told = chat.page.get_by_role("button", name="Why?").all()

    asked.click()

    expect(part(chat, "Understood")).to_contain_text(re.compile(r"order_status.*\d+ %"))
    expect(part(chat, "Form")).to_contain_text("order_form asks for order_number")

    told.click()

    expect(chat.panel).to_have_count(1)
    expect(chat.panel).to_contain_text("WB-204518")
    expect(part(chat, "Entities")).to_contain_text(re.compile("order_number.*WB-204518"))
    expect(part(chat, "Steps").get_by_role("listitem").first).to_contain_text("order_form")
    expect(part(chat, "Steps")).to_contain_text("utter_order_status")
    expect(part(chat, "Slots changed")).to_contain_text(re.compile("order_number.*nothing.*WB-204518"))
    expect(part(chat, "Time")).to_contain_text(re.compile(r"understand.*total\s*\d+(\.\d)? ms"))
    expect(part(chat, "Form")).to_have_count(0)


def test_a_reply_that_was_not_asked_for_its_reasons_has_none(chat):
    sent: list[bool] = []
    chat.page.on("request", lambda request: sent.append(explains(request)) if "/v1/chat" in request.url else None)
    chat.open()

    chat.say("hello")
    chat.explain()
    chat.say("hello")

    assert sent == [False, True]
    expect(chat.page.get_by_role("button", name="Why?")).to_have_count(1)
    chat.explain()
    expect(chat.page.get_by_role("button", name="Why?")).to_have_count(0)


def test_the_switch_is_remembered_in_the_tab(chat):
    chat.open()
    chat.explain()

    chat.page.reload()

    expect(chat.page.get_by_role("switch", name="Explain")).to_be_checked()
    chat.say("hello")
    expect(chat.page.get_by_role("button", name="Why?")).to_have_count(1)


def test_where_the_stage_explains_to_nobody_there_is_no_switch(chat):
    chat.page.route("**/v1/health", lambda route: route.fulfill(json={**health(route), "explain": False}))
    chat.open()

    expect(chat.page.get_by_role("list", name="First questions").get_by_role("button").first).to_be_visible()

    expect(chat.page.get_by_role("switch")).to_have_count(0)


def test_all_that_can_be_told_is_told_to_a_screen_reader_too(chat):
    chat.page.route("**/v1/chat", explained)
    chat.open()
    chat.explain()
    chat.say("a pizza to London")

    chat.page.get_by_role("button", name="Why?").click()

    expect(chat.panel).to_match_aria_snapshot("""
        - dialog "Why this reply?":
          - heading "Why this reply?" [level=2]
          - button "Close"
          - paragraph: a pizza to London
          - heading "Understood" [level=3]
          - list:
            - listitem: order 87 %
            - listitem: faq 9 %
            - listitem: greet < 1 %
          - heading "Entities" [level=3]
          - term: city destination
          - definition:
            - code: lon
            - text: from “London”
          - heading "Steps" [level=3]
          - list:
            - listitem:
              - code: pizza_form
              - text: form rejected
              - paragraph: pizza_form asked
            - listitem:
              - code: action_answer
              - text: nearest story
              - paragraph:
                - text: story
                - code: Ask
                - text: at data/a.yml:5
          - heading "Slots changed" [level=3]
          - term: size
          - definition:
            - text: nothing became
            - code: xl
          - term: toppings
          - definition:
            - code: '["ham"]'
            - text: became
            - code: "[]"
          - heading "Form" [level=3]
          - paragraph:
            - code: pizza_form
            - text: asks for
            - code: toppings
          - heading "Knowledge" [level=3]
          - list:
            - listitem: Our oven › How hot is it? oven.md
          - heading "Time" [level=3]
          - list:
            - listitem: open 1.0 ms
            - listitem: understand 4.0 ms
            - listitem: save 5.0 ms
            - listitem: total 10 ms
    """)


def test_a_bar_is_as_long_as_its_share_and_times_follow_each_other(chat):
    chat.page.route("**/v1/chat", explained)
    chat.open()
    chat.explain()
    chat.say("a pizza to London")
    chat.page.get_by_role("button", name="Why?").click()

    def bars(title):
        shares = "bars => bars.map(bar => [bar.x.baseVal, bar.width.baseVal].map(it => it.valueInSpecifiedUnits))"
        return part(chat, title).locator("rect:not(.track)").evaluate_all(shares)

    assert bars("Understood")[:2] == [[0, pytest.approx(87.4)], [0, pytest.approx(9)]]
    assert bars("Time") == [[0, 10], [10, 40], [50, 50]]


@pytest.mark.parametrize("viewport", [PHONE, DESKTOP])
def test_somebody_without_a_mouse_opens_reads_and_closes_it(chat, viewport):
    chat.page.set_viewport_size(viewport)
    chat.page.route("**/v1/chat", explained)
    chat.open()
    chat.explain()
    chat.say("a pizza to London")
    why = chat.page.get_by_role("button", name="Why?")
    why.focus()

    chat.page.keyboard.press("Enter")

    expect(chat.panel.get_by_role("button", name="Close")).to_be_focused()
    chat.page.keyboard.press("Escape")
    expect(chat.panel).to_have_count(0)
    expect(why).to_be_focused()
    chat.page.keyboard.press("Enter")
    chat.page.keyboard.press("Enter")
    expect(chat.panel).to_have_count(0)
    expect(why).to_be_focused()


def test_on_a_phone_it_is_a_sheet_from_below_that_a_tap_beside_it_closes(chat):
    chat.page.set_viewport_size(PHONE)
    chat.page.route("**/v1/chat", explained)
    chat.open()
    chat.explain()
    chat.say("a pizza to London")
    chat.page.get_by_role("button", name="Why?").click()
    expect(chat.panel).to_have_js_property("open", True)
    chat.panel.evaluate("async panel => await Promise.all(panel.getAnimations().map(it => it.finished))")

    box = chat.panel.bounding_box()

    assert box["x"] == 0
    assert box["width"] == PHONE["width"]
    assert box["y"] > 50
    assert box["y"] + box["height"] == pytest.approx(PHONE["height"], abs=1)
    assert sideways(chat) == 0
    chat.page.mouse.click(180, 20)
    expect(chat.panel).to_have_count(0)


def test_on_a_wide_screen_it_stands_beside_the_thread_which_goes_on(chat):
    chat.page.set_viewport_size(DESKTOP)
    chat.page.route("**/v1/chat", explained)
    chat.open()
    chat.explain()
    chat.say("a pizza to London")

    chat.page.get_by_role("button", name="Why?").click()

    panel, thread = chat.panel.bounding_box(), chat.page.locator(".thread").bounding_box()
    assert thread["x"] + thread["width"] <= panel["x"]
    assert panel["x"] + panel["width"] == DESKTOP["width"]
    assert sideways(chat) == 0
    chat.say("another one")
    expect(chat.panel).to_be_visible()


def test_it_stays_open_when_the_screen_is_turned(chat):
    chat.page.set_viewport_size(PHONE)
    chat.page.route("**/v1/chat", explained)
    chat.open()
    chat.explain()
    chat.say("a pizza to London")
    chat.page.get_by_role("button", name="Why?").click()

    chat.page.set_viewport_size(DESKTOP)

    expect(chat.panel).to_have_count(1)
    expect(chat.panel).to_have_js_property("open", True)
    assert not chat.panel.evaluate("panel => panel.matches(':modal')")


def test_a_new_conversation_takes_it_away(chat):
    chat.page.set_viewport_size(DESKTOP)
    chat.open()
    chat.explain()
    chat.say("hello")
    chat.page.get_by_role("button", name="Why?").click()
    expect(chat.panel).to_be_visible()

    chat.page.get_by_role("button", name="New conversation").click()

    expect(chat.panel).to_have_count(0)


def part(chat, title: str):
    return chat.panel.locator("section").filter(has=chat.page.get_by_role("heading", name=title))


def explains(request) -> bool:
    return request.post_data_json.get("explain", False)


def health(route: Route) -> dict[str, object]:
    return dict(route.fetch().json())


def explained(route: Route) -> None:
    asked = route.request.post_data_json
    assert asked["explain"] is True
    route.fulfill(
        json={
            "conversation_id": "c",
            "conversation_token": "t",
            "turn_id": asked["turn_id"],
            "replies": [{"text": "It is in the oven."}],
            "source": "scripted",
            "understanding": EVERYTHING["understanding"],
            "timings_ms": {},
            "explanation": EVERYTHING,
        }
    )


def sideways(chat) -> int:
    return int(chat.page.evaluate("document.documentElement.scrollWidth - innerWidth"))
