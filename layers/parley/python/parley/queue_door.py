"""The queue door: turns that were acknowledged at once and are answered in their own time.

Runs the very turn function of the HTTP door. What failed for good is noted as failed,
so that whoever asks is told; what may succeed later goes back to the queue, which
gives up after its last delivery and keeps the message as a dead letter.
"""

import logging
from dataclasses import dataclass

from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from parley.adapters.sqs import read_turn
from parley.errors import ParleyError, Rejected
from parley.services import Services
from parley.turn import answer

MAX_DELIVERIES = 3  # infra/state_stack.py: maxReceiveCount of the queue

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class QueueDoor:
    """What the worker does with one message of the queue."""

    services: Services

    def __call__(self, record: SQSRecord) -> None:
        """Answers the turn in `record`; raises where the queue shall deliver it again."""
        turn = read_turn(record.body)
        about = {"turn_id": turn.id, "conversation_id": turn.conversation_id, "bot": turn.bot}
        conversations = self.services.conversations
        conversations.mark_running(turn)
        try:
            answered = answer(turn, self.services)
        except Rejected as error:
            conversations.mark_failed(turn, str(error))
            logger.warning("turn refused", extra={**about, "reason": str(error)})
        except Exception as error:
            if int(record.attributes.approximate_receive_count) >= MAX_DELIVERIES:
                reason = str(error) if isinstance(error, ParleyError) else "something broke on our side"
                conversations.mark_failed(turn, reason)
            logger.exception("turn failed", extra=about)
            raise
        else:
            decided = {"source": answered.turn.reply.source, "because": answered.because}
            logger.info("turn answered", extra={**about, **decided, "timings_ms": answered.timings_ms})
