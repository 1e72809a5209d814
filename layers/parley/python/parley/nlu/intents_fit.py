"""Training the intent head when a bot is compiled: on CPU, in seconds; two minutes for 15,000 examples.

Knows scikit-learn, which is nowhere at run time. Two linear models are trained on frozen
features; how far each is to be trusted, and where the scope ends, is measured on examples
that they had not seen.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.sparse import csr_array, vstack
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from parley.bots.training import Example
from parley.nlu.intents import IN_SCOPE, IntentHead, Scope, evidence, sense, softmax
from parley.nlu.lexical import Vocabulary
from parley.ports import Encoded

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Labels = NDArray[np.str_]

MEANING_C = 20.0  # scikit-learn's C; models/encoder/README.md, "Intents"
WORDING_C = 1.0
FOLDS = 5
FEW = 4000  # up to so many examples every fold is tried; beyond, one in five tells as much
FEWEST_INTENTS = 4  # below, none can be left out to play what the bot does not know
PROTOTYPES = 3  # of an intent; a better measure than all of its examples, models/encoder/README.md, "Intents"
# Share of what people say to a bot. With more, what it was not taught slips through; with less, it asks too often: of
# the support bot's own examples, held out, 0.93, 0.89, 0.86 are kept with 0.75, 0.70, 0.65.
MEANT = 0.7
FAMILIAR = 0.65  # likeness to an example from which on a general phrase may be something that the bot was taught
USUAL_TRUST = (1.5, 1.7)  # in meaning and wording, of bots with ten examples of an intent
LEAST_SPREAD = 0.05  # of evidence, lest three equal examples make the fourth a stranger
CAUTION = 10.0  # so many examples held out weigh as much against the usual trust as it does

# Things people say to any bot, written for this project: what is foreign to most.
GENERAL_PHRASES = Path(__file__).with_name("general_phrases.txt")


@dataclass(frozen=True, slots=True)
class FittedIntents:
    """A trained head, and how well its like did on examples held out."""

    head: IntentHead
    right: float  # share of held-out examples whose intent ranked first
    kept: float  # share of held-out examples that were not taken for out of scope
    refused: float  # share of foreign utterances that were


@dataclass(frozen=True, slots=True)
class _Material:
    """Examples as numbers.

    Shapes:
        vectors: (N, D); words: (N, V); labels: (N,)
    """

    vectors: FloatArray
    words: csr_array
    labels: Labels

    def __getitem__(self, chosen: BoolArray) -> "_Material":
        return _Material(self.vectors[chosen], self.words[chosen], self.labels[chosen])

    def __add__(self, other: "_Material") -> "_Material":
        return _Material(
            np.concatenate([self.vectors, other.vectors]),
            csr_array(vstack([self.words, other.words])),
            np.concatenate([self.labels, other.labels]),
        )


@dataclass(frozen=True, slots=True)
class _Linear:
    """The two linear models, for C intents."""

    intents: Labels
    meaning: FloatArray  # (C, D)
    meaning_bias: FloatArray  # (C,)
    wording: FloatArray  # (V, C)
    wording_bias: FloatArray  # (C,)

    def judge(self, material: _Material) -> tuple[FloatArray, FloatArray]:
        """What meaning and words say; twice (N, C)."""
        meaning = material.vectors @ self.meaning.T + self.meaning_bias
        return meaning, np.asarray(material.words @ self.wording + self.wording_bias, dtype=np.float32)


def fit_intents(
    examples: Sequence[Example],
    encode: Callable[[str], Encoded],
    *,
    out_of_scope: Sequence[str] = (),
    progress: Callable[[str], None] = lambda _: None,
) -> FittedIntents:
    """The head for a bot's examples, of at least two intents.

    `out_of_scope` are utterances known to be foreign to the bot; without any, foreign ones are made up: general
    phrases, and each intent in turn as the bot that lacks it would meet it.
    """
    texts = [example.text for example in examples]
    labels = np.array([example.intent for example in examples])
    names = sorted(set(labels))
    spoken = [_spoken(name) for name in names]
    foreign = [*out_of_scope] or GENERAL_PHRASES.read_text(encoding="utf-8").splitlines()
    vocabulary = Vocabulary.of([*texts, *spoken])

    def material(of: Sequence[str], named: Labels) -> _Material:
        sensed = []
        for position, text in enumerate(of):
            if position % 500 == 0:
                progress(f"{position} of {len(of)} examples encoded")
            sensed.append(sense(encode(text)))
        return _Material(np.stack(sensed), _words(vocabulary, of), named)

    taught, called = material(texts, labels), material(spoken, np.array(names))
    strange = material(foreign, np.full(len(foreign), ""))
    if not out_of_scope:
        strange = strange[(strange.vectors @ taught.vectors.T).max(axis=1) < FAMILIAR]
    return _fit(taught, called, strange, vocabulary, leave_out=not out_of_scope, progress=progress)


def _fit(
    taught: _Material,
    called: _Material,
    strange: _Material,
    vocabulary: Vocabulary,
    *,
    leave_out: bool,
    progress: Callable[[str], None],
) -> FittedIntents:
    meanings, wordings, wanted, known, unknown = [], [], [], [], []
    rounds = FOLDS if len(taught.labels) <= FEW else 1
    within = _number_within_intent(taught.labels)
    for fold in range(rounds):
        progress(f"testing on examples held out, {fold + 1} of {rounds}")
        held_out = (within % FOLDS == fold) & (within > 0)  # the first example of an intent is always taught
        model = _trained(taught[~held_out] + called)
        if held_out.any():
            meaning, wording = model.judge(taught[held_out])
            meanings.append(meaning)
            wordings.append(wording)
            wanted.append(np.searchsorted(model.intents, taught.labels[held_out]))
            known.append(evidence(meaning, wording, _near(taught[~held_out], taught[held_out])))
        if len(strange.labels):
            unknown.append(evidence(*model.judge(strange), _near(taught[~held_out], strange)))
    foreign = np.concatenate(unknown) if unknown else np.zeros((0, 3), np.float32)
    lacking = np.zeros((0, 3), np.float32)
    if leave_out and len(called.labels) >= FEWEST_INTENTS:
        lacking = np.concatenate([*_as_if_not_taught(taught, called, rounds, progress)])
    progress("training on all examples")
    model = _trained(taught + called)
    if not known:  # one example for each intent: nothing to hold out
        near = _near(taught, taught)
        known.append(evidence(*model.judge(taught), near))
    scope = _scope(np.concatenate(known), [group for group in (foreign, lacking) if len(group)])
    trust = _trust(meanings, wordings, wanted)
    head = IntentHead(
        tuple(map(str, model.intents)),
        model.meaning,
        model.meaning_bias,
        vocabulary,
        model.wording.astype(np.float16),
        model.wording_bias,
        _prototypes(taught),
        trust,
        scope,
    )
    return FittedIntents(
        head,
        right=_share(
            (trust[0] * m + trust[1] * w).argmax(axis=1) == c
            for m, w, c in zip(meanings, wordings, wanted, strict=True)
        ),
        kept=_share(scope.probability(group) >= IN_SCOPE for group in known),
        refused=_share([scope.probability(foreign) < IN_SCOPE]),
    )


def _as_if_not_taught(
    taught: _Material, called: _Material, rounds: int, progress: Callable[[str], None]
) -> Iterator[FloatArray]:
    """The evidence that examples have for a bot which lacks their intents."""
    number = np.searchsorted(called.labels, taught.labels)
    for group in range(rounds):
        progress(f"testing on intents left out, {group + 1} of {rounds}")
        left_out = number % FOLDS == group
        if not left_out.any():
            continue
        model = _trained(taught[~left_out] + called[np.arange(len(called.labels)) % FOLDS != group])
        yield evidence(*model.judge(taught[left_out]), _near(taught[~left_out], taught[left_out]))


def _trained(material: _Material) -> _Linear:
    """Multinomial logistic regression on the meaning, a linear support vector machine on the words."""
    by_meaning = LogisticRegression(C=MEANING_C, max_iter=1000, tol=1e-4).fit(material.vectors, material.labels)
    by_words = LinearSVC(C=WORDING_C, max_iter=5000, tol=1e-3, random_state=0).fit(material.words, material.labels)
    meaning, meaning_bias = _for_each_intent(by_meaning, half=0.5)
    wording, wording_bias = _for_each_intent(by_words, half=1.0)
    return _Linear(by_meaning.classes_, meaning, meaning_bias, np.ascontiguousarray(wording.T), wording_bias)


def _for_each_intent(model: LogisticRegression | LinearSVC, half: float) -> tuple[FloatArray, FloatArray]:
    """Weights (C, F) and bias (C,): scikit-learn gives one row only for two classes, the second one's."""
    weights, bias = model.coef_.astype(np.float32), np.atleast_1d(model.intercept_).astype(np.float32)
    if len(model.classes_) == 2:
        part = np.float32(half)
        weights, bias = np.concatenate([-weights, weights]) * part, np.concatenate([-bias, bias]) * part
    return weights, bias


def _scope(known: FloatArray, unknown: Sequence[FloatArray]) -> Scope:
    """The scale on which half is the best divide, when MEANT of all that is said to a bot is meant for it.

    Each kind of unknown weighs the same.
    """
    usual, spread = known.mean(axis=0), np.maximum(known.std(axis=0), LEAST_SPREAD)
    scope = Scope(usual, spread, 1.0, 0.0)
    composites = [scope.composite(group) for group in (known, *unknown)]
    if not unknown:
        return scope
    weights = [np.full(len(known), MEANT / len(known))]
    weights += [np.full(len(group), (1 - MEANT) / len(group) / len(unknown)) for group in unknown]
    of_known = np.concatenate([np.ones(len(known)), np.zeros(sum(map(len, unknown)))])
    model = LogisticRegression(C=100.0).fit(
        np.concatenate(composites)[:, None], of_known, sample_weight=np.concatenate(weights) * len(of_known)
    )
    return Scope(usual, spread, float(model.coef_[0, 0]), float(model.intercept_[0]))


def _trust(meanings: Sequence[FloatArray], wordings: Sequence[FloatArray], wanted: Sequence[IntArray]) -> FloatArray:
    """The weights of meaning and wording with which held-out examples are likeliest, so that confidence is calibrated.

    Source: temperature scaling, Guo et al. 2017, https://arxiv.org/abs/1706.04599, with a temperature for each model
    """
    usual = np.log(np.array(USUAL_TRUST))
    if not wanted:
        return np.asarray(np.exp(usual), dtype=np.float32)

    def surprise(logs: NDArray[np.float64]) -> float:
        a, b = np.exp(logs)
        total = 0.0
        for meaning, wording, right in zip(meanings, wordings, wanted, strict=True):
            chosen = softmax(a * meaning + b * wording)[np.arange(len(right)), right]
            total -= float(np.log(np.maximum(chosen, 1e-9)).sum())
        return (total + CAUTION * float(((logs - usual) ** 2).sum())) / sum(map(len, wanted))

    # A method without slopes: those of a surprise in 32 bits would be noise. Its first steps are shares of `usual`.
    return np.asarray(np.exp(minimize(surprise, usual, method="Nelder-Mead", tol=1e-3).x), dtype=np.float32)


def _near(taught: _Material, asked: _Material) -> FloatArray:
    return np.asarray((asked.vectors @ _prototypes(taught).T).max(axis=1))


def _prototypes(taught: _Material) -> FloatArray:
    """Up to PROTOTYPES directions around which the examples of an intent gather, for each (P, D).

    Source: k-means, Lloyd 1982, doi.org/10.1109/TIT.1982.1056489
    """
    centres = []
    for name in np.unique(taught.labels):
        vectors = np.unique(taught.vectors[taught.labels == name], axis=0)
        count = min(PROTOTYPES, len(vectors))
        centres.append(KMeans(count, n_init=1, max_iter=20, random_state=0).fit(vectors).cluster_centers_)
    together = np.concatenate(centres)
    return np.asarray(together / np.linalg.norm(together, axis=1, keepdims=True), dtype=np.float32)


def _words(vocabulary: Vocabulary, texts: Sequence[str]) -> csr_array:
    weighed = [vocabulary.weigh(text) for text in texts]
    ends = np.cumsum([0, *(len(features) for features, _ in weighed)]).astype(np.int32)  # liblinear's kind of integer
    features = np.concatenate([features for features, _ in weighed]).astype(np.int32)
    weights = np.concatenate([weights for _, weights in weighed])
    return csr_array((weights, features, ends), shape=(len(texts), len(vocabulary.hashes)))


def _spoken(name: str) -> str:
    """An intent's name as words: what its author called it is one more example of it."""
    return re.sub(r"[\W_]+", " ", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)).strip().lower()


def _number_within_intent(labels: Labels) -> IntArray:
    seen: dict[str, int] = {}
    numbers = np.zeros(len(labels), dtype=np.int64)
    for position, label in enumerate(labels):
        numbers[position] = seen.get(label, 0)
        seen[label] = int(numbers[position]) + 1
    return numbers


def _share(groups: Iterator[BoolArray] | Sequence[BoolArray]) -> float:
    flags = np.concatenate([np.zeros(0, np.bool_), *groups])
    return float(flags.mean()) if len(flags) else 1.0
