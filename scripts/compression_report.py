"""Measure models into a report, and draw what has been measured.

    python scripts/compression_report.py measure MODEL --report FILE --name NAME --step STEP [--settings KEY=VALUE ...]
        [--parent NAME] [--tokenizer FILE] [--baseline MODEL] [--train FILE --valid FILE]
    python scripts/compression_report.py draw --report FILE [--png FILE] [--markdown FILE]

MODEL and the baseline are ONNX files, folders with model.onnx, or Hugging Face folders. A report is a JSONL file with a
row for each step; distil.py, prune.py and quantize.py append to it too when given --report. Accuracy is that of a
logistic regression on frozen embeddings of --train, on --valid (JSONL or JSONL.gz of text and intent); cosine is to the
baseline over --valid; times are CPU times on one thread, tokenization included, in turns with the baseline.

`draw` prints the table (S marks the Pareto front of accuracy and size, T that of accuracy and time) and writes the
picture. Measuring needs Linux and scikit-learn, Hugging Face folders torch, the picture matplotlib.
"""

import argparse
import sys
from pathlib import Path

from steps import ROOT, Stop, finish

sys.path.insert(0, str(ROOT))  # models/ is no package that could be installed

from models.compression import measure, report
from models.compression.model_place import model_path


def main() -> None:
    arguments = _arguments()
    try:
        if arguments.command == "measure":
            _measure(arguments)
        else:
            _draw(arguments)
    except (ValueError, FileNotFoundError) as reason:
        raise Stop(str(reason)) from reason


def _measure(arguments: argparse.Namespace) -> None:
    row = measure.measure(
        model_path(arguments.model),
        arguments.tokenizer,
        model_path(arguments.baseline) if arguments.baseline else None,
        name=arguments.name,
        step=arguments.step,
        settings=dict(_setting(each) for each in arguments.settings),
        parent=arguments.parent,
        train=arguments.train,
        valid=arguments.valid,
    )
    report.append(row, arguments.report)
    print(report.markdown([row]), end="")


def _setting(words: str) -> tuple[str, str]:
    key, equals, value = words.partition("=")
    if not equals:
        raise Stop(f"a setting is KEY=VALUE, not {words!r}")
    return key, value


def _draw(arguments: argparse.Namespace) -> None:
    rows = report.read(arguments.report)
    table = report.markdown(rows)
    print(table, end="")
    if arguments.markdown is not None:
        arguments.markdown.write_text(table, encoding="utf-8")
    if arguments.png is not None:
        try:
            report.draw(rows, arguments.png)
        except ImportError as error:
            raise Stop(f"the picture needs matplotlib, which is not installed here ({error})") from error


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    measuring = commands.add_parser("measure", help="append a row")
    measuring.add_argument("model", help="file, folder or package:NAME")
    measuring.add_argument("--report", type=Path, required=True)
    measuring.add_argument("--name", required=True)
    measuring.add_argument("--step", required=True, help="original, export, distil, prune or quantize")
    measuring.add_argument("--settings", nargs="*", default=[], metavar="KEY=VALUE")
    measuring.add_argument("--parent", help="the name of the row that this model was made from")
    measuring.add_argument("--tokenizer", type=Path, help="default: tokenizer.json beside the model")
    measuring.add_argument("--baseline", help="likewise")
    measuring.add_argument("--train", type=Path)
    measuring.add_argument("--valid", type=Path)
    drawing = commands.add_parser("draw", help="print the table, write the picture")
    drawing.add_argument("--report", type=Path, required=True)
    drawing.add_argument("--png", type=Path)
    drawing.add_argument("--markdown", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    finish(main)
