"""JSON lines as rows with their numbers. Knows nothing of what stands in them."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from steps import Stop


def rows_of(lines: Iterable[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    """The number of each line that is not empty, from 1, and its object.

    Raises: Stop: a line is no JSON object.
    """
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise Stop(f"line {number} is not JSON: {error}") from error
        if not isinstance(row, dict):
            raise Stop(f"line {number} is no JSON object")
        yield number, row
