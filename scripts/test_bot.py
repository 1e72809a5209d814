"""Replay a bot's test stories and show where it does something else.

    python scripts/test_bot.py BOT_DIR [--given-intents] [--actions URL] [--json FILE] [--stories PATH ...]

Reads the Rasa test stories under BOT_DIR/tests and BOT_DIR/test_stories. With --given-intents what people say is taken
as the story marks it, intents and entities, and the dialogue alone is tested: no model is loaded. Without it, the
`user:` texts go through the bot's own understanding, and misunderstood ones are shown too; dates, numbers and the like
that a story does not mark count for nothing.

A story goes on as it is told, whatever the bot would have done, as in `rasa test core`: each action is asked for once.
Custom actions are not run: what they set is what the story says next. With --actions URL those that the story takes
are run by that action server, and what it sets counts instead.

Stories that differ are shown as a diff; the exit code is 1 if there is one. --json writes everything for machines:
stories and actions matched, in all and each.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# The scripts' folder is on the path, and compile_bot puts our package there: it must be imported before `parley`.
from compile_bot import ENCODER, bundle_of
from parley.actions import ActionServer, CustomActions
from parley.adapters.actions import RemoteActions
from parley.bots.bot import BUILT_IN_ACTIONS, Bot
from parley.bots.bundle import unpack
from parley.bots.flows import FlowReader
from parley.bots.source import Faults, read_placed, yaml_files
from parley.compile import read_and_learn
from parley.conversation import Dialogue, Entity, Event, Understanding
from parley.dialogue import protocol
from parley.dialogue.course import utterance
from parley.dialogue.policy import Policy
from parley.dialogue.replay import Replayed, replay
from parley.dialogue.traces import Trace, slots_from_entities, trace
from parley.errors import ParleyError
from parley.loaded import load
from parley.nlu.encoder import OnnxEncoder
from steps import Step, Stop, finish

FOLDERS = ("tests", "test_stories")
SECONDS_FOR_ACTIONS = 10.0

Understand = Callable[[str], Understanding]


@dataclass(frozen=True, slots=True)
class Judged:
    """A story, and what the bot made of it."""

    story: Trace
    events: tuple[Replayed, ...]
    misheard: Mapping[int, Event]  # by place among the events: what was understood instead of what the story marks

    @property
    def actions(self) -> int:
        """Actions that were asked for."""
        return sum(each.predicted is not None for each in self.events)

    @property
    def matched(self) -> int:
        """Those that the bot gets right."""
        return sum(each.predicted is not None and each.is_right for each in self.events)

    @property
    def is_right(self) -> bool:
        """Whether all of it goes as it is told, and is understood so."""
        return self.matched == self.actions and not self.misheard


def stories_in(folder: Path, bot: Bot, paths: Sequence[Path], faults: Faults) -> list[Trace]:
    """The test stories of a bot, or those in `paths`."""
    files = [file for path in paths for file in (yaml_files(path) if path.is_dir() else [path])]
    if not paths:
        files = [file for name in FOLDERS if (folder / name).is_dir() for file in yaml_files(folder / name)]
    reader = FlowReader({slot.name: slot for slot in bot.slots}, faults)
    flows = []
    for file in files:
        name = file.relative_to(folder).as_posix() if file.is_relative_to(folder) else file.name
        flows += reader.stories(read_placed(file, name, faults).get("stories", ()))
    return list(trace(bot, flows).traces)


def heard_by(understand: Understand, bot: Bot, story: Trace) -> tuple[Trace, dict[int, Event]]:
    """A story with what our understanding makes of its texts, and where that is something else."""
    events: list[Event] = []
    misheard: dict[int, Event] = {}
    from_marks: list[Event] = []
    for event in story.events:
        if event.kind == "slot" and event in from_marks:
            continue  # what the story takes for filled from the marked entities
        if event.kind != "user" or not event.text or event.text.startswith("/"):
            events.append(event)
            continue
        heard = utterance(understand(event.text), event.text)
        from_marks = list(slots_from_entities(bot, event))
        if _differs(event, heard):
            misheard[len(events)] = heard
        events += [heard, *slots_from_entities(bot, heard)]
    return Trace(story.flows, tuple(events), story.dialogue), misheard


def _differs(marked: Event, heard: Event) -> bool:
    wanted = str(marked.value or marked.name)
    intent = str(heard.value if "/" in wanted else heard.name)
    named = {each.name for each in marked.entities}
    found = [each for each in heard.entities if each.found_by != "system" or each.name in named]
    return wanted != intent or _names(marked.entities) != _names(found)


def _names(entities: Iterable[Entity]) -> list[tuple[str, str, str]]:
    return sorted((each.name, each.role or "", each.group or "") for each in entities)


class ServedActions:
    """Custom actions of a story, run by an action server for what they set."""

    def __init__(self, url: str, bot: Bot) -> None:
        self._where = CustomActions(ActionServer(url, timeout_seconds=SECONDS_FOR_ACTIONS))
        self._remote = RemoteActions(lambda name: name)
        self._bot = bot
        self.failures: list[str] = []

    def set_by(self, action: str, dialogue: Dialogue, recent: Sequence[Event]) -> list[Event] | None:
        """The events that an action gives; None for what no server runs, or where it failed."""
        is_custom = action in self._bot.actions and action not in BUILT_IN_ACTIONS and action not in self._bot.responses
        if not is_custom:
            return None
        request = protocol.request(
            self._bot,
            action,
            conversation_id="test",
            channel="test",
            at=time.time(),
            dialogue=dialogue,
            events=recent,
            understanding=None,
        )
        try:
            answer = self._remote.run(self._where, request, budget_seconds=SECONDS_FOR_ACTIONS)
            return protocol.events_of(answer.events)
        except ParleyError as error:
            self.failures.append(str(error))
            return None


def judged(
    policy: Policy,
    stories: Sequence[Trace],
    understand: Understand | None,
    served: ServedActions | None,
    tell: Callable[[str], None],
) -> Iterator[Judged]:
    """Each story with what the bot makes of it."""
    for number, story in enumerate(stories, start=1):
        tell(f"story {number} of {len(stories)}")
        told, misheard = heard_by(understand, policy.bot, story) if understand else (story, {})
        yield Judged(story, tuple(replay(policy, told, served.set_by if served else None)), misheard)


def shown(test: Judged) -> Iterator[str]:
    """A story that differs, as a diff: what it tells with -, what the bot does with +."""
    yield f"--- {test.story.title}"
    for place, each in enumerate(test.events):
        event = each.event
        if event.kind == "user":
            yield f"  user: {event.text or ''}  [{event.value or event.name}]"
            if place in test.misheard:
                marked = _marked(test.story, event.text)
                if marked is not None:
                    yield f"-   {_as_heard(marked)}"
                yield f"+   {_as_heard(test.misheard[place])}"
        elif each.predicted is not None and each.event.name != "action_listen" and each.is_right:
            yield f"    {event.name}"
        elif each.predicted is not None and not each.is_right:
            yield f"-   {event.name}"
            yield f"+   {each.predicted}  ({each.policy}: {each.because})"


def _marked(story: Trace, text: str | None) -> Event | None:
    return next((event for event in story.events if event.kind == "user" and event.text == text), None)


def _as_heard(event: Event) -> str:
    entities = ", ".join(f"{each.name}{f'#{each.role}' if each.role else ''}={each.value}" for each in event.entities)
    return f"{event.value or event.name}{f' ({entities})' if entities else ''}"


def as_json(bot: Bot, tests: Sequence[Judged], failures: Sequence[str], *, given: bool) -> dict[str, Any]:
    """Everything for machines."""
    actions, matched = sum(test.actions for test in tests), sum(test.matched for test in tests)
    said = sum(each.event.kind == "user" for test in tests for each in test.events)
    return {
        "bot": bot.name,
        "given_intents": given,
        "stories": {"total": len(tests), "matched": sum(test.is_right for test in tests)},
        "actions": {"total": actions, "matched": matched, "share": matched / actions if actions else 1.0},
        "utterances": {"total": said, "understood": said - sum(len(test.misheard) for test in tests)},
        "failed_actions": list(failures),
        "results": [_result(test) for test in tests],
    }


def _result(test: Judged) -> dict[str, Any]:
    steps = []
    for place, each in enumerate(test.events):
        if each.predicted is not None:
            told = {"policy": each.policy, "because": each.because}
            steps.append({"expected": each.event.name, "predicted": each.predicted, "matched": each.is_right, **told})
        elif each.event.kind == "user":
            heard = {"user": each.event.text, "intent": each.event.value or each.event.name}
            steps.append({**heard, "understood": place not in test.misheard})
    return {
        "story": " > ".join(dict.fromkeys(flow.name for flow in test.story.flows)),
        "place": test.story.flows[-1].place,
        "matched": test.is_right,
        "actions": {"total": test.actions, "matched": test.matched},
        "steps": steps,
    }


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bot", type=Path, help="the bot's folder")
    parser.add_argument("--given-intents", action="store_true", help="test the dialogue alone, without any model")
    parser.add_argument("--actions", metavar="URL", help="an action server that runs the custom actions")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write everything for machines")
    parser.add_argument("--stories", type=Path, nargs="+", default=[], metavar="PATH", help="other test stories")
    parser.add_argument("--encoder", type=Path, default=ENCODER, help="the encoder's folder")
    options = parser.parse_args()
    faults = Faults()
    try:
        bot = read_and_learn(options.bot, faults).bot
        stories = stories_in(options.bot, bot, options.stories, faults)
        understand = None if options.given_intents else _understanding(options.bot, options.encoder)
    except ParleyError as error:
        raise Stop(str(error)) from error
    for line in faults.lines:
        print(f"fault: {line}", file=sys.stderr)
    if not stories:
        raise Stop(f"{options.bot}: there are no test stories under {' or '.join(FOLDERS)}")
    served = ServedActions(options.actions, bot) if options.actions else None
    with Step("replaying") as step:
        tests = list(judged(Policy(bot), stories, understand, served, step.say))
        step.say(str(options.bot))
    failures = served.failures if served else []
    result = as_json(bot, tests, failures, given=options.given_intents)
    for test in tests:
        if not test.is_right:
            print("\n".join(shown(test)))
    for failure in dict.fromkeys(failures):
        print(f"action failed: {failure}")
    print(_summary(result))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    if any(not test.is_right for test in tests):
        sys.exit(1)


def _understanding(folder: Path, encoder_folder: Path) -> Understand:
    encoder = OnnxEncoder(encoder_folder)
    loaded = load(unpack(bundle_of(folder, encoder=encoder_folder).read_bytes()), encoder)
    return lambda text: loaded.understand(text, loaded.hear(text, encoder))


def _summary(result: Mapping[str, Any]) -> str:
    stories, actions, said = result["stories"], result["actions"], result["utterances"]
    line = f"stories {stories['matched']} of {stories['total']}, actions {actions['matched']} of {actions['total']}"
    line += f" ({actions['share']:.1%})"
    return line if result["given_intents"] else f"{line}, understood {said['understood']} of {said['total']}"


if __name__ == "__main__":
    finish(main)
