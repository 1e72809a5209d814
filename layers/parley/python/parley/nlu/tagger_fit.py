"""Training the tagger when a bot is compiled: seconds for a bot's examples, three minutes for 13,000; CPU, no torch.

The network of `nlu.tagger` and its conditional random field are trained together by
Adam on the negative log-likelihood of the marked sequences, with dropout. Sentences of
one length make a batch, so that nothing is padded. The seed is fixed: the same examples
give the same tagger.

Sources: Adam: Kingma & Ba, 2015; dropout: Srivastava et al., 2014; forward-backward:
Rabiner, "A Tutorial on Hidden Markov Models", 1989, section III.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from parley.bots.bot import EntityPatterns
from parley.bots.training import Example
from parley.nlu.patterns import Patterns
from parley.nlu.tagger import (
    NEAR,
    NEIGHBOURS,
    OUTSIDE,
    FloatArray,
    IntArray,
    Kind,
    Tagger,
    TaggerSpec,
    illegal,
    read_words,
    windows,
)
from parley.ports import Encoded

# Chosen on SNIPS `bio_valid` and on held-out parts of HWU64 `slots_train` with 5 to 20 spans of an entity.
HIDDEN = 256
HIDDEN_SMALL = 128  # for fewer sentences than `MANY`
MANY = 2000
LETTERS = 32  # dimensions of a hashed feature
MAX_BUCKETS = 1 << 15
LEARNING_RATE = 2e-3
DROPOUT = 0.4
FEATURE_DROPOUT = 0.3
STEPS = 1000  # at least; more examples than these steps see are seen `EPOCHS` times
EPOCHS = 16
BATCH = 64  # sentences at most; fewer where there are few examples
AVERAGED = 0.5  # share of the last epochs whose weights are averaged


@dataclass(frozen=True, slots=True)
class _Sentence:
    """One example, ready to learn from.

    Shapes:
        states: (W, D); sentence: (D,); tags: (W,)
    """

    states: FloatArray
    sentence: FloatArray
    features: list[list[int]]
    tags: IntArray


def fit_tagger(
    examples: Sequence[Example], encode: Callable[[str], Encoded], patterns: EntityPatterns
) -> Tagger | None:
    """The tagger for a bot's examples; None when none of them marks an entity."""
    kinds = tuple(sorted({Kind(e.name, e.role, e.group) for example in examples for e in example.entities}, key=str))
    if not kinds:
        return None
    found = Patterns(patterns)
    buckets = _buckets(len(examples))
    number = {kind: place for place, kind in enumerate(kinds)}
    sentences = [s for example in examples if (s := _sentence(example, encode(example.text), found, buckets, number))]
    weights = _Training(sentences, 2 * len(kinds) + 1, buckets).run()
    return Tagger(TaggerSpec(kinds, buckets), weights, found)


def _buckets(examples: int) -> int:
    """A power of two that holds the features of so many examples without many of them sharing a row."""
    return min(MAX_BUCKETS, 1 << max(10, (examples * 16).bit_length()))


def _sentence(
    example: Example, encoded: Encoded, patterns: Patterns, buckets: int, number: Mapping[Kind, int]
) -> _Sentence | None:
    words = read_words(example.text, encoded, patterns.find(example.text), buckets)
    if not words.spans:
        return None
    tags = np.full(len(words.spans), OUTSIDE, dtype=np.int64)
    for entity in example.entities:
        kind = number[Kind(entity.name, entity.role, entity.group)]
        inside = [place for place, (start, end) in enumerate(words.spans) if start < entity.end and end > entity.start]
        for place in inside:
            tags[place] = 2 * kind + (1 if place == inside[0] else 2)
    return _Sentence(words.states, encoded.vector, words.features, tags)


class _Training:
    """Weights on their way from noise to a tagger."""

    def __init__(self, sentences: Sequence[_Sentence], tags: int, buckets: int) -> None:
        self._sentences = sentences
        self._random = np.random.default_rng(0)
        every = np.concatenate([sentence.states for sentence in sentences])
        mean, scale = every.mean(axis=0), every.std(axis=0) + 1e-3
        self._fixed = {"mean": mean, "scale": scale}
        self._states = [(sentence.states - mean) / scale for sentence in sentences]
        self._weights = self._noise(every.shape[1], tags, buckets)
        self._follows = illegal(tags // 2)
        self._begins = np.where(np.arange(tags) % 2 + (np.arange(tags) == OUTSIDE), 0, -1e4).astype(np.float32)
        self._moments = {name: (np.zeros_like(w), np.zeros_like(w)) for name, w in self._weights.items()}
        self._step = 0

    def _noise(self, dimensions: int, tags: int, buckets: int) -> dict[str, FloatArray]:
        near, letters = (2 * NEAR + 1) * dimensions, (2 * NEIGHBOURS + 1) * LETTERS
        inputs = near + letters + dimensions
        hidden = HIDDEN if len(self._sentences) >= MANY else HIDDEN_SMALL
        shapes = {
            "states": (near, hidden, inputs),
            "letters": (letters, hidden, inputs),
            "sentence": (dimensions, hidden, inputs),
            "around": (3 * hidden, hidden, 3 * hidden),
            "tags": (hidden, tags, hidden),
        }
        weights = {name: self._uniform(rows, columns, fan_in**-0.5) for name, (rows, columns, fan_in) in shapes.items()}
        weights["features"] = (self._random.standard_normal((buckets, LETTERS)) * 0.05).astype(np.float32)
        zeros = {"hidden_bias": hidden, "around_bias": hidden, "tags_bias": tags, "first": tags}
        weights |= {name: np.zeros(size, np.float32) for name, size in zeros.items()}
        return weights | {"following": np.zeros((tags, tags), np.float32)}

    def _uniform(self, rows: int, columns: int, limit: float) -> FloatArray:
        return self._random.uniform(-limit, limit, (rows, columns)).astype(np.float32)

    def run(self) -> dict[str, FloatArray]:
        """Learns, and gives the weights."""
        batch = int(np.clip(len(self._sentences) // 16, 4, BATCH))
        per_epoch = len(list(self._batches(batch)))
        epochs = max(EPOCHS, -(-STEPS // per_epoch))
        averaged = max(1, round(epochs * AVERAGED))
        mean: dict[str, FloatArray] = {name: np.zeros_like(values) for name, values in self._weights.items()}
        for epoch in range(epochs):
            rate = LEARNING_RATE * (1 - epoch / epochs)
            for chosen in self._batches(batch):
                self._learn(chosen, rate)
            if epoch >= epochs - averaged:
                for name, values in self._weights.items():
                    mean[name] += values / averaged
        return mean | self._fixed

    def _batches(self, size: int) -> Iterator[list[int]]:
        by_length: dict[int, list[int]] = {}
        for place in self._random.permutation(len(self._sentences)).tolist():
            by_length.setdefault(len(self._sentences[place].tags), []).append(place)
        batches = [places[i : i + size] for places in by_length.values() for i in range(0, len(places), size)]
        for number in self._random.permutation(len(batches)).tolist():
            yield batches[number]

    def _kept(self, shape: tuple[int, ...], dropped: float = DROPOUT) -> FloatArray:
        """A mask that drops a share and makes up for it."""
        limit = round(dropped * 256)  # bytes, because numbers between 0 and 1 take twice as long to draw
        kept = self._random.integers(0, 256, shape, dtype=np.uint8) >= limit
        return kept * np.float32(256 / (256 - limit))

    def _learn(self, chosen: list[int], rate: float) -> None:
        """One step of Adam on one batch, B sentences of W words: forwards, backwards, and on."""
        w, sentences = self._weights, [self._sentences[place] for place in chosen]
        tags = np.stack([sentence.tags for sentence in sentences])
        size, length = tags.shape
        states: FloatArray = np.stack([self._states[place] for place in chosen])
        states *= self._kept(states.shape)
        whole: FloatArray = np.stack([sentence.sentence for sentence in sentences])
        whole *= np.float32(states.shape[2] ** 0.5)
        whole *= self._kept(whole.shape)
        rows, chooser = self._chooser(sentences)
        letters_kept = self._kept((size, length, LETTERS))
        letters = np.asarray(chooser @ w["features"][rows], dtype=np.float32).reshape(letters_kept.shape) * letters_kept

        near, beside = windows(states, NEAR), windows(letters, NEIGHBOURS)
        below: FloatArray = near @ w["states"] + beside @ w["letters"]
        below += (whole @ w["sentence"])[:, None] + w["hidden_bias"]
        lower_kept = self._kept(below.shape) * (below > 0).astype(np.float32)
        lower: FloatArray = below * lower_kept
        around = windows(lower, 1)
        above: FloatArray = around @ w["around"] + w["around_bias"]
        upper_kept = self._kept(above.shape)
        upper: FloatArray = (lower + np.maximum(above, 0)) * upper_kept
        scores: FloatArray = upper @ w["tags"] + w["tags_bias"]

        slopes = {}
        of_scores, slopes["first"], slopes["following"] = likelihood_slopes(
            scores, tags, w["first"] + self._begins, w["following"] + self._follows
        )
        slopes["tags"], slopes["tags_bias"] = _product(upper, of_scores), of_scores.sum(axis=(0, 1))
        of_upper: FloatArray = (of_scores @ w["tags"].T) * upper_kept
        of_above: FloatArray = of_upper * (above > 0).astype(np.float32)
        slopes["around"], slopes["around_bias"] = _product(around, of_above), of_above.sum(axis=(0, 1))
        of_lower: FloatArray = of_upper + _unwindowed(of_above @ w["around"].T, 1)
        of_below: FloatArray = of_lower * lower_kept
        slopes["states"], slopes["letters"] = _product(near, of_below), _product(beside, of_below)
        slopes["sentence"] = whole.T @ of_below.sum(axis=1)
        slopes["hidden_bias"] = of_below.sum(axis=(0, 1))
        of_letters = _unwindowed(of_below @ w["letters"].T, NEIGHBOURS) * letters_kept
        of_features = chooser.T @ of_letters.reshape(size * length, LETTERS)

        self._step += 1
        for name, slope in slopes.items():
            self._adam(name, slice(None), slope, rate)
        self._adam("features", rows, of_features, rate)

    def _chooser(self, sentences: list[_Sentence]) -> tuple[IntArray, csr_matrix]:
        """Which rows of the features the words of a batch have, and the matrix that sums them for each word."""
        of_words = [of_word for sentence in sentences for of_word in sentence.features]
        flat = np.array([feature for of_word in of_words for feature in of_word])
        begins = np.cumsum([0, *map(len, of_words)])
        rows, columns = np.unique(flat, return_inverse=True)
        kept = self._kept(flat.shape, FEATURE_DROPOUT)
        return rows, csr_matrix((kept, columns, begins), shape=(len(of_words), len(rows)))

    def _adam(self, name: str, rows: IntArray | slice, slope: FloatArray, rate: float) -> None:
        first, second = self._moments[name]
        first[rows] = 0.9 * first[rows] + 0.1 * slope
        second[rows] = 0.999 * second[rows] + 0.001 * slope**2
        size = rate * (1 - 0.999**self._step) ** 0.5 / (1 - 0.9**self._step)
        self._weights[name][rows] -= size * first[rows] / (np.sqrt(second[rows]) + 1e-8)


def likelihood_slopes(
    scores: FloatArray, tags: IntArray, first: FloatArray, following: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The slopes of -log p(tags | words), mean over a batch of B sentences of W words.

    p is exp(first + following + scores along the tags) over the sum of that for all sequences; the
    slope of a score is the probability of what it scores, less 1 where it is in `tags`. Forward and
    backward sums are kept as logarithms beside a maximum, and each step is a product of matrices.

    Shapes:
        scores: (B, W, T); tags: (B, W); first: (T,); following: (T, T), -inf where nothing may follow;
        returns: as scores, first and following
    """
    size, length, _ = scores.shape
    ways = np.exp(following)
    forward, backward = np.empty_like(scores), np.zeros_like(scores)
    forward[:, 0] = first + scores[:, 0]
    for place in range(1, length):
        forward[:, place] = _log_product(forward[:, place - 1], ways) + scores[:, place]
    for place in range(length - 2, -1, -1):
        backward[:, place] = _log_product(scores[:, place + 1] + backward[:, place + 1], ways.T)
    total = _log_product(forward[:, -1], np.ones((len(first), 1), np.float32))
    of_scores = np.exp(np.minimum(forward + backward - total[:, None], 0))
    of_following = np.zeros_like(ways)
    for place in range(1, length):
        before, behind = forward[:, place - 1], scores[:, place] + backward[:, place]
        peak = before.max(axis=1, keepdims=True)
        of_following += np.exp(before - peak).T @ np.exp(np.minimum(behind + peak - total, 60))
    of_following *= ways
    np.subtract.at(of_following, (tags[:, :-1], tags[:, 1:]), 1)
    of_first = of_scores[:, 0].sum(axis=0)
    np.subtract.at(of_first, tags[:, 0], 1)
    of_scores[np.arange(size)[:, None], np.arange(length), tags] -= 1
    return of_scores / size, of_first / size, of_following / size


def _log_product(logs: FloatArray, ways: FloatArray) -> FloatArray:
    """log(exp(logs) @ ways), without overflow."""
    peak = logs.max(axis=1, keepdims=True)
    return np.asarray(np.log(np.exp(logs - peak) @ ways + 1e-30) + peak, dtype=np.float32)


def _product(inputs: FloatArray, slopes: FloatArray) -> FloatArray:
    """The slope of the matrix between inputs and outputs, over all words of a batch."""
    return np.asarray(inputs.reshape(-1, inputs.shape[-1]).T @ slopes.reshape(-1, slopes.shape[-1]))


def _unwindowed(slopes: FloatArray, reach: int) -> FloatArray:
    """What `windows` makes of rows, for their slopes: each row gets those of all windows that it is in.

    Shapes:
        slopes: (B, W, (2 reach + 1) N); returns: (B, W, N)
    """
    size, length, wide = slopes.shape
    parts = slopes.reshape(size, length, 2 * reach + 1, wide // (2 * reach + 1))
    padded = np.zeros((size, length + 2 * reach, parts.shape[-1]), dtype=slopes.dtype)
    for shift in range(2 * reach + 1):
        padded[:, shift : shift + length] += parts[:, :, shift]
    return padded[:, reach : reach + length]
