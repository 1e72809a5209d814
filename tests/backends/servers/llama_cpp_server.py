"""llama.cpp's own server, with a language model made by hand: after each of its words it knows the next one.

    python llama_cpp_server.py PORT FOLDER KEY

The model is a Llama whose layers add nothing: the embedding of a word is a dimension of its own, and the output layer
leads from there to the next word. Its chat template writes what was said last, which is where the chain begins.
"""

import itertools
import signal
import sys
from pathlib import Path

import gguf
import numpy as np
import scripted
import xllamacpp

WORDS = ["answer", *scripted.ANSWER]
TEMPLATE = (
    "{% if 'fail' in messages[-1].content %}{{ raise_exception('no place for my diagnosis') }}{% endif %}"
    "{{ messages[-1].content }}"
)
SURE = 100.0  # logits so far apart leave nothing to chance


def write_model(path: Path) -> None:
    """A GGUF file."""
    bytes_ = [f"<0x{value:02X}>" for value in range(256)]
    tokens = ["<unk>", "<s>", "</s>", *bytes_, *WORDS]
    kinds = [gguf.TokenType.UNKNOWN, gguf.TokenType.CONTROL, gguf.TokenType.CONTROL]
    kinds += [gguf.TokenType.BYTE] * len(bytes_) + [gguf.TokenType.USER_DEFINED] * len(WORDS)
    size = -(-len(tokens) // 32) * 32

    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(256)
    writer.add_embedding_length(size)
    writer.add_block_count(1)
    writer.add_feed_forward_length(32)
    writer.add_head_count(1)
    writer.add_head_count_kv(1)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(size)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * len(tokens))
    writer.add_token_types(kinds)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_add_bos_token(False)
    writer.add_add_space_prefix(False)
    writer.add_chat_template(TEMPLATE)

    embeddings = np.eye(len(tokens), size, dtype=np.float32)
    output = np.zeros((len(tokens), size), np.float32)
    chain = [*range(len(tokens) - len(WORDS), len(tokens)), 2]
    for token, following in itertools.pairwise(chain):
        output[following, token] = SURE
    nothing = {
        **{f"attn_{name}.weight": (size, size) for name in ("q", "k", "v", "output")},
        "ffn_gate.weight": (32, size),
        "ffn_up.weight": (32, size),
        "ffn_down.weight": (size, 32),
    }
    writer.add_tensor("token_embd.weight", embeddings)
    writer.add_tensor("output.weight", output)
    for name in ("output_norm.weight", "blk.0.attn_norm.weight", "blk.0.ffn_norm.weight"):
        writer.add_tensor(name, np.ones(size, np.float32))
    for name, shape in nothing.items():
        writer.add_tensor(f"blk.0.{name}", np.zeros(shape, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    port, folder, key = sys.argv[1:]
    model = Path(folder) / "chain.gguf"
    write_model(model)
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(model)
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = int(port)
    parameters.api_keys = [key]
    parameters.n_ctx = 256
    parameters.n_parallel = 1
    parameters.cpuparams.n_threads = 1
    server = xllamacpp.Server(parameters)
    print("ready", server.listening_address, flush=True)
    signal.pause()
