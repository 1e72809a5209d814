"""The recipe that made our encoder fastest at the quality it had: lean graph, smoothed, dynamic INT8.

Knows only which steps follow each other; README.md has the measurements behind them.
"""

from collections.abc import Sequence
from pathlib import Path

import onnx

from models.compression.onnx_export import export_fp32
from models.compression.quantize_linear import RECOMMENDED, quantize


def int8_encoder(folder: Path, tokenizer: Path, sentences: Sequence[str]) -> onnx.ModelProto:
    """A Hugging Face folder of a sentence encoder, distilled or pruned or neither, as an INT8 graph.

    Outputs are `sentence_embedding` and `token_embeddings`; the sentences calibrate the smoothing.
    """
    return quantize(export_fp32(folder), RECOMMENDED, tokenizer, sentences)
