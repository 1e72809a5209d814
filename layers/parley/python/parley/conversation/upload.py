"""The upload: a file that a person has sent."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Upload:
    """What is known of a file, without what is in it."""

    id: str  # unique in its conversation
    name: str  # as the person called it, fit to be shown and to be saved under
    type: str  # its media type, as its own bytes say
    bytes: int

    def as_json(self) -> dict[str, Any]:
        """As clients, slots and custom actions see it."""
        return {"id": self.id, "name": self.name, "type": self.type, "bytes": self.bytes}
