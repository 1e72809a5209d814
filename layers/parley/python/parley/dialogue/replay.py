"""Replaying a story: what the policy would have done at each of its steps.

Pure. Whatever the policy says, the story goes on as it is told, so that one wrong step does not spoil those after it;
what custom actions would have set is taken from the story too.

Source: `rasa test core` of Rasa 3.6, so that the share of right actions means the same here.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from parley.conversation import Dialogue, Event
from parley.dialogue.policy import Policy, Prediction
from parley.dialogue.traces import Trace

SetBy = Callable[[str, Dialogue, Sequence[Event]], Sequence[Event] | None]

MOST_ACTIONS = 10  # between two utterances; more are a circle


@dataclass(frozen=True, slots=True)
class Replayed:
    """One event of a story, and of an action what the policy would have done instead."""

    event: Event
    predicted: str | None = None  # of an action
    policy: str = ""
    because: str = ""

    @property
    def is_right(self) -> bool:
        """Whether the policy does what the story tells."""
        return self.predicted is None or self.predicted == self.event.name


def replay(policy: Policy, story: Trace, set_by: SetBy | None = None) -> Iterator[Replayed]:
    """The events of a story, each action with the policy's own choice.

    `set_by` may run custom actions; what they set then counts, and not what the story says they set.
    """
    dialogue = policy.tracker.begin()
    since_heard, really_set = 0, False
    for place, event in enumerate(story.events):
        if event.kind == "slot" and really_set:
            continue
        if event.kind != "action" or place == 0:
            yield Replayed(event)
            dialogue = policy.tracker.after(dialogue, event._replace(policy=None))
            since_heard = 0 if event.kind == "user" else since_heard
            really_set = False
            continue
        dialogue, prediction = choose(policy, dialogue, event.name or "")
        since_heard += 1
        name = _in_full(policy, dialogue, prediction.action, event.name or "")
        if since_heard > MOST_ACTIONS:
            name = "nothing more: too many actions in a row"
        yield Replayed(event, name, prediction.policy, prediction.because)
        hidden = prediction.hidden and name == event.name
        given = set_by(event.name or "", dialogue, dialogue.trail) if set_by else None
        done = prediction.action if name == event.name else event.name  # `utter_faq`, where `utter_faq/hours` is meant
        dialogue = policy.tracker.after(dialogue, Event("action", done, hidden=hidden))
        dialogue = policy.tracker.after_all(dialogue, given or ())
        really_set = given is not None


def choose(policy: Policy, dialogue: Dialogue, wanted: str) -> tuple[Dialogue, Prediction]:
    """The policy's choice. Where the story has something else than the form, the form could not use what was said."""
    prediction = policy.next(dialogue)
    loop = dialogue.now.loop
    if prediction.action == wanted or loop is None or prediction.action != loop.name:
        return dialogue, prediction
    dialogue = policy.tracker.after(dialogue, Event("action_execution_rejected", loop.name))
    return dialogue, policy.next(dialogue, rejected=loop.name)


def _in_full(policy: Policy, dialogue: Dialogue, action: str, wanted: str) -> str:
    """`utter_faq` as `utter_faq/hours`, where the story says it so and that is what was meant."""
    heard = dialogue.now.heard
    if action == wanted or heard is None or action.removeprefix("utter_") not in policy.bot.retrieval_intents:
        return action
    return f"utter_{heard.value}"
