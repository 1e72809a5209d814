"""Links: what a list or a sitemap names, and what of it nobody could fetch."""

import gzip

import pytest

from parley.documents.links import MAX_BYTES, MAX_ELEMENTS, MAX_LINKS, MAX_URL, Links, is_list, page_url, read_links
from parley.documents.reading import read_page
from parley.errors import Unreadable

NAMESPACE = 'xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"'


def sitemap(*urls: str, root: str = "urlset", each: str = "url", about: str = NAMESPACE) -> bytes:
    inner = "".join(f"<{each}>\n<loc> {url} </loc><lastmod>2024-01-01</lastmod></{each}>" for url in urls)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<{root} {about}>{inner}</{root}>'.encode()


def test_a_list_has_a_url_in_each_line() -> None:
    content = b"# Help\nhttps://shop.example/a\n\n  https://shop.example/b  \r\nhttps://shop.example/a#costs\n"

    assert read_links("help.urls", content) == Links(("https://shop.example/a", "https://shop.example/b"))


@pytest.mark.parametrize("about", [NAMESPACE, ""])
def test_a_sitemap_names_pages(about: str) -> None:
    content = sitemap("https://shop.example/a", "https://shop.example/b?x=1&amp;y=2", about=about)

    assert read_links("sitemap.xml", content).urls == ("https://shop.example/a", "https://shop.example/b?x=1&y=2")


def test_a_sitemap_may_name_sitemaps() -> None:
    content = sitemap("https://shop.example/1.xml.gz", root="sitemapindex", each="sitemap")

    assert read_links("sitemap.xml", content).urls == ("https://shop.example/1.xml.gz",)


def test_pictures_of_a_sitemap_are_no_pages() -> None:
    content = sitemap("https://shop.example/a").replace(
        b"</url>", b"<i:image xmlns:i='i'><i:loc>https://shop.example/a.png</i:loc></i:image></url>"
    )

    assert read_links("sitemap.xml", content).urls == ("https://shop.example/a",)


def test_a_sitemap_may_be_packed() -> None:
    packed = gzip.compress(sitemap("https://shop.example/a"))

    assert read_links("sitemap.xml.gz", packed).urls == ("https://shop.example/a",)


def test_what_cannot_be_fetched_is_named_with_its_line() -> None:
    content = b"https://shop.example/a\nftp://shop.example/b\n\nhttps://jo:secret@shop.example/c\nhttps://a b/\n/d\n"

    links = read_links("help.urls", content)

    assert links.urls == ("https://shop.example/a",)
    assert [fault.partition(":")[0] for fault in links.faults] == ["line=2", "line=4", "line=5", "line=6"]
    assert not any("secret" in fault for fault in links.faults)


def test_in_a_sitemap_too() -> None:
    links = read_links("sitemap.xml", sitemap("https://shop.example/a", "javascript:alert(1)"))

    assert links.faults == ("line=4: `javascript:alert(1)`: begins neither with http:// nor with https://",)


@pytest.mark.parametrize(
    ("said", "url"),
    [
        ("HTTPS://Shop.Example", "https://shop.example/"),
        ("https://shop.example:443/a", "https://shop.example/a"),
        ("http://shop.example:443/a", "http://shop.example:443/a"),
        ("https://bücher.example/über?ä=ß", "https://xn--bcher-kva.example/%C3%BCber?%C3%A4=%C3%9F"),
        ("https://shop.example/%C3%BC/a%20b", "https://shop.example/%C3%BC/a%20b"),
        ("https://[2606:4700::0001]/a", "https://[2606:4700::1]/a"),
    ],
)
def test_a_url_is_written_as_it_is_fetched(said: str, url: str) -> None:
    assert page_url(said) == url


@pytest.mark.parametrize(
    "said",
    [
        "",
        "shop.example",
        "//shop.example/a",
        "https://",
        "https:///a",
        "file:///etc/passwd",
        "https://shop.example:99999/",
        "https://shop.example:a/",
        "https://jo@shop.example/",
        "https://@shop.example/",
        "https://shop.example\\@10.0.0.1/",
        "https://shop.example/a\tb",
        "https://shop.example/a\r\nHost: x",
        "https://sh%6fp.example/",
        "https://[fe80::1%25eth0]/",
        "https://[::1/",
        f"https://{'a' * 64}.example/",
        f"https://shop.example/{'a' * MAX_URL}",
    ],
)
def test_what_is_no_url_of_a_page_is_refused(said: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        page_url(said)


BOMB = b'<!DOCTYPE u [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]>' + sitemap("&b;").partition(b"\n")[2]
OUTSIDE = b'<!DOCTYPE u [<!ENTITY a SYSTEM "file:///etc/passwd">]><urlset><url><loc>&a;</loc></url></urlset>'


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("a.urls", b"# nothing\n", "no link in it"),
        ("a.urls", b"shop.example\n", "line=1: `shop.example`"),
        ("a.urls", b"https://shop.example/\xff", "not UTF-8"),
        ("a.urls", b"\n".join(b"https://a.example/%d" % n for n in range(MAX_LINKS + 1)), "more than 1,000 links"),
        ("a.urls", b"x\n" * (MAX_LINKS + 1), "more than 1,000 links"),
        ("a.xml", sitemap(*(f"https://a.example/{n}" for n in range(MAX_LINKS + 1))), "more than 1,000 links"),
        ("a.xml", sitemap(), "no link in it"),
        ("a.xml", b"<rss><channel/></rss>", "no sitemap: its root is `rss`"),
        ("a.xml", b"<urlset><url></urlset>", "a.xml:1: broken XML"),
        ("a.xml", b"", "broken XML"),
        ("a.xml", BOMB, "declares a document type"),
        ("a.xml", OUTSIDE, "declares a document type"),
        ("a.xml", b"<urlset><url><loc>&x;</loc></url></urlset>", "broken XML"),
        ("a.xml", b"<urlset>" + b"<a>" * 5_000, "broken XML"),
        ("a.xml", b"<urlset>" + b"<a/>" * MAX_ELEMENTS + b"</urlset>", "more than 100,000 elements"),
        ("a.xml.gz", gzip.compress(b" " * (MAX_BYTES + 1), mtime=0), "more than 10 MB"),
        ("a.xml.gz", gzip.compress(b"<urlset/>", mtime=0)[:-6], "packed with gzip, but broken"),
    ],
)
def test_what_is_no_list_is_refused(name: str, content: bytes, what: str) -> None:
    with pytest.raises(Unreadable) as refusal:
        read_links(name, content)

    assert str(refusal.value).startswith(name)
    assert what in str(refusal.value)


@pytest.mark.parametrize(
    ("name", "expected"), [("a.urls", True), ("A.XML", True), ("a.xml.gz", True), ("a.gz", False), ("urls", False)]
)
def test_a_list_is_known_by_its_ending(name: str, expected: bool) -> None:
    assert is_list(name) is expected


# Pages.


@pytest.mark.parametrize(
    ("media_type", "content", "text"),
    [
        ("text/html", b"<h1>Shop</h1><p>Nine.", "Nine."),
        ("application/xhtml+xml", b"<h1>Shop</h1><p>Nine.</p>", "Nine."),
        ("text/plain", b"# Nine.", "# Nine."),
        ("text/markdown", b"# Shop\n\nNine.", "Nine."),
    ],
)
def test_a_page_is_read_by_its_media_type(media_type: str, content: bytes, text: str) -> None:
    document = read_page("https://shop.example/opening-hours", media_type, content)

    assert document.name == "https://shop.example/opening-hours"
    assert [section.text for section in document.sections] == [text]


@pytest.mark.parametrize(
    ("url", "title"),
    [("https://shop.example/opening-hours.html?x=/y", "opening hours"), ("https://shop.example/", "shop.example")],
)
def test_a_page_without_a_title_is_called_by_its_path_or_its_host(url: str, title: str) -> None:
    assert read_page(url, "text/plain", b"Nine.").title == title


def test_what_the_server_says_of_the_charset_counts_before_what_the_page_says() -> None:
    content = "<meta charset=utf-8><p>Grüße".encode("latin-1")

    assert read_page("https://a.example/", "text/html", content, "iso-8859-1").sections[0].text == "Grüße"


@pytest.mark.parametrize(
    ("media_type", "content", "charset", "what"),
    [
        ("image/png", b"", "", "no media type of a page"),
        ("text/html", b"%PDF-1.7", "", "not what its server says"),
        ("text/plain", b"PK\x03\x04", "", "not what its server says"),
        ("application/pdf", b"<p>Nine", "", "not what its server says"),
        ("text/html", b"<p>Nine", "klingon", "encoding `klingon` is not known"),
        ("text/html", b"<nav>Nine</nav>", "", "no text in it"),
    ],
)
def test_what_is_no_page_is_refused(media_type: str, content: bytes, charset: str, what: str) -> None:
    with pytest.raises(Unreadable, match=r"^https://a\.example/x: ") as refusal:
        read_page("https://a.example/x", media_type, content, charset)

    assert what in str(refusal.value)
