"""The model that the real servers serve here: it says what the person's last words ask for.

Standard library only, so that it runs in the environment of any server. Takes a transcript, or the last words alone.
"""

import time
from collections.abc import Iterator

ANSWER = ("Grüß ", "Gott ", "😀")
HALF = "Half a "
BETWEEN_SECONDS = 0.3
FOR_EVER_SECONDS = 8.0


def pieces(prompt: str) -> Iterator[str]:
    """The completion of a prompt, as it is made."""
    last = prompt.rpartition("User: ")[2].removesuffix("\nAssistant:").strip()
    match last:
        case "answer":
            for piece in ANSWER:
                yield piece
                time.sleep(BETWEEN_SECONDS)
        case "go on":
            begun = time.monotonic()
            while time.monotonic() - begun < FOR_EVER_SECONDS:
                yield "word "
                time.sleep(BETWEEN_SECONDS)
        case "be silent":
            time.sleep(FOR_EVER_SECONDS)
        case "break":
            yield HALF
            time.sleep(BETWEEN_SECONDS)
            raise RuntimeError("the model broke in the middle of what it said of my diagnosis")
        case _:
            raise RuntimeError(f"the model cannot answer: {last}")
