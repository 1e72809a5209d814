"""What a policy may decide, as values."""

from collections.abc import Mapping
from dataclasses import dataclass

from parley.conversation import ActiveForm


@dataclass(frozen=True, slots=True)
class Say:
    """Say a response of the bot, in its author's words."""

    response: str
    as_fallback: bool = False  # said for want of something better


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer from the bot's documents, if they hold it."""


@dataclass(frozen=True, slots=True)
class Generate:
    """Let the generator speak, if it can be reached."""


Step = Say | Answer | Generate


@dataclass(frozen=True, slots=True)
class FirstOf:
    """Several ways to go on: the first whose first step has something to say is the one.

    The last way begins with a `Say`, so that there always is one.
    """

    ways: tuple[tuple[Step, ...], ...]


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do now, and the dialogue state in which it leaves the conversation."""

    actions: tuple[Say | FirstOf, ...]
    slots: Mapping[str, str]
    form: ActiveForm | None
    because: str  # the rule, form step or fallback that decided, for people

    @property
    def is_open_ended(self) -> bool:
        """Whether the reply is looked up or made up, and none of it is the dialogue's own business."""
        return bool(self.actions) and all(isinstance(action, FirstOf) for action in self.actions)

    @property
    def may_generate(self) -> bool:
        """Whether the generator may be asked."""
        ways = (way for action in self.actions if isinstance(action, FirstOf) for way in action.ways)
        return any(isinstance(step, Generate) for way in ways for step in way)
