"""A person talks to the bot on the chat page, in a real browser, against the deployed stack."""

import json
import re
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Route, expect

PICTURE = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9" height="9"/></svg>'


def test_a_greeting_is_answered_with_buttons_and_a_button_is_a_message(chat):
    chat.open()

    chat.say("hello")

    expect(chat.last_source).to_contain_text("scripted")
    offered = chat.page.get_by_role("list", name="Suggested answers").get_by_role("button")
    title = offered.first.inner_text()
    chat.choose(title)
    expect(chat.page.locator(".of-person").last).to_contain_text(title)
    expect(chat.page.locator(".of-bot")).to_have_count(2)


def test_the_address_may_name_another_bot(chat):
    chat.open("?bot=clinic")

    chat.say("hello")

    expect(chat.page.get_by_role("heading", level=1)).to_contain_text("Weir Street Practice")
    expect(chat.last_source).to_contain_text("scripted")


def test_a_first_question_is_suggested_and_asked_with_a_click(chat):
    chat.open()
    suggestion = chat.page.get_by_role("list", name="First questions").get_by_role("button").first

    chat.awaiting_reply(suggestion.click)

    expect(chat.page.locator(".of-bot")).to_have_count(1)


def test_an_answer_from_a_document_shows_where_it_is_from(chat):
    chat.open()

    chat.say("Do you sharpen secateurs?")

    expect(chat.last_source).to_contain_text(re.compile("knowledge|cached"))
    citation = chat.messages.last.locator(".citations details").first
    expect(citation.locator("blockquote")).to_be_hidden()
    citation.locator("summary").click()
    expect(citation.locator("blockquote")).to_be_visible()
    expect(citation.locator("footer")).to_contain_text(".md")


def test_a_citation_opens_its_document_at_the_place(chat):
    chat.open()
    chat.say("Do you sharpen secateurs?")
    citation = chat.messages.last.locator(".citations details").first
    citation.locator("summary").click()
    quoted = citation.locator("blockquote p").first.text_content()

    with chat.page.expect_popup() as opened:
        citation.locator("footer a").click()

    document = opened.value
    expect(document.locator("h1")).to_be_visible()
    expect(document.locator("section:target")).to_contain_text(quoted.splitlines()[0])


def test_small_talk_is_marked_as_generated(chat):
    chat.open()

    chat.say("tell me something nice about your morning")

    expect(chat.last_source).to_contain_text("generated")


def test_a_reload_keeps_the_conversation_and_a_new_one_forgets_it(chat):
    chat.open()
    chat.say("hello")
    chat.say("thank you")
    said = chat.messages.all_text_contents()

    chat.page.reload()

    expect(chat.messages).to_have_text(said)
    chat.page.get_by_role("button", name="New conversation").click()
    expect(chat.messages).to_have_count(0)
    chat.page.reload()
    expect(chat.page.get_by_role("heading", name="How can I help?")).to_be_visible()
    expect(chat.messages).to_have_count(0)


def test_a_conversation_that_was_erased_starts_afresh(chat):
    chat.open()
    chat.say("hello")
    erase_conversation(chat)

    chat.page.reload()

    expect(chat.page.get_by_role("heading", name="How can I help?")).to_be_visible()
    chat.say("hello")
    expect(chat.last_source).to_contain_text("scripted")


def test_a_conversation_that_is_erased_meanwhile_goes_on_as_a_new_one(chat):
    chat.open()
    chat.say("hello")
    erase_conversation(chat)

    chat.say("hello")

    expect(chat.last_source).to_contain_text("scripted")


def test_html_that_somebody_writes_stays_text(chat):
    written = '<img src=x onerror="document.title = 1"><script>document.title = 2</script>'
    chat.open()

    chat.say(written)

    expect(chat.page.locator(".of-person")).to_contain_text(written)
    assert chat.page.locator("img").count() == 0
    assert chat.page.title() not in ("1", "2")


def test_html_and_script_addresses_from_the_bot_stay_text(chat):
    text = "<img src=x onerror=alert(1)> [press](javascript:alert(2)) **bold** [shop](https://shop.example/)"
    reply = {"text": text, "image": "https://pictures.example/a.png"}
    chat.page.route("**/v1/chat", lambda route: route.fulfill(json=answer(reply)))
    chat.open()

    chat.say("hello")

    bubble = chat.messages.last.locator(".bubble")
    expect(bubble).to_contain_text("<img src=x onerror=alert(1)> press bold shop")
    expect(bubble.locator("strong")).to_have_text("bold")
    assert bubble.locator("img").count() == 0
    links = bubble.get_by_role("link").evaluate_all("links => links.map(link => link.href)")
    assert links == ["https://shop.example/", "https://pictures.example/a.png"]


def test_a_file_is_a_link_and_what_is_meant_for_other_channels_is_not_shown(chat):
    replies = [
        {"text": "one", "attachment": "https://files.example/a/invoice.pdf", "custom": {"sticker": 7}},
        {"text": "two", "attachment": {"url": "https://files.example/b", "name": "Our terms"}},
        {"text": "three", "attachment": {"type": "template", "payload": {}}},
        {"text": "four", "attachment": "javascript:alert(1)", "image": "http://"},
        {"text": "", "custom": {"sticker": 8}},
    ]
    chat.page.route("**/v1/chat", lambda route: route.fulfill(json={**answer({}), "replies": replies}))
    chat.open()

    chat.say("hello")

    bubbles = chat.messages.last.locator(".bubble")
    expect(bubbles).to_have_count(4)
    links = bubbles.get_by_role("link").evaluate_all("links => links.map(link => [link.text, link.href])")
    assert links == [
        ["invoice.pdf", "https://files.example/a/invoice.pdf"],
        ["Our terms", "https://files.example/b"],
    ]
    assert "sticker" not in bubbles.all_text_contents()


def test_a_picture_of_this_origin_is_shown(chat):
    chat.page.route("**/v1/chat", lambda route: route.fulfill(json=answer({"text": "", "image": "assets/a.png"})))
    chat.page.route("**/assets/a.png", lambda route: route.fulfill(content_type="image/svg+xml", body=PICTURE))
    chat.open()

    chat.say("hello")

    expect(chat.messages.last.get_by_role("img", name="Picture")).to_be_visible()


def test_a_button_sends_its_payload_and_is_shown_by_its_title_also_after_a_reload(chat):
    sent: list[str] = []
    offer = {"text": "Which one?", "buttons": [{"title": "The large one", "payload": '/inform{"size": "xl"}'}]}

    def serve(route: Route) -> None:
        sent.append(route.request.post_data_json["message"])
        route.fulfill(json={**answer(offer), "turn_id": route.request.post_data_json["turn_id"]})

    turns = [recorded(1, "hello"), recorded(2, '/inform{"size": "xl"}'), recorded(3, '/order_status{"order": 7}')]
    turns[0]["replies"] = [offer]
    chat.page.route("**/v1/chat", serve)
    chat.page.route("**/v1/conversations/*", lambda route: route.fulfill(json={"turns": turns}))
    chat.open()
    chat.say("hello")

    chat.choose("The large one")

    bubbles = chat.page.locator(".of-person .bubble")
    assert sent == ["hello", '/inform{"size": "xl"}']
    expect(bubbles).to_have_text(["hello", "The large one"])
    chat.page.reload()
    expect(bubbles).to_have_text(["hello", "The large one", "order status"])


def test_a_refusal_is_a_sentence_that_cannot_be_tried_again(chat):
    chat.page.route("**/v1/chat", lambda route: refuse(route, 422, "the message is not to our liking"))
    chat.open()

    chat.say("hello")

    alert = chat.page.get_by_role("alert")
    expect(alert).to_have_text("The message is not to our liking.")
    assert alert.get_by_role("button").count() == 0


def test_an_outage_is_a_sentence_and_the_same_turn_can_be_sent_again(chat):
    sent: list[dict[str, str]] = []
    outage = True

    def serve(route: Route) -> None:
        sent.append(route.request.post_data_json)
        if outage:
            refuse(route, 503, "the bot is busy")
        else:
            route.continue_()

    chat.page.route("**/v1/chat", serve)
    chat.open()
    chat.say("hello")
    expect(chat.page.get_by_role("alert")).to_contain_text("The bot is busy.")

    outage = False
    chat.page.get_by_role("button", name="Try again").click()

    expect(chat.last_source).to_contain_text("scripted")
    assert chat.page.get_by_role("alert").count() == 0
    assert len(sent) > 2, "the page tries by itself before it troubles the person"
    assert len({request["turn_id"] for request in sent}) == 1


def test_a_message_sent_through_a_bad_line_is_sent_again_as_the_same_turn(chat):
    sent: list[dict[str, str]] = []

    def serve(route: Route) -> None:
        sent.append(route.request.post_data_json)
        if len(sent) == 1:
            route.abort("connectionreset")
        else:
            route.continue_()

    chat.page.route("**/v1/chat", serve)
    chat.open()

    chat.say("hello")

    expect(chat.last_source).to_contain_text("scripted")
    assert len(sent) == 2
    assert sent[0] == sent[1]


def test_earlier_turns_are_fetched_when_asked_for(chat):
    chat.open()
    chat.say("hello")

    def serve(route: Route) -> None:
        before = "before=2" in route.request.url
        turn = recorded(1, "the first") if before else recorded(2, "the second")
        route.fulfill(json={"conversation_id": "c", "turns": [turn], "next": None if before else 2})

    chat.page.route("**/v1/conversations/*", serve)
    chat.page.reload()
    expect(chat.messages).to_have_count(2)

    chat.page.get_by_role("button", name="Show earlier messages").click()

    expect(chat.page.locator(".of-person")).to_have_text([re.compile("the first"), re.compile("the second")])
    assert chat.page.get_by_role("button", name="Show earlier messages").count() == 0


def test_somebody_without_a_mouse_reaches_everything(chat):
    chat.open()
    expect(chat.page.get_by_role("list", name="First questions").get_by_role("button").first).to_be_visible()
    chat.composer.focus()

    chat.page.keyboard.type("hello")
    chat.awaiting_reply(lambda: chat.page.keyboard.press("Enter"))
    expect(chat.composer).to_be_focused()
    chat.page.keyboard.press("Shift+Tab")
    expect(chat.page.get_by_role("button", name="Attach files")).to_be_focused()
    chat.page.keyboard.press("Shift+Tab")
    expect(chat.page.get_by_role("list", name="Suggested answers").get_by_role("button").last).to_be_focused()
    chat.awaiting_reply(lambda: chat.page.keyboard.press("Enter"))

    expect(chat.page.locator(".of-person")).to_have_count(2)


@pytest.mark.parametrize(("width", "height"), [(320, 568), (375, 812), (1280, 800)])
def test_nothing_is_wider_than_the_screen(chat, width, height):
    chat.page.set_viewport_size({"width": width, "height": height})
    wide = {"text": "x" * 300 + "\n\n| a | b |\n|---|---|\n| " + "y" * 200 + " | z |\n\n```\n" + "w" * 300 + "\n```"}
    chat.page.route("**/v1/chat", lambda route: route.fulfill(json=answer(wide)))
    chat.open()

    chat.say("w" * 400)

    scroll_width = chat.page.evaluate("document.documentElement.scrollWidth")
    assert scroll_width == width
    thread_overflow = chat.page.locator(".scroll").evaluate("thread => thread.scrollWidth - thread.clientWidth")
    assert thread_overflow == 0


def test_the_page_asks_no_other_host(chat):
    chat.open()
    chat.say("hello")
    chat.say("Do you sharpen secateurs?")
    chat.page.reload()
    expect(chat.messages).to_have_count(4)

    origins = {urlsplit(url)[:2] for url in chat.requested}

    assert origins == {urlsplit(chat.url)[:2]}


def erase_conversation(chat) -> None:
    """Erase what the tab remembers, the way another device of the same person would."""
    remembered = chat.remembered
    erased = chat.page.request.delete(
        f"{chat.url}v1/conversations/{remembered['id']}", headers={"Authorization": f"Bearer {remembered['token']}"}
    )
    assert erased.ok


def refuse(route: Route, status: int, detail: str) -> None:
    problem = {"type": "about:blank", "title": "Refused", "status": status, "detail": detail}
    route.fulfill(status=status, content_type="application/problem+json", body=json.dumps(problem))


def answer(reply: dict[str, str]) -> dict[str, object]:
    return {
        "conversation_id": "c",
        "conversation_token": "t",
        "turn_id": "one",
        "replies": [reply],
        "source": "scripted",
        "understanding": {"intent": "greet", "confidence": 1, "entities": []},
        "timings_ms": {},
    }


def recorded(number: int, message: str) -> dict[str, object]:
    turn = {**answer({"text": f"Answer {number}"}), "turn_id": f"t{number}", "number": number, "message": message}
    return {name: turn[name] for name in ("turn_id", "number", "message", "replies", "source")}
