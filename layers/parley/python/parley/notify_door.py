"""The door of the table's stream: what was kept becomes notices, each on its way to every subscriber who wants it.

What fails is given again by the stream, whole, so that a notice may be sent twice and always has the same id.
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from parley.access import Access
from parley.adapters.conversation_stream import kept_in
from parley.channels.webhooks import Notice, delivery_to, notices_of, wants
from parley.ports import Clock, Delivery, DeliveryQueue, Subscription, Subscriptions

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class NotifyDoor:
    """What `notify` does with a batch of records."""

    subscriptions: Subscriptions
    queue: DeliveryQueue
    access: Mapping[str, Access]  # by bot
    clock: Clock

    def __call__(self, event: Mapping[str, Any], _context: Any) -> None:
        """Sends what is to be told; raises where the stream shall give the batch again."""
        kept = filter(None, map(kept_in, event["Records"]))
        notices = [notice for each in kept for notice in notices_of(each)]
        deliveries = list(self._deliveries(notices))
        self.queue.send(deliveries)
        logger.info("notices sent", extra={"notices": len(notices), "deliveries": len(deliveries)})

    def _deliveries(self, notices: Iterable[Notice]) -> Iterable[Delivery]:
        now = self.clock()
        known: dict[str, tuple[Subscription, ...]] = {}
        for notice in notices:
            tenant = self.access.get(notice.bot, Access()).tenant
            if tenant not in known:
                known[tenant] = tuple(self.subscriptions.list(tenant))
            yield from (delivery_to(each, notice, now=now) for each in known[tenant] if wants(each, notice))
