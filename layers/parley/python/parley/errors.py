"""What can go wrong, one class per thing somebody can do about it.

    ParleyError
    ├── Rejected    the caller's fault: 4xx, never retried
    │   ├── MalformedRequest     the request is not of the documented form
    │   ├── TooLarge             more bytes than we read
    │   ├── NotTaken             a file of a type that the bot does not take
    │   ├── Unreadable           a document that gives no text
    │   ├── NotKnown             an API key or a token that opens nothing (any more), or none where one is needed
    │   ├── NotYours             the conversation is somebody else's; who calls may not do this
    │   ├── OverQuota            all that may be asked in a while has been asked
    │   └── NotFound             no such conversation, turn or route
    │       └── NoBot                no such bot
    ├── Busy        try again, the queue will
    │   ├── GenerationBusy       the endpoint takes no request at this moment; it will in seconds
    │   │   ├── GenerationAsleep     it has no instance up, and needs minutes for one
    │   │   └── GenerationSlow       its answer took longer than the turn may wait
    │   ├── SessionConflict      another turn of this conversation was saved first
    │   └── Unavailable          a service that we stand on did not answer
    │       └── Throttled            it was asked too often, and says when to come again
    └── Broken      alarm, retrying will not help
        ├── GenerationFailed     the endpoint answered, but not with a reply
        ├── ActionFailed         a custom action gave no usable answer
        ├── ModelUnavailable     a model file is missing or does not fit
        ├── BadBot               the bot's files do not make a bot
        ├── Undeliverable        a channel refuses what is to be said there
        ├── BadLibrary           what was made of a bot's documents cannot be read
        └── BadSettings          the function's environment is not complete

Knows no HTTP: `channels.http` maps these to statuses, `queue_door` to retry or
dead letter, each in one place.
"""


class ParleyError(Exception):
    """Any failure that Parley names. The message is written for the person who can act on it."""


class Rejected(ParleyError):
    """The caller's fault. Sending the same again will fail again."""


class MalformedRequest(Rejected):
    """The request is not of the documented form."""


class TooLarge(Rejected):
    """The request has more bytes than we read."""


class NotTaken(Rejected):
    """The bot takes no files, or none of this type."""


class Unreadable(Rejected):
    """A document gives no text. The message names it, what is wrong and what to do about it."""

    def __init__(self, document: str, problem: str, *, line: int | None = None) -> None:
        super().__init__(f"{document}:{line}: {problem}" if line else f"{document}: {problem}")
        self.problem = problem
        self.line = line


class NotKnown(Rejected):
    """The API key or the token is missing, wrong, expired or revoked."""


class NotYours(Rejected):
    """The conversation is somebody else's, or who calls may not do this."""


class OverQuota(Rejected):
    """All that may be asked in a while has been asked."""

    def __init__(self, message: str, *, retry_after_seconds: int) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class NotFound(Rejected):
    """No such bot, conversation, turn or route."""


class NoBot(NotFound):
    """No such bot is deployed."""


class Busy(ParleyError):
    """Nobody's fault. The same will likely succeed a little later."""


class GenerationBusy(Busy):
    """The generator takes no request at the moment: it is throttled, or all its places are taken."""


class GenerationAsleep(GenerationBusy):
    """The generator has no instance up. The call that met this wakes it, which takes minutes."""


class GenerationSlow(GenerationBusy):
    """The generator's answer took longer than the turn may wait."""


class SessionConflict(Busy):
    """Another turn of the same conversation was saved first."""


class Unavailable(Busy):
    """A service that we stand on (database, queue, secrets) did not answer."""


class Throttled(Unavailable):
    """A service was asked too often, and says when to come again."""

    def __init__(self, message: str, *, retry_after_seconds: float) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class Broken(ParleyError):
    """Ours to mend. Retrying will not help."""


class GenerationFailed(Broken):
    """The generator answered, but not with a reply."""


class ActionFailed(Broken):
    """A custom action gave no usable answer: it cannot be reached, is too slow, or answers something else."""


class ModelUnavailable(Broken):
    """A model file is missing or does not fit its description."""


class BadBot(Broken):
    """The bot's files do not make a bot. The message lists every fault with file and line."""


class Undeliverable(Broken):
    """A channel refuses what is to be said there: it is gone, we are not in it, or it cannot show this.

    `reason` is the channel's own word for it.
    """

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class BadLibrary(Broken):
    """What was made of a bot's documents cannot be read."""


class BadSettings(Broken):
    """The function's environment is not complete or not of the right form."""
