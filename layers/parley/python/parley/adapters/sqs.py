"""The queues in SQS: turns, FIFO with one message group per conversation; late turns and deliveries, in no order."""

import hashlib
from collections.abc import Sequence

import boto3
import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from parley.adapters.patience import PATIENCE
from parley.conversation import Turn
from parley.errors import Unavailable
from parley.ports import Delivery, LateTurn, Remark


class SqsTurns:
    """`ports.TurnQueue` over the queue `turns.fifo`."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client = boto3.client("sqs", config=PATIENCE)

    def send(self, turn: Turn) -> None:
        """See `ports.TurnQueue.send`."""
        self._send(turn)

    def tell(self, remark: Remark) -> None:
        """See `ports.TurnQueue.tell`."""
        self._send(remark)

    def _send(self, errand: Turn | Remark) -> None:
        body = msgspec.json.encode(errand).decode()
        try:
            self._client.send_message(
                QueueUrl=self._url,
                MessageBody=body,
                MessageGroupId=errand.conversation_id,
                # With `sent_at` in the hash, a turn that failed can be sent again within SQS's five minutes.
                MessageDeduplicationId=hashlib.sha256(body.encode()).hexdigest(),
            )
        except (BotoCoreError, ClientError) as error:
            raise Unavailable("the queue did not take the turn") from error


class SqsLateTurns:
    """`ports.LateQueue` over the queue `waiting`."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client = boto3.client("sqs", config=PATIENCE)

    def send(self, late: LateTurn, *, delay_seconds: int) -> None:
        """See `ports.LateQueue.send`."""
        body = msgspec.json.encode(late).decode()
        try:
            self._client.send_message(QueueUrl=self._url, MessageBody=body, DelaySeconds=delay_seconds)
        except (BotoCoreError, ClientError) as error:
            raise Unavailable("the queue did not take the turn") from error


class SqsDeliveries:
    """`ports.DeliveryQueue` over the queue `deliveries`, which is fair: who has many waiting comes after who has few.

    Source: SQS tells tenants of a standard queue apart by the message group.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._client = boto3.client("sqs", config=PATIENCE)

    def send(self, deliveries: Sequence[Delivery], *, delay_seconds: int = 0) -> None:
        """See `ports.DeliveryQueue.send`. One by one: ten bodies together may be more than a batch takes."""
        try:
            for each in deliveries:
                self._client.send_message(
                    QueueUrl=self._url,
                    MessageBody=msgspec.json.encode(each).decode(),
                    MessageGroupId=each.to,
                    DelaySeconds=delay_seconds,
                )
        except (BotoCoreError, ClientError) as error:
            raise Unavailable("the queue did not take the delivery") from error


def read_delivery(body: str) -> Delivery:
    """What `SqsDeliveries` sent."""
    return msgspec.json.decode(body, type=Delivery)


class SqsChanges:
    """The queue `changes`, through which S3 tells ingest what came and went."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client = boto3.client("sqs", config=PATIENCE)

    def send(self, bot: str) -> None:
        """Asks for another run for a bot.

        Raises:
            Unavailable: the queue did not take it.
        """
        try:
            self._client.send_message(QueueUrl=self._url, MessageBody=msgspec.json.encode({"bot": bot}).decode())
        except (BotoCoreError, ClientError) as error:
            raise Unavailable("the queue did not take it") from error


def read_errand(body: str) -> Turn | LateTurn | Remark:
    """What `SqsTurns` or `SqsLateTurns` sent."""
    fields = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    if "turn" in fields:
        return msgspec.json.decode(body, type=LateTurn)
    if "about" in fields:
        return msgspec.json.decode(body, type=Remark)
    return msgspec.json.decode(body, type=Turn)
