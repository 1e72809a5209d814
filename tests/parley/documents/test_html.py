"""HTML: the content of a page without what stands around it."""

import time

import pytest

from parley.documents.document import Document
from parley.documents.html import read_html
from parley.errors import Unreadable


def page(body: str, head: str = "") -> Document:
    return read_html("page.html", f"<!DOCTYPE html><html><head>{head}</head><body>{body}</body></html>".encode())


def texts(document: Document) -> list[tuple[str, str]]:
    return [(section.heading, section.text) for section in document.sections]


def test_headings_keep_their_text_and_their_own_anchors() -> None:
    document = page(
        "<h1>Shop</h1><p>Hello <b>you</b>.</p><h2 id=post>Delivery</h2><p>Two<br>days.</p>"
        "<section id=s3><h2>Costs<a href=#s3>¶</a></h2>Five.</section><h2>Costs</h2>Ten."
    )

    assert [(section.heading, section.text, section.place) for section in document.sections] == [
        ("Shop", "Hello you.", "#shop"),
        ("Delivery", "Two\ndays.", "#post"),
        ("Costs", "Five.", "#s3"),
        ("Costs", "Ten.", "#costs"),
    ]


@pytest.mark.parametrize(
    "around",
    [
        "<nav>Home</nav>",
        "<header><p>Home</p></header>",
        "<footer>Imprint</footer>",
        "<aside>News</aside>",
        "<script>alert('x')</script>",
        "<style>p {}</style>",
        "<form><p>Your name</p><input><button>Send</button></form>",
        "<div id='cookie-notice'>We use cookies</div>",
        "<div class='my-Consent__banner big'><p>We use cookies</p></div>",
        "<div role=navigation>Home</div>",
        "<template>x</template><svg><text>x</text></svg><noscript>x</noscript>",
        "<!-- a comment --><?php x ?>",
    ],
)
def test_what_is_not_content_is_left_out(around: str) -> None:
    assert texts(page(f"{around}<h1>Shop</h1><p>Nine.</p>{around}")) == [("Shop", "Nine.")]


def test_where_a_page_says_what_its_main_content_is_the_rest_is_left_out() -> None:
    document = page("<div>Menu</div><main><article><header><h1>Shop</h1></header><p>Nine.</p></article></main>Legal")

    assert texts(document) == [("Shop", "Nine.")]


def test_a_form_around_the_whole_page_is_kept_but_its_fields() -> None:
    assert texts(page("<form><h1>Shop</h1><label>Search</label><p>Nine.</p></form>")) == [("Shop", "Nine.")]


def test_a_section_about_cookies_is_content() -> None:
    assert texts(page("<section id=cookies><h2>Cookies</h2><p>We bake them.</p></section>")) == [
        ("Cookies", "We bake them.")
    ]


def test_lists_are_written_out_with_marks_and_numbers() -> None:
    document = page("<ul><li>a1<ul><li>b1</ul><li><p>c1</p></ul><ol><li>First<li>Then</ol>")

    assert texts(document) == [("page", "- a1\n  - b1\n- c1\n\n1. First\n2. Then")]


def test_a_row_of_a_table_names_its_columns() -> None:
    table = "<table><tr><th>Country<th>Price<tr><td>Spain<td>5 €<tr><td>Peru<td></table>"

    assert texts(page(table)) == [("page", "Country: Spain; Price: 5 €\nCountry: Peru")]


def test_a_table_without_header_pairs_its_cells() -> None:
    assert texts(page("<table><tr><th>Mon<td>nine<tr><th>Tue<td>ten</table>")) == [("page", "Mon: nine\nTue: ten")]


def test_a_table_that_lays_out_the_page_is_read_as_text() -> None:
    document = page("<table><tr><td>Hello<td><h2>Hours</h2><table><tr><td>Mon<td>nine</table></table>")

    assert [heading for heading, _ in texts(document)] == ["page", "Hours"]
    assert "nine" in document.sections[1].text


def test_definitions_stand_behind_their_terms() -> None:
    assert texts(page("<dl><dt>Price:<dd><p>Five</p><dt>Time<dd>Two days</dl>")) == [
        ("page", "Price: Five\n\nTime: Two days")
    ]


def test_an_accordion_is_questions_with_answers() -> None:
    document = page("<details><summary>How long?</summary><div hidden>Two days.</div></details>")

    assert texts(document) == [("How long?", "Two days.")]


def test_code_keeps_its_lines() -> None:
    assert texts(page("<pre>a = 1\n  b = 2</pre>")) == [("page", "a = 1\n  b = 2")]


def test_title_and_own_names_of_meta_are_about_the_page() -> None:
    document = page(
        "<p>Text",
        "<title>Our\n shop</title><meta name=Description content='All of it'><meta name=audience content=staff>"
        "<meta name=viewport content=x><meta name='twitter:card' content=x><meta property=og:title content=x>",
    )

    assert document.title == "Our shop"
    assert document.about == {"description": "All of it", "audience": "staff"}


@pytest.mark.parametrize(
    ("declared", "encoding"),
    [
        ("<meta charset=iso-8859-1>", "cp1252"),
        ("<meta http-equiv=Content-Type content='text/html; charset=windows-1251'>", "cp1251"),
        ('<?xml version="1.0" encoding="Shift_JIS"?>', "shift_jis"),
        ("", "utf-16"),
        ("<meta charset=utf-16>", "utf-8"),
    ],
)
def test_a_page_is_read_in_the_encoding_that_it_names(declared: str, encoding: str) -> None:
    words = {"cp1251": "Привет", "shift_jis": "営業時間"}.get(encoding, "Käse")

    document = read_html("page.html", f"{declared}<p>{words}</p>".encode(encoding))

    assert document.sections[0].text == words


@pytest.mark.parametrize("content", [b"<p>caf\xe9", b"<meta charset=rot13><p>x", b"<meta charset=nonsense><p>x"])
def test_a_page_in_no_known_encoding_is_refused(content: bytes) -> None:
    with pytest.raises(Unreadable, match=r"save the (page|document) as UTF-8"):
        read_html("page.html", content)


def test_a_page_nested_without_end_is_refused() -> None:
    with pytest.raises(Unreadable, match="nested more than 256 deep"):
        page("<div>" * 100_000 + "x")


@pytest.mark.parametrize(
    "body",
    [
        "<p " + " ".join(f"a{number}=b" for number in range(100_000)) + ">x",
        "".join(f"<b id={number}>" for number in range(200)) + "<p>x" * 20_000,
        "<table>" * 200 + "<p>x" * 20_000,
        "<li>" * 100_000 + "x",
        "<!--" * 100_000,
        "&" * 300_000 + "<" * 300_000,
        "<p class='" + "cookie" * 50_000 + "'>x",
    ],
    ids=["attributes", "formatting", "tables", "items", "comments", "characters", "class"],
)
def test_work_grows_no_faster_than_the_page(body: str) -> None:
    begun = time.process_time()

    page(body)

    assert time.process_time() - begun < 3
