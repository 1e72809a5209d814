"""Whose pages may talk to a bot."""

import pytest

from parley.access import Access
from parley.channels.origins import Page, allows, page_of

SHOP = Access(origins=("https://shop.example", "https://www.shop.example:443", "http://localhost:3000"))


@pytest.mark.parametrize("origin", ["https://shop.example", "https://www.shop.example", "http://localhost:3000"])
def test_a_bot_talks_on_the_pages_that_its_author_names(origin):
    assert allows(SHOP, Page(origin))


@pytest.mark.parametrize(
    "origin",
    [
        "http://shop.example",
        "https://shop.example.evil.example",
        "https://evil.example",
        "https://shop.example:8443",
        "http://localhost",
        "https://shop.example:port",
        "http://[",
        "https://[::1",
        "https://[shop.example]",
        "https://shop\u2100example",
        "null",
        "",
    ],
)
def test_a_bot_does_not_talk_elsewhere(origin):
    assert not allows(SHOP, Page(origin))
    assert not allows(SHOP, Page(origin, host=""))


def test_a_bot_whose_author_names_none_talks_everywhere():
    assert allows(Access(), Page("https://evil.example"))
    assert allows(Access(), Page("null"))


@pytest.mark.parametrize("host", ["api.example", "127.0.0.1:4566"])
def test_the_deployments_own_page_is_the_one_of_the_host_that_was_asked(host):
    assert allows(SHOP, page_of({"Origin": f"https://{host}", "Host": host}))
    assert not allows(SHOP, page_of({"Origin": "https://evil.example", "Host": host}))


def test_where_a_proxy_stands_between_it_is_the_one_of_the_deployments_address():
    page = page_of({"origin": "https://chat.example", "host": "abc.execute-api.example"})

    assert allows(SHOP, page, "https://chat.example/stage/")
    assert not allows(SHOP, page, "https://other.example/")
    assert not allows(SHOP, page)


def test_who_is_no_browser_comes_from_no_page():
    assert page_of({}) is None
    assert page_of({"host": "api.example"}) is None
