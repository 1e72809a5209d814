"""Feedback: what a person thinks of a reply."""

from dataclasses import dataclass
from typing import Literal

Rating = Literal["up", "down"]


@dataclass(frozen=True, slots=True)
class Feedback:
    """A thumb up or down for a reply."""

    rating: Rating
    at: float  # seconds since the Unix epoch, UTC
    comment: str = ""
