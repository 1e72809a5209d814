"""Standard Webhooks: how what we post is signed, and how we know what others signed.

Pure. A secret is `whsec_` and 32 random bytes as base64. While a secret is being exchanged for another, there is a
signature by each.

Source: https://www.standardwebhooks.com, whose own library signs and verifies.
"""

import base64
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

PREFIX = "whsec_"
_BYTES = 32


def new_secret() -> str:
    """A secret to sign with."""
    return PREFIX + base64.b64encode(secrets.token_bytes(_BYTES)).decode()


def signed(message_id: str, body: str, shared: Sequence[str], *, now: float) -> dict[str, str]:
    """The headers of a message that is sent now, with a signature by each of these secrets.

    Raises:
        ValueError: a secret is none.
    """
    at = datetime.fromtimestamp(int(now), UTC)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(now)),
        "webhook-signature": " ".join(Webhook(secret).sign(message_id, at, body) for secret in shared),
    }


def is_signed(body: str, headers: Mapping[str, str], secret: str) -> bool:
    """Whether a message was signed with this secret, in the last five minutes.

    Raises:
        ValueError: the secret is none.
    """
    known = Webhook(secret)
    try:
        known.verify(body, dict(headers), json_parse=False)
    except (WebhookVerificationError, ValueError):  # the latter for what is no signature at all
        return False
    return True
