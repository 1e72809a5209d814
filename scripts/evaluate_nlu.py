"""Measure how well an utterance is understood: intents, out of scope, confidence, entities, noise.

    python scripts/evaluate_nlu.py --bot models/bots/support [--folds 5]
    python scripts/evaluate_nlu.py --train FILE --test FILE [--valid FILE] [--oos-test FILE]
                                   [--examples-per-intent 10 --seeds 3]
    either with [--noise] [--encoder DIR] [--out DIR] [--json FILE]

With `--bot`, the bot's own examples are dealt into folds, and each fold is asked of a head that was taught the others.
Files are JSON lines, plain or gzip'd: `text`, `intent`, optionally `slots` [{start, end, slot}]; or `tokens`, `tags`
(BIO), `intent`, where the text is the tokens joined by a blank. Utterances labelled `oos`, `out_of_scope` or
`nlu_fallback` belong to no intent, unless an intent of that name is taught; those of `--oos-test` never do.
The threshold is chosen on `--valid`'s utterances out of scope, if it has any. With `--examples-per-intent`, so many
examples of each intent are drawn for each seed (0, 1, ...), and figures are means over the seeds.

Writes a report in Markdown, the same as JSON, and pictures (PNG) into `--out` or beside `--json`
(.parley/evaluation if neither is given), and prints one screen. Accuracy counts the intent that ranks first, in scope
only; the out-of-scope figures use `Understanding.in_scope`; an entity is right if beginning, end and name are.
"""

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from compile_bot import ENCODER, ROOT
from nlu_data import few, folds, parted, read_utterances
from nlu_noise import PERTURBATIONS
from nlu_plots import draw_confidences, draw_confusions, draw_reliability, draw_scope
from nlu_report import Evaluation, NoiseCost, as_json, as_markdown, summary, times_of
from nlu_scores import calibration, entity_scores, intent_scores, scope_scores, share
from nlu_trial import Answers, Lesson, RememberingEncoder, Tell, hold
from parley.bots.reader import read_bot
from parley.bots.source import Faults
from parley.bots.training import Example
from parley.errors import ParleyError
from parley.nlu.encoder import OnnxEncoder
from steps import Step, Stop, finish

OUT = ROOT / ".parley/evaluation"
_NAMES_SHOWN = 6


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be taught and asked, and what a reader of the figures must know."""

    title: str
    method: str
    lessons: Sequence[Lesson]
    warnings: Sequence[str]


def plan_bot(folder: Path, fold_count: int, oos_test: Path | None) -> Plan:
    """The folds of a bot's own examples.

    Raises:
        Stop: the bot's files have faults, or there is nothing to hold out.
    """
    try:
        faults = Faults()
        read = read_bot(folder, faults)
        faults.raise_if_any()
    except ParleyError as error:
        raise Stop(str(error)) from error
    bot, examples = read.bot, read.training.examples
    outside = read_utterances(oos_test) if oos_test else []
    lessons = [
        Lesson(taught, held_out, outside, (), bot.entities, bot.language, bot.entity_names, bot.reading)
        for taught, held_out in folds(examples, fold_count)
    ]
    counts = Counter(example.intent for example in examples)
    if not lessons or len(counts) < 2:
        raise Stop(f"{folder}: two intents with two examples each are needed to hold some out")
    single = [name for name, count in counts.items() if count == 1]
    warnings = [f"the only example of {_listed(single)} was taught and never asked"] if single else []
    method = (
        f"The bot's own {len(examples):,} examples of {len(counts)} intents in {len(lessons)} folds: each is asked of "
        "a head that was taught the other folds."
    )
    return Plan(f"Understanding of the bot {bot.name}", method, lessons, warnings)


def plan_files(
    train: Path,
    test: Path,
    *,
    valid: Path | None = None,
    oos_test: Path | None = None,
    examples_per_intent: int | None = None,
    seeds: int = 3,
) -> Plan:
    """What the files say.

    Raises:
        Stop: a file cannot be used.
    """
    examples, tested = read_utterances(train), read_utterances(test)
    intents = frozenset(example.intent for example in examples)
    if len(intents) < 2:
        raise Stop(f"{train}: examples of at least two intents are needed")
    asked, outside = parted(tested, intents)
    outside += read_utterances(oos_test) if oos_test else []
    if not asked:
        raise Stop(f"{test}: all utterances are out of scope; some must have an intent that is taught")
    known_outside = parted(read_utterances(valid), intents)[1] if valid else []
    shots = examples_per_intent
    draws = [few(examples, shots, seed) for seed in range(seeds)] if shots else [examples]
    warnings = _warnings(examples, [*asked, *outside], asked, shots)
    if valid and not known_outside:
        warnings.append(f"{valid.name} has no utterance out of scope; the threshold was not chosen on it")
    method = f"Taught {train.name} ({len(examples):,} examples, {len(intents)} intents)"
    if shots:
        method += f", {shots} of each intent, drawn {seeds} times; figures are means"
    method += f"; asked {test.name} ({len(asked):,} in scope, {len(outside):,} out of scope)."
    known_texts = [example.text for example in known_outside]
    lessons = [Lesson(taught, asked, outside, known_texts) for taught in draws]
    return Plan(f"Understanding of {test.name}", method, lessons, warnings)


def _warnings(
    train: Sequence[Example], tested: Sequence[Example], asked: Sequence[Example], shots: int | None
) -> list[str]:
    found = []
    counts = Counter(example.intent for example in train)
    untaught = Counter(example.intent for example in asked if example.intent not in counts)
    if untaught:
        total = sum(untaught.values())
        found.append(
            f"{total:,} utterances ask for {_listed(sorted(untaught))}, which was never taught; they count as wrong"
        )
    few_of = [name for name, count in counts.items() if count < (shots or 0)]
    if few_of:
        found.append(f"{_listed(sorted(few_of))} has fewer than {shots} examples; all of them were taught")
    texts = {example.text.casefold() for example in train}
    seen = sum(example.text.casefold() in texts for example in tested)
    if seen:
        found.append(f"{seen:,} of the {len(tested):,} utterances asked stand in the training file too")
    return found


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:_NAMES_SHOWN])
    return f"{shown} and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else shown


def evaluate(plan: Plan, encoder: RememberingEncoder, tell: Tell, *, noise: bool = False) -> Evaluation:
    """Everything that there is to measure of a plan."""
    answers = hold(plan.lessons, encoder, tell, PERTURBATIONS if noise else None)
    within = [reading for reading in answers.readings if reading.wanted is not None]
    intents = intent_scores(within)
    return Evaluation(
        title=plan.title,
        method=plan.method,
        taught=len(plan.lessons[0].taught),
        readings=answers.readings,
        intents=intents,
        calibration=calibration(within),
        scope=scope_scores(answers.readings),
        entities=entity_scores(within),
        noise=_noise_costs(answers, intents.accuracy, [reading.text for reading in within]),
        times=times_of(answers.encode_seconds, answers.fit_seconds, answers.call_ms),
        warnings=plan.warnings,
        encoder=encoder.version,
    )


def _noise_costs(answers: Answers, clean: float, texts: Sequence[str]) -> dict[str, NoiseCost]:
    costs = {}
    for name, readings in answers.noisy.items():
        accuracy = share(r.right for r in readings)
        changed = ((text, r.text) for text, r in zip(texts, readings, strict=True) if text != r.text)
        example = next(changed, ("", ""))
        costs[name] = NoiseCost(accuracy, clean - accuracy, share(r.kept for r in readings), example)
    return costs


def write(evaluation: Evaluation, folder: Path, name: str) -> Path:
    """Writes report, JSON and pictures into `folder`, and gives the report's path."""
    within = [reading for reading in evaluation.readings if reading.wanted is not None]
    pictures = {kind: f"{name}-{kind}.png" for kind in ("confusions", "confidence", "reliability")}
    folder.mkdir(parents=True, exist_ok=True)
    draw_confusions(evaluation.intents, folder / pictures["confusions"])
    draw_confidences(within, folder / pictures["confidence"])
    draw_reliability(evaluation.calibration, folder / pictures["reliability"])
    if evaluation.scope:
        pictures["out_of_scope"] = f"{name}-out_of_scope.png"
        draw_scope(evaluation.scope, folder / pictures["out_of_scope"])
    content = {**as_json(evaluation), "pictures": pictures}
    (folder / f"{name}.json").write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")
    report = folder / f"{name}.md"
    report.write_text(as_markdown(evaluation, pictures), encoding="utf-8")
    return report


def options_of(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """What the person who gave the command wants."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--bot", type=Path, help="a bot's folder")
    source.add_argument("--train", type=Path, help="what is taught")
    parser.add_argument("--test", type=Path, help="what is asked; needed with --train")
    parser.add_argument("--valid", type=Path, help="on its out-of-scope utterances the threshold is chosen")
    parser.add_argument("--oos-test", type=Path, help="utterances of no intent, whatever their label says")
    parser.add_argument("--folds", type=int, default=5, help="for --bot")
    parser.add_argument("--examples-per-intent", type=int, help="teach only so many, drawn at random")
    parser.add_argument("--seeds", type=int, default=3, help="how often they are drawn")
    parser.add_argument("--noise", action="store_true", help="measure what typos, capitals, emoji ... cost")
    parser.add_argument("--encoder", type=Path, default=ENCODER, help="the encoder's folder")
    parser.add_argument("--out", type=Path, help="folder of the report")
    parser.add_argument("--json", type=Path, help="the figures for machines; the report goes beside it")
    options = parser.parse_args(arguments)
    if options.train and not options.test:
        parser.error("--train needs --test")
    if options.bot and (options.test or options.valid or options.examples_per_intent):
        parser.error("--bot is measured on its own examples; --test, --valid and --examples-per-intent need --train")
    for name, least in (("folds", 2), ("seeds", 1), ("examples_per_intent", 1)):
        if (value := getattr(options, name)) is not None and value < least:
            parser.error(f"--{name.replace('_', '-')} must be at least {least}")
    return options


def plan_of(options: argparse.Namespace) -> Plan:
    """What is to be taught and asked."""
    if options.bot:
        return plan_bot(options.bot, options.folds, options.oos_test)
    return plan_files(
        options.train,
        options.test,
        valid=options.valid,
        oos_test=options.oos_test,
        examples_per_intent=options.examples_per_intent,
        seeds=options.seeds,
    )


def main() -> None:
    """The command."""
    options = options_of()
    plan = plan_of(options)
    try:
        encoder = RememberingEncoder(OnnxEncoder(options.encoder))
    except ParleyError as error:
        raise Stop(str(error)) from error
    with Step("measuring") as step:
        evaluation = evaluate(plan, encoder, step.say, noise=options.noise)
        step.say(f"{len(evaluation.readings):,} utterances asked")
    with Step("drawing") as step:
        name = options.json.stem if options.json else "report"
        folder = options.out or (options.json.parent if options.json else OUT)
        report = write(evaluation, folder, name)
        step.say(str(report))
    if options.json and options.json.resolve() != report.with_suffix(".json").resolve():
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_bytes(report.with_suffix(".json").read_bytes())
    print(f"\n{summary(evaluation)}")


if __name__ == "__main__":
    finish(main)
