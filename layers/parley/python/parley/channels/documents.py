"""Documents as people see them: the list of what was put in, and the page behind a citation.

Pure conversions. The page is made of the passages that are searched, whatever format they came in, so that a citation
leads to the very words; nothing of a document's own markup is on it.
"""

from collections.abc import Mapping, Sequence
from html import escape
from itertools import groupby
from typing import Any

from parley.conversation import Citation
from parley.ports import Shelved

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
_STYLE = (
    "body{font:1rem/1.6 system-ui,sans-serif;max-width:42rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}"
    "section:target{outline:3px solid #2f7d5b;outline-offset:.6rem;border-radius:2px}"
    "p{white-space:pre-line}h2{margin-top:2rem;font-size:1.15rem}"
)


def anchor_of(place: str) -> str:
    """What a place of a citation is called on the page: the address ends with `#` and this."""
    return place.removeprefix("#") or "top"


def render_list(
    stored: Mapping[str, str], shelved: Mapping[str, Shelved], known: Mapping[str, int]
) -> list[dict[str, Any]]:
    """Each document, where it is from, and what became of it.

    `stored` has the version of each document that was put in, `known` how many passages of each the bot has now. The
    pages of a list of links count as the list's.
    """
    told = []
    pages = {page for became in shelved.values() for page in became.pages}
    for name in sorted({*stored, *shelved, *known} - pages):
        became = shelved.get(name)
        is_pending = (became.version if became else None) != stored.get(name) or bool(became and became.links)
        about: dict[str, Any] = {
            "name": name,
            "origin": "uploaded" if name in stored or became else "bundled",
            "status": "queued" if is_pending else "failed" if became and became.fault else "ready",
            "passages": sum(known.get(each, 0) for each in (name, *(became.pages if became else ()))),
        }
        if became and not is_pending and became.fault:
            about["fault"] = became.fault
        if became and not is_pending and became.notes:
            about["left_out"] = list(became.notes)
        told.append(about)
    return told


def render_page(passages: Sequence[Citation]) -> str:
    """A document's sections, each where its citations lead."""
    title = escape(passages[0].title)
    sections = []
    for (place, heading), pieces in groupby(passages, key=lambda each: (each.place, each.section)):
        text = "\n\n".join(piece.text for piece in pieces)
        paragraphs = "".join(f"<p>{escape(each)}</p>" for each in text.split("\n\n") if each.strip())
        head = f"<h2>{escape(heading)}</h2>" if heading and heading != passages[0].title else ""
        sections.append(f'<section id="{escape(anchor_of(place))}">{head}{paragraphs}</section>')
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{title}</title><style>{_STYLE}</style><h1>{title}</h1>{''.join(sections)}</html>"
    )
