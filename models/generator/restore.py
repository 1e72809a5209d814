"""Restore a Hugging Face folder from the served artefact, for whoever has no run of training at hand.

    python models/generator/restore.py --out DIR [--artefact models/generator/artefact]

DIR becomes what train.py writes: config, model.safetensors in float32, tokenizer. Its matrices have the values that
the artefact multiplies with, so they keep the rounding to INT8; the embedding was never rounded and comes back whole.
Needs neither torch nor transformers.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # models/ is no package that could be installed

import numpy as np
import onnx
from onnx import numpy_helper
from safetensors.numpy import save_file

from models.compression.quantize_blocks import dequantized

HERE = Path(__file__).parent
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")
EMBEDDING, HEAD, LAST_NORM = "model.embed_tokens.weight", "lm_head.weight", "model.norm.weight"


class NotRestorable(ValueError):
    """The folder is no artefact of a Llama with 8-bit or 4-bit matrices and a whole embedding; says why."""


def restore(artefact: Path, out: Path) -> None:
    """Write the Hugging Face folder.

    Raises:
        NotRestorable: says what is missing.
    """
    if not (artefact / "genai_config.json").exists():
        raise NotRestorable(f"{artefact} has no genai_config.json: nothing that convert.py wrote")
    settings = json.loads((artefact / "genai_config.json").read_text(encoding="utf-8"))["model"]
    model = onnx.load(artefact / settings["decoder"]["filename"])
    weights = weights_of(model, settings["decoder"])
    if EMBEDDING not in weights:
        raise NotRestorable(f"{artefact}: the embedding is quantized too; give an artefact of --precision int8")
    tied = np.allclose(weights[HEAD], weights[EMBEDDING], atol=np.abs(weights[EMBEDDING]).max() / 100)
    if tied:
        del weights[HEAD]
    out.mkdir(parents=True, exist_ok=True)
    save_file(weights, out / "model.safetensors", metadata={"format": "pt"})
    config = llama_config(model, settings, tied, weights["model.layers.0.mlp.gate_proj.weight"].shape[0])
    write_json(out / "config.json", config)
    write_json(out / "generation_config.json", {name: config[name] for name in config if name.endswith("token_id")})
    for name in TOKENIZER_FILES:
        shutil.copyfile(artefact / name, out / name)


def weights_of(model: onnx.ModelProto, decoder: dict[str, Any]) -> dict[str, np.ndarray]:
    """Every weight by Llama's own names, float32; query, key and value, which the builder joins, apart again."""
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    weights = {name: value for name, value in stored.items() if name.endswith(("layernorm.weight", EMBEDDING))}
    weights[LAST_NORM] = weights.pop(f"model.layers.{decoder['num_hidden_layers']}.final_norm_layernorm.weight")
    queries, keys = (decoder["head_size"] * decoder[f"num_{kind}_heads"] for kind in ("attention", "key_value"))
    for node in model.graph.node:
        if node.op_type != "MatMulNBits":
            continue
        if len(node.input) > 3 and node.input[3]:
            raise NotRestorable(f"{node.name} has zero points; only symmetric weights are read")
        shape = {each.name: each.i for each in node.attribute}
        values, scales = stored[node.input[1]], stored[node.input[2]].reshape(shape["N"], -1)
        matrix = np.ascontiguousarray(dequantized(values, scales, shape["K"], shape["bits"]).T)
        name = node.input[1].split(".MatMul")[0].replace(".attn.", ".self_attn.")
        if name.endswith("qkv_proj"):
            for part, rows in zip("qkv", np.split(matrix, [queries, queries + keys]), strict=True):
                weights[f"{name.removesuffix('qkv_proj')}{part}_proj.weight"] = np.ascontiguousarray(rows)
        else:
            weights[f"{name}.weight"] = matrix
    return weights


def llama_config(model: onnx.ModelProto, settings: dict[str, Any], tied: bool, feed_forward: int) -> dict[str, Any]:
    """What transformers wants to know, from the builder's settings and the graph's own constants."""
    decoder = settings["decoder"]
    epsilon = next(
        each.f
        for node in model.graph.node
        if node.op_type == "SimplifiedLayerNormalization"
        for each in node.attribute
        if each.name == "epsilon"
    )
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "dtype": "float32",
        "vocab_size": settings["vocab_size"],
        "hidden_size": decoder["hidden_size"],
        "intermediate_size": feed_forward,
        "num_hidden_layers": decoder["num_hidden_layers"],
        "num_attention_heads": decoder["num_attention_heads"],
        "num_key_value_heads": decoder["num_key_value_heads"],
        "head_dim": decoder["head_size"],
        "max_position_embeddings": settings["context_length"],
        "rms_norm_eps": float(f"{epsilon:.3g}"),  # stored as float32
        "rope_parameters": {"rope_type": "default", "rope_theta": rotary_base(model)},
        "tie_word_embeddings": bool(tied),
        "bos_token_id": settings["bos_token_id"],
        "eos_token_id": settings["eos_token_id"],
        "pad_token_id": settings["pad_token_id"],
    }


def rotary_base(model: onnx.ModelProto) -> float:
    """The base of the rotary angles, from their table: at position 1, angle i is base^(-i / half the head).

    Raises:
        NotRestorable: the angles follow another rule.

    Source: Su et al. 2021, "RoFormer", section 3.2.2, arXiv:2104.09864
    """
    tables = {tensor.name: tensor for tensor in model.graph.initializer if tensor.name in ("cos_cache", "sin_cache")}
    cosine, sine = (numpy_helper.to_array(tables[name])[1].astype(np.float64) for name in ("cos_cache", "sin_cache"))
    angles, half = np.arctan2(sine, cosine), len(cosine)
    base = float(round(angles[-1] ** (-half / (half - 1))))
    if not np.allclose(angles, base ** (-np.arange(half) / half), rtol=1e-4):
        raise NotRestorable("the positions are not plain rotary ones")
    return base


def write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--artefact", type=Path, default=HERE / "artefact")
    parser.add_argument("--out", type=Path, required=True, help="the Hugging Face folder to write")
    arguments = parser.parse_args()
    try:
        restore(arguments.artefact, arguments.out)
    except NotRestorable as reason:
        sys.exit(f"{reason}")
    print(f"{arguments.out}: {(arguments.out / 'model.safetensors').stat().st_size / 1e6:.1f} MB of float32 weights")


if __name__ == "__main__":
    main()
