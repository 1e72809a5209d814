"""Turn the trained Hugging Face folder into the folder that onnxruntime-genai serves, and check what that costs.

    python models/generator/convert.py [--model models/generator/build/run] [--out models/generator/artefact]
        [--precision int8|int4]

Weights become INT8 or INT4 (blocks of 32, a scale each). Prints the perplexity per reply token on the validation
windows before and after, and fails where the loss in quality or the size is more than we are willing to ship.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from perplexity import Logits, onnx_logits, perplexity
from tokenizers import Tokenizer
from tokens import CHAT_TEMPLATE, read_windows
from transformers import LlamaForCausalLM

HERE = Path(__file__).parent
MAX_BYTES = 30_000_000
MAX_PERPLEXITY_GROWTH = {"int8": 1.01, "int4": 1.10}  # who asks for four bits expects to lose something
MODEL_FILES = ("config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")


def build(model: Path, out: Path, precision: str) -> None:
    """Write the onnxruntime-genai folder with the library's own builder."""
    with tempfile.TemporaryDirectory() as temporary:
        source = Path(temporary) / "model"
        source.mkdir()
        for name in MODEL_FILES:
            shutil.copy(model / name, source / name)
        command = [sys.executable, "-m", "onnxruntime_genai.models.builder"]
        command += ["-i", str(source), "-o", str(Path(temporary) / "built"), "-p", precision, "-e", "cpu"]
        command += ["-c", str(Path(temporary) / "cache")]
        command += ["--extra_options", "block_size=32", "op_types_to_quantize=MatMul/Gather", "prune_lm_head=false"]
        subprocess.run(command, check=True, capture_output=True)
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(Path(temporary) / "built", out)
    (out / "chat_template.jinja").write_text(CHAT_TEMPLATE, encoding="utf-8")


def torch_logits(model: Path) -> Logits:
    network = LlamaForCausalLM.from_pretrained(model, dtype=torch.float32).eval()

    @torch.no_grad()
    def logits(ids: np.ndarray) -> np.ndarray:
        return network(input_ids=torch.from_numpy(ids), use_cache=False).logits.float().numpy()

    return logits


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=HERE / "build" / "run")
    parser.add_argument("--out", type=Path, default=HERE / "artefact")
    parser.add_argument("--valid", type=Path, default=HERE / "build" / "valid.jsonl")
    parser.add_argument("--windows", type=int, default=300, help="validation windows to compare on")
    parser.add_argument("--precision", choices=MAX_PERPLEXITY_GROWTH, default="int8", help="of the weights")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()

    torch.set_num_threads(arguments.threads)
    build(arguments.model, arguments.out, arguments.precision)
    size = sum(file.stat().st_size for file in arguments.out.rglob("*") if file.is_file())
    tokenizer = Tokenizer.from_file(str(arguments.model / "tokenizer.json"))
    windows = read_windows(arguments.valid)[-arguments.windows :]
    before = perplexity(torch_logits(arguments.model), tokenizer, windows)
    after = perplexity(onnx_logits(arguments.out), tokenizer, windows)
    print(f"{size / 1e6:.1f} MB; perplexity per reply token on {len(windows)} windows: {before:.2f} -> {after:.2f}")
    if size > MAX_BYTES or after > before * MAX_PERPLEXITY_GROWTH[arguments.precision]:
        sys.exit("not fit to ship: too large, or the weights lost too much")


if __name__ == "__main__":
    main()
