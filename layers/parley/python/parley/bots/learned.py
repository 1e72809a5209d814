"""What the policy has learned from a bot's rules and stories, as values that travel in the bundle.

A state is what Rasa's policies look at: `user` (intent, entities), `slots` (as features), `prev_action` and
`active_loop`, each left out when there is none. `dialogue.learn` makes these values, `dialogue.rules` and
`dialogue.stories` read them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

State = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class LearnedRule:
    """After these states, this action."""

    states: tuple[State, ...]  # the last one is the present
    action: str
    length: int  # of the states as JSON; of several rules that hold, the longest says the most
    told_by: str  # the rules it comes from, for people
    in_stories: bool = False  # a story takes the same step, so that stories must see it


@dataclass(frozen=True, slots=True)
class LoopExit:
    """What a rule or story says of a loop in which something else was talked about."""

    states: tuple[State, ...]
    kind: Literal["interrupted", "left"]  # the loop goes on and does not take the last words for an answer; or it waits


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a story."""

    action: str
    story: int  # place in `Learned.story_names`


@dataclass(frozen=True, slots=True)
class Learned:
    """The rules and stories of a bot, ready to be looked up."""

    rules: tuple[LearnedRule, ...] = ()
    loop_exits: tuple[LoopExit, ...] = ()
    rule_only_slots: tuple[str, ...] = ()  # stories do not look at them
    rule_only_loops: tuple[str, ...] = ()
    story_names: tuple[str, ...] = ()
    stories: Mapping[str, Step] = field(default_factory=dict)  # by the digest of all states that led there
    beginnings: tuple[str, ...] = ()  # the actions with which stories begin
    near: Mapping[str, Step] = field(default_factory=dict)  # by the digests of the last few states, in less detail
    memory: int = 0  # states that a decision may depend on
    built_in_in_stories: tuple[str, ...] = ()  # loops and built-in intents whose steps stories tell too
