"""Bots that know what was put into their documents a moment ago.

A bot's own documents come in its bundle; those that were put in since come as a library, which replaces those of the
same name. The catalogue is looked at again once it is old; what cannot be had leaves the bot with what it knew.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from parley.errors import BadLibrary, NotFound, Unavailable
from parley.knowledge.beyond import Beyond, shelf_of
from parley.knowledge.library import unpack
from parley.loaded import LoadedBot
from parley.ports import Catalogue, Clock, Libraries, PassageStore

LOOK_AGAIN_SECONDS = 15.0  # a document is found within half a minute, and a look costs one small read

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Known:
    bundled: LoadedBot  # as its bundle has it
    current: LoadedBot
    looked_at: float


@dataclass(frozen=True, slots=True)
class CurrentBots:
    """Gives bots by name, each with its newest library."""

    bundled: Callable[[str], LoadedBot]  # by name; raises NotFound
    libraries: Libraries
    clock: Clock
    passages: PassageStore | None = None  # where libraries are searched that are too large for memory
    _known: dict[str, _Known] = field(default_factory=dict)

    def __call__(self, name: str) -> LoadedBot:
        """The bot called `name`.

        Raises:
            NotFound: no such bot is deployed.
            BadBot: its bundle cannot be read.
            Unavailable: the bundle could not be had.
        """
        bundled, now = self.bundled(name), self.clock()
        known = self._known.get(name)
        if known is None or known.bundled is not bundled:
            known = self._known[name] = _Known(bundled, bundled, looked_at=float("-inf"))
        if now - known.looked_at >= LOOK_AGAIN_SECONDS:
            known.looked_at = now
            known.current = self._newest(name, known)
        return known.current

    def _newest(self, name: str, known: _Known) -> LoadedBot:
        try:
            catalogue = self.libraries.catalogue(name)
            if catalogue.file == known.current.library:
                return known.current
            if catalogue.encoder != known.bundled.encoder:
                logger.warning("a library of another encoder is not used", extra={"bot": name})
                return known.current
            newest = self._with(name, known.bundled, catalogue)
        except (Unavailable, BadLibrary, NotFound) as error:
            logger.warning("the newest library could not be had", extra={"bot": name, "reason": str(error)})
            return known.current
        logger.info("a newer library is used", extra={"bot": name, "library": catalogue.file})
        return newest

    def _with(self, name: str, bundled: LoadedBot, catalogue: Catalogue) -> LoadedBot:
        if catalogue.is_beyond_memory and self.passages is not None:
            beyond = Beyond(self.passages, shelf_of(name, catalogue.encoder), catalogue.documents)
            own = bundled.knowledge.without(beyond.counts())  # as far as a document put in does not replace it
            return replace(bundled, knowledge=own, library=catalogue.file, beyond=beyond)
        library = unpack(catalogue, self.libraries.read(name, catalogue.file))
        return replace(bundled, knowledge=bundled.knowledge.joined(library.snapshot), library=catalogue.file)
