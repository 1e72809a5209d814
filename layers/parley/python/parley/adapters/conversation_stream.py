"""What the stream of the table `conversations` shows: turns as they were kept, one record each.

Knows the items as `dynamodb` writes them, and DynamoDB's own JSON. Needs neither boto3 nor PynamoDB.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec

from parley.channels.webhooks import Kept
from parley.conversation import Feedback, RecordedTurn

_CONVERSATION, _TURN = "conversation#", "turn#"


def kept_in(record: Mapping[str, Any]) -> Kept | None:
    """The turn in a record of the stream; None where it is no turn, or one of before the stream was followed."""
    image = {name: next(iter(typed.values())) for name, typed in record["dynamodb"].get("NewImage", {}).items()}
    if record["eventName"] == "REMOVE" or not image.get("sk", "").startswith(_TURN) or "bot" not in image:
        return None
    turn = msgspec.json.decode(image["body"], type=RecordedTurn)
    if "feedback" in image:
        turn = replace(turn, feedback=msgspec.json.decode(image["feedback"], type=Feedback))
    return Kept(
        turn,
        image["pk"].removeprefix(_CONVERSATION),
        image["bot"],
        image.get("said_by"),
        float(image["handed_off_at"]) if "handed_off_at" in image else None,
        is_new=record["eventName"] == "INSERT",
    )
