"""A Hugging Face folder of a sentence encoder becomes one float32 ONNX graph.

Knows two ways. For BERT (MiniLM, bge, e5, gte and what was distilled or pruned from them) the graph is written node by
node from the tensors, with onnxruntime's fused attention, so that no exporter and no pattern matching can fail on it:
layers may have different numbers of heads and different feed-forward widths. For every other architecture torch exports
the graph and onnxruntime fuses what it recognises. The first way needs neither torch nor transformers.

Graph: `input_ids`, `attention_mask` (int64, batch x tokens) -> `sentence_embedding` (batch x D, unit length) and
`token_embeddings` (batch x tokens x D, what the layer two thirds of the way up gives: there a token still is a word
in its sentence; above, all tokens turn into the sentence. What tags words, and tells near intents apart, reads it).

Residual and norm stay two nodes on purpose: onnxruntime's SkipLayerNormalization takes three times as long as Add and
LayerNormalization (32 against 11 microseconds for 12 x 384 on one AVX2 core, onnxruntime 1.32).

Sources: BERT, Devlin et al. 2018, arXiv:1810.04805; mean pooling, Sentence-BERT, Reimers and Gurevych 2019,
arXiv:1908.10084; layer norm, Ba et al. 2016, arXiv:1607.06450; GELU, Hendrycks and Gimpel 2016, arXiv:1606.08415
"""

import math
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from models.compression.bert_folder import Bert, FloatArray, Layer, Linear, Norm, read_bert, read_config

OPSET = 17
FUSED_DOMAIN = "com.microsoft"  # onnxruntime's own operators
IDS, MASK = "input_ids", "attention_mask"
SENTENCE, TOKENS = "sentence_embedding", "token_embeddings"
GELU = ("gelu",)
TANH_GELU = ("gelu_new", "gelu_fast", "gelu_pytorch_tanh")
ACTIVATIONS = (*GELU, *TANH_GELU, "relu")


def export_fp32(folder: Path) -> onnx.ModelProto:
    """The folder's encoder as a graph in float32.

    Raises:
        ValueError: the folder holds no encoder that either way can read.
    """
    config = read_config(folder)
    plain = config["model_type"] == "bert" and config.get("position_embedding_type", "absolute") == "absolute"
    if plain and config.get("hidden_act", "gelu") in ACTIVATIONS:
        return build(read_bert(folder))
    return _export_with_torch(folder)


def build(bert: Bert) -> onnx.ModelProto:
    """The graph of one encoder."""
    graph = GraphWriter()
    hidden = _embeddings(graph, bert)
    for number, layer in enumerate(bert.layers, start=1):
        between = number == token_layer(len(bert.layers))
        hidden = _layer(graph, bert, layer, f"layer{number}", hidden, TOKENS if between else None)
    if not bert.layers:
        hidden = graph.node("Identity", [hidden], TOKENS)
    _pool(graph, hidden, bert.first_token)
    return graph.model(dimensions=bert.words.shape[1])


def token_layer(layers: int) -> int:
    """The layer, counted from 1, whose hidden states are `token_embeddings`: the 4th of 6."""
    return math.ceil(layers * 2 / 3)


class GraphWriter:
    """Collects nodes and initialisers, and names what is between them."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []

    def tensor(self, name: str, values: np.ndarray) -> str:
        self.initializers.append(numpy_helper.from_array(values, name))
        return name

    def node(self, kind: str, inputs: Sequence[str], output: str, *, domain: str = "", **attributes: object) -> str:
        self.nodes.append(helper.make_node(kind, list(inputs), [output], name=output, domain=domain, **attributes))
        return output

    def model(self, dimensions: int) -> onnx.ModelProto:
        ids = [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "tokens"]) for name in (IDS, MASK)]
        made = [
            helper.make_tensor_value_info(SENTENCE, TensorProto.FLOAT, ["batch", dimensions]),
            helper.make_tensor_value_info(TOKENS, TensorProto.FLOAT, ["batch", "tokens", dimensions]),
        ]
        graph = helper.make_graph(self.nodes, "sentence_encoder", ids, made, self.initializers)
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(FUSED_DOMAIN, 1)]
        model = helper.make_model(graph, opset_imports=opsets, producer_name="parley")
        model.ir_version = 8  # what onnx 1.14, the oldest with this opset's tools, still reads
        return model


def _embeddings(graph: GraphWriter, bert: Bert) -> str:
    words = graph.node("Gather", [graph.tensor("word_embeddings", bert.words), IDS], "words")
    graph.tensor("zero", np.array([0], np.int64))
    graph.node("Shape", [IDS], "length", start=1)
    positions = graph.node(
        "Slice", [graph.tensor("position_embeddings", bert.positions), "zero", "length", "zero"], "positions"
    )
    summed = graph.node("Add", [words, positions], "embedded")
    hidden = _norm(graph, bert, bert.embedding_norm, "embedding_norm", summed)
    graph.node("Cast", [MASK], "mask", to=TensorProto.INT32)
    return hidden


def _layer(graph: GraphWriter, bert: Bert, layer: Layer, name: str, hidden: str, output: str | None) -> str:
    attended = _attention(graph, layer, name, hidden)
    hidden = _norm(graph, bert, layer.attended_norm, f"{name}_attended_norm", _add(graph, name, "1", attended, hidden))
    wide = _linear(graph, layer.up, f"{name}_up", hidden)
    active = _activation(graph, bert.activation, f"{name}_active", wide)
    narrow = _linear(graph, layer.down, f"{name}_down", active)
    return _norm(graph, bert, layer.down_norm, f"{name}_down_norm", _add(graph, name, "2", narrow, hidden), output)


def _attention(graph: GraphWriter, layer: Layer, name: str, hidden: str) -> str:
    """Softmax(Q K^T / sqrt(head size)) V, then the output's linear map; a layer without heads adds its bias alone."""
    if layer.heads == 0:
        return graph.tensor(f"{name}_attended_bias", layer.attended.bias)
    parts = (layer.query, layer.key, layer.value)
    weight = graph.tensor(f"{name}_qkv", np.concatenate([part.weight for part in parts], axis=1))
    bias = graph.tensor(f"{name}_qkv_bias", np.concatenate([part.bias for part in parts]))
    attention = graph.node(
        "Attention",
        [hidden, weight, bias, "mask"],
        f"{name}_attention",
        domain=FUSED_DOMAIN,
        num_heads=layer.heads,
        mask_filter_value=-10000.0,
    )
    return _linear(graph, layer.attended, f"{name}_attended", attention)


def _linear(graph: GraphWriter, linear: Linear, name: str, given: str) -> str:
    product = graph.node("MatMul", [given, graph.tensor(f"{name}_weight", linear.weight)], f"{name}_product")
    return graph.node("Add", [product, graph.tensor(f"{name}_bias", linear.bias)], name)


def _add(graph: GraphWriter, name: str, number: str, left: str, right: str) -> str:
    return graph.node("Add", [left, right], f"{name}_residual{number}")


def _norm(graph: GraphWriter, bert: Bert, norm: Norm, name: str, given: str, output: str | None = None) -> str:
    # not ..._scale: onnxruntime's quantizer gives that name to the scale of what the norm makes
    scale, shift = graph.tensor(f"{name}_gamma", norm.scale), graph.tensor(f"{name}_beta", norm.shift)
    return graph.node("LayerNormalization", [given, scale, shift], output or name, axis=-1, epsilon=bert.epsilon)


def _activation(graph: GraphWriter, kind: str, name: str, given: str) -> str:
    if kind in GELU:
        return graph.node("Gelu", [given], name, domain=FUSED_DOMAIN)
    if kind in TANH_GELU:
        return graph.node("FastGelu", [given], name, domain=FUSED_DOMAIN)
    return graph.node("Relu", [given], name)


def _pool(graph: GraphWriter, hidden: str, first_token: bool) -> None:
    """Mean over the tokens that the mask keeps (or the first token), to unit length."""
    if first_token:
        graph.tensor("first", np.array(0, np.int64))
        pooled = graph.node("Gather", [hidden, "first"], "pooled", axis=1)
    else:
        graph.tensor("middle", np.array([1], np.int64))
        weights = graph.node("Cast", [MASK], "mask_float", to=TensorProto.FLOAT)
        rows = graph.node("Unsqueeze", [weights, "middle"], "mask_rows")  # (B, 1, T)
        summed = graph.node("MatMul", [rows, hidden], "summed")  # (B, 1, D); its length does not matter
        pooled = graph.node("Squeeze", [summed, "middle"], "pooled")
    graph.node("LpNormalization", [pooled], SENTENCE, axis=-1, p=2)


def _export_with_torch(folder: Path) -> onnx.ModelProto:
    """Any architecture that transformers knows: exported by tracing, with eager attention, because onnxruntime's fusion
    recognises only that shape of graph; what it does not recognise stays as it is."""
    import torch
    from onnxruntime.transformers import optimizer
    from onnxruntime.transformers.fusion_options import FusionOptions

    from models.compression.torch_encoder import load_sentence_encoder

    class WithTokens(torch.nn.Module):
        """The sentence encoder as a graph with both outputs."""

        def __init__(self) -> None:
            super().__init__()
            self.sentences = load_sentence_encoder(folder)

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            vectors, _ = self.sentences(input_ids, attention_mask)
            states = self.sentences.encoder(input_ids, attention_mask, output_hidden_states=True).hidden_states
            return vectors, states[token_layer(len(states) - 1)]

    encoder = WithTokens().eval()
    config = encoder.sentences.encoder.config
    ids = torch.tensor([[101, 102, 103, 102], [101, 103, 102, 0]]) % config.vocab_size
    rows_and_tokens = {0: "batch", 1: "tokens"}
    options = FusionOptions("bert")
    options.enable_embed_layer_norm = False  # so that the word table can be quantized row by row
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "model.onnx"
        torch.onnx.export(
            encoder,
            (ids, torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]])),
            path,
            dynamo=False,
            opset_version=OPSET,
            input_names=[IDS, MASK],
            output_names=[SENTENCE, TOKENS],
            dynamic_axes={IDS: rows_and_tokens, MASK: rows_and_tokens, SENTENCE: {0: "batch"}, TOKENS: rows_and_tokens},
        )
        fused = optimizer.optimize_model(
            str(path),
            model_type="bert",
            num_heads=getattr(config, "num_attention_heads", 0),
            hidden_size=getattr(config, "hidden_size", 0),
            optimization_options=options,
            opt_level=0,
        )
        fused.save_model_to_file(str(path))  # saving also registers the domain of the fused nodes
        return onnx.load(path)


def initializer(model: onnx.ModelProto, name: str) -> FloatArray:
    """The values of a named tensor of the graph.

    Raises:
        KeyError: there is none of that name.
    """
    for tensor in model.graph.initializer:
        if tensor.name == name:
            return np.asarray(numpy_helper.to_array(tensor))
    raise KeyError(name)
