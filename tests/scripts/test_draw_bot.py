"""The picture of a bot: everything stands in it, nothing stands in the way of anything else, and it is sound XML."""

import random
import re
import stat
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import pytest

import draw_bot
from draw_bot import svg
from draw_flows import sketch
from draw_layout import layout
from draw_parts import SIZES, WIDTH, Box, Frame, Part, Point, width_of
from parley.bots.bot import BUILT_IN_ACTIONS, Bot, Form, Slot, SlotCheck, Variation
from parley.bots.flows import FlowReader
from parley.bots.reader import read_bot
from parley.bots.source import Faults, Placed
from steps import Stop

BOTS = sorted((Path(__file__).parents[2] / "models/bots").iterdir())
SHAPES = "{http://www.w3.org/2000/svg}"

Steps = list[dict[str, Any]]


def a_bot(**changes: Any) -> Bot:
    says = ("utter_hello", "utter_bye", "utter_order", "utter_ask_size", "utter_wrong", "utter_default")
    values: dict[str, Any] = {
        "intents": {"greet": (), "order": (), "bye": ()},
        "slots": (Slot("size", "text"), Slot("vip", "bool")),
        "forms": {"order_form": Form("order_form", ("size",), checks={"size": SlotCheck("s|xl", "utter_wrong")})},
        "actions": ("action_pay",),
        "responses": {name: (Variation(f"{name} is said"),) for name in says},
        "unsure": ("answer", "utter_default"),
    }
    return Bot("tiny", "1", **{**values, **changes})


def picture(rules: dict[str, Any] | None = None, stories: dict[str, Steps] | None = None, **changes: Any) -> Part:
    bot = a_bot(**changes)
    reader = FlowReader({slot.name: slot for slot in bot.slots}, Faults())
    items = [
        Placed({"rule": name, **(rule if isinstance(rule, dict) else {"steps": rule})}, f"rules.yml:{line}")
        for line, (name, rule) in enumerate((rules or {}).items())
    ]
    told = [
        Placed({"story": name, "steps": steps}, f"s.yml:{line}")
        for line, (name, steps) in enumerate((stories or {}).items())
    ]
    return layout(sketch(bot, reader.rules(items), reader.stories(told)))


def said(*steps: str) -> Steps:
    """`?x` is an intent, `=x` a checkpoint, `a|b` one of two intents, everything else an action."""

    def step(text: str) -> dict[str, Any]:
        if "|" in text:
            return {"or": [{"intent": way} for way in text.split("|")]}
        return {{"?": "intent", "=": "checkpoint"}.get(text[0], "action"): text.lstrip("?=")}

    return [step(text) for text in steps]


def named(drawn: Part, label: str) -> list[Box]:
    return [box for box in drawn.boxes if box.label == label]


def outline(shape: Box | Frame) -> tuple[float, float, float, float]:
    return shape.x, shape.y, shape.x + shape.width, shape.y + shape.height


def overlap(one: Sequence[float], other: Sequence[float]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def holds(outer: Sequence[float], inner: Sequence[float]) -> bool:
    return outer[0] <= inner[0] and outer[1] <= inner[1] and inner[2] <= outer[2] and inner[3] <= outer[3]


def at_border(point: Point, shape: Box | Frame) -> bool:
    x0, y0, x1, y1 = outline(shape)
    x, y = point
    inside = x0 - 0.01 <= x <= x1 + 0.01 and y0 - 0.01 <= y <= y1 + 0.01
    return inside and min(abs(x - x0), abs(x - x1), abs(y - y0), abs(y - y1)) < 0.01


def joined(drawn: Part) -> Iterator[tuple[Box | Frame, Box | Frame]]:
    """What each line goes from and to."""
    shapes = [frame for frame in drawn.frames if frame.kind in ("or", "turn")] + list(drawn.boxes)
    for line in drawn.lines:
        ends = [[shape for shape in shapes if at_border(point, shape)] for point in (line.points[0], line.points[-1])]
        assert all(ends), f"a line ends at nothing: {line.points}"
        yield ends[0][0], ends[1][0]


def assert_sound(drawn: Part) -> None:
    """Nothing lies over anything else, and everything is within the picture."""
    frames = [frame for frame in drawn.frames if frame.kind in ("or", "turn", "card")]
    for one, other in combinations(drawn.boxes, 2):
        assert not overlap(outline(one), outline(other)), (one, other)
    for frame, other in [*combinations(drawn.frames, 2), *((frame, box) for frame in frames for box in drawn.boxes)]:
        one, two = outline(frame), outline(other)
        assert not overlap(one, two) or holds(one, two) or holds(two, one), (frame, other)
    texts = [(w.x, w.y - SIZES[w.style] * 0.7, w.x + width_of(w.text, SIZES[w.style]), w.y) for w in drawn.words]
    for text in texts:
        assert not any(overlap(text, outline(box)) for box in drawn.boxes), text
    for one, other in combinations(texts, 2):
        assert not overlap(one, other), (one, other)
    assert len(list(joined(drawn))) == len(drawn.lines)
    for line in drawn.lines:
        for (x0, y0), (x1, y1) in pairwise(line.points):
            assert x0 == pytest.approx(x1) or y0 == pytest.approx(y1), "lines run straight"
            run = (min(x0, x1) + 0.1, min(y0, y1) + 0.1, max(x0, x1) - 0.1, max(y0, y1) - 0.1)
            run = (min(run[0], run[2]), min(run[1], run[3]), max(run[0], run[2]), max(run[1], run[3]))
            assert not any(overlap(run, outline(box)) for box in drawn.boxes), f"a line runs through a box: {line}"
            assert not any(overlap(run, text) for text in texts), f"a line runs through words: {line}"
            assert holds((0, 0, drawn.width, drawn.height), run)
    for shape in (*drawn.boxes, *drawn.frames):
        assert holds((0, 0, drawn.width, drawn.height), outline(shape)), shape


@pytest.mark.parametrize("folder", BOTS, ids=[folder.name for folder in BOTS])
def test_every_intent_action_and_response_of_a_bot_stands_in_its_picture(folder: Path) -> None:
    read = read_bot(folder, Faults())

    drawn = layout(sketch(read.bot, read.rules, read.stories))

    assert_sound(drawn)
    assert drawn.width <= WIDTH + 60
    document = svg(drawn, read.bot.title, "")
    text = "\n".join(ET.fromstring(document).itertext())
    bot = read.bot
    in_flows = {event.name for flow in (*read.rules, *read.stories) for event in flow.events if event.name}
    in_flows -= {"...", "requested_slot"}
    names = {*bot.intents, *bot.forms, *bot.responses, *(set(bot.actions) - BUILT_IN_ACTIONS), *in_flows}
    names |= {slot for form in bot.forms.values() for slot in form.slots}
    assert [name for name in sorted(names) if name not in text] == []


def test_a_rule_goes_from_its_conditions_to_what_the_bot_does() -> None:
    rule = {
        "condition": [{"active_loop": "order_form"}, {"slot_was_set": [{"size": "xl"}]}],
        "steps": said("?order", "utter_order", "action_pay"),
    }

    drawn = picture({"Pay": rule})

    wanted = ["size = xl", "order", "utter_order", "action_pay"]
    assert [(one.label, other.label) for one, other in joined(drawn) if other.label in wanted] == list(pairwise(wanted))
    assert named(drawn, "in order_form")[0].kind == "condition"
    assert_sound(drawn)


@pytest.mark.parametrize(
    ("rule", "label"),
    [
        ({"condition": [{"active_loop": None}]}, "no form"),
        ({"condition": [{"slot_was_set": ["size"]}]}, "size is set"),
        ({"condition": [{"slot_was_set": [{"size": None}]}]}, "size is not set"),
        ({"condition": [{"slot_was_set": [{"vip": True}]}]}, "vip = true"),
        ({"condition": [{"slot_was_set": [{"requested_slot": "size"}]}]}, "size is asked"),
        ({"conversation_start": True}, "at the start"),
        ({"wait_for_user_input": False}, "…"),
    ],
)
def test_what_a_rule_requires_is_said_in_few_words(rule: dict[str, Any], label: str) -> None:
    drawn = picture({"Greet": {**rule, "steps": said("?greet", "utter_hello")}})

    assert len(named(drawn, label)) == 1


def test_a_form_that_begins_and_one_that_is_done_are_one_box_each() -> None:
    begins = [*said("?order", "order_form"), {"active_loop": "order_form"}]
    ends = [{"action": "order_form"}, {"active_loop": None}, {"slot_was_set": [{"requested_slot": None}]}]
    done = {"condition": [{"active_loop": "order_form"}], "steps": [*ends, *said("utter_bye")]}

    drawn = picture({"Begin": begins, "End": done})

    pairs = [(one.label, other.label) for one, other in joined(drawn) if isinstance(one, Box)]
    assert pairs[:3] == [
        ("order", "order_form"),
        ("in order_form", "order_form is done"),
        ("order_form is done", "utter_bye"),
    ]


def test_a_form_lists_its_slots_with_what_asks_for_them_and_what_rejects() -> None:
    drawn = picture()

    card = next(frame for frame in drawn.frames if frame.kind == "card")
    inside = [box.label for box in drawn.boxes if holds(outline(card), outline(box))]
    assert sorted(inside) == ["1 size", "order_form", "utter_ask_size", "utter_wrong"]


def test_rules_stand_with_the_form_that_they_belong_to() -> None:
    rules = {"Greet": said("?greet", "utter_hello"), "Order": said("?order", "order_form")}

    drawn = picture(rules)

    panels = [frame for frame in drawn.frames if frame.kind == "panel"]
    of = [
        next(n for n, panel in enumerate(panels) if holds(outline(panel), outline(named(drawn, label)[0])))
        for label in ("order", "greet")
    ]
    assert of == [0, 1]


def test_alternatives_stand_in_one_frame_that_one_line_leaves() -> None:
    for drawn in (
        picture({"Either": said("greet|order|bye", "utter_hello")}),
        picture(stories={"Either": said("greet|order|bye", "utter_hello")}),
    ):
        frame = [frame for frame in drawn.frames if frame.kind == "or"][1]  # the first is the legend's
        inside = [box.label for box in drawn.boxes if holds(outline(frame), outline(box))]
        assert inside == ["greet", "order", "bye"]
        assert [other.label for one, other in joined(drawn) if one == frame] == ["utter_hello"]


def test_stories_share_their_common_beginning() -> None:
    drawn = picture(
        stories={
            "One": said("?greet", "utter_hello", "?order", "utter_order"),
            "Two": said("?greet", "utter_hello", "?bye", "utter_bye"),
        }
    )

    assert len(named(drawn, "greet")) == len(named(drawn, "utter_hello")) == 1
    assert [other.label for one, other in joined(drawn) if one == named(drawn, "utter_hello")[0]] == ["order", "bye"]
    assert {text.text for text in drawn.words if text.style == "note"} >= {"One", "Two"}


def test_the_order_of_alternatives_makes_no_other_beginning() -> None:
    drawn = picture(
        stories={"One": said("greet|bye", "utter_hello"), "Two": said("bye|greet", "utter_hello", "utter_bye")}
    )

    assert len(named(drawn, "greet")) == 1


def test_what_the_bot_does_in_one_go_stands_in_one_frame() -> None:
    drawn = picture(stories={"One": said("?greet", "utter_hello", "action_pay", "utter_bye")})

    frame = next(frame for frame in drawn.frames if frame.kind == "turn")
    inside = [box.label for box in drawn.boxes if holds(outline(frame), outline(box))]
    assert inside == ["utter_hello", "action_pay", "utter_bye"]


def test_stories_meet_at_a_checkpoint_that_stands_once() -> None:
    drawn = picture(
        stories={
            "Hello": said("?greet", "utter_hello", "=met"),
            "Order": said("?order", "utter_order", "=met"),
            "Bye": said("=met", "?bye", "utter_bye"),
            "Pay": said("=met", "?order", "action_pay"),
        }
    )

    (checkpoint,) = named(drawn, "met")
    assert {one.label for one, other in joined(drawn) if other == checkpoint} == {"utter_hello", "utter_order"}
    assert {other.label for one, other in joined(drawn) if one == checkpoint} == {"bye", "order"}
    assert_sound(drawn)


def test_alternatives_before_a_checkpoint_meet_in_it() -> None:
    drawn = picture(stories={"One": said("greet|order", "=met"), "Two": said("=met", "utter_bye")})

    (checkpoint,) = named(drawn, "met")
    assert [one.kind for one, other in joined(drawn) if other == checkpoint] == ["or"]


def test_a_circle_goes_on_at_a_name() -> None:
    drawn = picture(
        stories={"Once": said("?greet", "utter_hello", "=again"), "Again": said("=again", "?order", "=again")}
    )

    assert len(named(drawn, "again")) == len(named(drawn, "→ again")) == 1
    assert_sound(drawn)


def test_a_story_without_an_end_to_its_length_goes_on_in_a_row_of_its_own() -> None:
    drawn = picture(stories={"Long": said(*["?greet", "utter_hello", "?order", "utter_order"] * 60)})

    assert drawn.width <= WIDTH + 60
    assert len(named(drawn, "goes on 1")) == len(named(drawn, "→ goes on 1")) == 1
    assert len(named(drawn, "greet")) == 120 // 2
    assert_sound(drawn)


def test_a_long_rule_takes_a_second_row() -> None:
    drawn = picture({"Long": said("?greet", *["utter_hello", "utter_order"] * 12)})

    assert drawn.width <= WIDTH
    assert_sound(drawn)


def test_a_long_name_is_cut_in_the_middle_and_whole_in_its_title() -> None:
    name = "utter_" + "x" * 60 + "_end"

    drawn = picture({"Long": said("?greet", name)}, responses={name: (Variation("hi"),)})

    (box,) = [box for box in drawn.boxes if name in box.title]
    assert re.fullmatch("utter_x+…x+_end", box.label)


def test_odd_characters_are_escaped() -> None:
    rules = {'<b> & "rule" \x07': said("?<script>", "utter_<&>"), "名前 é 🙂": said("?greet", "utter_hello")}

    drawn = picture(rules, responses={"utter_<&>": (Variation("</text>\x00"),), "utter_hello": (Variation("\ud7ff"),)})

    text = "\n".join(ET.fromstring(svg(drawn, "<&>", '"')).itertext())
    assert all(word in text for word in ("<script>", "utter_<&>", '<b> & "rule"', "</text>", "名前 é 🙂"))


def test_a_bot_without_anything_has_a_picture() -> None:
    drawn = layout(sketch(Bot("empty", "1"), (), ()))

    assert_sound(drawn)


def some_stories(seed: int, number: int) -> dict[str, Steps]:
    """Stories that branch, meet, go round in circles and begin nowhere."""
    dice = random.Random(seed)
    stories = {}
    for story in range(number):
        steps = [f"={dice.choice('abcde')}"] if dice.random() < 0.5 else []
        for _ in range(dice.randint(1, 4)):
            steps.append(dice.choice(["?greet", "?order", "?bye", "greet|bye", "order|greet|bye"]))
            steps += dice.choices(["utter_hello", "utter_bye", "utter_order", "action_pay"], k=dice.randint(0, 2))
            if dice.random() < 0.1:
                steps.append(f"={dice.choice('abcde')}")
        if dice.random() < 0.5:
            steps.append(f"={dice.choice('abcde')}")
        stories[f"Story {story}"] = said(*steps)
    return stories


@pytest.mark.parametrize("seed", range(20))
def test_nothing_stands_in_the_way_whatever_the_stories(seed: int) -> None:
    drawn = picture(stories=some_stories(seed, 4 + seed))

    assert_sound(drawn)
    assert drawn.width <= WIDTH + 60


def test_a_big_bot_stays_within_the_width() -> None:
    rules = {f"Rule {n}": said("?greet", *["utter_hello", "utter_order", "action_pay"][: n % 4]) for n in range(100)}

    drawn = picture(rules, some_stories(7, 50))

    assert drawn.width <= WIDTH + 60
    assert len({box.x for box in named(drawn, "greet") if box.y < 1500}) >= 3, "the rules stand in several columns"


def test_the_svg_scales_and_needs_nothing_else() -> None:
    document = svg(picture({"Greet": said("?greet", "utter_hello")}), "Tiny", "1 rule")

    root = ET.fromstring(document)
    assert root.tag == f"{SHAPES}svg"
    assert root.get("viewBox")
    assert root.get("width") == "100%"
    assert "http" not in document.replace("http://www.w3.org/2000/svg", "")


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def run(*arguments: object) -> None:
        monkeypatch.setattr(sys, "argv", ["draw_bot.py", *map(str, arguments)])
        draw_bot.main()

    return run


def test_the_command_writes_an_svg(command: Callable[..., None], tmp_path: Path, capsys: Any) -> None:
    command(BOTS[-1], "--out", tmp_path / "new/tutor.svg")

    ET.fromstring((tmp_path / "new/tutor.svg").read_text())
    assert "tutor.svg" in capsys.readouterr().out


def test_a_png_is_taken_by_the_chromium_that_is_found(
    command: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chromium = tmp_path / "chromium"
    chromium.write_text('#!/bin/sh\nfor word; do case $word in --screenshot=*) echo PNG > "${word#*=}";; esac; done\n')
    chromium.chmod(chromium.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(draw_bot, "CHROMIUMS", (str(chromium),))

    command(BOTS[0], "--out", tmp_path / "bot.png")

    assert (tmp_path / "bot.png").read_text() == "PNG\n"


@pytest.mark.parametrize(("name", "why"), [("bot.png", "needs Chromium"), ("bot.pdf", "is an .svg or a .png")])
def test_what_cannot_be_drawn_is_said(
    command: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, why: str
) -> None:
    monkeypatch.setattr(draw_bot, "CHROMIUMS", ())

    with pytest.raises(Stop, match=why):
        command(BOTS[0], "--out", tmp_path / name)


def test_a_folder_without_a_bot_is_told(command: Callable[..., None], tmp_path: Path) -> None:
    with pytest.raises(Stop):
        command(tmp_path / "nothing", "--out", tmp_path / "bot.svg")
