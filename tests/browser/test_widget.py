"""The widget on a page of another origin, in a real browser, through the real doors."""

import gzip
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, FilePayload, Locator, Page, expect

from parley.access import Access
from parley.bots.bot import UploadSettings
from parley.conversation import RecordedTurn
from parley.errors import GenerationAsleep, Unavailable
from parley.loaded import LoadedBot
from parley.services import Services
from tests.browser.conftest import WITHOUT_WEBSOCKETS, Operator, opened_tab
from tests.browser.doors import OPERATOR_KEY, ROOT, Doors, Speaker
from tests.browser.host import Host, hosted
from tests.builders import PNG

SMALL_TALK = "tell me something nice about your morning"
FIRST = "The dew was still on the lavender when I came in this morning, "
SECOND = "and a robin sat on the wheelbarrow by the door for quite a while. "
THIRD = "It sang until the kettle boiled, and then it was gone again."
BUDGET_KB = 150  # of the whole widget, gzipped
OF_THE_BUBBLE_KB = 5  # which every visitor of a page pays for
PHONE = {"width": 375, "height": 700}
AXE = (ROOT / "node_modules/axe-core/axe.min.js").read_text()
HOSTILE = """<style>
    * { all: unset; font-size: 50px; line-height: 3; color: red; letter-spacing: 1em; transition: all 9s }
    * { --accent: red; --ground: red }
    div, button, parley-widget, dialog, section { display: none }
    html { font-size: 50px } :host { display: none }
</style>"""
MANNERS = """() => ({
    names: Object.getOwnPropertyNames(window).sort(),
    title: getComputedStyle(document.querySelector("h1")).cssText + getComputedStyle(document.body).cssText,
    width: document.documentElement.scrollWidth,
})"""
# Hands files over in an event of the mouse or of the clipboard, and whether somebody took it.
HANDS_OVER = """(element, {kind, files, texts}) => {
    const carried = new DataTransfer();
    for (const {name, type} of files) carried.items.add(new File([Uint8Array.of(1)], name, {type}));
    for (const type of texts) carried.setData(type, "words");
    const more = kind === "paste" ? {clipboardData: carried} : {dataTransfer: carried};
    const event = kind === "paste" ? ClipboardEvent : DragEvent;
    return !element.dispatchEvent(new event(kind, {bubbles: true, composed: true, cancelable: true, ...more}));
}"""
# A screen that a keyboard covers when a test says so.
SCREEN = """
    const screen = Object.assign(new EventTarget(), {height: innerHeight, offsetTop: 0});
    screen.shrinks = to => Object.assign(screen, to).dispatchEvent(new Event("resize"));
    Object.defineProperty(window, "visualViewport", {value: screen});
"""
# As the firewall in front of the API says it: JSON, and no problem by its media type.
TOO_OFTEN: dict[str, Any] = {
    "json": {"title": "Too Many Requests", "detail": "This address asks too often; wait, then try again."},
    "headers": {"Retry-After": "300"},
}
# A browser that hears and speaks, in the hands of a test.
EARS_AND_VOICE = """
    window.heard = null;
    window.said = [];
    class Recogniser {
        start() { window.heard = this; }
        stop() { this.onend(); }
        abort() { this.isOver = true; this.onerror?.({error: "aborted"}); this.onend(); }
        hears(...words) { this.onresult?.({results: words.map(transcript => [{transcript}])}); }
        fails(error) { this.onerror({error}); this.onend(); }
    }
    window.SpeechRecognition = Recogniser;
    window.SpeechSynthesisUtterance = class { constructor(text) { this.text = text; } };
    const voice = {speak: ({text, lang}) => text && said.push([text, lang]), cancel: () => said.push("silence")};
    Object.defineProperty(window, "speechSynthesis", {value: voice});
"""


# What another page of the site has for a body, put into the place of this one's.
SWAPS = {
    "another body": """() => {
        const body = document.createElement("body");
        body.innerHTML = "<h1>The other page</h1>";
        document.body.replaceWith(body);
    }""",
    "other contents": "() => { document.body.innerHTML = '<h1>The other page</h1>'; }",
}
# The Enter that takes what an input method proposes, as Safari tells it: the composition is over already.
SAFARIS_ENTER = """field => {
    const about = {key: "Enter", keyCode: 229, bubbles: true, composed: true, cancelable: true};
    field.dispatchEvent(new KeyboardEvent("keydown", about));
}"""


@dataclass(frozen=True)
class Widget:
    """The widget in one tab of somebody else's page. Playwright looks into open shadow roots by itself."""

    page: Page
    host: Host

    def visit(self) -> None:
        self.page.goto(f"{self.host.origin}/")
        expect(self.bubble).to_be_visible()

    def open(self) -> None:
        self.bubble.click()
        expect(self.panel).to_be_visible()
        expect(self.input).to_be_visible()

    def say(self, words: str) -> None:
        """Say words, and wait for what comes back."""
        said_before = self.messages.count()
        self.begin(words)
        expect(self.messages).to_have_count(said_before + 2)

    def begin(self, words: str) -> None:
        self.input.fill(words)
        self.input.press("Enter")

    def pick(self, *files: FilePayload) -> None:
        self.panel.locator("input[type=file]").set_input_files(list(files))

    def pick_and_wait(self, *files: FilePayload) -> None:
        """Pick files, and wait until they are sent."""
        self.pick(*files)
        expect(self.picked.locator(".sent")).to_have_count(len(files))

    def hand_over(self, to: Locator, kind: str, *names: str, texts: tuple[str, ...] = ()) -> bool:
        """Drag, drop or paste pictures, and perhaps texts with them; whether the widget took them."""
        files = [{"name": name, "type": "image/png"} for name in names]
        return bool(to.evaluate(HANDS_OVER, {"kind": kind, "files": files, "texts": texts}))

    @property
    def has_focus(self) -> bool:
        """Whether the focus is somewhere in it."""
        return bool(self.page.evaluate("document.activeElement.localName === 'parley-widget'"))

    @property
    def picked(self) -> Locator:
        return self.panel.get_by_role("list", name="Files to send")

    @property
    def bubble(self) -> Locator:
        return self.page.locator("parley-widget .bubble-button")

    @property
    def panel(self) -> Locator:
        return self.page.get_by_role("dialog")

    @property
    def input(self) -> Locator:
        return self.panel.get_by_role("textbox")

    @property
    def messages(self) -> Locator:
        return self.panel.locator(".message:not(.typing)")

    @property
    def last_source(self) -> Locator:
        return self.messages.last.locator(".source")


@pytest.fixture
def make_restricted(
    make_services: Callable[..., Services], support: LoadedBot, page_folder: Path
) -> Callable[..., Doors]:
    """Doors of a bot that talks on the pages of some origins only."""

    def build(*origins: str) -> Doors:
        loaded = replace(support, bot=replace(support.bot, access=Access(origins=origins)))
        return Doors(replace(make_services(Speaker()), bots=lambda _: loaded), page_folder)

    return build


@pytest.fixture
def host(doors: Doors) -> Iterator[Host]:
    with hosted(doors.http) as host:
        yield host


@pytest.fixture
def widget(browser: Browser, host: Host) -> Iterator[Widget]:
    with opened_tab(browser, host.origin) as tab:
        yield Widget(tab.page, host)


@contextmanager
def a_visit(browser: Browser, host: Host, **of_the_browser: Any) -> Iterator[Widget]:
    """A visitor whose browser is not the ordinary one."""
    with browser.new_context(**of_the_browser) as context:
        yield Widget(context.new_page(), host)


def test_one_tag_puts_the_bot_on_a_page_of_another_origin(widget, doors):
    widget.visit()
    assert doors.asked == ["GET /widget.js"], "the bubble fetches nothing else"

    widget.open()
    widget.say("hello")

    expect(widget.last_source).to_contain_text("scripted")
    assert "POST /v1/chat" not in doors.asked
    assert doors.actions() == ["message"]


def test_the_bubble_is_light_and_the_whole_within_the_budget(page_folder):
    static = page_folder / "static"

    bubble = len(gzip.compress((static / "widget.js").read_bytes(), 9))
    [panel] = [len(gzip.compress(file.read_bytes(), 9)) for file in (static / "assets").glob("panel-*.js")]

    assert bubble < OF_THE_BUBBLE_KB * 1000
    assert bubble + panel < BUDGET_KB * 1000


def test_somebody_without_a_mouse_opens_it_talks_and_closes_it(widget):
    widget.visit()
    widget.page.keyboard.press("Tab")
    widget.page.keyboard.press("Tab")
    expect(widget.bubble).to_be_focused()
    expect(widget.bubble).to_have_attribute("aria-label", "Open chat")

    widget.page.keyboard.press("Enter")
    expect(widget.input).to_be_focused()
    expect(widget.bubble).to_have_attribute("aria-expanded", "true")
    widget.page.keyboard.type("hello")
    widget.page.keyboard.press("Shift+Enter")
    widget.page.keyboard.press("Backspace")
    widget.page.keyboard.press("Enter")
    expect(widget.messages).to_have_count(2)
    expect(widget.input).to_be_focused()
    widget.page.keyboard.press("Shift+Tab")
    expect(widget.panel.get_by_role("button", name="Attach files")).to_be_focused()
    widget.page.keyboard.press("Shift+Tab")
    expect(widget.panel.get_by_role("list", name="Suggested answers").get_by_role("button").last).to_be_focused()
    widget.page.keyboard.press("Enter")
    expect(widget.messages).to_have_count(4)

    widget.page.keyboard.press("Escape")

    expect(widget.panel).to_be_hidden()
    expect(widget.bubble).to_be_focused()


def test_what_is_typed_is_no_shortcut_of_the_page(widget):
    widget.host.shows(head="<script>let keys = []; addEventListener('keydown', ({key}) => keys.push(key))</script>")
    widget.visit()
    widget.open()

    widget.input.press_sequentially("s/")
    widget.input.press("Escape")

    assert widget.page.evaluate("keys") == []


def test_a_reply_comes_as_it_is_made_and_is_read_out_when_it_is_finished(widget, doors):
    widget.visit()
    widget.open()
    announced = widget.panel.locator("> .unseen[role=status]")
    widget.begin(SMALL_TALK)
    doors.generator.say(FIRST, SECOND)

    expect(widget.panel.locator(".coming")).to_contain_text("The dew was still")
    expect(announced).to_have_text("Willow & Barrow support is typing")
    expect(widget.panel.get_by_role("log")).to_have_attribute("aria-live", "off")
    doors.generator.say(THIRD)
    doors.generator.finish()

    expect(widget.last_source).to_contain_text("generated")
    expect(announced).to_have_text(f"Willow & Barrow support said: {FIRST}{SECOND}{THIRD}")


def test_a_reply_goes_on_where_the_line_broke(widget, doors):
    widget.visit()
    widget.open()
    widget.begin(SMALL_TALK)
    doors.generator.say(FIRST, SECOND)
    expect(widget.panel.locator(".coming")).to_contain_text("The dew")

    doors.is_open = False
    doors.cut()
    doors.generator.say(THIRD)
    doors.is_open = True
    wait_until(lambda: "resume" in doors.actions())
    doors.generator.finish()

    expect(widget.messages.last).to_contain_text(FIRST + SECOND + THIRD)
    expect(widget.last_source).to_contain_text("generated")
    assert len(doors.workers.taken) == 1


def test_where_no_connection_can_be_had_http_carries_the_conversation(widget, doors):
    doors.is_open = False
    widget.visit()
    widget.open()

    widget.say("hello")

    expect(widget.last_source).to_contain_text("scripted")
    assert doors.asked.count("POST /v1/chat") == 1


def test_what_was_said_is_there_after_a_reload_and_in_another_tab(widget):
    widget.visit()
    widget.open()
    widget.say("hello")
    shown = widget.messages.all_text_contents()

    widget.page.reload()
    widget.open()
    expect(widget.messages).to_have_text(shown)
    another = Widget(widget.page.context.new_page(), widget.host)
    another.visit()
    another.open()
    expect(another.messages).to_have_text(shown)

    widget.panel.get_by_role("button", name="New conversation").click()
    expect(widget.messages).to_have_count(0)
    widget.page.reload()
    widget.open()
    expect(widget.panel.get_by_text("How can I help?")).to_be_visible()
    kept = widget.page.evaluate("[Object.keys(localStorage), document.cookie]")
    assert kept == [[], ""]


def test_a_conversation_is_kept_by_bot(widget, doors):
    widget.host.shows("data-bot=support")
    widget.visit()
    widget.open()
    widget.say("hello")

    assert widget.page.evaluate("Object.keys(localStorage)") == [f"parley {doors.http}/ support"]
    widget.host.shows()
    widget.visit()
    widget.open()
    expect(widget.panel.get_by_text("How can I help?")).to_be_visible()
    assert widget.messages.count() == 0


def test_markdown_is_shown_and_a_button_is_a_message(widget, doors):
    table, code = "| tool | oil |\n|---|---|\n| saw | linseed |", "```\nwipe\n```"
    text = f"Use `oil`:\n\n{table}\n\n{code}\n\n[Ours](https://oil.example/) <b>x</b>"
    offer = {"text": text, "buttons": [{"title": "The large one", "payload": '/inform{"size": "xl"}'}]}
    sent = answers_with(widget, offer)
    widget.visit()
    widget.open()
    widget.say("hello")

    bubble = widget.messages.last.locator(".bubble")
    expect(bubble.locator("table td").last).to_have_text("linseed")
    expect(bubble.locator("pre code")).to_have_text("wipe")
    expect(bubble.get_by_role("link", name="Ours")).to_have_attribute("href", "https://oil.example/")
    expect(bubble).to_contain_text("<b>x</b>")
    widget.panel.get_by_role("button", name="The large one").click()
    expect(widget.messages).to_have_count(4)

    assert [request["message"] for request in sent] == ["hello", '/inform{"size": "xl"}']
    expect(widget.panel.locator(".of-person").last).to_contain_text("The large one")


def test_a_picture_of_the_api_is_shown_and_one_from_elsewhere_is_a_link(widget, doors):
    answers_with(widget, {"text": "![Elsewhere](https://pictures.example/a.png)", "image": "assets/a.png"})
    picture = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9" height="9"/></svg>'
    widget.page.route("**/assets/a.png", lambda route: route.fulfill(content_type="image/svg+xml", body=picture))
    widget.visit()
    widget.open()

    widget.say("hello")

    image = widget.messages.last.get_by_role("img", name="Picture")
    expect(image).to_have_attribute("src", f"{doors.http}/assets/a.png")
    expect(widget.messages.last.get_by_role("link", name="Elsewhere")).to_be_visible()


def test_a_citation_opens_its_document_at_the_place(widget, doors):
    widget.visit()
    widget.open()
    widget.say("Do you sharpen secateurs?")
    citation = widget.messages.last.locator(".citations details").first
    citation.locator("summary").click()
    link = citation.get_by_role("link")

    with widget.page.expect_popup() as opened:
        link.click()

    assert opened.value.url.startswith(f"{doors.http}/v1/knowledge/support/")
    assert urlsplit(opened.value.url).fragment
    expect(opened.value.locator("body")).to_contain_text("secateurs")


def test_what_the_person_thinks_of_a_reply_is_kept(widget, doors):
    widget.visit()
    widget.open()
    widget.say("hello")

    widget.messages.last.get_by_role("button", name="Bad reply").click()
    expect(widget.messages.last.get_by_role("status")).to_have_text("Thank you")
    widget.messages.last.get_by_role("button", name="Good reply").click()

    wait_until(lambda: ratings(doors, widget) == ["up"])
    widget.page.reload()
    widget.open()
    expect(widget.messages.last.get_by_role("button", name="Good reply")).to_have_attribute("aria-pressed", "true")
    expect(widget.messages.last.get_by_role("button", name="Bad reply")).to_have_attribute("aria-pressed", "false")


def test_a_person_who_takes_over_is_shown(widget, doors):
    widget.visit()
    widget.open()
    widget.say("I want to talk to a person")
    expect(widget.panel.locator(".notice")).to_have_text("A person has taken over")

    operator = Operator(doors.http, OPERATOR_KEY)
    operator.write(conversation_of(widget), "This is Maeve. A new wheel is on its way.")

    expect(widget.panel.locator(".of-desk")).to_contain_text("This is Maeve.")
    operator.hand_back(conversation_of(widget))
    expect(widget.panel.locator(".notice")).to_be_empty()


def test_what_comes_while_it_is_closed_is_told_on_the_bubble(widget, doors):
    widget.visit()
    widget.open()
    widget.begin(SMALL_TALK)
    doors.generator.say(FIRST, SECOND)
    expect(widget.panel.locator(".coming")).to_contain_text("The dew")
    widget.bubble.click()
    expect(widget.panel).to_be_hidden()

    doors.generator.finish()

    expect(widget.bubble).to_have_attribute("aria-label", "Open chat (New message)")
    widget.bubble.click()
    expect(widget.bubble).to_have_attribute("aria-label", "Close chat")


def test_the_tag_says_how_it_looks(widget):
    texts = "data-title='Ask Wren' data-greeting='What are you growing?'"
    widget.host.shows(f"{texts} data-colour='#ffd24a' data-position=left data-open")
    widget.visit()

    expect(widget.panel.get_by_role("heading", name="Ask Wren")).to_be_visible()
    expect(widget.panel.get_by_text("What are you growing?")).to_be_visible()
    expect(widget.bubble).to_have_attribute("aria-label", "Close chat: Ask Wren")
    expect(widget.bubble).to_have_css("background-color", "rgb(255, 210, 74)")
    expect(widget.bubble).to_have_css("color", "rgb(0, 0, 0)")
    assert box(widget.bubble)["x"] < 100


@pytest.mark.parametrize(
    ("tag", "scheme", "ground"),
    [
        ("", "light", "rgb(247, 246, 242)"),
        ("", "dark", "rgb(22, 25, 23)"),
        ("data-theme=dark", "light", "rgb(22, 25, 23)"),
        ("data-theme=light", "dark", "rgb(247, 246, 242)"),
    ],
)
def test_it_is_dark_where_the_tag_or_the_device_wants_it(browser, host, tag, scheme, ground):
    host.shows(tag)
    with a_visit(browser, host, color_scheme=scheme) as widget:
        widget.visit()
        widget.open()

        expect(widget.panel).to_have_css("background-color", ground)
        if tag == "":
            widget.page.emulate_media(color_scheme="dark" if scheme == "light" else "light")
            expect(widget.panel).not_to_have_css("background-color", ground)


@pytest.mark.parametrize(("tag", "root"), [("data-language=ar", "lang=en"), ("data-dir=rtl", ""), ("", "dir=rtl")])
def test_it_is_written_from_the_right_where_the_tag_or_the_page_is(widget, tag, root):
    widget.host.shows(tag, root=root)
    widget.visit()
    widget.open()
    widget.say("hello")

    said, answer = box(widget.panel.locator(".of-person .bubble")), box(widget.panel.locator(".of-bot .bubble"))
    close, mark = box(widget.panel.get_by_role("button", name="Close")), box(widget.panel.locator(".mark"))
    assert said["x"] < answer["x"]
    assert close["x"] < mark["x"]
    assert box(widget.bubble)["x"] < 100


def test_on_a_phone_it_takes_the_whole_screen_and_keeps_the_focus(browser, host):
    with a_visit(browser, host, viewport=PHONE, has_touch=True, is_mobile=True) as widget:
        widget.visit()
        widget.open()
        widget.say("hello")

        widget.pick_and_wait(photo())
        widget.say("it arrived broken")
        widget.pick_and_wait(
            photo("a-very-long-name-of-a-photograph-that-somebody-took-in-the-garden-this-morning.png")
        )

        widget.page.wait_for_timeout(300)
        assert box(widget.panel) == {"x": 0, "y": 0, **PHONE}
        for _ in range(24):
            widget.page.keyboard.press("Tab")
            assert widget.page.evaluate("document.activeElement.localName") in ("parley-widget", "body")
        small = [name for name, size in sizes(widget).items() if min(size) < 44]
        assert small == [], "a finger needs 44 pixels"
        assert widget.page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
        widget.panel.get_by_role("button", name="Close").click()
        expect(widget.bubble).to_be_focused()


def test_a_keyboard_on_the_screen_does_not_cover_what_is_written(browser, host):
    phone: Any = {"viewport": PHONE, "has_touch": True, "is_mobile": True, "reduced_motion": "reduce"}
    with a_visit(browser, host, **phone) as widget:
        widget.page.add_init_script(SCREEN)
        widget.visit()
        widget.open()

        widget.page.evaluate("visualViewport.shrinks({height: 380, offsetTop: 40})")

        expect(widget.panel).to_have_css("height", "380px")
        assert box(widget.panel)["y"] == pytest.approx(40, abs=1)  # the screen is measured in fractions
        assert box(widget.input)["y"] + box(widget.input)["height"] < 420


def test_neither_page_disturbs_the_other(browser, host):
    looks = []
    for head in ("", HOSTILE):
        host.shows(head=head)
        with a_visit(browser, host) as widget:
            widget.visit()
            before = widget.page.evaluate(MANNERS)
            widget.open()
            widget.say("hello")
            widget.page.wait_for_timeout(400)
            places = (widget.bubble, widget.panel, widget.input, widget.panel.locator(".of-person .bubble"))
            looks.append([(box(place), font(place)) for place in places])
            assert widget.page.evaluate(MANNERS) == before
            assert "Parley" in before["names"]

    assert looks[0] == looks[1]


def test_the_only_global_is_parley(browser, host):
    names = []
    for is_with in (True, False):
        host.shows()
        with a_visit(browser, host) as widget:
            if not is_with:
                widget.page.route("**/widget.js", lambda route: route.fulfill(body=""))
                widget.page.goto(f"{host.origin}/")
            else:
                widget.visit()
                widget.open()
            names.append(set(widget.page.evaluate("Object.getOwnPropertyNames(window)")))

    assert names[0] - names[1] == {"Parley"}


@pytest.mark.parametrize("scripts", ["{api}", "'nonce-abc' 'strict-dynamic'"])
def test_a_page_may_forbid_inline_style_and_demand_trusted_types(widget, doors, scripts):
    api, socket = doors.http, doors.socket_address.removesuffix("/live")
    widget.host.shows(
        "nonce=abc",
        policy=f"default-src 'none'; script-src {scripts.format(api=api)}; connect-src {api} {socket}; img-src {api}; "
        "require-trusted-types-for 'script'; trusted-types 'none'",
    )
    widget.visit()
    widget.open()

    widget.say("hello")
    widget.say("Do you sharpen secateurs?")

    expect(widget.last_source).to_contain_text("knowledge")
    assert doors.actions() == ["message", "message"]
    widget.pick_and_wait(photo())
    expect(widget.picked.locator("canvas.preview")).to_be_visible()
    assert box(widget.panel)["width"] == 400  # fails, as every test here, if the browser reports a violation


def test_a_page_on_which_the_bot_does_not_talk_is_told_so(browser, make_restricted):
    with make_restricted("https://shop.example") as doors, hosted(doors.http) as host, opened_tab(browser, "") as tab:
        widget = Widget(tab.page, host)
        widget.visit()
        widget.open()

        widget.begin("hello")

        alert = widget.panel.get_by_role("alert")
        expect(alert).to_contain_text(f"The bot 'support' does not talk on pages of {host.origin}")
        assert alert.get_by_role("button").count() == 0
        assert doors.said == [], "the handshake was refused"
        assert doors.workers.taken == []


def test_pages_of_the_bots_origins_and_the_chat_page_may_talk(browser, make_restricted):
    with (
        hosted("") as host,
        make_restricted(host.origin) as doors,
        opened_tab(browser, f"{doors.http}/") as chat,
    ):
        host.api = doors.http
        host.shows()
        widget = Widget(chat.page, host)
        widget.visit()
        widget.open()
        widget.say("hello")
        expect(widget.last_source).to_contain_text("scripted")

        chat.open()
        chat.say("hello")

        expect(chat.last_source).to_contain_text("scripted")
        assert doors.actions() == ["message", "message"]


def test_what_is_heard_is_written_and_sent_by_the_person(widget, doors):
    widget.page.add_init_script(EARS_AND_VOICE)
    widget.host.shows(root="lang=de")
    widget.visit()
    widget.open()
    widget.input.fill("Please:")
    dictate = widget.panel.get_by_role("button", name="Dictate")

    dictate.click()
    expect(dictate).to_have_attribute("aria-pressed", "true")
    widget.page.evaluate("heard.hears('where is')")
    expect(widget.input).to_have_value("Please: where is")
    widget.page.evaluate("heard.hears('where is my ', 'order')")
    expect(widget.input).to_have_value("Please: where is my order")
    assert doors.actions() == []
    dictate.click()

    expect(dictate).to_have_attribute("aria-pressed", "false")
    assert widget.page.evaluate("[heard.lang, heard.interimResults]") == ["de", True]
    widget.input.press("Enter")
    expect(widget.messages).to_have_count(2)


def test_what_was_heard_and_sent_does_not_come_back(widget, doors):
    widget.page.add_init_script(EARS_AND_VOICE)
    widget.visit()
    widget.open()
    dictate = widget.panel.get_by_role("button", name="Dictate")
    dictate.click()
    widget.page.evaluate("heard.hears('hello')")

    widget.input.press("Enter")
    expect(widget.messages).to_have_count(2)
    widget.page.evaluate("heard.hears('hello there')")

    expect(widget.input).to_have_value("")
    expect(dictate).to_have_attribute("aria-pressed", "false")
    assert doors.actions() == ["message"]


def test_what_is_typed_while_the_microphone_listens_stays(widget):
    widget.page.add_init_script(EARS_AND_VOICE)
    widget.visit()
    widget.open()
    dictate = widget.panel.get_by_role("button", name="Dictate")
    dictate.click()
    widget.page.evaluate("heard.hears('where is my odor')")

    widget.input.fill("where is my order")
    widget.page.evaluate("heard.hears('where is my odor please')")

    expect(widget.input).to_have_value("where is my order")
    expect(dictate).to_have_attribute("aria-pressed", "false")
    dictate.click()
    widget.page.evaluate("heard.hears('please')")
    expect(widget.input).to_have_value("where is my order please")


def test_nobody_listens_where_the_panel_is_closed(widget):
    widget.page.add_init_script(EARS_AND_VOICE)
    widget.visit()
    widget.open()
    widget.panel.get_by_role("button", name="Dictate").click()

    widget.page.keyboard.press("Escape")

    expect(widget.panel).to_be_hidden()
    wait_until(lambda: widget.page.evaluate("heard.isOver === true"))
    widget.open()
    expect(widget.panel.get_by_role("button", name="Dictate")).to_have_attribute("aria-pressed", "false")


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        ("not-allowed", "This page may not use the microphone."),
        ("no-speech", "Nothing was heard."),
        ("of-the-future", "Speech cannot be recognised here."),
    ],
)
def test_what_keeps_the_browser_from_hearing_is_told(widget, error, sentence):
    widget.page.add_init_script(EARS_AND_VOICE)
    widget.visit()
    widget.open()

    widget.panel.get_by_role("button", name="Dictate").click()
    widget.page.evaluate("error => heard.fails(error)", error)

    expect(widget.panel.locator(".composer .quiet")).to_have_text(sentence)
    expect(widget.panel.get_by_role("button", name="Dictate")).to_have_attribute("aria-pressed", "false")


def test_replies_are_read_out_while_that_is_wanted(widget):
    widget.page.add_init_script(EARS_AND_VOICE)
    widget.host.shows("data-language=en-GB")
    widget.visit()
    widget.open()
    widget.say("hello")
    assert widget.page.evaluate("said") == []

    widget.panel.get_by_role("button", name="Read replies out").click()
    widget.say("Do you sharpen secateurs?")
    wait_until(lambda: len(widget.page.evaluate("said")) > 1)
    spoken = widget.page.evaluate("said.filter(it => it !== 'silence')")
    assert "secateurs" in " ".join(text for text, _ in spoken)
    assert {language for _, language in spoken} == {"en-GB"}
    widget.page.keyboard.press("Escape")
    wait_until(lambda: widget.page.evaluate("said.at(-1)") == "silence")

    widget.page.reload()
    widget.open()
    expect(widget.panel.get_by_role("button", name="Read replies out")).to_have_attribute("aria-pressed", "true")
    assert widget.page.evaluate("said.filter(it => it !== 'silence')") == [], "what was said before is not said again"


def test_a_browser_without_a_voice_has_no_buttons_for_it(widget):
    without = "for (const name of ['SpeechRecognition', 'webkitSpeechRecognition', 'speechSynthesis']) "
    widget.page.add_init_script(without + "Object.defineProperty(window, name, {value: undefined})")
    widget.visit()
    widget.open()

    assert widget.panel.get_by_role("button", name="Dictate").count() == 0
    assert widget.panel.get_by_role("button", name="Read replies out").count() == 0


def test_a_picture_is_sent_with_words_and_can_be_had_back_after_a_reload(widget, doors):
    widget.visit()
    widget.open()
    widget.pick_and_wait(photo("broken.png"))
    assert doors.actions() == [], "the file goes before the message"
    expect(widget.input).to_be_focused()

    widget.say("it arrived broken")

    expect(widget.picked).to_have_count(0)
    said = widget.panel.locator(".of-person").last
    expect(said.locator(".bubble")).to_have_text("it arrived broken")
    expect(said.locator("canvas.preview")).to_be_visible()
    [turn] = turns_of(doors, widget)
    assert (turn.message, [(each.name, each.type) for each in turn.uploads]) == (
        "it arrived broken",
        [("broken.png", "image/png")],
    )
    widget.page.reload()
    widget.open()
    expect(said.locator(".bubble")).to_have_text("it arrived broken")
    assert said.locator("canvas").count() == 0, "the picture is not on this device any more"
    with widget.page.expect_download() as download:
        said.get_by_role("button", name="Save broken.png").click()
    assert download.value.suggested_filename == "broken.png"
    assert Path(download.value.path()).read_bytes() == PNG


def test_pictures_are_sent_without_a_word_by_keyboard(widget, doors):
    widget.visit()
    widget.open()
    expect(widget.panel.get_by_role("button", name="Send")).to_be_disabled()
    widget.pick_and_wait(photo("one.png"), photo("two.png"))

    widget.input.press("Enter")

    expect(widget.messages).to_have_count(2)
    [turn] = turns_of(doors, widget)
    assert (turn.message, [each.name for each in turn.uploads]) == ("", ["one.png", "two.png"])
    assert widget.panel.locator(".of-person .bubble").count() == 0
    widget.page.reload()
    widget.open()
    expect(widget.panel.locator(".of-person").get_by_role("button")).to_have_count(2)


def test_what_is_sent_waits_for_its_files(widget, doors):
    held = []
    widget.page.route("**/uploads?name=*", lambda route: held.append(route))
    widget.visit()
    widget.open()
    widget.pick(photo())
    wait_until(lambda: held != [] or widget.page.wait_for_timeout(20))
    widget.begin("it arrived broken")

    expect(widget.panel.locator(".composer .quiet")).to_have_text("It is sent as soon as its files are there.")
    assert widget.messages.count() == 0
    widget.page.unroute("**/uploads?name=*")

    expect(widget.messages).to_have_count(2)
    expect(widget.input).to_have_value("")
    assert [len(turn.uploads) for turn in turns_of(doors, widget)] == [1]


def test_over_http_too_a_message_names_its_files(widget, doors):
    doors.is_open = False
    widget.visit()
    widget.open()
    widget.pick_and_wait(photo())

    widget.say("it arrived broken")

    assert "POST /v1/chat" in doors.asked
    assert [len(turn.uploads) for turn in turns_of(doors, widget)] == [1]


@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        ({"name": "a.pdf", "mimeType": "application/pdf", "buffer": b"%PDF-"}, "a.pdf cannot be sent: this bot takes"),
        ({"name": "a.png", "mimeType": "image/png", "buffer": bytes(5_000_000)}, "a.png is too large: this bot takes"),
        ({"name": "a.png", "mimeType": "image/png", "buffer": b""}, "a.png is empty."),
    ],
)
def test_what_the_bot_does_not_take_is_told_without_asking_it(widget, doors, file, sentence):
    widget.visit()
    widget.open()

    widget.pick(file)

    expect(widget.panel.locator(".composer .quiet")).to_contain_text(sentence)
    assert widget.picked.count() == 0
    assert not any("conversations" in asked for asked in doors.asked)


def test_what_the_bot_refuses_is_told_on_the_file_and_holds_the_message_back(widget, doors):
    widget.visit()
    widget.open()
    widget.pick({"name": "fake.png", "mimeType": "image/png", "buffer": b"GIF89a"})
    fake = widget.picked.get_by_role("listitem")
    expect(fake).to_contain_text("By its content this is image/gif")
    assert fake.get_by_role("button").count() == 1, "trying again would not help"

    widget.begin("look")
    expect(widget.panel.get_by_role("button", name="Send")).to_be_disabled()
    fake.get_by_role("button", name="Remove fake.png").click()
    expect(widget.panel.get_by_role("button", name="Attach files")).to_be_focused()
    widget.panel.get_by_role("button", name="Send").click()

    expect(widget.messages).to_have_count(2)
    assert [turn.uploads for turn in turns_of(doors, widget)] == [()]


def test_a_file_that_did_not_arrive_can_be_sent_again(widget, doors):
    refusal = {"status": 429, "title": "Too Many Requests", "detail": "too many files in a minute"}
    told = {"content_type": "application/problem+json", "headers": {"Access-Control-Allow-Origin": "*"}}
    widget.page.route(
        "**/uploads?name=*",
        lambda route: (
            route.continue_()
            if route.request.method == "OPTIONS"
            else route.fulfill(status=429, body=json.dumps(refusal), **told)
        ),
    )
    widget.visit()
    widget.open()
    widget.pick(photo())
    expect(widget.picked).to_contain_text("Too many files in a minute.", timeout=10_000)

    widget.page.unroute("**/uploads?name=*")
    widget.picked.get_by_role("button", name="Try again to send photo.png").click()

    expect(widget.picked.locator(".sent")).to_have_count(1)
    widget.say("here it is")
    assert [len(turn.uploads) for turn in turns_of(doors, widget)] == [1]


def test_a_limit_that_takes_minutes_is_told_and_not_tried(widget):
    asked: list[str] = []
    refuses(widget, "**/v1/chat", asked, status=429, **TOO_OFTEN)
    widget.page.add_init_script(WITHOUT_WEBSOCKETS)
    widget.visit()
    widget.open()

    widget.begin("hello")

    alert = widget.panel.get_by_role("alert")
    expect(alert).to_contain_text("This address asks too often; wait, then try again. This takes 5 minutes.")
    widget.page.wait_for_timeout(1_000)  # longer than before the second try
    assert len(asked) == 1
    widget.page.unroute("**/v1/chat")
    alert.get_by_role("button", name="Try again").click()
    expect(widget.last_source).to_contain_text("scripted")


@pytest.mark.parametrize("says", [{"content_type": "text/html", "body": "<h1>403 Forbidden</h1>"}, {"json": {}}])
def test_a_file_that_something_else_refuses_does_not_end_the_conversation(widget, says):
    asked: list[str] = []
    widget.visit()
    widget.open()
    widget.say("hello")
    begun = conversation_of(widget)
    refuses(widget, "**/uploads?name=*", asked, status=403, **says)

    widget.pick(photo())

    expect(widget.picked).to_contain_text("The bot cannot answer at the moment.")
    assert conversation_of(widget) == begun
    assert len(asked) == 1


def test_a_file_that_is_gone_is_sent_again_into_the_same_conversation(widget, doors):
    widget.visit()
    widget.open()
    widget.say("hello")
    begun = conversation_of(widget)
    widget.pick_and_wait(photo())
    doors.services.uploads.erase("support", begun)

    widget.say("it arrived broken")

    assert conversation_of(widget) == begun
    turns = turns_of(doors, widget)
    assert [(turn.message, len(turn.uploads)) for turn in turns] == [("hello", 0), ("it arrived broken", 1)]
    assert widget.panel.get_by_role("alert").count() == 0


def test_five_files_go_with_a_message(widget):
    widget.visit()
    widget.open()

    widget.pick(*(photo(f"{number}.png") for number in range(7)))

    expect(widget.picked.locator(".sent")).to_have_count(5)
    expect(widget.panel.locator(".composer .quiet")).to_have_text("5 files at most go with a message.")


def test_pictures_are_pasted_and_words_stay_words(widget):
    widget.visit()
    widget.open()
    expect(widget.panel.get_by_role("button", name="Attach files")).to_be_visible()

    assert not widget.hand_over(widget.input, "paste", "of-a-table.png", texts=("text/plain", "text/html"))
    assert widget.hand_over(widget.input, "paste", "shot.png")

    expect(widget.picked.get_by_role("listitem")).to_have_count(1)
    expect(widget.picked).to_contain_text("shot.png")


def test_pictures_are_dropped_onto_the_panel(widget):
    widget.visit()
    widget.open()
    expect(widget.panel.get_by_role("button", name="Attach files")).to_be_visible()

    thread = widget.panel.get_by_role("log")
    assert not widget.hand_over(thread, "dragover", texts=("text/plain",))
    assert widget.hand_over(thread, "dragover", "shot.png")
    expect(widget.panel).to_have_css("outline-style", "dashed")
    assert widget.hand_over(thread, "drop", "shot.png")

    expect(widget.picked).to_contain_text("shot.png")
    expect(widget.panel).not_to_have_css("outline-style", "dashed")


def test_a_new_conversation_forgets_what_was_picked(widget, doors):
    widget.visit()
    widget.open()
    widget.pick_and_wait(photo())

    widget.panel.get_by_role("button", name="New conversation").click()

    expect(widget.picked).to_have_count(0)
    widget.say("hello")
    assert [turn.uploads for turn in turns_of(doors, widget)] == [()]


def test_a_message_that_waits_for_a_file_is_not_sent_where_the_file_is_forgotten(widget, doors):
    widget.page.route("**/uploads?name=*", lambda route: None)
    widget.visit()
    widget.open()
    widget.pick(photo())
    widget.begin("it arrived broken")
    expect(widget.panel.get_by_role("button", name="Send")).to_have_attribute("aria-busy", "true")

    widget.panel.get_by_role("button", name="New conversation").click()

    expect(widget.picked).to_have_count(0)
    expect(widget.input).to_be_editable()
    expect(widget.input).to_have_value("it arrived broken")
    assert doors.actions() == []


@pytest.mark.parametrize("is_open", [True, False])
def test_files_follow_into_a_new_conversation_where_theirs_is_gone(widget, doors, is_open):
    doors.is_open = is_open
    widget.visit()
    widget.open()
    widget.say("hello")
    widget.pick_and_wait(photo("before.png"))
    gone = conversation_of(widget)
    doors.services.conversations.erase(gone)
    doors.services.uploads.erase("support", gone)
    widget.pick(photo("after.png"))
    expect(widget.picked.locator(".sent")).to_have_count(2)

    widget.say("look at these")

    assert conversation_of(widget) != gone
    [turn] = turns_of(doors, widget)
    assert [each.name for each in turn.uploads] == ["before.png", "after.png"]


def test_closing_the_file_chooser_does_not_close_the_panel(widget):
    widget.visit()
    widget.open()

    chooser = widget.panel.locator("input[type=file]")
    chooser.evaluate("it => it.dispatchEvent(new Event('cancel', {bubbles: true}))")

    widget.page.wait_for_timeout(200)
    expect(widget.panel).to_be_visible()


def test_a_bot_that_takes_no_files_has_no_button_for_them(browser, make_services, support, page_folder):
    deaf = replace(support, bot=replace(support.bot, uploads=UploadSettings()))
    services = replace(make_services(Speaker()), bots=lambda _: deaf)
    with Doors(services, page_folder) as doors, hosted(doors.http) as host, opened_tab(browser, "") as tab:
        widget = Widget(tab.page, host)
        widget.visit()
        widget.open()
        widget.say("hello")

        assert widget.panel.get_by_role("button", name="Attach files").count() == 0
        assert not widget.hand_over(widget.input, "paste", "shot.png")
        assert not widget.hand_over(widget.panel.get_by_role("log"), "drop", "shot.png")


def test_a_page_that_has_the_tag_twice_has_one_widget(widget):
    warnings = []
    widget.page.on("console", lambda message: warnings.append(message.text) if message.type == "warning" else None)
    widget.host.shows(body=f"<h1>Shop</h1><script src='{widget.host.api}/widget.js' data-bot=clinic></script>")
    widget.visit()
    wait_until(lambda: warnings != [] or widget.page.wait_for_timeout(50))

    widget.open()
    widget.say("hello")

    assert widget.page.locator("parley-widget").count() == 1
    assert "Parley.destroy()" in warnings[0]


def test_the_page_opens_it_closes_it_and_takes_it_away(widget, doors):
    widget.visit()
    widget.page.evaluate("Parley.open()")
    widget.say("hello")
    widget.page.evaluate("Parley.close()")
    expect(widget.panel).to_be_hidden()
    widget.page.evaluate("Parley.open()")
    expect(widget.messages).to_have_count(2)

    widget.page.evaluate("Parley.destroy()")

    assert widget.page.locator("parley-widget").count() == 0
    assert widget.page.evaluate("'Parley' in window") is False
    wait_until(lambda: doors.sockets.open == {})
    widget.page.evaluate(
        "src => document.head.append(Object.assign(document.createElement('script'), {src}))", f"{doors.http}/widget.js"
    )
    widget.open()
    expect(widget.messages).to_have_count(2)
    widget.say("thank you")


# What came of the panel: nothing, or a piece of it, which is kept as a broken module by today's browsers too.
@pytest.mark.parametrize("comes", [None, "export const style = '"], ids=["nothing", "a piece"])
def test_a_panel_that_cannot_be_loaded_can_be_asked_for_again(widget, comes):
    asked: list[str] = []
    told = {"content_type": "text/javascript", "headers": {"Access-Control-Allow-Origin": "*"}}

    def serve(route: Any) -> None:
        asked.append(route.request.url)
        if comes is None:
            route.abort()
        else:
            route.fulfill(body=comes, **told)

    widget.page.route("**/assets/panel-*", serve)
    widget.visit()
    widget.bubble.click()
    expect(widget.bubble).to_have_attribute("aria-label", "Open chat (It could not be loaded; try again)")
    expect(widget.bubble).to_have_attribute("aria-expanded", "false")

    widget.page.unroute("**/assets/panel-*")
    widget.page.on("request", lambda request: asked.append(request.url) if "/panel-" in request.url else None)
    widget.open()

    widget.say("hello")
    assert len(set(asked)) == len(asked), "a browser keeps that an address failed, and does not ask for it again"


@pytest.mark.parametrize("swap", SWAPS.values(), ids=SWAPS)
def test_it_stays_where_a_page_swaps_its_body(widget, swap):
    widget.visit()
    widget.open()
    widget.say("hello")

    widget.page.evaluate(swap)

    expect(widget.page.get_by_role("heading", name="The other page")).to_be_visible()
    expect(widget.messages).to_have_count(2)
    widget.say("thank you")
    widget.input.press("Escape")
    expect(widget.panel).to_be_hidden()
    widget.page.evaluate(swap)
    expect(widget.bubble).to_be_visible()
    expect(widget.panel).to_be_hidden()


def test_on_a_phone_too_it_stays_where_a_page_swaps_its_body(browser, host):
    with a_visit(browser, host, viewport=PHONE, has_touch=True, is_mobile=True) as widget:
        widget.visit()
        widget.open()
        widget.say("hello")

        widget.page.evaluate(SWAPS["another body"])

        expect(widget.messages).to_have_count(2)
        assert is_modal(widget), "nothing else can be reached"


def test_it_does_not_come_back_where_the_page_took_it_away(widget):
    widget.visit()
    widget.open()

    widget.page.evaluate("Parley.destroy()")
    widget.page.evaluate(SWAPS["another body"])

    widget.page.wait_for_timeout(200)
    assert widget.page.locator("parley-widget").count() == 0


def test_what_opens_by_itself_leaves_the_focus_and_stays_closed_once_it_was_closed(widget):
    widget.host.shows("data-open", body="<h1>Shop</h1><input aria-label='Search' autofocus>")
    widget.visit()
    expect(widget.input).to_be_visible()
    expect(widget.page.get_by_label("Search")).to_be_focused()

    widget.input.press("Escape")
    expect(widget.panel).to_be_hidden()
    widget.visit()
    widget.page.wait_for_timeout(500)
    expect(widget.panel).to_be_hidden()

    widget.open()
    expect(widget.input).to_be_focused()
    widget.visit()
    expect(widget.input).to_be_visible()
    expect(widget.page.get_by_label("Search")).to_be_focused()


def test_the_focus_stays_in_the_panel_where_a_button_goes(widget, doors):
    widget.visit()
    widget.open()
    expect(widget.panel.get_by_role("list", name="First questions").get_by_role("button").first).to_be_visible()

    widget.panel.get_by_role("list", name="First questions").get_by_role("button").first.press("Enter")
    expect(widget.messages).to_have_count(2)
    expect(widget.input).to_be_focused()

    widget.panel.get_by_role("button", name="New conversation").press("Enter")
    expect(widget.messages).to_have_count(0)
    expect(widget.input).to_be_focused()

    doors.generator.away = GenerationAsleep("no instance is up")
    widget.say(SMALL_TALK)
    widget.panel.get_by_role("button", name="Wait for an answer").press("Enter")
    expect(widget.panel.get_by_text("The answer will come here")).to_be_visible()
    expect(widget.input).to_be_focused()

    widget.page.keyboard.press("Escape")
    expect(widget.panel).to_be_hidden()


def test_the_focus_stays_in_the_panel_where_something_is_tried_again(widget, doors, monkeypatch):
    def away(*_: object, **__: object) -> None:
        raise Unavailable("the database did not answer")

    widget.visit()
    widget.open()
    widget.say("hello")
    with monkeypatch.context() as broken:
        broken.setattr(doors.services.conversations, "record", away)
        widget.begin("thank you")
        expect(widget.panel.get_by_role("alert")).to_contain_text("The database did not answer.")

    widget.panel.get_by_role("button", name="Try again").press("Enter")

    expect(widget.messages).to_have_count(4)
    expect(widget.input).to_be_focused()


def test_the_focus_stays_in_the_thread_where_no_earlier_messages_are_left(widget):
    turns = [
        {"turn_id": f"t{number}", "number": number, "message": f"the {number}.", "replies": [], "source": "scripted"}
        for number in (1, 2)
    ]

    def serve(route: Any) -> None:
        if route.request.method == "OPTIONS":
            route.continue_()
            return
        page = {"turns": turns[:1]} if "before=2" in route.request.url else {"turns": turns[1:], "next": 2}
        route.fulfill(json=page, headers={"Access-Control-Allow-Origin": "*"})

    widget.visit()
    widget.open()
    widget.say("hello")
    widget.page.route("**/v1/conversations/*", serve)
    widget.visit()
    widget.open()

    widget.panel.get_by_role("button", name="Show earlier messages").press("Enter")

    expect(widget.panel.locator(".of-person")).to_have_count(2)
    expect(widget.panel.get_by_role("region", name="Conversation")).to_be_focused()


def test_the_enter_that_ends_a_composition_sends_nothing(widget, doors):
    widget.visit()
    widget.open()
    widget.input.fill("hello")

    widget.input.evaluate(SAFARIS_ENTER)

    widget.page.wait_for_timeout(200)
    expect(widget.input).to_have_value("hello")
    assert "message" not in doors.actions()
    widget.input.press("Enter")
    expect(widget.messages).to_have_count(2)


def test_a_tab_goes_on_with_what_another_has_begun(widget, doors):
    another = Widget(widget.page.context.new_page(), widget.host)
    for each in (widget, another):
        each.visit()
        each.open()

    widget.say("hello")
    begun = conversation_of(widget)
    another.begin("thank you")

    expect(another.messages).to_have_count(4)
    expect(another.panel.locator(".of-person .bubble")).to_have_text(["hello", "thank you"])
    assert conversation_of(another) == begun
    assert [turn.message for turn in turns_of(doors, widget)] == ["hello", "thank you"]


def test_a_keyboard_that_leaves_a_small_screen_does_not_take_the_focus(browser, host):
    with a_visit(browser, host, viewport={"width": 800, "height": 700}, reduced_motion="reduce") as widget:
        widget.visit()
        widget.open()
        expect(widget.input).to_be_focused()

        widget.page.set_viewport_size({"width": 800, "height": 400})

        widget.page.wait_for_timeout(200)
        expect(widget.input).to_be_focused()
        assert not is_modal(widget)
        widget.panel.get_by_role("region", name="Conversation").focus()
        wait_until(lambda: is_modal(widget) or widget.page.wait_for_timeout(50))
        widget.panel.get_by_role("region", name="Conversation").focus()
        widget.page.set_viewport_size({"width": 800, "height": 700})
        wait_until(lambda: not is_modal(widget) or widget.page.wait_for_timeout(50))


def test_whoever_wants_less_motion_gets_none(browser, host):
    with a_visit(browser, host, reduced_motion="reduce") as widget:
        widget.visit()
        widget.open()

        expect(widget.panel).to_have_css("animation-name", "none")
        expect(widget.bubble).to_have_css("transition-property", "none")


@pytest.mark.parametrize("tag", ["data-theme=light", "data-theme=dark", "data-dir=rtl data-colour=#ffd24a"])
@pytest.mark.parametrize("viewport", [{"width": 1280, "height": 800}, PHONE])
def test_axe_finds_no_serious_fault(browser, host, doors, tag, viewport):
    host.shows(tag)
    with a_visit(browser, host, viewport=viewport, reduced_motion="reduce") as widget:
        widget.visit()
        faults = axe(widget)
        widget.open()
        faults += axe(widget)
        widget.say("hello")
        widget.say("Do you sharpen secateurs?")
        widget.messages.last.locator("summary").click()
        widget.messages.last.get_by_role("button", name="Good reply").click()
        expect(widget.messages.last.get_by_role("status")).to_have_text("Thank you")
        faults += axe(widget)
        widget.pick(photo(), {"name": "fake.png", "mimeType": "image/png", "buffer": b"GIF89a"})
        expect(widget.picked.locator(".sent")).to_have_count(1)
        expect(widget.picked.locator(".failed")).to_have_count(1)
        faults += axe(widget)
        widget.picked.get_by_role("button", name="Remove fake.png").click()
        widget.say("it arrived broken")
        faults += axe(widget)
        widget.say("I want to talk to a person")
        Operator(doors.http, OPERATOR_KEY).write(conversation_of(widget), "This is Maeve.")
        expect(widget.panel.locator(".of-desk")).to_be_visible()
        faults += axe(widget)

    assert faults == []


def axe(widget: Widget) -> list[str]:
    """What axe finds serious or critical on the page: the rule, and where."""
    widget.page.evaluate(AXE)
    found = widget.page.evaluate("axe.run({resultTypes: ['violations']})")
    assert found["passes"], "axe looked at something"
    return [
        f"{fault['id']}: {[(node['target'], node['failureSummary']) for node in fault['nodes']]}"
        for fault in found["violations"]
        if fault["impact"] in ("serious", "critical")
    ]


def answers_with(widget: Widget, reply: dict[str, Any]) -> list[dict[str, Any]]:
    """From now on the API answers everything with this; what it is asked."""
    sent: list[dict[str, Any]] = []
    widget.page.add_init_script(WITHOUT_WEBSOCKETS)

    def serve(route: Any) -> None:
        if route.request.method == "OPTIONS":
            route.continue_()
            return
        sent.append(route.request.post_data_json)
        turn = {"conversation_id": "c", "conversation_token": "t", "turn_id": sent[-1]["turn_id"], "timings_ms": {}}
        body = {**turn, "replies": [reply], "source": "scripted"}
        route.fulfill(json=body, headers={"Access-Control-Allow-Origin": "*"})

    widget.page.route("**/v1/chat", serve)
    return sent


def is_modal(widget: Widget) -> bool:
    return bool(widget.panel.evaluate("it => it.matches(':modal')"))


def refuses(widget: Widget, address: str, asked: list[str], **answer: Any) -> None:
    """From now on something in front of the API answers what is asked of an address, and knows no conversations."""
    headers = {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "Retry-After"}
    headers |= answer.pop("headers", {})

    def serve(route: Any) -> None:
        if route.request.method == "OPTIONS":
            route.continue_()
            return
        asked.append(route.request.url)
        route.fulfill(headers=headers, **answer)

    widget.page.route(address, serve)


def photo(name: str = "photo.png") -> FilePayload:
    return {"name": name, "mimeType": "image/png", "buffer": PNG}


def turns_of(doors: Doors, widget: Widget) -> Sequence[RecordedTurn]:
    return doors.services.conversations.history(conversation_of(widget), limit=9)


def conversation_of(widget: Widget) -> str:
    kept = widget.page.evaluate("Object.entries(localStorage).find(([name]) => name.startsWith('parley'))[1]")
    return str(json.loads(kept)["id"])


def ratings(doors: Doors, widget: Widget) -> list[str]:
    turns = doors.services.conversations.history(conversation_of(widget), limit=9)
    return [turn.feedback.rating for turn in turns if turn.feedback]


def sizes(widget: Widget) -> dict[str, tuple[int, int]]:
    """Of everything in the panel that can be pressed."""
    found = widget.panel.locator("button, summary, textarea")
    boxes = found.evaluate_all(
        "all => all.map(it => [it.ariaLabel || it.textContent, it.getBoundingClientRect().width, "
        "it.getBoundingClientRect().height])"
    )
    return {name: (round(width), round(height)) for name, width, height in boxes}


def box(element: Locator) -> dict[str, float]:
    found = element.bounding_box()
    assert found is not None
    return dict(found)


def font(element: Locator) -> list[str]:
    wanted = "['fontSize', 'lineHeight', 'color', 'letterSpacing', 'fontFamily', 'display']"
    return list(element.evaluate(f"it => {wanted}.map(name => getComputedStyle(it)[name])"))


def wait_until(is_so: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < deadline, "it did not become so"
        time.sleep(0.02)
