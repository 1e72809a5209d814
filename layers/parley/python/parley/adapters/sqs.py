"""The queue of turns in SQS: FIFO, one message group per conversation."""

import hashlib

import boto3
import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from parley.adapters.patience import PATIENCE
from parley.conversation import Turn
from parley.errors import Unavailable


class SqsTurns:
    """`ports.TurnQueue` over the queue `turns.fifo`."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client = boto3.client("sqs", config=PATIENCE)

    def send(self, turn: Turn) -> None:
        """See `ports.TurnQueue.send`."""
        body = msgspec.json.encode(turn).decode()
        try:
            self._client.send_message(
                QueueUrl=self._url,
                MessageBody=body,
                MessageGroupId=turn.conversation_id,
                # With `sent_at` in the hash, a turn that failed can be sent again within SQS's five minutes.
                MessageDeduplicationId=hashlib.sha256(body.encode()).hexdigest(),
            )
        except (BotoCoreError, ClientError) as error:
            raise Unavailable("the queue did not take the turn") from error


def read_turn(body: str) -> Turn:
    """The turn in a message that `SqsTurns` sent."""
    return msgspec.json.decode(body, type=Turn)
