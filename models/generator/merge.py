"""Put the circuit that grow.py wrote back into a model that was trained further.

    python models/generator/merge.py --grown FOLDER --trained FOLDER --out FOLDER

Training betters the talk and wears the circuit down; so old dimensions are taken from the one, new from the other.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from grow import MAX_POSITION, NEW_WIDTH
from tokenizers import Tokenizer
from tokens import MARKS, save_tokenizer, special_id
from transformers import LlamaForCausalLM

LOUDER = 2.5  # marks must win over replies that training has made surer


@torch.no_grad()
def merged(grown: LlamaForCausalLM, trained: LlamaForCausalLM) -> LlamaForCausalLM:
    """`grown`, its old dimensions as `trained` has them."""
    size = grown.config.hidden_size - NEW_WIDTH
    first = special_id(MARKS[0])
    for (name, weight), given in zip(grown.named_parameters(), trained.parameters(), strict=True):
        if weight.ndim == 1:
            weight[:size] = given[:size]
        elif "lm_head" in name or "embed" in name:
            kept = weight[first : first + len(MARKS)] * (LOUDER if "lm_head" in name else 1)
            weight[:, :size] = given[:, :size]
            weight[first : first + len(MARKS)] = kept
        elif "down_proj" in name:
            weight[:size] = given[:size]
        elif "o_proj" in name:
            weight[:size, :-NEW_WIDTH] = given[:size, :-NEW_WIDTH]
        elif "mlp" in name:
            weight[:, :size] = given[:, :size]
        else:
            weight[:-NEW_WIDTH, :size] = given[:-NEW_WIDTH, :size]
    return grown


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("grown", "trained", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    arguments = parser.parse_args()
    models = [
        LlamaForCausalLM.from_pretrained(each, dtype=torch.float32) for each in (arguments.grown, arguments.trained)
    ]
    merged(*models).save_pretrained(arguments.out)
    tokenizer = Tokenizer.from_file(str(arguments.grown / "tokenizer.json"))
    save_tokenizer(tokenizer, arguments.out, MAX_POSITION)


if __name__ == "__main__":
    main()
