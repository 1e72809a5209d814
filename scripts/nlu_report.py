"""An evaluation as a Markdown report, as JSON, and as one screen. Knows scores; measures nothing and draws nothing."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nlu_scores import (
    KEPT_SHARE,
    Calibration,
    EntityScores,
    IntentScores,
    Rates,
    Reading,
    ScopeScores,
    confusions,
    misread,
    thinned,
)

_MISREAD_SHOWN = 60  # in the report; the JSON has all
_CONFUSIONS_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Times:
    """What it took."""

    encode_seconds: float  # the vectors of everything taught, each text once
    fit_seconds: float  # one head and tagger, mean of all trials, without the encoding
    call_p50_ms: float  # one utterance, tokenization to entities, wall time
    call_p99_ms: float


@dataclass(frozen=True, slots=True)
class NoiseCost:
    """What one kind of noise does."""

    accuracy: float
    cost: float  # accuracy without it less accuracy with it
    kept: float  # share that the head's own threshold let through
    example: tuple[str, str]  # an utterance before and after


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Everything that was measured."""

    title: str
    method: str  # how it was measured, in a sentence
    taught: int  # examples of one head
    readings: Sequence[Reading]
    intents: IntentScores
    calibration: Calibration
    scope: ScopeScores | None
    entities: EntityScores | None
    noise: Mapping[str, NoiseCost]
    times: Times
    warnings: Sequence[str]
    encoder: str  # its version


def as_json(evaluation: Evaluation) -> dict[str, Any]:
    """The evaluation for machines; figures are shares of 1 unless their name has a unit."""
    intents, scope, entities = evaluation.intents, evaluation.scope, evaluation.entities
    return {
        "title": evaluation.title,
        "method": evaluation.method,
        "encoder": evaluation.encoder,
        "examples_taught": evaluation.taught,
        "utterances": {
            "in_scope": sum(r.wanted is not None for r in evaluation.readings),
            "out_of_scope": sum(r.wanted is None for r in evaluation.readings),
        },
        "warnings": list(evaluation.warnings),
        "accuracy": _round(intents.accuracy),
        "accuracy_per_trial": [_round(value) for value in intents.per_trial],
        "macro_f1": _round(intents.macro_f1),
        "threshold": {"kept": _round(intents.kept), "kept_and_right": _round(intents.kept_and_right)},
        "calibration": {
            "expected_error": _round(evaluation.calibration.error),
            "bins": [
                {"confidence": _round(c), "accuracy": _round(a), "count": int(n)}
                for c, a, n in zip(
                    evaluation.calibration.confidence,
                    evaluation.calibration.accuracy,
                    evaluation.calibration.counts,
                    strict=True,
                )
            ],
        },
        "out_of_scope": _scope_json(scope) if scope else None,
        "entities": _entities_json(entities) if entities else None,
        "noise": {
            name: {"accuracy": _round(c.accuracy), "cost": _round(c.cost), "kept": _round(c.kept)}
            for name, c in evaluation.noise.items()
        },
        "times": {name: _round(getattr(evaluation.times, name)) for name in Times.__dataclass_fields__},
        "intents": {name: _rates_json(rates) for name, rates in intents.intents.items()},
        "confusions": [{"wanted": w, "got": g, "count": n} for w, g, n in confusions(intents)],
        "confusion_matrix": {"intents": list(intents.names), "rows_wanted": intents.matrix.tolist()},
        "misread": [
            {
                "text": r.text,
                "wanted": r.wanted,
                "got": r.got,
                "confidence": _round(r.confidence),
                "in_scope": _round(r.in_scope),
                "place": r.place,
                "trial": r.trial,
            }
            for r in misread(evaluation.readings)
        ],
    }


def _scope_json(scope: ScopeScores) -> dict[str, Any]:
    return {
        "count": scope.count,
        "auroc": _round(scope.auroc),
        f"recall_at_{KEPT_SHARE * 100:.0f}_kept": _round(scope.recall_at_kept),
        f"threshold_at_{KEPT_SHARE * 100:.0f}_kept": _round(scope.threshold_at_kept),
        "own_threshold": {
            "kept": _round(scope.kept),
            "recall": _round(scope.recall),
            "precision": _round(scope.precision),
        },
        "curve": {"in_scope_refused": thinned(scope.false_alarms), "recall": thinned(scope.recalls)},
    }


def _entities_json(entities: EntityScores) -> dict[str, Any]:
    return {
        **_rates_json(entities.micro),
        "roles_right": None if entities.roles_right is None else _round(entities.roles_right),
        "unasked": entities.unasked,
        "names": {name: _rates_json(rates) for name, rates in entities.names.items()},
    }


def _rates_json(rates: Rates) -> dict[str, Any]:
    return {
        "precision": _round(rates.precision),
        "recall": _round(rates.recall),
        "f1": _round(rates.f1),
        "support": rates.support,
    }


def _round(value: float) -> float:
    return round(float(value), 5)


def as_markdown(evaluation: Evaluation, pictures: Mapping[str, str]) -> str:
    """The report; `pictures` are file names beside it, by what they show."""
    parts = [
        f"# {evaluation.title}",
        evaluation.method,
        *(f"> **Note:** {warning}" for warning in evaluation.warnings),
        _table(("", "measured"), headline(evaluation)),
        "## Intents",
        _picture("Confusion matrix", pictures, "confusions"),
        *_confused(evaluation.intents),
        _rates_table("intent", evaluation.intents.intents),
        "## Confidence",
        "Of a well calibrated head, 8 of 10 answers with confidence 0.8 are right.",
        _picture("Confidence of right and wrong answers", pictures, "confidence"),
        _picture("Reliability diagram", pictures, "reliability"),
    ]
    if evaluation.scope:
        parts += ["## Out of scope", _scope_words(evaluation.scope)]
        parts += [_picture("Out-of-scope curves", pictures, "out_of_scope"), *_accepted(evaluation.readings)]
    if evaluation.entities:
        parts += ["## Entities", "Right is what has beginning, end and name right."]
        parts += [_rates_table("entity", evaluation.entities.names, all_of=evaluation.entities.micro)]
    if evaluation.noise:
        parts += ["## Noise", "The same utterances, as somebody else types them.", _noise_table(evaluation)]
    parts += ["## Misread", *_misread(evaluation.readings)]
    return "\n\n".join(part for part in parts if part) + "\n"


def headline(evaluation: Evaluation) -> list[tuple[str, str]]:
    """The figures that a reader wants first, with their names."""
    intents, times = evaluation.intents, evaluation.times
    known = sum(r.wanted is not None for r in evaluation.readings)
    spread = ""
    if len(intents.per_trial) > 1:
        spread = f" (of each: {', '.join(f'{value:.1%}' for value in intents.per_trial)})"
    rows = [
        ("accuracy", f"{intents.accuracy:.2%} of {known:,} utterances{spread}"),
        ("macro-F1", f"{intents.macro_f1:.3f} over {len(intents.intents)} intents"),
        ("calibration error", f"{evaluation.calibration.error:.3f}"),
        ("own threshold", f"keeps {intents.kept:.1%}; {intents.kept_and_right:.1%} kept and right"),
    ]
    if scope := evaluation.scope:
        rows.append(("out of scope, AUROC", f"{scope.auroc:.4f} on {scope.count:,} utterances"))
        rows.append((f"... recall, {KEPT_SHARE:.0%} kept", f"{scope.recall_at_kept:.3f}"))
        rows.append(("... own threshold", f"recall {scope.recall:.3f}, precision {scope.precision:.3f}"))
    if entities := evaluation.entities:
        micro = entities.micro
        found = f"precision {micro.precision:.3f}, recall {micro.recall:.3f}, {micro.support:,} spans"
        rows.append(("entities, F1 of spans", f"{micro.f1:.4f} ({found})"))
        if entities.roles_right is not None:
            rows.append(("... roles", f"{entities.roles_right:.1%} of the found have the right role"))
    rows += [
        (f"with {name}", f"{cost.accuracy:.2%} (costs {cost.cost:.1%})") for name, cost in evaluation.noise.items()
    ]
    taught = f"{evaluation.taught:,} examples: {times.encode_seconds:.1f} s to encode, {times.fit_seconds:.1f} s to fit"
    rows.append(("training", taught))
    rows.append(("one utterance", f"{times.call_p50_ms:.2f} ms in the middle, p99 {times.call_p99_ms:.2f} ms (wall)"))
    return rows


def summary(evaluation: Evaluation) -> str:
    """One screen."""
    width = max(len(name) for name, _ in headline(evaluation))
    lines = [evaluation.title, *(f"  note: {warning}" for warning in evaluation.warnings)]
    lines += [f"  {name:<{width}}  {value}" for name, value in headline(evaluation)]
    worst = ", ".join(f"{w} as {g} ({n})" for w, g, n in confusions(evaluation.intents)[:3])
    return "\n".join([*lines, f"  {'most confused':<{width}}  {worst or 'none'}"])


def _confused(intents: IntentScores) -> list[str]:
    rows = [(f"`{w}`", f"`{g}`", str(n)) for w, g, n in confusions(intents)[:_CONFUSIONS_SHOWN]]
    return [_table(("wanted", "got", "times"), rows)] if rows else ["No intent was taken for another."]


def _rates_table(what: str, named: Mapping[str, Rates], all_of: Rates | None = None) -> str:
    rows = sorted(named.items(), key=lambda item: (item[1].f1, item[0]))
    lines = [(f"`{name}`", *_rates_cells(rates)) for name, rates in rows]
    if all_of:
        lines.insert(0, ("**all**", *_rates_cells(all_of)))
    return _table((what, "precision", "recall", "F1", "support"), lines)


def _rates_cells(rates: Rates) -> tuple[str, ...]:
    return (f"{rates.precision:.3f}", f"{rates.recall:.3f}", f"{rates.f1:.3f}", str(rates.support))


def _scope_words(scope: ScopeScores) -> str:
    return (
        f"{scope.count:,} utterances belong to no intent. Area under the ROC curve {scope.auroc:.4f}. Where "
        f"{KEPT_SHARE:.0%} of what is in scope is kept (score of {scope.threshold_at_kept:.3f}), "
        f"{scope.recall_at_kept:.1%} of them are refused. The head's own threshold keeps {scope.kept:.1%} and refuses "
        f"{scope.recall:.1%}; of what it refuses, {scope.precision:.1%} is out of scope."
    )


def _accepted(readings: Sequence[Reading]) -> list[str]:
    taken = sorted((r for r in readings if r.wanted is None and r.kept), key=lambda r: -r.in_scope)
    rows = [(_cell(r.text), f"`{r.got}`", f"{r.in_scope:.2f}") for r in taken[:_CONFUSIONS_SHOWN]]
    return ["Taken for known, the surest first:", _table(("text", "got", "score"), rows)] if rows else []


def _noise_table(evaluation: Evaluation) -> str:
    clean = evaluation.intents
    rows = [("none", f"{clean.accuracy:.2%}", "", f"{clean.kept:.1%}", "")]
    rows += [
        (name, f"{c.accuracy:.2%}", f"{c.cost:.2%}", f"{c.kept:.1%}", _cell(c.example[1]))
        for name, c in evaluation.noise.items()
    ]
    return _table(("noise", "accuracy", "cost", "kept by the threshold", "such as"), rows)


def _misread(readings: Sequence[Reading]) -> list[str]:
    wrong = misread(readings)
    if not wrong:
        return ["Nothing."]
    rows = [
        (_cell(r.text), f"`{r.wanted}`", f"`{r.got}`", f"{r.confidence:.2f}", r.place) for r in wrong[:_MISREAD_SHOWN]
    ]
    told = (
        f"{len(wrong):,} in all, the surest first."
        if len(wrong) <= len(rows)
        else (f"The {len(rows)} surest of {len(wrong):,}; the JSON has all.")
    )
    return [told, _table(("text", "wanted", "got", "confidence", "place"), rows)]


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _picture(title: str, pictures: Mapping[str, str], name: str) -> str:
    return f"![{title}]({pictures[name]})" if name in pictures else ""


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def times_of(encode_seconds: float, fit_seconds: Sequence[float], call_ms: Sequence[float]) -> Times:
    """The times in the middle and at the end."""
    p50, p99 = np.percentile(call_ms, [50, 99]) if call_ms else (0.0, 0.0)
    return Times(encode_seconds, float(np.mean(fit_seconds)), float(p50), float(p99))
