"""Telling: a completion on its way from the generator to whoever listens."""

from collections.abc import Sequence
from dataclasses import dataclass

from parley.conversation import Citation, Message
from parley.errors import GenerationFailed
from parley.generation.citing import Citing, cited
from parley.generation.ending import broken_off
from parley.generation.guard import StreamGuard
from parley.ports import Audience

_ANOTHER = "the generator said something else than before it broke off"


@dataclass(frozen=True, slots=True)
class Told:
    """A completion as it was told to its end."""

    completion: str  # with the marks that it came with
    text: str  # as people see it
    citations: tuple[Citation, ...]
    is_whole: bool  # it ends with something whole


class Telling:
    """A completion that is guarded, cited and told while it is being written; it may be begun anew.

    To an audience that takes nothing back, what it was told stays: a later completion goes on from there or is none.
    """

    def __init__(
        self, audience: Audience, passages: Sequence[Citation], *, allowed: str = "", must_cite: bool = False
    ) -> None:
        self._audience, self._passages, self._allowed, self._must_cite = audience, passages, allowed, must_cite
        self._stays: tuple[str, tuple[Citation, ...]] = "", ()  # what was told for good, and what that cites
        self.begin()

    def begin(self) -> None:
        """What comes next is the completion from its first word on."""
        self._guard = StreamGuard(self._allowed, takes_back=self._audience.takes_back)
        self._citing = Citing(self._passages)
        self._told = ""

    @property
    def wants_no_more(self) -> bool:
        """Whether nothing that may come changes anything."""
        return self._audience.wants_no_more or self._guard.refused

    def push(self, piece: str) -> None:
        """Tells what may be told, now that this piece has come.

        Raises:
            GenerationFailed: it is not what was told for good.
        """
        text = self._citing.push(self._guard.push(piece))
        if not text:
            return
        told = self._told + text
        stays, _ = self._stays
        if not (told.startswith(stays) or stays.startswith(told.rstrip())):
            raise GenerationFailed(_ANOTHER)
        self._audience.write(text, at=len(self._told))
        self._told = told
        is_withheld = self._must_cite and not self._citing.citations
        if not self._audience.takes_back and not is_withheld and len(told.rstrip()) > len(stays):
            self._stays = told.rstrip(), self._citing.citations

    def end(self) -> Told:
        """The whole completion.

        Raises:
            GenerationFailed: there is nothing fit to be said, or it is not what was told for good.
        """
        completion = self._guard.finish()
        if completion is None:
            raise GenerationFailed("the generator said nothing fit to be said")
        text, citations = cited(completion, self._passages)
        if not text.startswith(self._stays[0]):
            raise GenerationFailed(_ANOTHER)
        return Told(completion, text, citations, is_whole=not self._guard.is_unfinished)

    @property
    def broken_off(self) -> Message | None:
        """What stays of it if no more comes; None if nothing does."""
        text, citations = self._stays
        return Message(broken_off(text), citations=citations) if text else None
