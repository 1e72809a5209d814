"""What actions work with while they are done: the dialogue as it stands, a way to say things, a way to ask outside.

An action gives what happened, in order: events and things said. It is a generator: what it cannot know by itself it
yields as a `Need`, and is sent what came of it. So the whole dialogue stays pure, and whoever drives it does the
calling.
"""

from collections.abc import Generator, Iterable
from dataclasses import dataclass, field
from typing import Any

from parley.bots.bot import Bot
from parley.conversation import Dialogue, Event, Message, Source, Turn, Understanding, Upload
from parley.dialogue import protocol
from parley.dialogue.actions import Call, FirstOf, Need, Said, Step
from parley.dialogue.policy import Policy
from parley.dialogue.responses import word
from parley.errors import ActionFailed
from parley.ports import ActionAnswer

Happening = Event | Said
Happenings = Generator[Need, Any, list[Happening]]


class Rejected(Exception):
    """The action does not want to be done now; something else shall be."""


@dataclass(slots=True)
class Doing:
    """The state of one turn while its actions are done."""

    policy: Policy
    turn: Turn
    understanding: Understanding
    dialogue: Dialogue
    sent: tuple[Upload, ...] = ()  # the files that came with the turn
    happened: list[Event] = field(default_factory=list)  # in this turn, also what was taken back
    said: list[Said] = field(default_factory=list)
    called: int = 0  # custom actions that did their work
    handed_off: bool = False
    told: list[Event] = field(default_factory=list)  # what was in the trail when the turn began

    @property
    def bot(self) -> Bot:
        """The bot that talks."""
        return self.policy.bot

    def apply(self, happenings: Iterable[Happening]) -> None:
        """Lets things have happened."""
        for each in happenings:
            if isinstance(each, Said):
                self.said.append(each)
                self.happened.append(Event("bot", each.response, text=each.message.text))
            else:
                self.happened.append(each)
                self.dialogue = self.policy.tracker.after(self.dialogue, each)

    def after(self, happenings: Iterable[Happening]) -> Dialogue:
        """The dialogue as it will be after these."""
        events = (each for each in happenings if isinstance(each, Event))
        return self.policy.tracker.after_all(self.dialogue, events)

    def say(self, response: str, dialogue: Dialogue | None = None, /, **extra: Any) -> list[Happening]:
        """The bot's response of this name, as things stand; nothing if there is none for this case."""
        slots = (dialogue or self.dialogue).now.slots
        seed, channel = f"{self.turn.id} {len(self.said)}", self.turn.channel
        message = word(self.bot, response, slots, seed=seed, channel=channel, extra=extra)
        return [Said(message, "scripted", response)] if message else []

    def say_text(self, message: Message, source: Source = "scripted") -> list[Happening]:
        """Something in words of its own."""
        return [Said(message, source)]

    def call(self, action: str, dialogue: Dialogue | None = None, *, more: Iterable[Event] = ()) -> Happenings:
        """What a custom action does; `more` are events that it shall know of although they have not happened yet.

        Raises:
            Rejected: the action rejected its execution.
            ActionFailed: it gave no usable answer.
        """
        seen = dialogue or self.dialogue
        answer: ActionAnswer = yield Call(action, seen, (*self.told, *self.happened, *more))
        if answer.rejected:
            raise Rejected
        events = protocol.events_of(answer.events)
        if action in self.bot.custom.calls:  # what a declared call says, it says of what it has found
            seen = self.policy.tracker.after_all(seen, [event for event in events if event.kind == "slot"])
        spoken: list[Happening] = []
        for response in answer.responses:
            spoken += self._spoken(response, seen)
        for event in events:
            said = {**_of_mapping(event.value), "text": event.text}
            spoken += self._spoken(said, seen) if event.kind == "bot" else [event]
        self.called += 1
        return spoken

    def first_of(self, *ways: tuple[Step, ...]) -> Happenings:
        """What the first of several ways says that has something to say."""
        said: list[Said] = yield FirstOf(ways, self.dialogue, tuple(each.message for each in self.said))
        self.handed_off = self.handed_off or any(each.hands_off for each in said)
        return list(said)

    def _spoken(self, response: Any, dialogue: Dialogue) -> list[Happening]:
        template = response.get("response")
        own = protocol.message_of(response)
        if not template:
            return self.say_text(own) if _says_something(own) else []
        extra = {key: value for key, value in response.items() if isinstance(key, str)}
        found = [each for each in self.say(str(template), dialogue, **extra) if isinstance(each, Said)]
        if not found and template in self.bot.responses:  # but none of its variations is meant for this case
            return []
        if not found:
            raise ActionFailed("it named a response that there is not")
        message = found[0].message
        merged = Message(
            own.text or message.text,
            (*message.buttons, *own.buttons),
            own.image or message.image,
            attachment=own.attachment or message.attachment,
            custom=own.custom or message.custom,
        )
        return [Said(merged, "scripted", str(template))]


def _of_mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _says_something(message: Message) -> bool:
    return bool(message.text or message.buttons or message.image or message.attachment or message.custom)
