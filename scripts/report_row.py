"""What `distil.py`, `prune.py` and `quantize.py` share: the options of a report's row, and the row itself."""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

from steps import ROOT

sys.path.insert(0, str(ROOT))  # models/ is no package that could be installed

from models.compression import measure, report
from models.compression.model_place import model_path


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of the row that a step appends to a report."""
    rows = parser.add_argument_group("report")
    rows.add_argument("--report", type=Path, help="append a row to this JSONL file")
    rows.add_argument("--name", help="of the row; without it, the name of --out")
    rows.add_argument("--parent", help="the row that this one was made from")
    rows.add_argument("--baseline", help="what cosine and time are compared with: file, folder or package:NAME")
    rows.add_argument("--train", type=Path, help="labelled texts for the row's accuracy: JSONL of text and intent")
    rows.add_argument("--valid", type=Path, help="likewise, held out")


def append(
    options: argparse.Namespace,
    model: Path,
    step: str,
    settings: Mapping[str, report.Setting],
    tokenizer: Path | None = None,
) -> report.Row:
    """The row of a model that a step has made, measured and appended to `--report`."""
    row = measure.measure(
        model,
        tokenizer,
        model_path(options.baseline) if options.baseline else None,
        name=options.name or options.out.name,
        step=step,
        settings=settings,
        parent=options.parent,
        train=options.train,
        valid=options.valid,
    )
    report.append(row, options.report)
    return row
