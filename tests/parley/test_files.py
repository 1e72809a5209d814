"""Files that people send: what they are by their own bytes, and what they may be called."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.files import ENDINGS, LONGEST_NAME, name_of, type_of
from tests.builders import PNG

SAMPLES = {
    "image/png": PNG,
    "image/jpeg": b"\xff\xd8\xff\xe0\x00\x10JFIF\x00",
    "image/gif": b"GIF89a\x01\x00\x01\x00",
    "image/webp": b"RIFF\x24\x00\x00\x00WEBPVP8 ",
    "application/pdf": b"%PDF-1.7\n",
}
SCRIPT = b"#!/bin/sh\nrm -rf /\n"


@pytest.mark.parametrize("claimed", ["image/png", "text/plain", "application/octet-stream", ""])
@pytest.mark.parametrize("media_type", SAMPLES)
def test_a_file_is_what_its_first_bytes_say_whatever_the_client_claims(media_type: str, claimed: str) -> None:
    assert type_of(SAMPLES[media_type], claimed) == media_type


@pytest.mark.parametrize("claimed", ["text/plain", "text/csv; charset=utf-8", "Text/Markdown"])
def test_text_is_of_the_kind_that_is_claimed(claimed: str) -> None:
    assert type_of("one, two €\r\n".encode(), claimed) == claimed.partition(";")[0].lower()


@pytest.mark.parametrize(
    ("content", "claimed"),
    {
        "a script that claims to be an image": (SCRIPT, "image/png"),
        "text that claims to be a page": (b"<script>alert(1)</script>", "text/html"),
        "a drawing that may hold a script": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml"),
        "text with a zero": (b"a\x00b", "text/plain"),
        "text with an escape": (b"\x1b[2J", "text/plain"),
        "no UTF-8": (b"\xff\xfe\x00a", "text/plain"),
        "a program": (b"MZ\x90\x00", "application/pdf"),
        "a page before a PDF": (b"<html>\n%PDF-1.7", "application/pdf"),
        "half of PNG's mark": (PNG[:8] + b"#!/bin/sh", "image/png"),
        "a sound": (b"RIFF\x24\x00\x00\x00WAVEfmt ", "image/webp"),
        "a mark in its place, and nothing before it": (b"\x00" * 8 + b"WEBPVP8 ", "image/webp"),
        "nothing": (b"", "image/png"),
    }.values(),
)
def test_nothing_else_is_anything(content: bytes, claimed: str) -> None:
    assert type_of(content, claimed) is None


@pytest.mark.parametrize(
    ("name", "media_type", "kept"),
    [
        ("photo.png", "image/png", "photo.png"),
        ("Grüße aus Köln.JPG", "image/jpeg", "Grüße aus Köln.JPG"),
        ("../../etc/passwd", "text/plain", "passwd.txt"),
        ("C:\\Windows\\run.bat", "text/plain", "run.bat.txt"),
        ("photo.png", "application/pdf", "photo.png.pdf"),
        ("a\r\nSet-Cookie: b.png", "image/png", "aSet-Cookie b.png"),
        ("gnp.\u202eexe", "image/png", "gnp.exe.png"),  # which shows the letters behind it from right to left
        ('"quoted".png', "image/png", "quoted.png"),
        (" . .png", "image/png", "png.png"),
        ("", "image/png", "file.png"),
        ("/", "text/markdown", "file.md"),
        ("..", "image/png", "file.png"),
        ("\ud800.png", "image/png", "png.png"),
        ("x" * 300 + ".png", "image/png", "x" * 96 + ".png"),
    ],
)
def test_a_name_is_cleaned(name: str, media_type: str, kept: str) -> None:
    assert name_of(name, media_type) == kept


@given(st.text(), st.sampled_from(sorted(ENDINGS)))
def test_whatever_somebody_calls_a_file_its_name_is_harmless(name: str, media_type: str) -> None:
    kept = name_of(name, media_type)

    assert kept.lower().endswith(ENDINGS[media_type])
    assert 0 < len(kept) <= LONGEST_NAME
    assert not set(kept) & set('/\\<>:"|?*\r\n\x00')
    assert not kept.startswith(".")
    assert name_of(kept, media_type) == kept
