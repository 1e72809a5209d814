"""Labelled utterances in files, and how they are dealt into what is taught and what is asked.

Reads JSON lines, plain or gzip'd, one utterance each: `text` and `intent`, optionally `slots` ([{start, end, slot}],
characters, `end` exclusive); or `tokens` and `tags` (BIO) and `intent`, where the text is the tokens joined by a blank.
Other fields are read over. Knows nothing of models. Faults are told with file and line, all of them at once.
"""

import gzip
import json
import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from parley.bots.training import Example
from parley.conversation import Entity
from steps import Stop

# What data sets and frameworks call an utterance that belongs to no intent.
OUT_OF_SCOPE_NAMES = frozenset({"oos", "out_of_scope", "nlu_fallback"})

_FAULTS_SHOWN = 20
_GZIP = b"\x1f\x8b"


class _Fault(Exception):
    """Why a line holds no utterance."""


def read_utterances(path: Path) -> list[Example]:
    """The utterances in a file, in its order.

    Raises:
        Stop: the file is missing or empty, or a line is not what it must be; with every such line.
    """
    examples: list[Example] = []
    faults: list[str] = []
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            continue
        place = f"{path.name}:{number}"
        try:
            examples.append(_example(json.loads(line), place))
        except json.JSONDecodeError as error:
            faults.append(f"{place}: not JSON: {error.msg} at column {error.colno}")
        except _Fault as error:
            faults.append(f"{place}: {error}")
    if faults:
        more = [f"... and {len(faults) - _FAULTS_SHOWN} more"] if len(faults) > _FAULTS_SHOWN else []
        raise Stop("\n".join([f"{path} cannot be used:", *faults[:_FAULTS_SHOWN], *more]))
    if not examples:
        raise Stop(f"{path}: no utterance in this file")
    return examples


def _lines(path: Path) -> list[str]:
    try:
        content = path.read_bytes()
        if content.startswith(_GZIP):
            content = gzip.decompress(content)
        return content.decode("utf-8-sig").split("\n")  # not splitlines: a text may hold U+2028
    except FileNotFoundError:
        raise Stop(f"{path}: there is no such file") from None
    except (OSError, EOFError, zlib.error) as error:
        raise Stop(f"{path} cannot be read: {error}") from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise Stop(f"{path.name}:{line}: not UTF-8") from error


def _example(row: Any, place: str) -> Example:
    """The utterance in a row.

    Raises:
        _Fault: why there is none.
    """
    if not isinstance(row, dict):
        raise _Fault("a line must be a JSON object")
    intent = row.get("intent")
    if not isinstance(intent, str) or not intent:
        raise _Fault("`intent` must be a text" if "intent" in row else "`intent` is missing")
    text: Any
    spans: Any
    if "tokens" in row or "tags" in row:
        text, spans = _tagged(row.get("tokens"), row.get("tags"))
    else:
        text, spans = row.get("text"), row.get("slots") or []
    if not isinstance(text, str):
        raise _Fault("`text` must be a text" if "text" in row else "`text` is missing")
    if not text.strip():
        raise _Fault("`text` is empty")
    if not isinstance(spans, list):
        raise _Fault("`slots` must be a list of {start, end, slot}")
    return Example(text, intent, tuple(sorted((_entity(span, text) for span in spans), key=lambda e: e.start)), place)


def _entity(span: Any, text: str) -> Entity:
    match span:
        case {"start": int(start), "end": int(end), "slot": str(name)} if name:
            if not 0 <= start < end <= len(text):
                raise _Fault(f"slot `{name}` at {start}..{end} lies outside the text, which has 0..{len(text)}")
            return Entity(name, text[start:end], start, end, text[start:end])
        case _:
            raise _Fault(f"a slot must have `start`, `end` and `slot`, not {span!r}")


def _tagged(tokens: Any, tags: Any) -> tuple[str, list[dict[str, Any]]]:
    """The text of BIO-tagged tokens and its spans, by the rule of conlleval: a new span begins at B-, and at an I-
    that does not go on with the one before.

    Source: Tjong Kim Sang and Buchholz (2000), the script conlleval of the CoNLL-2000 shared task
    """
    for name, listing in (("tokens", tokens), ("tags", tags)):
        if not isinstance(listing, list) or not all(isinstance(item, str) for item in listing):
            raise _Fault(f"`{name}` must be a list of texts" if listing is not None else f"`{name}` is missing")
    if len(tokens) != len(tags):
        raise _Fault(f"there are {len(tokens)} tokens and {len(tags)} tags")
    spans: list[dict[str, Any]] = []
    position, going_on = 0, None
    for token, tag in zip(tokens, tags, strict=True):
        kind, _, name = tag.partition("-")
        if tag != "O" and (kind not in ("B", "I") or not name):
            raise _Fault(f"a tag must be O, B-name or I-name, not {tag!r}")
        end = position + len(token)
        if kind == "I" and name == going_on:
            spans[-1]["end"] = end
        elif kind != "O":
            spans.append({"start": position, "end": end, "slot": name})
        going_on = name if kind != "O" else None
        position = end + 1
    return " ".join(tokens), spans


def parted(examples: Sequence[Example], taught: frozenset[str]) -> tuple[list[Example], list[Example]]:
    """Those that belong to an intent, and those labelled as out of scope, unless such a label is itself taught."""
    outside = OUT_OF_SCOPE_NAMES - taught
    within = [example for example in examples if example.intent not in outside]
    return within, [example for example in examples if example.intent in outside]


def folds(examples: Sequence[Example], count: int, seed: int = 0) -> Iterator[tuple[list[Example], list[Example]]]:
    """Each fold's taught and held-out examples; every intent is spread evenly, and each example is held out once.

    The only example of an intent is always taught and never held out, since nothing could be learned about it.
    """
    generator = np.random.default_rng(seed)
    fold_of: dict[int, int] = {}
    dealt = 0  # over all intents, so that folds differ by one example at most
    for positions in by_intent(examples).values():
        if len(positions) == 1:
            fold_of[positions[0]] = -1
            continue
        for position in generator.permutation(positions):
            fold_of[int(position)] = dealt % count
            dealt += 1
    for fold in range(count):
        taught = [example for position, example in enumerate(examples) if fold_of[position] != fold]
        held_out = [example for position, example in enumerate(examples) if fold_of[position] == fold]
        if held_out:
            yield taught, held_out


def few(examples: Sequence[Example], per_intent: int, seed: int) -> list[Example]:
    """So many examples of each intent, drawn without replacement; all of an intent that has no more."""
    generator = np.random.default_rng(seed)
    chosen: list[Example] = []
    for positions in by_intent(examples).values():
        drawn = generator.choice(positions, min(per_intent, len(positions)), replace=False)
        chosen.extend(examples[position] for position in drawn)
    return chosen


def by_intent(examples: Sequence[Example]) -> dict[str, list[int]]:
    """The positions of each intent's examples; the intents in the order of their names."""
    positions: dict[str, list[int]] = defaultdict(list)
    for position, example in enumerate(examples):
        positions[example.intent].append(position)
    return dict(sorted(positions.items()))
