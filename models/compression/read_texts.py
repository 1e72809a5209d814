"""The texts that a compression step is shown. Knows two formats: JSON lines with `text`, and plain lines."""

import json
from pathlib import Path


def read_texts(path: Path) -> list[dict[str, str]]:
    """One row for each text, in the file's order; a plain line becomes {"text": line}.

    Raises:
        ValueError: there is no text, or a JSON line has none.
    """
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    rows = [json.loads(line) if line.startswith("{") else {"text": line} for line in lines]
    if not rows or any("text" not in row for row in rows):
        raise ValueError(f"{path} has no texts, or a line without one")
    return rows
