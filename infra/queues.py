"""Queues of turns, each with a second one for the turns that could not be answered."""

from aws_cdk import Duration
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.nag import NO_TLS, accept
from infra.stage import Stage


class TurnQueue(Construct):
    """Turns for the worker, and what is left of those that failed.

    Attributes:
        turns: the queue
        dead_letters: where a turn goes that failed as often as it may
    """

    def __init__(self, scope: Construct, id: str, *, stage: Stage, in_order: bool, tries: int) -> None:
        super().__init__(scope, id)
        self._stage = stage
        self._fifo = True if in_order else None  # CloudFormation knows no FifoQueue: false
        self.dead_letters = self._queue("Dead")
        self.turns = self._queue("Queue", redrive=sqs.DeadLetterQueue(queue=self.dead_letters, max_receive_count=tries))

    def _queue(self, id: str, *, redrive: sqs.DeadLetterQueue | None = None) -> sqs.Queue:
        queue = sqs.Queue(
            self,
            id,
            fifo=self._fifo,
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=self._stage.tls,
            # A try that died leaves its turn hidden this long; twice the worker's own limit covers its slowest end.
            visibility_timeout=Duration.seconds(2 * self._stage.worker.timeout_seconds),
            retention_period=Duration.days(4 if redrive else 14),
            dead_letter_queue=redrive,
        )
        if not self._stage.tls:
            accept(queue, "AwsSolutions-SQS4", NO_TLS)
        return queue
