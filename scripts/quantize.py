"""Make a model smaller by storing its numbers in fewer bits.

    python scripts/quantize.py MODEL --out OUT [--method int8|int4|kmeans|log] [options]

MODEL is an ONNX file, a folder with model.onnx, a Hugging Face folder of a sentence encoder (which is written as ONNX
first), or package:NAME of an installed package that brings one. OUT becomes a folder with model.onnx and
tokenizer.json, or only the ONNX file if its name ends in .onnx.

    int8     linear, 8 bits; dynamic, or with --static calibrated on --calibration, a text file with a sentence a line.
             --smooth 0.75 moves outliers from activations into weights (SmoothQuant). --engine onnxruntime quantizes
             graphs of any operators with onnxruntime's own tool.
    int4     linear, 4 bits in blocks of --block inputs (onnxruntime's MatMulNBits); --bits 8 for 8
    kmeans   4-bit indices into a learnt codebook; with --calibration weights count by their inputs' energy
    log      4-bit powers of two

kmeans and log also write a Hugging Face folder with packed safetensors: --format safetensors (layout and loader:
models/compression/packed4.py). The generator has its own: models/generator/convert.py --precision int4.

With --report FILE a row is measured and appended (scripts/compression_report.py draws it); --baseline, --train and
--valid say against what. Needs onnx and safetensors beside what runs Parley; torch only for architectures other than
BERT.
"""

import argparse
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import report_row
from steps import ROOT, Stop, finish

sys.path.insert(0, str(ROOT))  # models/ is no package that could be installed

import onnx

from models.compression import (
    measure,
    onnx_export,
    quantize_any,
    quantize_blocks,
    quantize_codebook,
    quantize_linear,
    report,
)
from models.compression.embedders import MODEL_FILE, TOKENIZER_FILE, onnx_file, tokenizer_file
from models.compression.model_place import model_path


def main() -> None:
    try:
        arguments = _arguments()
        _quantize(arguments)
        if arguments.report is not None:
            _measure(arguments)
    except (ValueError, FileNotFoundError) as reason:
        raise Stop(str(reason)) from reason


def _quantize(arguments: argparse.Namespace) -> None:
    if arguments.format == "safetensors":
        if arguments.method not in quantize_codebook.METHODS or onnx_file(arguments.model) is not None:
            raise Stop("--format safetensors is for kmeans and log of a Hugging Face folder")
        quantize_codebook.quantize_folder(arguments.model, arguments.out, _codebook(arguments))
        _tell(arguments.model, arguments.out)
        return
    to_file = arguments.out.suffix == ".onnx"
    target = arguments.out if to_file else arguments.out / MODEL_FILE
    if target.resolve() == (onnx_file(arguments.model) or Path()).resolve():
        raise Stop(f"{target} would overwrite what it is made from")
    target.parent.mkdir(parents=True, exist_ok=True)
    METHODS[arguments.method](arguments, target)
    if not to_file and _tokenizer(arguments) is not None:
        shutil.copyfile(_needed_tokenizer(arguments), arguments.out / TOKENIZER_FILE)
    _tell(arguments.model, arguments.out)


def _int8(arguments: argparse.Namespace, target: Path) -> None:
    settings = quantize_linear.LinearSettings(
        static=arguments.static,
        symmetric=not arguments.asymmetric,
        per_channel=not arguments.per_tensor,
        reduce_range=arguments.reduce_range,
        unsigned=arguments.unsigned,
        symmetric_activations=arguments.symmetric_activations,
        calibration=arguments.range,
        smoothing=arguments.smooth,
        word_table=not arguments.keep_word_table,
    )
    tokenizer = _needed_tokenizer(arguments) if settings.needs_sentences else None
    sentences = _sentences(arguments) if settings.needs_sentences else []
    if arguments.engine == "onnxruntime":
        source = onnx_file(arguments.model)
        if source is None:
            source = target.with_name("float32.onnx")
            onnx.save(_graph(arguments), source)
        quantize_any.quantize_any(source, target, settings, tokenizer, sentences)
        if source != onnx_file(arguments.model):
            source.unlink()
        return
    onnx.save(quantize_linear.quantize(_graph(arguments), settings, tokenizer, sentences), target)


def _int4(arguments: argparse.Namespace, target: Path) -> None:
    settings = quantize_blocks.BlockSettings(arguments.bits, arguments.block, not arguments.keep_word_table)
    onnx.save(quantize_blocks.quantize(_graph(arguments), settings), target)


def _levels(arguments: argparse.Namespace, target: Path) -> None:
    sentences = [] if arguments.calibration is None else _sentences(arguments)
    tokenizer = _needed_tokenizer(arguments) if sentences else None
    onnx.save(quantize_codebook.quantize_onnx(_graph(arguments), _codebook(arguments), tokenizer, sentences), target)


SETTINGS = {  # what the report keeps of what was said
    *("method", "static", "range", "asymmetric", "per_tensor", "reduce_range", "unsigned", "smooth", "engine"),
    *("bits", "block", "start", "groups", "format"),
}

METHODS: dict[str, Callable[[argparse.Namespace, Path], None]] = {
    "int8": _int8,
    "int4": _int4,
    "kmeans": _levels,
    "log": _levels,
}


def _codebook(arguments: argparse.Namespace) -> quantize_codebook.CodebookSettings:
    return quantize_codebook.CodebookSettings(
        method=arguments.method,
        start=arguments.start,
        groups=arguments.groups,
        scales=not arguments.no_scales,
        word_table=not arguments.keep_word_table,
    )


def _graph(arguments: argparse.Namespace) -> onnx.ModelProto:
    source = onnx_file(arguments.model)
    return onnx_export.export_fp32(arguments.model) if source is None else onnx.load(source)


def _sentences(arguments: argparse.Namespace) -> list[str]:
    if arguments.calibration is None:
        raise Stop("--static and --smooth need --calibration, a text file with a sentence on each line")
    lines: Sequence[str] = arguments.calibration.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.strip()]


def _tokenizer(arguments: argparse.Namespace) -> Path | None:
    if arguments.tokenizer is not None:
        return Path(arguments.tokenizer)
    try:
        return tokenizer_file(arguments.model)
    except FileNotFoundError:
        return None


def _needed_tokenizer(arguments: argparse.Namespace) -> Path:
    tokenizer = _tokenizer(arguments)
    if tokenizer is None:
        raise Stop(f"there is no {TOKENIZER_FILE} beside {arguments.model}; name one with --tokenizer")
    return tokenizer


def _tell(model: Path, out: Path) -> None:
    before, after = measure.weight_bytes(model), measure.weight_bytes(out)
    print(f"{out}: {after / 1e6:.1f} MB of weights, {after / before:.0%} of {before / 1e6:.1f} MB")


def _measure(arguments: argparse.Namespace) -> None:
    row = report_row.append(arguments, arguments.out, "quantize", _settings(arguments), _needed_tokenizer(arguments))
    print(report.markdown([row]), end="")


def _settings(arguments: argparse.Namespace) -> dict[str, report.Setting]:
    """What was said about how to quantize, for the report."""
    return {name: value for name, value in vars(arguments).items() if name in SETTINGS}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="file, folder or package:NAME")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--method", choices=METHODS, default="int8")
    parser.add_argument("--format", choices=("onnx", "safetensors"), default="onnx")
    parser.add_argument("--tokenizer", type=Path, help="default: tokenizer.json beside the model")
    parser.add_argument("--calibration", type=Path, help="text file, a sentence a line")
    parser.add_argument("--keep-word-table", action="store_true", help="leave the embedding table in float32")
    int8 = parser.add_argument_group("int8")
    int8.add_argument("--static", action="store_true", help="activation ranges from --calibration")
    int8.add_argument("--range", choices=("minmax", "percentile", "entropy"), default="minmax")
    int8.add_argument("--asymmetric", action="store_true", help="weights with a zero point")
    int8.add_argument("--symmetric-activations", action="store_true", help="static only: zero point 128")
    int8.add_argument("--per-tensor", action="store_true", help="one scale per weight instead of one per column")
    int8.add_argument("--reduce-range", action="store_true", help="7-bit weights: no saturation without VNNI")
    int8.add_argument("--unsigned", action="store_true", help="uint8 weights: no saturation, slower kernel")
    int8.add_argument("--smooth", type=float, metavar="STRENGTH", help="SmoothQuant, 0 to 1")
    int8.add_argument("--engine", choices=("own", "onnxruntime"), default="own")
    int4 = parser.add_argument_group("int4")
    int4.add_argument("--bits", type=int, choices=(4, 8), default=4)
    int4.add_argument("--block", type=int, default=32)
    levels = parser.add_argument_group("kmeans and log")
    levels.add_argument("--start", choices=quantize_codebook.STARTS, default="density", help="of k-means")
    levels.add_argument("--groups", type=int, default=1, help="codebooks per tensor")
    levels.add_argument("--no-scales", action="store_true", help="no scale per row or column")
    report_row.add_options(parser)
    arguments = parser.parse_args()
    arguments.model = model_path(arguments.model)
    return arguments


if __name__ == "__main__":
    finish(main)
