"""The main path: open -> understand -> decide -> act -> save -> reply.

Both doors call `answer`, and nothing here knows through which one a turn came. The
decision is pure; everything with a network in it hangs on a port.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from parley.act import Actor
from parley.conversation import RecordedTurn, Turn
from parley.dialogue.policy import decide
from parley.errors import NotFound, SessionConflict
from parley.ports import Opened
from parley.services import Services

MAX_RACES = 5  # a turn that loses this often meets a conversation that nobody types by hand
GENERATION_BUDGET_SECONDS = 5.5  # of a turn, however often it runs; with the adapter's time-outs it stays below 10 s


@dataclass(frozen=True, slots=True)
class Answered:
    """A turn with its reply, as it is kept."""

    turn: RecordedTurn
    because: str  # what decided, for people
    timings_ms: Mapping[str, float]


class _Stopwatch:
    """How long each step took."""

    def __init__(self) -> None:
        self._begun = self._last = time.perf_counter()
        self._steps: dict[str, float] = {}

    def lap(self, step: str) -> None:
        now = time.perf_counter()
        self._steps[step] = self._steps.get(step, 0.0) + (now - self._last) * 1000
        self._last = now

    def timings_ms(self) -> dict[str, float]:
        total = (time.perf_counter() - self._begun) * 1000
        return {step: round(spent, 2) for step, spent in {**self._steps, "total": total}.items()}


def answer(turn: Turn, services: Services, *, opened: Opened | None = None) -> Answered:
    """The reply to a turn; the very same one if the turn was answered before.

    `opened` is the conversation as the door found it, if the door had to look.

    Raises:
        NotFound: there is no such bot or conversation.
        SessionConflict: other turns of the conversation kept being faster.
    """
    watch = _Stopwatch()
    deadline = time.monotonic() + GENERATION_BUDGET_SECONDS
    loaded = services.bots(turn.bot)
    found = opened or services.conversations.open(turn.conversation_id, turn.id)
    watch.lap("open")
    if found.recorded is not None:
        return Answered(found.recorded, "answered before", watch.timings_ms())
    heard = loaded.hear(turn.text, services.encoder)
    understanding = loaded.nlu.understand(turn.text, heard, now=turn.sent_at)
    watch.lap("understand")
    for _ in range(MAX_RACES):
        session = found.session
        if session is None or session.is_being_erased:
            raise NotFound(f"there is no conversation {turn.conversation_id!r}, or it was erased")
        decision = decide(loaded.bot, session, understanding, turn.text)
        watch.lap("decide")
        reply = Actor(turn, session, decision, heard, loaded, services, deadline).reply()
        watch.lap("act")
        after = replace(session, version=session.version + 1, slots=decision.slots, form=decision.form)
        recorded = RecordedTurn(turn.id, after.version, turn.text, turn.channel, turn.sent_at, reply, understanding)
        try:
            services.conversations.record(after, recorded, begins=found.is_new)
        except SessionConflict:  # somebody else's turn was saved first: run again on the newer state
            found = services.conversations.open(turn.conversation_id, turn.id)
            if found.recorded is not None:
                return Answered(found.recorded, "answered before", watch.timings_ms())
            continue
        watch.lap("save")
        return Answered(recorded, decision.because, watch.timings_ms())
    raise SessionConflict("other messages of this conversation were being answered at the same time; send it again")
