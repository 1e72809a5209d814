"""An encoder that remembers what it read: a frequent question costs no second reading, nor does a turn run again."""

from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from parley.ports import Encoded, Encoder

MOST = 256  # texts; some 20 KB each


class RememberingEncoder:
    """`ports.Encoder` in front of another one. What it gives is shared, so nobody may write to it."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self.version = encoder.version
        self._read: OrderedDict[str, Encoded] = OrderedDict()

    def encode(self, text: str) -> Encoded:
        """See `ports.Encoder.encode`."""
        encoded = self._read.pop(text, None)
        if encoded is None:
            encoded = self._encoder.encode(text)
            encoded.vector.flags.writeable = encoded.tokens.flags.writeable = False
        self._read[text] = encoded
        if len(self._read) > MOST:
            self._read.popitem(last=False)
        return encoded

    def knows(self, word: str) -> bool:
        """See `ports.Encoder.knows`."""
        return self._encoder.knows(word)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See `ports.Encoder.embed`."""
        return np.stack([self.encode(text).vector for text in texts])

    def read(self, text: str, parts: Sequence[tuple[int, int]]) -> NDArray[np.float32]:
        """See `ports.Encoder.read`."""
        return self._encoder.read(text, parts)
