"""Markdown as Slack shows it: its own mrkdwn, in sections of a length that Slack takes.

Pure. Everything that is not converted is escaped, so that no text of a bot, a document or a model calls a channel or a
person together: `<!channel>` and `<@U1>` are marks to Slack only with their angle brackets.
Source: docs.slack.dev/messaging/formatting-message-text
"""

import re
from collections.abc import Iterator
from urllib.parse import quote

MOST_CHARACTERS = 3_000  # of a section's text

_FENCE = re.compile(r"^\s*(```+|~~~+)")
_RULE = re.compile(r"^\s{0,3}([-*_])(?:\s*\1){2,}\s*$")
_HEADING = re.compile(r"^\s{0,3}#{1,6}\s+(.*?)\s*#*\s*$")
_ITEM = re.compile(r"^(\s*)[-*+]\s+(?:\[([ xX])\]\s+)?(.*)$")
_QUOTE = re.compile(r"^\s{0,3}>\s?(.*)$")
_TABLE_RULE = re.compile(r"^\s*\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?\s*$")
_CELLS = re.compile(r"(?<!\\)\|")
_BULLETS = "•◦▪"

_INLINE = re.compile(
    r"(?P<ticks>`{1,3})(?P<code>[^\n]+?)(?P=ticks)(?!`)"
    r"|!?\[(?P<label>[^\[\]\n]+)\]\((?P<target>[^()\s]+(?:\([^()\s]*\)[^()\s]*)*)(?:\s+\"[^\"\n]*\")?\)"
    r"|<(?P<auto>https?://[^<>\s]+)>"
    r"|(?P<bare>https?://[^\s<>|]*[^\s<>|.,;:!?)\]'\"*_])"
    r"|\\(?P<escaped>[\\`*_{}\[\]()#+\-.!~>|])"
    r"|\*\*\*(?=\S)(?P<both>[^\n]+?)(?<=\S)\*\*\*"
    r"|\*\*(?=\S)(?P<bold>[^\n]+?)(?<=\S)\*\*"
    r"|(?<!\w)__(?=\S)(?P<strong>[^\n]+?)(?<=\S)__(?!\w)"
    r"|~~(?=\S)(?P<struck>[^\n]+?)(?<=\S)~~"
    r"|(?<![\w*])\*(?=[^\s*])(?P<italic>[^*\n]*?[^\s*])\*(?![\w*])"
    r"|(?<!\w)_(?=[^\s_])(?P<emphasis>[^_\n]*?[^\s_])_(?!\w)"
)
_DEEPEST = 4  # marks within marks; nobody writes more
_LINKED = ("https://", "http://", "mailto:", "tel:")


def sections(markdown: str, most: int = MOST_CHARACTERS) -> list[str]:
    """The text in pieces of `most` characters at most, each of them mrkdwn that stands by itself."""
    found: list[str] = []
    for piece in _pieces(markdown, most):
        if found and len(found[-1]) + len(piece) < most:
            found[-1] += f"\n{piece}"
        elif piece.strip():
            found.append(piece)
    return [each.strip("\n") for each in found]


def escaped(text: str) -> str:
    """Text that means nothing to Slack but itself."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def link(url: str, label: str = "") -> str:
    """A link, or only its label where Slack would not open it."""
    if not url.startswith(_LINKED):
        return escaped(label or url)
    safe = quote(url, safe="/:?#[]@!$&'()*+,;=%~-._").replace("&", "&amp;")
    return f"<{safe}|{escaped(label).replace('|', '¦')}>" if label else f"<{safe}>"


def _pieces(markdown: str, most: int) -> Iterator[str]:
    """Lines and blocks of code, converted; none is longer than `most`."""
    lines = markdown.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    at = 0
    while at < len(lines):
        if fence := _FENCE.match(lines[at]):
            end = next((n for n in range(at + 1, len(lines)) if lines[n].strip() == fence[1]), len(lines))
            yield from _code(lines[at + 1 : end], most)
            at = end + 1
        elif at + 1 < len(lines) and "|" in lines[at] and "|" in lines[at + 1] and _TABLE_RULE.match(lines[at + 1]):
            end = next((n for n in range(at + 2, len(lines)) if "|" not in lines[n]), len(lines))
            yield from _code(_table([lines[at], *lines[at + 2 : end]]), most)
            at = end
        else:
            yield from _line(lines[at], most)
            at += 1


def _code(lines: list[str], most: int) -> Iterator[str]:
    room = most - len("```\n\n```")
    step = room // len("&amp;")  # no line grows more than that by being escaped
    short = [line[n : n + step] for line in lines for n in range(0, max(len(line), 1), step)]
    block = ""
    for line in map(escaped, short):
        line = line.replace("```", "'''")
        if block and len(block) + len(line) >= room:
            yield f"```\n{block}\n```"
            block = line
        else:
            block = f"{block}\n{line}" if block else line
    if block.strip():
        yield f"```\n{block}\n```"


def _table(lines: list[str]) -> list[str]:
    rows = [[cell.strip().replace("\\|", "|") for cell in _CELLS.split(line.strip().strip("|"))] for line in lines]
    columns = max(map(len, rows))
    rows = [[*row, *[""] * (columns - len(row))] for row in rows]
    widths = [max(len(row[n]) for row in rows) for n in range(columns)]

    def drawn(row: list[str]) -> str:
        return "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()

    return [drawn(rows[0]), "  ".join("-" * width for width in widths), *map(drawn, rows[1:])]


def _line(line: str, most: int) -> Iterator[str]:
    """A line; one that is too long is cut between words, where what is marked up over the cut shows its marks."""
    converted = _converted(line)
    if len(converted) <= most:
        yield converted
        return
    middle = line.rfind(" ", len(line) // 4, 3 * len(line) // 4) + 1 or len(line) // 2
    yield from _line(line[:middle].rstrip(), most)
    yield from _line(line[middle:].lstrip(), most)


def _converted(line: str) -> str:
    if _RULE.match(line):
        return "─" * 12
    if heading := _HEADING.match(line):
        text = _inline(heading[1].replace("**", ""))
        return f"*{text}*" if text else ""
    if item := _ITEM.match(line):
        depth = len(item[1].expandtabs(4)) // 2
        box = {None: "", " ": "☐ "}.get(item[2], "☑ ")
        return f"{'    ' * depth}{_BULLETS[min(depth, len(_BULLETS) - 1)]} {box}{_inline(item[3])}"
    if quoted := _QUOTE.match(line):
        return f"> {_inline(quoted[1])}"
    return _inline(line)


def _inline(text: str, depth: int = 0) -> str:
    """A line's text with its marks; what stands between them is escaped."""
    if depth > _DEEPEST:
        return escaped(text)
    parts, at = [], 0
    for found in _INLINE.finditer(text):
        parts += [escaped(text[at : found.start()]), _marked(found, depth + 1)]
        at = found.end()
    return "".join([*parts, escaped(text[at:])])


def _marked(found: re.Match[str], depth: int) -> str:
    match found.groupdict():
        case {"code": str(code)}:
            return f"`{escaped(code.strip().replace('`', chr(39)))}`"
        case {"label": str(label), "target": str(target)}:
            return link(target, label)
        case {"auto": str(url)} | {"bare": str(url)}:
            return link(url)
        case {"escaped": str(character)}:
            return escaped(character)
        case {"both": str(inner)}:
            return f"*_{_inline(inner, depth)}_*"
        case {"bold": str(inner)} | {"strong": str(inner)}:
            return f"*{_inline(inner, depth)}*"
        case {"struck": str(inner)}:
            return f"~{_inline(inner, depth)}~"
        case {"italic": str(inner)} | {"emphasis": str(inner)}:
            return f"_{_inline(inner, depth)}_"
    raise AssertionError(found.lastgroup)
