"""Draw the flows of a bot as a picture: its forms, rules and stories.

    python scripts/draw_bot.py models/bots/support [--out FILE.svg|FILE.png]

Every rule is a lane from its conditions to what the bot does; rules stand with the form that they belong to. Stories
are one tree from left to right, in which common beginnings stand once, and checkpoints are where they meet. Forms list
the slots that they ask for, and by which response. Pointing at a box shows the whole name, what a response says, and
which stories come through.

An SVG needs nothing but itself and opens in every browser. For a PNG a Chromium or Chrome on this machine takes the
picture. Faults in the bot's files are listed, and what can be read is drawn.
"""

import argparse
import html
import math
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

# The scripts' folder is on the path, and compile_bot puts our package there: it must be imported before `parley`.
import compile_bot  # noqa: F401
from draw_flows import Kind, sketch
from draw_layout import layout
from draw_parts import FONT, SIZES, Box, Frame, Line, Part, Point, Words
from parley.bots.reader import read_bot
from parley.bots.source import Faults
from parley.errors import ParleyError
from steps import PARLEY, Step, Stop, finish, run

PICTURES = PARLEY / "pictures"
CHROMIUMS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
MOST_PIXELS = 16_000  # a Chromium draws no side that is longer

# Quiet fills with strokes of the same hue; every kind has a shape of its own too.
COLOURS: dict[Kind, tuple[str, str]] = {
    "start": ("#555555", "#555555"),
    "intent": ("#dceaf7", "#5f8fbc"),
    "response": ("#e2f1e3", "#6aa374"),
    "custom": ("#fbe8d6", "#cc8a4e"),
    "built-in": ("#eae4f4", "#8c77b4"),
    "form": ("#fbf2c9", "#b89b35"),
    "slot": ("#e3f0f0", "#5a9a9c"),
    "condition": ("#ffffff", "#8d8d8d"),
    "checkpoint": ("#f6e1e8", "#b4647f"),
}
STYLE = f"""
text {{ font-family: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; fill: #222; }}
.label {{ font-size: {FONT}px; text-anchor: middle; }}
.title {{ font-size: {SIZES["title"]}px; font-weight: 600; }}
.details {{ font-size: {SIZES["details"]}px; fill: #555; }}
.heading {{ font-size: {SIZES["heading"]}px; font-weight: 600; fill: #333; }}
.name {{ font-size: {SIZES["name"]}px; fill: #444; }}
.note {{ font-size: {SIZES["note"]}px; fill: #666; }}
.line {{ fill: none; stroke: #7a7a7a; stroke-width: 1.3; }}
.head {{ fill: #7a7a7a; }}
.panel {{ fill: #fff; stroke: #e3e3de; }}
.card {{ fill: #fffdf3; stroke: #d9c67c; }}
.turn {{ fill: #f4f4f1; stroke: #d6d6d0; }}
.or {{ fill: #fafafa; stroke: #a9a9a9; stroke-dasharray: 2 3; }}
.bar {{ fill: none; stroke-width: 1; }}
""" + "".join(
    f".{kind} {{ fill: {fill}; stroke: {stroke}; stroke-width: 1.2; }}\n" for kind, (fill, stroke) in COLOURS.items()
)
GROUND = "#f7f7f5"
HEAD = """<defs><marker id="head" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="7" markerHeight="7" orient="auto">\
<path class="head" d="M0 0.5 8 4 0 7.5z"/></marker></defs>"""
_CORNER = 6  # radius at which lines turn


def svg(picture: Part, title: str, description: str) -> str:
    """The picture as one SVG document that needs nothing else."""
    width, height = math.ceil(picture.width), math.ceil(picture.height)
    size = f'viewBox="0 0 {width} {height}" width="100%" style="max-width:{width}px;height:auto;background:{GROUND}"'
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{_safe(f"{title}: {description}")}">',
        f"<style>{STYLE}</style>",
        HEAD,
        f'<rect width="{width}" height="{height}" fill="{GROUND}"/>',
        *map(_frame, picture.frames),
        *map(_line, picture.lines),
        *(line for box in picture.boxes for line in _box(box)),
        *map(_words, picture.words),
        "</svg>",
    ]
    return "\n".join(drawn) + "\n"


def _frame(frame: Frame) -> str:
    place = f'x="{frame.x:g}" y="{frame.y:g}" width="{frame.width:g}" height="{frame.height:g}"'
    return f'<rect class="{frame.kind}" {place} rx="{10 if frame.kind == "panel" else 7}"/>'


def _line(line: Line) -> str:
    return f'<path class="line" marker-end="url(#head)" d="{_rounded(line.points)}"/>'


def _rounded(points: Sequence[Point]) -> str:
    """A path whose corners are round where there is room."""
    path = [f"M{points[0][0]:g} {points[0][1]:g}"]
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        radius = min(_CORNER, math.dist(before, corner) / 2, math.dist(corner, after) / 2)
        (x1, y1), (x2, y2) = _towards(corner, before, radius), _towards(corner, after, radius)
        path.append(f"L{x1:g} {y1:g}Q{corner[0]:g} {corner[1]:g} {x2:g} {y2:g}")
    path.append(f"L{points[-1][0]:g} {points[-1][1]:g}")
    return "".join(path)


def _towards(start: Point, end: Point, length: float) -> Point:
    share = length / max(math.dist(start, end), 1e-9)
    return start[0] + (end[0] - start[0]) * share, start[1] + (end[1] - start[1]) * share


def _box(box: Box) -> Iterator[str]:
    yield f"<g><title>{_safe(box.title)}</title>"
    yield _shape(box)
    if box.label:
        x, y = box.x + box.width / 2, box.y + box.height / 2 + FONT * 0.36
        yield f'<text class="label" x="{x:g}" y="{y:g}">{_safe(box.label)}</text>'
    yield "</g>"


def _shape(box: Box) -> str:
    x, y, w, h = box.x, box.y, box.width, box.height
    rectangle = f'<rect class="{box.kind}" x="{x:g}" y="{y:g}" width="{w:g}" height="{h:g}"'
    match box.kind:
        case "start":
            return f'<circle class="start" cx="{x + w / 2:g}" cy="{y + h / 2:g}" r="{w / 2:g}"/>'
        case "intent":
            return f'{rectangle} rx="{h / 2:g}"/>'
        case "response":  # a speech bubble: one corner is sharp
            path = f"M{x:g} {y + h:g}v{-h + 9:g}q0 -9 9 -9h{w - 18:g}q9 0 9 9v{h - 18:g}q0 9 -9 9z"
        case "custom":  # a hexagon
            path = f"M{x:g} {y + h / 2:g}l8 {-h / 2:g}h{w - 16:g}l8 {h / 2:g}l-8 {h / 2:g}h{16 - w:g}z"
        case "slot":  # a tag
            path = f"M{x:g} {y + h / 2:g}l7 {-h / 2:g}h{w - 10:g}q3 0 3 3v{h - 6:g}q0 3 -3 3h{10 - w:g}z"
        case "checkpoint":
            path = f"M{x + 8:g} {y:g}h{w - 8:g}l-8 {h:g}h{8 - w:g}z"
        case "built-in":
            bars = f'<path class="built-in bar" d="M{x + 5:g} {y:g}v{h:g}M{x + w - 5:g} {y:g}v{h:g}"/>'
            return f'{rectangle} rx="2"/>{bars}'
        case "form":
            bar = f'<rect x="{x:g}" y="{y:g}" width="5" height="{h:g}" rx="2" fill="{COLOURS["form"][1]}"/>'
            return f'{rectangle} rx="3"/>{bar}'
        case _:
            return f'{rectangle} rx="4" stroke-dasharray="4 2"/>'
    return f'<path class="{box.kind}" d="{path}"/>'


def _words(words: Words) -> str:
    title = f"<title>{_safe(words.title)}</title>" if words.title else ""
    return f'<text class="{words.style}" x="{words.x:g}" y="{words.y:g}">{title}{_safe(words.text)}</text>'


def _safe(text: str) -> str:
    """Text as XML may hold it."""
    return html.escape("".join(each if each.isprintable() or each == "\n" else " " for each in text))


def write_png(drawn: str, picture: Part, path: Path, chromium: str, step: Step | None = None) -> None:
    """The picture as a PNG of twice its size, or as large as a Chromium can draw."""
    width, height = math.ceil(picture.width), math.ceil(picture.height)
    scale = min(2.0, MOST_PIXELS / max(width, height))
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder, "picture.html")
        page.write_text(f'<!doctype html><meta charset="utf-8"><body style="margin:0">{drawn}', encoding="utf-8")
        command = [
            chromium,
            "--headless",
            *(["--no-sandbox"] if os.geteuid() == 0 else []),
            "--disable-gpu",
            "--no-first-run",
            "--disable-background-networking",
            "--hide-scrollbars",
            f"--user-data-dir={folder}/profile",
            f"--force-device-scale-factor={scale:g}",
            f"--window-size={width},{height}",
            f"--screenshot={path.resolve()}",
            page.as_uri(),
        ]
        run(command, log="draw_bot", step=step)
    if not path.is_file():
        raise Stop(f"{chromium} drew nothing")


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bot", type=Path, help="the bot's folder")
    parser.add_argument("--out", type=Path, metavar="FILE", help="where it goes; by default .parley/pictures/BOT.svg")
    options = parser.parse_args()
    faults = Faults()
    try:
        read = read_bot(options.bot, faults)
    except ParleyError as error:
        raise Stop(str(error)) from error
    for line in faults.lines:
        print(f"fault: {line}", file=sys.stderr)
    path: Path = options.out or PICTURES / f"{read.bot.name}.svg"
    chromium = next(filter(None, map(shutil.which, CHROMIUMS)), None)
    if path.suffix.lower() not in (".svg", ".png"):
        raise Stop(f"{path}: a picture is an .svg or a .png")
    if path.suffix.lower() == ".png" and chromium is None:
        raise Stop(f"a PNG needs Chromium or Chrome, and there is none here; {path.with_suffix('.svg')} needs nothing")
    with Step("drawing") as step:
        outline = sketch(read.bot, read.rules, read.stories)
        picture = layout(outline)
        drawn = svg(picture, outline.title, outline.details)
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix.lower() == ".png" and chromium is not None:
            write_png(drawn, picture, path, chromium, step)
        else:
            path.write_text(drawn, encoding="utf-8")
        step.say(f"{path}, {picture.width:.0f} x {picture.height:.0f}")
        step.tell(outline.details)


if __name__ == "__main__":
    finish(main)
