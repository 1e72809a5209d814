"""Grow the small-talk model into one that can find its answer in passages, before it has learnt to.

    python models/generator/grow.py --start FOLDER --out FOLDER [--tokenizer FOLDER]

`--start` is what train.py or restore.py wrote (a Llama of any vocabulary), `--tokenizer` holds the tokenizer to go on
with; without it one is trained on what prepare.py wrote. The new model says about the same small talk: old weights
stay, every new token begins as the mean of the old tokens that spelt it, and what is new writes nothing at first, but
for one circuit of three heads that training on a few million tokens would hardly discover:

    layer 0   every token learns the mark of its sentence, by looking at the nearest mark before it; talk is told apart
              from passages the same way, by the token that begins it
    layer 1   every word of a question is looked for in the passages, and takes over its place's sentence mark: a vote.
              A word that is not there looks at the very first token, and votes for nothing
    layer 2   the place where a reply begins gathers the votes of the question; the head reads the sum as a preference
              for the mark of the sentence in which most of the question's words stand

A word that stands everywhere splits its vote, so rare words decide, as in BM25. Training then learns synonyms, titles,
and where an answer ends. Everything is ordinary Llama weights; nothing is frozen.
"""

from __future__ import annotations

import argparse
import math
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from tokens import (
    ASSISTANT,
    BEGIN,
    END,
    KNOWLEDGE,
    MARKS,
    PAD,
    SPECIAL,
    USER,
    read_grounded,
    read_windows,
    save_tokenizer,
    special_id,
    train_tokenizer,
)
from transformers import LlamaConfig, LlamaForCausalLM

HERE = Path(__file__).parent
VOCABULARY_SIZE = 8192  # passages have more words than small talk
NEW_WIDTH = 64  # one more attention head per layer
FEED_FORWARD = 768
MAX_POSITION = 1024
CIRCUIT_LAYERS = 3  # the first ones; see above
# Places among the new dimensions of the residual stream. Behind a mark's code stand two flags: talk, and passage.
ONE, IS_MARK = 0, 1
WORD = slice(2, 26)  # which word a token is
MARK = slice(26, 38)  # which mark a token is
VOTE = MARK  # for which sentence a word votes; words are no marks
SENTENCE = slice(40, 52)  # in whose sentence it stands
TALK, PASSAGE = 52, 53  # where it stands, from the flags behind MARK
# Rotary pairs (base 10,000, heads of 64). Some hardly turn within some hundred tokens; of others the cosines together
# fall over some dozens.
STEADY = torch.arange(19, 31)
STEADIEST = 31
NEAR = torch.tensor([16, 18, 20, 22])
RECENT = 14
NOWHERE = 1.0  # how much a word that stands nowhere prefers the first token; less than its own word, more than another
GATHERED = 150.0  # how loud the votes' sum is among what is written once
PREFERENCE = 240.0  # of a mark that has all the votes, in logits
UNASKED = 4.0  # what a mark without votes is held back by, in logits


def codes(names: list[str], size: int, seed: int) -> np.ndarray:
    """A unit vector for each name, the same for the same name.

    Shapes: returns (len(names), size) float32
    """
    unique = {name: place for place, name in enumerate(dict.fromkeys(names))}
    drawn = np.random.default_rng(seed).standard_normal((len(unique), size)).astype(np.float32)
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    return drawn[[unique[name] for name in names]]


def stem(token: str) -> str:
    """What tokens of one word share: no space, no capitals, no common ending."""
    word = token.strip().lower()
    for ending in ("ing", "ed", "es", "s"):
        if len(word) > len(ending) + 3 and word.endswith(ending):
            return word.removesuffix(ending)
    return word


def old_rows(old: Tokenizer, new: Tokenizer) -> list[list[int]]:
    """For each new token the old tokens that spell it."""
    own = {KNOWLEDGE: BEGIN, **dict.fromkeys(MARKS, ASSISTANT)}  # behind a mark, too, begins what is said
    kept = {name: old.token_to_id(name) for name in (PAD, BEGIN, END, USER, ASSISTANT)}
    rows = []
    for number in range(new.get_vocab_size()):
        name = new.id_to_token(number)
        if name in SPECIAL or name in MARKS:
            rows.append([kept[own.get(name, name)]])
            continue
        same = old.token_to_id(name)
        text = new.decode([number])
        rows.append([same] if same is not None else old.encode(text, add_special_tokens=False).ids)
    return rows


def grown(start: Path, tokenizer: Tokenizer) -> LlamaForCausalLM:
    """The wider model; float32."""
    torch.manual_seed(7)
    old_model = LlamaForCausalLM.from_pretrained(start, dtype=torch.float32)
    before = old_model.config
    old_tokenizer = Tokenizer.from_file(str(start / "tokenizer.json"))
    width = before.hidden_size + NEW_WIDTH
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=tokenizer.get_vocab_size(),
            hidden_size=width,
            intermediate_size=FEED_FORWARD,
            num_hidden_layers=before.num_hidden_layers,
            num_attention_heads=before.num_attention_heads + 1,
            num_key_value_heads=before.num_key_value_heads + 1,
            head_dim=64,
            max_position_embeddings=MAX_POSITION,
            tie_word_embeddings=False,
            bos_token_id=special_id(BEGIN),
            eos_token_id=special_id(END),
            pad_token_id=special_id(PAD),
        )
    )
    rows = old_rows(old_tokenizer, tokenizer)
    with torch.no_grad():
        embedding = old_model.model.embed_tokens.weight
        mapped = torch.stack([embedding[row].mean(0) for row in rows])
        scale = residual_scale(old_model, old_tokenizer)
        widen(model, old_model, mapped, scale)
        add_circuit(model, tokenizer, before.hidden_size, scale)
    return model


def norms_of(model: LlamaForCausalLM) -> list[torch.nn.Module]:
    """In the order in which a token meets them."""
    layers = model.model.layers
    pairs = [norm for layer in layers for norm in (layer.input_layernorm, layer.post_attention_layernorm)]
    return [*pairs, model.model.norm]


@torch.no_grad()
def residual_scale(model: LlamaForCausalLM, tokenizer: Tokenizer) -> list[float]:
    """The usual length of the residual stream before each norm: two of each layer, and the last."""
    text = f"{BEGIN}{USER}Hello! What did you do on your holidays?{END}{ASSISTANT}I went to the sea with friends.{END}"
    ids = torch.tensor([tokenizer.encode(text, add_special_tokens=False).ids])
    lengths: list[float] = []
    hooks = [
        norm.register_forward_pre_hook(lambda _, given: lengths.append(float(given[0].norm(dim=-1).median())))
        for norm in norms_of(model)
    ]
    model(input_ids=ids, use_cache=False)
    for hook in hooks:
        hook.remove()
    return lengths


def widen(model: LlamaForCausalLM, old: LlamaForCausalLM, embedding: torch.Tensor, scale: list[float]) -> None:
    """Put the old weights into the wider ones; what is new reads but does not write."""
    size = embedding.shape[1]
    width = size + NEW_WIDTH
    model.model.embed_tokens.weight.zero_()[:, :size] = embedding
    model.lm_head.weight.zero_()[:, :size] = embedding
    shrink = math.sqrt(size / width * 1.1)  # the mean square is over more places; a tenth for what is in the new ones
    for new_layer, old_layer in zip(model.model.layers, old.model.layers, strict=True):
        for name in ("q_proj", "k_proj", "v_proj"):
            weight, given = getattr(new_layer.self_attn, name).weight, getattr(old_layer.self_attn, name).weight
            weight[: given.shape[0], size:] = 0
            weight[: given.shape[0], :size] = given
        out = new_layer.self_attn.o_proj.weight.zero_()
        given = old_layer.self_attn.o_proj.weight
        out[:size, : given.shape[1]] = given
        for name in ("gate_proj", "up_proj"):
            weight, given = getattr(new_layer.mlp, name).weight, getattr(old_layer.mlp, name).weight
            weight[: given.shape[0], size:] = 0
            weight[: given.shape[0], :size] = given
        given = old_layer.mlp.down_proj.weight
        new_layer.mlp.down_proj.weight.zero_()[:size, : given.shape[1]] = given
    for new_norm, old_norm, length in zip(norms_of(model), norms_of(old), scale, strict=True):
        new_norm.weight[:size] = old_norm.weight * shrink
        new_norm.weight[size:] = shrink * length / scale[0]  # what is written once is seen alike by all layers


@torch.no_grad()
def first_layer_lengths(model: LlamaForCausalLM) -> np.ndarray:
    """The residual stream's length behind the first layer, of each token at the beginning of a text.

    Shapes: returns (V,) float32
    """
    tokens = torch.arange(model.config.vocab_size)
    texts = torch.stack([torch.full_like(tokens, special_id(BEGIN)), tokens], dim=1)
    hidden = model.model(input_ids=texts, output_hidden_states=True, use_cache=False).hidden_states[1]
    return hidden[:, 1].norm(dim=-1).numpy()


def add_circuit(model: LlamaForCausalLM, tokenizer: Tokenizer, size: int, scale: list[float]) -> None:
    """Write the three heads. `scale[0]` is the length of an embedding, against which the new places are measured."""
    names = [tokenizer.id_to_token(number) for number in range(tokenizer.get_vocab_size())]
    texts = [tokenizer.decode([number], skip_special_tokens=False) for number in range(len(names))]
    first = special_id(MARKS[0])
    marks = slice(first, first + len(MARKS))
    word = codes([stem(text) for text in texts], 24, 1) + 0.5 * codes(names, 24, 2)
    word /= np.linalg.norm(word, axis=1, keepdims=True)
    word[: marks.stop] = 0
    word *= first_layer_lengths(model)[:, None] / scale[2]  # so that every word weighs the same behind layer 1's norm
    mark = np.concatenate([np.eye(12), -np.eye(12), codes(list(MARKS[24:]), 12, 3)]).astype(np.float32)

    unit = 0.2 * scale[0]  # of a code in the embedding: with two or three a tenth of the stream's energy
    extra = model.model.embed_tokens.weight[:, size:]
    extra[:, ONE] = unit
    extra[marks, IS_MARK] = unit
    extra[:, WORD] = torch.from_numpy(word) * unit
    extra[marks, MARK] = torch.from_numpy(mark) * unit
    extra[marks, MARK.stop + 1] = unit
    for token, wins in ((USER, 1.03), (ASSISTANT, 0.97)):  # a question over the last passage, a reply's mark over it
        extra[special_id(token), IS_MARK] = wins * unit
        extra[special_id(token), MARK.stop] = unit
    for token in (USER, ASSISTANT, *MARKS):  # so that layer 0's norm leaves all of them equally strong
        row = model.model.embed_tokens.weight[special_id(token)]
        row[[size + IS_MARK, *range(size + MARK.start, size + MARK.stop + 2)]] *= row.norm() / scale[0]
    extra[special_id(BEGIN), MARK.stop] = -NOWHERE * unit
    seen = unit / scale[0] * math.sqrt(size)  # what `unit` is behind a norm

    def head(layer: int, part: str) -> torch.Tensor:
        """The new head's rows of a projection, by the new dimensions that they read."""
        rows = getattr(model.model.layers[layer].self_attn, f"{part}_proj").weight[-64:]
        rows.zero_()
        return rows[:, size:]

    def out(layer: int) -> torch.Tensor:
        """The new head's columns of the output projection, by the new dimensions that they write."""
        return model.model.layers[layer].self_attn.o_proj.weight[size:, -64:]

    def strength(score: float) -> float:
        """The weight of both query and key that makes a unit's score this."""
        return math.sqrt(8 * score) / seen

    head_q, head_k, head_v = (head(0, part) for part in "qkv")
    head_q[NEAR, ONE] = strength(140.0) * math.sqrt(0.5)  # an eighth of a turn ahead, where the cosine falls steadily
    head_q[NEAR + 32, ONE] = strength(140.0) * math.sqrt(0.5)
    head_k[NEAR, IS_MARK] = strength(140.0)
    head_v[:14, MARK.start : MARK.stop + 2] = torch.eye(14) / seen
    out(0)[SENTENCE.start : SENTENCE.stop + 2, :14] = torch.eye(14) * unit

    head_q, head_k, head_v = (head(1, part) for part in "qkv")
    steady = torch.cat([STEADY, STEADY + 32])
    head_q[steady, WORD] = torch.eye(24) * strength(24.0)
    head_k[steady, WORD] = torch.eye(24) * strength(24.0)
    head_q[STEADIEST, ONE] = strength(24.0)
    head_k[STEADIEST, TALK] = -strength(24.0)
    head_q[STEADIEST + 32, PASSAGE] = strength(60.0)  # passages and quotations do not vote
    head_k[STEADIEST + 32, TALK] = -strength(60.0)
    head_v[:12, SENTENCE] = torch.eye(12) / seen
    out(1)[VOTE, :12] = torch.eye(12) * unit

    head_q, head_k, head_v = (head(2, part) for part in "qkv")
    head_q[RECENT, ONE] = strength(2.0)
    head_k[RECENT, ONE] = strength(2.0)
    head_q[STEADIEST, ONE] = strength(24.0)
    head_k[STEADIEST, PASSAGE] = -strength(24.0)
    head_q[STEADIEST + 32, PASSAGE] = strength(24.0)  # a quotation gathers nothing
    head_k[STEADIEST + 32, TALK] = -strength(24.0)
    head_v[:12, VOTE] = torch.eye(12) / seen
    out(2)[VOTE, :12] = torch.eye(12) * GATHERED * unit

    heard = seen * float(model.model.norm.weight[size:].mean()) * scale[0] / scale[-1]
    model.lm_head.weight[marks] = 0
    model.lm_head.weight[marks, size + ONE] = -UNASKED / heard
    model.lm_head.weight[marks, size:][:, VOTE] = torch.from_numpy(mark) * PREFERENCE / (GATHERED * heard)


def tokenizer_of(data: Path) -> Tokenizer:
    """A tokenizer of what is talked about and of what is asked about passages."""
    talk = (turn for window in read_windows(data / "chat.jsonl") for turn in window)
    asked = (
        text
        for example in read_grounded(data / "grounded.jsonl")
        for text in (example.passages, *(turn for branch in example.branches for turn in branch))
    )
    return train_tokenizer(chain(talk, asked), VOCABULARY_SIZE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--start", type=Path, required=True)
    parser.add_argument("--tokenizer", type=Path)
    parser.add_argument("--data", type=Path, default=HERE / "build", help="to train a tokenizer on")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    given = arguments.tokenizer
    tokenizer = Tokenizer.from_file(str(given / "tokenizer.json")) if given else tokenizer_of(arguments.data)
    model = grown(arguments.start, tokenizer)
    model.save_pretrained(arguments.out)
    save_tokenizer(tokenizer, arguments.out, MAX_POSITION)
    print(f"{arguments.out}: {model.num_parameters() / 1e6:.1f} M parameters, vocabulary {tokenizer.get_vocab_size()}")


if __name__ == "__main__":
    main()
