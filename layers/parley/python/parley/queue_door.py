"""The queue door: turns that were acknowledged at once and are answered in their own time.

Runs the very turn function of the HTTP door, and tells whoever listens how it goes on.
What failed for good is noted as failed, so that whoever asks is told; what may succeed
later goes back to the queue, which gives up after its last delivery and keeps the
message as a dead letter. Where a channel takes posts, a turn has not succeeded before they are taken.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from parley import callback_delivery
from parley.adapters.sqs import read_errand
from parley.channels import problems, rendering, socket
from parley.conversation import Citation, Message, RecordedTurn, Turn
from parley.errors import GenerationBusy, GenerationFailed, NotFound, ParleyError, Rejected, Undeliverable
from parley.late import answer_late
from parley.lines import Lines
from parley.live import Live, tell
from parley.ports import Audience, LateTurn, Remark
from parley.services import Services
from parley.slack_delivery import deliver, deliver_failure, deliver_remark
from parley.slack_draft import SlackDraft
from parley.turn import Answered, answer
from parley.waiting import agree_to_wait

MAX_DELIVERIES = 3  # infra/queues.py: maxReceiveCount of the queue
BETWEEN_SECONDS = 60  # two tries of a late answer
MAX_TRIES = 20  # waking takes five to ten minutes; after twenty nobody waits any more

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class QueueDoor:
    """What the worker does with one message of a queue."""

    services: Services
    lines: Lines

    def __call__(self, record: SQSRecord) -> None:
        """Answers the turn in `record`; raises where the queue shall deliver it again."""
        match read_errand(record.body):
            case LateTurn() as late:
                self._answer_late(late)
            case Remark() as remark:
                deliver_remark(remark, self.services.bots(remark.bot).bot, self.lines)
            case Turn() as turn:
                self._answer(turn, delivery=int(record.attributes.approximate_receive_count))

    def _answer(self, turn: Turn, *, delivery: int) -> None:
        about = {"turn_id": turn.id, "conversation_id": turn.conversation_id, "bot": turn.bot}
        conversations = self.services.conversations
        conversations.mark_running(turn)
        with Live(turn, self.lines.connections, self.lines.sockets, delivery=delivery) as live:
            try:
                answered = self._answered(turn, live, delivery=delivery)
            except Rejected as error:
                conversations.mark_failed(turn, str(error))
                live.failed(problems.told(error))
                self._deliver_failure(turn, str(error))
                logger.warning("turn refused", extra={**about, "reason": str(error)})
                return
            except Exception as error:
                if delivery >= MAX_DELIVERIES:
                    reason = str(error) if isinstance(error, ParleyError) else problems.BROKEN
                    conversations.mark_failed(turn, reason)
                    live.failed(problems.told(error))
                    self._deliver_failure(turn, reason)
                logger.exception("turn failed", extra=about)
                raise
            else:
                live.done(answered.turn, **_more(turn, answered))
                decided = {"source": answered.turn.reply.source, "because": answered.because}
                logger.info("turn answered", extra={**about, **decided, "timings_ms": answered.timings_ms})
        self._deliver(answered.turn, turn)
        if turn.waits and answered.turn.reply.may_wait:
            now = self.services.clock()
            agree_to_wait(answered.after, turn.id, conversations, self.lines.late, now=now, reply_to=turn.reply_to)

    def _answered(self, turn: Turn, live: Live, *, delivery: int) -> Answered:
        """The turn's reply, which people follow over sockets and in Slack until it is kept."""
        with SlackDraft(turn, self.lines, self.services.conversations, delivery=delivery) as draft:
            return answer(turn, self.services, audience=_Both(live, draft))

    def _deliver(self, recorded: RecordedTurn, turn: Turn) -> None:
        """Posts the reply where its channel takes posts; raises where the queue shall try it again."""
        about = {"turn_id": turn.id, "conversation_id": turn.conversation_id}
        callback_delivery.deliver(recorded, turn, self.services, self.lines.callbacks)
        try:
            deliver(recorded, turn, self.lines, self.services.conversations)
        except NotFound as error:
            logger.warning("reply to nobody", extra={**about, "reason": str(error)})
        except Undeliverable as error:  # somebody has to see to it: it stays as a dead letter, with an alarm
            logger.error("reply refused", extra={**about, "reason": error.reason})
            raise

    def _deliver_failure(self, turn: Turn, detail: str) -> None:
        """Tells who waits elsewhere that there will be no reply."""
        deliver_failure(turn, detail, self.lines, self.services.conversations)
        callback_delivery.deliver_failure(turn, detail, self.services, self.lines.callbacks)

    def _answer_late(self, late: LateTurn) -> None:
        turn = late.turn
        about = {"turn_id": turn.id, "conversation_id": turn.conversation_id, "bot": turn.bot, "tries": late.tries + 1}
        conversations, connections, sockets = self.services.conversations, self.lines.connections, self.lines.sockets
        conversations.mark_running(turn)
        try:
            recorded = answer_late(late, self.services)
        except (Rejected, GenerationBusy, GenerationFailed) as error:
            if isinstance(error, GenerationBusy) and late.tries + 1 < MAX_TRIES:
                self.lines.late.send(replace(late, tries=late.tries + 1), delay_seconds=BETWEEN_SECONDS)
                logger.info("late answer not yet", extra={**about, "reason": str(error)})
                return
            conversations.mark_failed(turn, str(error))
            tell(turn.conversation_id, socket.failed(turn.id, 1, problems.told(error)), connections, sockets)
            self._deliver_failure(turn, str(error))
            logger.warning("late answer given up", extra={**about, "reason": str(error)})
        else:
            tell(turn.conversation_id, socket.turn(recorded), connections, sockets)
            logger.info("late answer given", extra={**about, "source": recorded.reply.source})
            self._deliver(recorded, turn)


@dataclass(frozen=True, slots=True)
class _Both:
    """`ports.Audience` of two."""

    one: Audience
    other: Audience

    @property
    def wants_no_more(self) -> bool:
        return self.one.wants_no_more or self.other.wants_no_more

    @property
    def takes_back(self) -> bool:
        return self.one.takes_back and self.other.takes_back

    def begin(self, before: Sequence[Message], *, must_cite: bool) -> None:
        self.one.begin(before, must_cite=must_cite)
        self.other.begin(before, must_cite=must_cite)

    def write(self, text: str, *, at: int) -> None:
        self.one.write(text, at=at)
        self.other.write(text, at=at)

    def cite(self, citation: Citation) -> None:
        self.one.cite(citation)
        self.other.cite(citation)


def _more(turn: Turn, answered: Answered) -> dict[str, Any]:
    """What a reply says beside itself."""
    more: dict[str, Any] = {"timings_ms": answered.timings_ms}
    if answered.is_handed_off:
        more["handed_off"] = True
    if turn.explain:
        more["explanation"] = rendering.render_explanation(
            answered.turn, before=answered.before, after=answered.after, timings_ms=answered.timings_ms
        )
    return more
