"""Tell a bot's author what is wrong, with file and line, all of it at once.

    python scripts/validate_bot.py models/bots/support [--strict] [--json] [--quick] [--ignore CHECK ...]

Errors are what the compiler refuses, such as a rule that contradicts another, or a story with an action that there is
not. Warnings are what it takes although it is probably not meant: examples that are too few, or in two intents;
entities, slots, responses, forms and intents that are never found, filled or used; marks that cut words; synonyms that
mean two things; examples of two intents that are nearly the same; intents that a head confuses and examples that it
misreads when it was not taught them. The last two train the bot once per fold, which takes about as long as compiling
it; `--quick` looks at the files alone.

Each finding is one line, `file:line: severity: message [check]`; `--ignore` leaves a check out. The exit code is 1 if
there is an error, or with `--strict` a warning; 0 otherwise. `--json` prints the findings for machines instead.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from compile_bot import ENCODER
from draft_bot import Draft, read_draft
from draft_findings import Finding, findings_in, plain
from nlu_data import folds
from nlu_scores import Reading
from nlu_trial import Lesson, RememberingEncoder, Tell, hold
from parley.bots.source import Faults
from parley.bots.training import Example
from parley.compile import read_whole
from parley.errors import BadBot, ParleyError
from parley.nlu.encoder import OnnxEncoder
from parley.ports import Encoder
from steps import Step, Stop, finish

# Of 4,500 CLINC150 and 3,062 BANKING77 examples (30 and 40 per intent, the encoder that ships), ten pairs of two
# intents are this near, and say the same in other words ("what is my water bill", "how much is my water bill"); between
# 0.92 and 0.94 most pairs differ in meaning ("is there milk on my list", "if there is no milk on my list, add some").
NEARLY_THE_SAME = 0.94  # cosine
NEAR_SHOWN = 3  # nearest others of one example

FOLDS = 5
CONFUSED_AT_LEAST = 3  # examples of an intent that were taken for the same other one, and ...
CONFUSED_SHARE = 0.1  # ... which share of its examples; one in ten is what a reader of the report would look at first
SURELY = 0.8  # confidence of a wrong intent above which the example, not the head, is probably wrong


def validate(folder: Path, encoder: Encoder | None, tell: Tell = lambda _: None) -> list[Finding]:
    """Everything that is worth telling about the bot in `folder`, by file and line; without an encoder the files alone.

    Raises:
        Stop: there is no bot in this folder.
    """
    try:
        draft = read_draft(folder)
    except ParleyError as error:
        raise Stop(str(error)) from error
    found = [*refused(folder), *findings_in(draft)]
    if encoder is not None:
        remembering = RememberingEncoder(encoder)
        remembering.learn([example.text for example in draft.examples], tell)
        found += near_duplicates(draft.examples, remembering)
        found += held_out(draft, remembering, tell)
    return sorted(set(found), key=lambda finding: (finding.order, finding.check))


def refused(folder: Path) -> Iterator[Finding]:
    """What the compiler refuses, and what it takes but names."""
    faults = Faults()
    with suppress(BadBot):  # the faults say why
        read_whole(folder, faults)
    for line in (*faults.lines, *faults.notes):
        place, _, message = line.partition(": ")
        yield Finding(place, "error" if line in faults.lines else "warning", "compiler", message)


def near_duplicates(examples: Sequence[Example], encoder: Encoder) -> Iterator[Finding]:
    """Examples of different intents that say nearly the same. The two may share a part of a multi-intent (`a+b`)."""
    if not examples:
        return
    vectors = encoder.embed([example.text for example in examples])
    parts = [frozenset(example.intent.split("+")) for example in examples]
    for number, example in enumerate(examples):
        cosines = vectors[:number] @ vectors[number]
        near = [int(at) for at in np.argsort(-cosines) if cosines[at] >= NEARLY_THE_SAME]
        for at in [at for at in near if not parts[at] & parts[number]][:NEAR_SHOWN]:
            other = examples[at]
            if other.text.lower() == example.text.lower():
                continue  # the compiler tells
            like = "the same but for spacing" if plain(other.text) == plain(example.text) else "nearly the same"
            message = (
                f"{example.text!r} of `{example.intent}` is {like} as {other.text!r} of `{other.intent}` at "
                f"{other.place} (cosine {cosines[at]:.2f})"
            )
            yield Finding(example.place, "warning", "near-duplicate", message)


def held_out(draft: Draft, encoder: RememberingEncoder, tell: Tell) -> Iterator[Finding]:
    """What a head makes of examples that it was not taught: intents that it confuses, and examples that it surely
    misreads."""
    if sum(count > 1 for count in Counter(e.intent for e in draft.examples).values()) < 2:
        return
    unmarked = [replace(example, entities=()) for example in draft.examples]  # a tagger takes time and is not asked
    lessons = [
        Lesson(taught, asked)
        for taught, asked in folds(unmarked, FOLDS)
        if len({example.intent for example in taught}) > 1
    ]
    readings = hold(lessons, encoder, tell).readings
    yield from _confused(readings, draft)
    for reading in readings:
        if not reading.right and reading.confidence >= SURELY:
            message = (
                f"{reading.text!r} of `{reading.wanted}` is taken for `{reading.got}` when it is not taught "
                f"(confidence {reading.confidence:.2f}); does it belong there?"
            )
            yield Finding(reading.place, "warning", "misread", message)


def _confused(readings: Sequence[Reading], draft: Draft) -> Iterator[Finding]:
    asked = Counter(reading.wanted for reading in readings)
    taken = Counter((str(reading.wanted), reading.got) for reading in readings if not reading.right)
    for (wanted, got), count in taken.most_common():
        if count >= CONFUSED_AT_LEAST and count >= CONFUSED_SHARE * asked[wanted]:
            samples = [r.text for r in readings if (r.wanted, r.got) == (wanted, got)][:2]
            message = (
                f"of {asked[wanted]} examples of `{wanted}`, {count} were taken for `{got}` when they were not taught, "
                f"such as {' and '.join(map(repr, samples))}"
            )
            place = draft.intents.get(wanted) or next(e.place for e in draft.examples if e.intent == wanted)
            yield Finding(place, "warning", "confused", message)


def told(findings: Sequence[Finding]) -> str:
    """The findings as lines, and their number."""
    lines = [f"{f.place}: {f.severity}: {f.message} [{f.check}]" for f in findings]
    counts = Counter(finding.severity for finding in findings)
    errors, warnings = counts["error"], counts["warning"]
    return "\n".join([*lines, "nothing to find fault with" if not lines else f"{errors} errors, {warnings} warnings"])


def as_json(findings: Sequence[Finding]) -> dict[str, Any]:
    """The findings for machines."""
    counts = Counter(finding.severity for finding in findings)
    rows = []
    for finding in findings:
        file, _, line = finding.place.rpartition(":")
        place = {"file": file, "line": int(line)} if line.isdigit() else {"file": finding.place, "line": None}
        rows.append({**place, "severity": finding.severity, "check": finding.check, "message": finding.message})
    return {"errors": counts["error"], "warnings": counts["warning"], "findings": rows}


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bot", type=Path, help="the bot's folder")
    parser.add_argument("--strict", action="store_true", help="a warning fails too")
    parser.add_argument("--json", action="store_true", help="print JSON instead of lines")
    parser.add_argument("--quick", action="store_true", help="the files alone; no encoder, no training")
    parser.add_argument("--ignore", nargs="+", default=[], metavar="CHECK", help="checks to leave out")
    parser.add_argument("--encoder", type=Path, default=ENCODER, help="the encoder's folder")
    options = parser.parse_args()
    try:
        encoder = None if options.quick else OnnxEncoder(options.encoder)
    except ParleyError as error:
        raise Stop(str(error)) from error
    with nullcontext() if options.json else Step("looking") as step:
        found = validate(options.bot, encoder, step.say if step else lambda _: None)
        if step:
            step.say(str(options.bot))
    kept = [finding for finding in found if finding.check not in options.ignore]
    print(json.dumps(as_json(kept), indent=1, ensure_ascii=False) if options.json else told(kept))
    if any(finding.severity == "error" or options.strict for finding in kept):
        sys.exit(1)


if __name__ == "__main__":
    finish(main)
