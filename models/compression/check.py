"""Try distillation and pruning end to end on a tiny random BERT and Llama; the parts that need torch, which CI has not.

    python models/compression/check.py

Prints a line for each fact that held and ends with an error at the first that did not. No downloads.
"""

import json
import multiprocessing
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # models/ is no package that could be installed
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "generator"))  # whose scripts import one another

import numpy as np
import torch
from convert import build, onnx_logits, torch_logits
from tokenizers import Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import WordLevel
from transformers import BertConfig, BertModel, LlamaConfig, LlamaForCausalLM

from models.compression import distil_generator_plan, prune
from models.compression.bert_folder import read_config
from models.compression.distil import Distillation, Recipe
from models.compression.distil_cache import teacher_rows
from models.compression.distil_generator import Figures, distil_folder
from models.compression.distil_generator_plan import BadInput, read_conversations
from models.compression.distil_head import teacher_head
from models.compression.distil_student import Student, keep_layers, keep_width
from models.compression.distil_teacher import Teacher
from models.compression.run_settings import Mismatch
from models.generator.tokens import END, SPECIAL, save_tokenizer, special_id, train_tokenizer

WORDS = [f"word{number}" for number in range(60)]
SEED = 5
RECIPE = Recipe(batch=32, epochs=6, rate=2e-3, frozen_words=False, seconds_between_saves=0.0)


def write_bert(folder: Path, layers: int, width: int) -> None:
    folder.mkdir()
    torch.manual_seed(SEED)
    config = BertConfig(
        vocab_size=len(WORDS) + 4,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=4,
        intermediate_size=4 * width,
        initializer_range=0.2,  # at the usual 0.02 an untrained BERT says the same of every text
    )
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS]
    tokenizer = Tokenizer(WordLevel({token: place for place, token in enumerate(tokens)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))


def random_texts(count: int) -> list[str]:
    chance = np.random.default_rng(SEED)
    return [" ".join(chance.choice(WORDS, chance.integers(3, 12))) for _ in range(count)]


def likeness(folder: Path, rows: np.ndarray, texts: list[str]) -> float:
    """Correlation of the similarities that the folder's encoder and the teacher see."""
    ours = Student(str(folder)).embed(texts)
    theirs = np.asarray(rows, np.float32)
    return float(np.corrcoef((ours @ ours.T).ravel(), (theirs @ theirs.T).ravel())[0, 1])


def fact(name: str, holds: bool, figures: str = "") -> None:
    print(f"{'ok' if holds else 'NOT SO'}: {name} {figures}", flush=True)
    if not holds:
        sys.exit(1)


class Bench:
    """A teacher of 4 layers, a student of some of them, and what the teacher says of some texts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.texts = random_texts(640)
        write_bert(folder / "big", 4, 32)
        keep_layers(folder / "big", folder / "small", [0, 3])
        keep_width(folder / "small", folder / "narrow", 16)
        self.teacher = Teacher(str(folder / "big"))
        self.rows = teacher_rows(folder / "cache", self.texts, 32, self.teacher.name, self.teacher.embed)

    def run(self, out: str, start: str = "small", recipe: Recipe = RECIPE, **more: object) -> dict[str, float]:
        student = Student(str(self.folder / start))
        return Distillation(student, self.texts, self.rows, recipe, **more).run(self.folder / out)  # type: ignore[arg-type]

    def like(self, name: str) -> float:
        return likeness(self.folder / name, self.rows, self.texts)


def distillation(bench: Bench) -> None:
    bench.run("whole")
    before, after = bench.like("small"), bench.like("whole/student")
    fact("a student of two layers comes nearer to its teacher", after > before + 0.02, f"{before:.3f} -> {after:.3f}")
    learnt = replace(RECIPE, projection="learnt", hidden=0.5, similarity=0.5)
    bench.run("narrow-run", "narrow", learnt, teacher=bench.teacher)
    before, after = bench.like("narrow"), bench.like("narrow-run/student")
    fact("so does one of half the width, hidden states too", after > before + 0.02, f"{before:.3f} -> {after:.3f}")
    nearest = (bench.rows @ bench.rows[:8].T).argmax(axis=1)
    labelled = [{"text": text, "intent": str(group)} for text, group in zip(bench.texts, nearest, strict=True)]
    labels = teacher_head(labelled, bench.rows)
    bench.run("head", recipe=replace(RECIPE, logits=1.0, epochs=12), labels=labels)
    head = torch.load(bench.folder / "head/student/head.pt", weights_only=True)
    vectors = Student(str(bench.folder / "head/student")).embed(bench.texts)
    right = ((vectors @ head["weight"].numpy().T + head["bias"].numpy()).argmax(axis=1) == labels.classes).mean()
    fact("a head learns from labels and the teacher's logits", right > 0.4, f"{right:.2f} right, 8 classes")


def kill(bench: Bench) -> None:
    """SIGKILL in the middle, then go on: the same weights as of the run that nobody disturbed."""
    _kill(lambda: bench.run("killed"), bench.folder / "killed/checkpoint.pt", 0.5)
    stopped = torch.load(bench.folder / "killed/checkpoint.pt", weights_only=True)["step"]
    bench.run("killed")
    whole, again = (Student(str(bench.folder / name / "student")).state() for name in ("whole", "killed"))
    worst = max(float((whole[name].float() - again[name].float()).abs().max()) for name in whole)
    fact("a killed run goes on to the same weights", worst < 1e-5, f"killed at step {stopped}, difference {worst:.1e}")


def _kill(run: Callable[[], object], sign: Path, seconds: float) -> None:
    """Run in a process of its own and kill that, so many seconds after the file `sign` has something in it."""
    process = multiprocessing.get_context("fork").Process(target=_quietly, args=(run,))
    process.start()
    while process.is_alive() and not (sign.exists() and sign.stat().st_size):
        time.sleep(0.01)
    time.sleep(seconds)
    fact("it was still running when it was killed", process.is_alive())
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()


def _quietly(run: Callable[[], object]) -> None:
    sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115  the process is killed
    run()


def pruning(bench: Bench) -> None:
    big = bench.folder / "big"
    for name, choose in (
        ("per layer", prune.by_share(0.5, per_layer=True)),
        ("globally", prune.by_share(0.5, per_layer=False)),
        ("two of four", prune.two_of_four),
    ):
        masks = choose(prune.matrices(big))
        prune.write_masked(big, bench.folder / name, masks)
        zeros = np.mean(np.concatenate([(each == 0).ravel() for each in prune.matrices(bench.folder / name).values()]))
        fact(f"half of the weights are zero, {name}", abs(zeros - 0.5) < 0.001, f"{zeros:.4f}")
    bench.run("tuned", "two of four", masks=masks)
    before, after = bench.like("two of four"), bench.like("tuned/student")
    fact("fine-tuning mends what pruning broke", after > before, f"{before:.3f} -> {after:.3f}")
    tuned = prune.matrices(bench.folder / "tuned/student")
    fact("zeros stay zeros while it does", all((tuned[name][~mask] == 0).all() for name, mask in masks.items()))
    for by_activation in (False, True):
        target = bench.folder / f"structure-{by_activation}"
        prune.prune_structure(big, target, bench.texts[:128], 3, 64, by_activation=by_activation)
        shape = prune.matrices(target)["encoder.layer.0.attention.self.query.weight"].shape
        config = read_config(target)
        fact(
            "heads and neurons are gone, and a loader reads what is left",
            shape == (24, 32) and config["intermediate_size"] == 64 and bench.like(target.name) > 0,
            json.dumps({"like": round(bench.like(target.name), 3), "by_activation": by_activation}),
        )


class GeneratorBench:
    """A Llama of 4 layers with a tokenizer of the chat format, and conversations of random words."""

    recipe = distil_generator_plan.Recipe(steps=60, rate=3e-3, row_tokens=96, reply_tokens=16)
    written = replace(recipe, replies=100, hard=1.0)

    def __init__(self, folder: Path) -> None:
        self.folder, self.teacher = folder, folder / "teacher"
        texts = random_texts(1200)
        tokenizer = train_tokenizer(texts, 400)
        self.windows = [texts[place : place + 4] for place in range(0, len(texts), 4)]
        self.write_llama(self.teacher, tokenizer, tokenizer.get_vocab_size())

    def write_llama(self, folder: Path, tokenizer: Tokenizer, vocabulary: int) -> None:
        torch.manual_seed(SEED)
        ids = {
            f"{name}_token_id": special_id(token) for name, token in zip(("pad", "bos", "eos"), SPECIAL, strict=False)
        }
        config = LlamaConfig(
            vocab_size=vocabulary,
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=4,
            num_attention_heads=2,
            max_position_embeddings=128,
            initializer_range=0.2,
            tie_word_embeddings=True,
            **ids,
        )
        model = LlamaForCausalLM(config)
        model.model.embed_tokens.weight.data[special_id(END)] *= 4  # or else hardly a reply of random weights would end
        model.save_pretrained(folder)
        save_tokenizer(tokenizer, folder, 128)

    def run(self, out: str, recipe: distil_generator_plan.Recipe = recipe, **more: object) -> Figures:
        held_out, learnt = self.windows[:40], self.windows[40:]
        where = self.folder / out
        return distil_folder(self.teacher, learnt, held_out, where, recipe, seconds_between_saves=0.0, **more)  # type: ignore[arg-type]

    def refused(self, kind: type[ValueError], out: str, recipe: distil_generator_plan.Recipe, **more: object) -> str:
        """In which words it was; none if it was not."""
        try:
            self.run(out, recipe, **more)
        except kind as reason:
            return str(reason)
        return ""

    def difference(self, one: str, other: str) -> float:
        """The greatest between the weights of two students."""
        first, second = (
            LlamaForCausalLM.from_pretrained(self.folder / name / "student").state_dict() for name in (one, other)
        )
        return max(float((first[name] - second[name]).abs().max()) for name in first)


def generator(bench: GeneratorBench) -> None:
    got = bench.run("logits")
    figures = f"{got.divergence_before:.3f} -> {got.divergence_after:.3f}"
    fact(
        "a Llama of half the layers comes nearer to its teacher", got.divergence_after < got.divergence_before, figures
    )
    bench.run("replies", bench.written)
    count = len(read_conversations([bench.folder / "replies/replies.jsonl"]))
    fact("so many replies of the teacher were written as were asked for", count == 100, str(count))
    build(bench.folder / "logits/student", bench.folder / "artefact", "int8")
    ids = np.arange(20)[None]
    ours, served = (
        each(ids).ravel()
        for each in (torch_logits(bench.folder / "logits/student"), onnx_logits(bench.folder / "artefact"))
    )
    alike = float(np.corrcoef(ours, served)[0, 1])
    fact("convert.py takes the student", alike > 0.99, f"correlation of logits {alike:.4f}")


def generator_kill(bench: GeneratorBench) -> None:
    _kill(lambda: bench.run("killed", bench.recipe), bench.folder / "killed/checkpoint.pt", 0.3)
    stopped = torch.load(bench.folder / "killed/checkpoint.pt", weights_only=True)["step"]
    said = bench.refused(Mismatch, "killed", replace(bench.recipe, temperature=5.0, hard=0.1))
    named = "temperature was 2.0 and is now 5.0" in said and "hard was 0.5 and is now 0.1" in said
    fact("a run that was begun refuses other settings by name", named, said)
    bench.run("killed", bench.recipe)
    worst = bench.difference("logits", "killed")
    fact("a killed generator goes on to the same weights", worst < 1e-6, f"killed at step {stopped}: {worst:.1e}")
    replies = bench.folder / "half/replies.jsonl"
    _kill(lambda: bench.run("half", bench.written), replies, 0.0)
    begun = replies.read_bytes()
    bench.run("half", bench.written)
    same = replies.read_bytes() == (bench.folder / "replies/replies.jsonl").read_bytes()
    fact(
        "replies that a killed teacher wrote are kept, the rest comes out the same",
        same and len(begun) < len(replies.read_bytes()) and bench.difference("replies", "half") < 1e-6,
        f"killed after {begun.count(b'{')} of 100",
    )
    unchanged = replies.stat().st_mtime_ns
    bench.run("half", bench.written)
    fact("a run that is through writes none again", replies.stat().st_mtime_ns == unchanged)


def generator_refusals(bench: GeneratorBench) -> None:
    other = bench.folder / "other"
    bench.write_llama(other, train_tokenizer(["other words", "of another tokenizer"], 400), 300)
    for what, words, more in (
        ("layers that the teacher lacks", "layers 0 to 3", {"layers": [0, 4]}),
        ("a student of another vocabulary", "different vocabularies", {"student_folder": other}),
        ("a student that is not there", "no config.json", {"student_folder": bench.folder / "nothing"}),
    ):
        said = bench.refused(BadInput, "refused", bench.recipe, **more)
        fact(f"refused: {what}", words in said, said)


def main() -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(Path(scratch))
        distillation(bench)
        kill(bench)
        pruning(bench)
        (Path(scratch) / "generator").mkdir()
        llama = GeneratorBench(Path(scratch) / "generator")
        generator(llama)
        generator_kill(llama)
        generator_refusals(llama)


if __name__ == "__main__":
    main()
