"""Whose pages may talk to a bot."""

import pytest

from parley.access import Access
from parley.channels.origins import Page, check_page, may_talk, page_of
from parley.errors import NotYours

SHOP = Access(origins=("https://shop.example", "https://www.shop.example:443", "http://localhost:3000"))


def an_event(**headers: str) -> dict[str, object]:
    return {"headers": {name.replace("_", "-"): value for name, value in headers.items()}}


@pytest.mark.parametrize("origin", ["https://shop.example", "https://www.shop.example", "http://localhost:3000"])
def test_a_bot_talks_on_the_pages_that_its_author_names(origin):
    assert may_talk(Page(origin), SHOP)


@pytest.mark.parametrize(
    "origin",
    [
        "http://shop.example",
        "https://shop.example.evil.example",
        "https://evil.example",
        "https://shop.example:8443",
        "http://localhost",
        "https://shop.example:port",
        "null",
        "",
    ],
)
def test_a_bot_does_not_talk_elsewhere_and_says_where_it_was_asked_to(origin):
    assert not may_talk(Page(origin), SHOP)
    with pytest.raises(NotYours, match="'support' does not talk on pages of"):
        check_page(Page(origin), "support", SHOP)


def test_a_bot_whose_author_names_none_talks_everywhere():
    assert may_talk(Page("https://evil.example"), Access())
    assert may_talk(Page("null"), Access())


@pytest.mark.parametrize("host", ["api.example", "127.0.0.1:4566"])
def test_the_apis_own_page_is_the_one_of_the_host_that_was_asked(host):
    assert may_talk(page_of(an_event(Origin=f"https://{host}", Host=host)), SHOP)
    assert not may_talk(page_of(an_event(Origin="https://evil.example", Host=host)), SHOP)


def test_where_another_api_has_the_pages_its_address_counts_and_not_the_host():
    from_page = page_of(an_event(origin="https://api.example", host="live.example"), "https://api.example/stage/")
    from_socket = page_of(an_event(origin="https://live.example", host="live.example"), "https://api.example/stage/")

    assert may_talk(from_page, SHOP)
    assert not may_talk(from_socket, SHOP)


@pytest.mark.parametrize("headers", [{}, {"host": ""}])
def test_a_page_without_an_origin_is_not_the_apis_own(headers):
    assert not may_talk(page_of(an_event(origin="null", **headers)), SHOP)


@pytest.mark.parametrize("event", [{}, {"headers": None}, an_event(host="api.example")])
def test_who_is_no_browser_comes_from_no_page(event):
    page = page_of(event)

    assert page is None
    assert may_talk(page, SHOP)
    check_page(page, "support", SHOP)
