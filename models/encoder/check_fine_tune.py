"""Try fine-tuning end to end on a tiny random BERT, by the command; the parts that need torch, which CI has not.

    .venv-train/bin/python models/encoder/check_fine_tune.py

Prints a line for each fact that held and ends with an error at the first that did not. No downloads.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # models/ is no package that could be installed
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "layers/parley/python"))

import numpy as np
import onnx
import torch
from safetensors.numpy import load_file

from models.compression.check import WORDS, fact, random_texts, write_bert
from models.compression.distil_student import Student
from models.compression.onnx_export import export_fp32
from models.encoder.fine_tune import export, judge, senses
from models.encoder.fine_tune_plan import lesson
from parley.nlu.encoder import OnnxEncoder
from parley.nlu.intents import sense

ROOT = Path(__file__).resolve().parents[2]
GROUPS = 4
GIVEN = ("--epochs", "6", "--rate", "2e-3", "--seconds-between-saves", "0")


class Bench:
    """A tiny encoder, and texts whose intent is the kind of their first word."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.start = folder, folder / "tiny"
        write_bert(self.start, 3, 32)
        texts = random_texts(640)
        intents = [f"kind {WORDS.index(text.split()[0]) % GROUPS}" for text in texts]
        self.learnt, self.asked = (texts[:480], intents[:480]), (texts[480:], intents[480:])
        self.taught = lesson(*self.learnt)
        rows = (json.dumps({"text": text, "intent": intent}) for text, intent in zip(*self.learnt, strict=True))
        (folder / "train.jsonl").write_text("\n".join(rows), encoding="utf-8")

    def command(self, out: str, *words: str) -> list[str]:
        script, train = ROOT / "scripts/fine_tune.py", self.folder / "train.jsonl"
        given = ("--train", train, "--out", self.folder / out, "--start", self.start, *GIVEN, *words)
        return [sys.executable, str(script), *map(str, given)]

    def run(self, out: str, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.command(out, *words), capture_output=True, text=True, check=False)

    def kill(self, out: str, sign: Path, seconds: float) -> None:
        """Begin, and kill that so many seconds after the file `sign` is there."""
        process = subprocess.Popen(self.command(out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and not sign.exists():
            time.sleep(0.01)
        time.sleep(seconds)
        fact("it was still running when it was killed", process.poll() is None)
        process.kill()
        process.wait()

    def weights(self, name: str) -> dict[str, np.ndarray]:
        return load_file(self.folder / name / "model.safetensors")

    def difference(self, one: str, other: str, part: str = "") -> float:
        """The greatest between the weights of two folders whose names have `part` in them."""
        first, second = self.weights(one), self.weights(other)
        return max(float(np.abs(first[name] - second[name]).max()) for name in first if part in name)

    def near(self, out: str) -> float:
        return judge(str(self.start), self.folder / out, self.taught, *self.asked).near


def features(bench: Bench) -> None:
    """In a padded batch, and from a graph that is asked one text at a time."""
    artefact = bench.folder / "fp32"
    export(artefact, ["a text"], bench.start, "tiny")
    onnx.save(export_fp32(bench.start), artefact / "model.onnx")
    encoder, texts = OnnxEncoder(artefact), [*bench.asked[0][:30], "word1", ""]
    wanted = np.stack([sense(encoder.encode(text)) for text in texts])
    worst = float(np.abs(senses(Student(str(bench.start)), texts) - wanted).max())
    fact("what is learnt on is what a bot's head reads", worst < 1e-4, f"{worst:.1e}")


def learning(bench: Bench) -> None:
    said = bench.run("whole", "--near", "0", "--share", "1")
    fact("the command trains", said.returncode == 0, said.stderr[-300:] if said.returncode else "")
    figures = judge(str(bench.start), bench.folder / "whole", bench.taught, *bench.asked)
    fact(
        "more of what was held out is named right",
        figures.right_after > figures.right_before + 0.05,
        f"{figures.right_before:.3f} -> {figures.right_after:.3f}",
    )
    fact("the word table is as it was", bench.difference("whole/weights", "tiny", "word_embeddings") == 0)
    vectors = OnnxEncoder(bench.folder / "whole/encoder").embed(bench.asked[0][:50])
    ours = Student(str(bench.folder / "whole/weights")).embed(bench.asked[0][:50])
    alike = float((vectors * ours).sum(axis=1).mean())
    fact("the artefact says what the weights say", alike > 0.95, f"mean cosine {alike:.4f}")


def holding(bench: Bench) -> None:
    bench.run("held", "--near", "20", "--share", "1")
    free, held = bench.near("whole"), bench.near("held")
    fact("sentence vectors that are held move less", held > free + 0.01, f"mean cosine {free:.3f}, held {held:.3f}")
    bench.run("upper", "--from-layer", "3")
    still = [bench.difference("upper/tuned", "tiny", f"encoder.layer.{layer}.") for layer in (0, 1, 2)]
    fact("only the layers that were named learn", still[:2] == [0, 0] and still[2] > 0, str(still))


def sharing(bench: Bench) -> None:
    checkpoint = bench.folder / "whole/checkpoint.pt"
    trained = checkpoint.stat().st_mtime_ns
    bench.run("whole", "--near", "0", "--share", "0.25")
    first, last, mixed = (bench.weights(name) for name in ("tiny", "whole/tuned", "whole/weights"))
    worst = max(float(np.abs(0.75 * first[name] + 0.25 * last[name] - mixed[name]).max()) for name in last)
    fact("another share takes no training", checkpoint.stat().st_mtime_ns == trained and worst < 1e-5, f"{worst:.1e}")


def going_on(bench: Bench) -> None:
    """SIGKILL in the middle, then go on: the same weights as of the run that nobody disturbed."""
    bench.run("calm")
    checkpoint = bench.folder / "killed/checkpoint.pt"
    bench.kill("killed", checkpoint, 0.3)
    stopped = torch.load(checkpoint, weights_only=True)["step"]
    refused = bench.run("killed", "--near", "7").stderr
    fact("what was begun is refused another recipe", "near was 5.0 and is now 7.0" in refused, refused.strip())
    bench.run("killed")
    worst = bench.difference("calm/weights", "killed/weights")
    fact("a killed run goes on to the same weights", worst == 0, f"killed after step {stopped}, difference {worst}")


def refusals(bench: Bench) -> None:
    for what, words, given in (
        ("a layer that the encoder lacks", "layers 1 to 3", ("--from-layer", "9")),
        ("a start that is no folder", "no Hugging Face folder", ("--start", str(bench.folder / "nothing"))),
    ):
        said = bench.run("refused", *given)
        fact(f"refused: {what}", said.returncode == 1 and words in said.stderr, said.stderr.strip().splitlines()[-1])


def main() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(Path(scratch))
        for part in (features, learning, holding, sharing, going_on, refusals):
            part(bench)


if __name__ == "__main__":
    main()
