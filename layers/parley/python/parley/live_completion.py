"""A chat completion that is read while it is being made: what of it leaves, and when.

Whatever the guard lets go leaves at once. OpenAI's protocol cannot take it back, so the turn does not either: the reply
that is kept begins with it. Only where the whole turn is begun anew, because another one of the conversation was saved
first, may it be another. Then the stream ends with an error and not with `[DONE]`: nobody takes for the reply what was
not kept. A client that leaves stops nothing.
"""

import logging
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from parley.channels import openai, problems
from parley.conversation import Citation, Message, RecordedTurn, Session, Turn
from parley.errors import Busy, Rejected
from parley.ports import ResponseStream

logger = logging.getLogger(__name__)


class LiveCompletion:
    """`ports.Audience` of one turn: `with LiveCompletion(...) as live:`, at the end `live.done(...)`.

    An error goes on to the caller as long as nothing has left; after that it is the end of the stream.
    """

    wants_no_more = False
    takes_back = False

    def __init__(self, request: openai.CompletionRequest, turn: Turn, response: ResponseStream) -> None:
        self._turn_id = turn.id
        self._response = response
        self._events = openai.Events(turn.id, turn.sent_at, request.model, request.wants_usage)
        self._before: Sequence[Message] = ()
        self._must_cite = False
        self._begun = ""  # of the message that is being written
        self._left = ""  # of the reply's text

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if not isinstance(error, Exception) or not self._response.has_begun:
            return False
        if not isinstance(error, Rejected):
            logger.error("a stream broke off", extra={"turn_id": self._turn_id}, exc_info=error)
        self._send(openai.render_failure(problems.told(error)))
        return True

    def begin(self, before: Sequence[Message], *, must_cite: bool) -> None:
        """See `ports.Audience.begin`."""
        self._before, self._must_cite, self._begun = before, must_cite, ""
        self._let_go()

    def write(self, text: str, *, at: int) -> None:
        """See `ports.Audience.write`."""
        self._begun = self._begun[:at] + text
        self._let_go()

    def cite(self, citation: Citation) -> None:
        """See `ports.Audience.cite`. Sources stand at the end of the text."""

    def done(self, recorded: RecordedTurn, after: Session, usage: openai.Usage) -> None:
        """The reply is kept: what of it has not left leaves now.

        Raises:
            Busy: what has left was taken back.
        """
        text = openai.text_of(recorded.reply.messages)
        if not text.startswith(self._left):
            raise Busy(
                "the bot has taken back what it said so far; the same Idempotency-Key gets the reply that it gave"
            )
        rest = self._events.lines(text[len(self._left) :])
        self._send(f"{rest}{self._events.end(recorded, after, usage)}")

    def _let_go(self) -> None:
        """Sends what is sure by now."""
        sure = openai.beginning_of(self._before, self._begun, must_cite=self._must_cite).rstrip()
        if len(sure) > len(self._left) and sure.startswith(self._left):
            piece, self._left = sure[len(self._left) :], sure
            self._send(self._events.text(piece))

    def _send(self, events: str) -> None:
        if not self._response.has_begun:
            self._response.begin(200, {"Content-Type": openai.EVENT_STREAM, **openai.OF_STREAMS})
            events = f"{self._events.begin()}{events}"
        self._response.write(events.encode())
