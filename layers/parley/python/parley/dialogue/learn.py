"""Learning a bot's rules and stories when it is compiled, and finding where they contradict one another.

Pure. A rule becomes, for each of its actions, the states after which the action follows; a story the digests of them.
Rules that lead two ways from the same states, and stories that go another way than a rule, are faults with both
places named.

Source: `RulePolicy` and `MemoizationPolicy` of Rasa 3.6.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from parley.bots.bot import Bot
from parley.bots.flows import SNIPPET, Flow
from parley.bots.learned import Learned, LearnedRule, LoopExit, Step
from parley.bots.source import Faults
from parley.conversation import LISTEN, Dialogue, Event
from parley.dialogue.policy import Policy
from parley.dialogue.states import States, after_listening, loop_of
from parley.dialogue.stories import LONGEST_NEAR, NEAR, digest, near_key
from parley.dialogue.traces import BEGINNING, Trace, trace
from parley.dialogue.tracker import NOT_SET, Tracker

State = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Example:
    """After these states this action, as a trace tells it."""

    states: list[State]
    action: str
    trace: Trace


@dataclass(slots=True)
class _Drafted:
    """A rule that is being put together: its states, and who says what follows."""

    states: list[State]
    told: dict[str, list[Trace]] = field(default_factory=lambda: defaultdict(list))


def learn(bot: Bot, rules: Sequence[Flow], stories: Sequence[Flow], faults: Faults) -> Bot:
    """The bot with what it has learned; contradictions are noted in `faults`."""
    ruled, told = trace(bot, rules), trace(bot, stories)
    for place, message in (*ruled.loose_ends, *told.loose_ends):
        faults.note(place, message)
    states = States(Tracker(bot))
    rule_examples = [example for each in ruled.traces for example in _examples(states, each)]
    story_examples = [example for each in told.traces for example in _examples(states, each)]
    drafted = _drafted(rule_examples)
    _check_rules(bot, ruled.traces, drafted, faults)
    learned = _story_book(bot, story_examples, faults)
    rule_only = _only_in_rules(rule_examples, story_examples)
    learned = replace(
        learned,
        rules=tuple(_rules(drafted)),
        loop_exits=tuple(_loop_exits([*rule_examples, *story_examples])),
        rule_only_slots=rule_only[0],
        rule_only_loops=rule_only[1],
    )
    learned = replace(learned, memory=_memory(learned, story_examples, bot.policy.max_history))
    if not bot.policy.checks_contradictions:
        return replace(bot, learned=replace(learned, rule_only_slots=(), rule_only_loops=()))
    return _Comparison(replace(bot, learned=learned), faults).compared(ruled.traces, told.traces)


def _examples(states: States, each: Trace) -> Iterator[_Example]:
    """For each action of a trace, the states that led to it."""
    seen = states.of_trail(each.dialogue)
    actions = [event for event in each.dialogue.trail if event.kind == "action"]
    for number, event in enumerate(actions, start=1):
        if event.policy != BEGINNING:
            yield _Example(seen[:number], event.name or "", each)


def _since_snippet(states: list[State]) -> list[State]:
    """The states after the last `...`."""
    for place in range(len(states) - 1, -1, -1):
        if states[place].get("prev_action", {}).get("action_name") == SNIPPET:
            return states[place + 1 :]
    return states


def _drafted(examples: Iterable[_Example]) -> dict[str, _Drafted]:
    drafted: dict[str, _Drafted] = {}
    for example in examples:
        states = _since_snippet(example.states)
        if states:
            draft = drafted.setdefault(_key(states), _Drafted(states))
            draft.told[example.action].append(example.trace)
    return drafted


def _key(states: list[State]) -> str:
    return json.dumps(states, sort_keys=True)


def _rules(drafted: dict[str, _Drafted]) -> Iterator[LearnedRule]:
    for key, draft in drafted.items():
        if len(draft.told) > 1:
            continue  # they contradict one another, which has been said
        [(action, tellers)] = draft.told.items()
        if action != SNIPPET:
            names = ", ".join(dict.fromkeys(teller.title for teller in tellers))
            yield LearnedRule(tuple(json.loads(key)), action, len(key), names)  # as a bundle gives it back


def _check_rules(bot: Bot, traces: Sequence[Trace], drafted: dict[str, _Drafted], faults: Faults) -> None:
    for draft in drafted.values():
        if len(draft.told) > 1 and bot.policy.checks_contradictions:
            (action, [teller, *_]), *others = sorted(draft.told.items(), key=lambda told: told[0] == SNIPPET)
            for other, [rival, *_] in others:
                if other == SNIPPET:
                    message = f"{teller.title} goes on with `{action}`, where {rival.title} leaves open what follows"
                    faults.note(rival.flows[-1].place, f"{message}: neither is remembered there")
                    continue
                message = f"{rival.title} goes on with `{other}`, where {teller.title} goes on with `{action}`"
                faults.add(rival.flows[-1].place, f"{message}: they contradict each other")
    if bot.policy.restrict_rules:
        for each in traces:
            if sum(event.kind == "user" for event in each.events) > 1:
                place, name = each.flows[-1].place, each.flows[-1].name
                faults.add(place, f"rule `{name}` has more than one utterance; what takes several is told in a story")
    if bot.policy.checks_contradictions:
        _check_complete(bot, traces, faults)


def _check_complete(bot: Bot, traces: Sequence[Trace], faults: Faults) -> None:
    """What an action sets in one rule, it must set, or be said not to set, in all."""
    influencing = {slot.name for slot in bot.slots if slot.influences and slot.type != "any"}
    slots: dict[str, set[str]] = defaultdict(set)
    loops: dict[str, set[str]] = defaultdict(set)
    for each in traces:
        action = None
        for event in each.events:
            if event.kind in ("action", "user"):
                action = event.name if event.kind == "action" else None
            elif action and event.kind == "slot" and event.name in influencing:
                slots[action].add(str(event.name))
            elif action and event.kind == "active_loop":
                loops[action].add(str(event.name))
    states = States(Tracker(bot))
    for each in traces:
        actions = [str(event.name) for event in each.dialogue.trail if event.kind == "action"]
        for state, following in zip(states.of_trail(each.dialogue), [*actions, LISTEN], strict=True):
            before = state.get("prev_action", {}).get("action_name")
            if before is None or SNIPPET in (before, following):
                continue
            for missing in sorted(slots[before] - state.get("slots", {}).keys()):
                faults.add(
                    each.flows[-1].place,
                    f"{each.title}: `{before}` sets slot `{missing}` in other rules; say here what it sets it to, or "
                    "`null`, or end with `wait_for_user_input: false`",
                )
            here = state.get("active_loop", {}).get("name")
            if loops[before] and here not in loops[before]:
                elsewhere = ", ".join("null" if loop == NOT_SET else loop for loop in sorted(loops[before]))
                faults.add(
                    each.flows[-1].place,
                    f"{each.title}: after `{before}`, other rules have `active_loop: {elsewhere}`; say it here too, "
                    "or end with `wait_for_user_input: false`",
                )


def _loop_exits(examples: Iterable[_Example]) -> Iterator[LoopExit]:
    """What rules and stories say of loops in which something else is talked about."""
    found: dict[str, Literal["interrupted", "left"]] = {}
    for example in examples:
        loop = loop_of(example.states[-1])
        states = _since_snippet(_last_two(example.states))
        if loop is None or not states:
            continue
        listened = after_listening(example.states[-1])
        if listened and example.action == loop:
            found[_key(states)] = "interrupted"
        elif not listened and example.action != loop:
            found[_key(states)] = "left"
    for key, kind in found.items():
        yield LoopExit(tuple(json.loads(key)), kind)


def _last_two(states: list[State]) -> list[State]:
    if len(states) == 1 or "prev_action" not in states[-2]:
        return [states[-1]]
    return [{"prev_action": states[-2]["prev_action"]}, states[-1]]


def _only_in_rules(rules: Iterable[_Example], stories: Iterable[_Example]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Slots and loops that rules speak of and stories never do."""
    (rule_slots, rule_loops), (story_slots, story_loops) = _spoken_of(rules), _spoken_of(stories)
    return tuple(sorted(rule_slots - story_slots)), tuple(sorted(rule_loops - story_loops))


def _spoken_of(examples: Iterable[_Example]) -> tuple[set[str], set[str]]:
    slots, loops = set(), set()
    for example in examples:
        for state in example.states:
            slots |= state.get("slots", {}).keys()
            if (loop := loop_of(state)) is not None:
                loops.add(loop)
    return slots, loops


def _story_book(bot: Bot, examples: Sequence[_Example], faults: Faults) -> Learned:
    names = list(dict.fromkeys(example.trace.title for example in examples))
    number = {name: place for place, name in enumerate(names)}
    stories: dict[str, Step] = {}
    two_ways: set[str] = set()
    votes: dict[str, Counter[str]] = defaultdict(Counter)
    teller: dict[tuple[str, str], int] = {}
    beginnings: dict[str, None] = {}
    for example in examples:
        story = number[example.trace.title]
        key = digest(_recent(example.states, bot.policy.max_history))
        first = stories.setdefault(key, Step(example.action, story))
        if first.action != example.action:
            two_ways.add(key)
            rival = f"where {names[first.story]} goes on with `{first.action}`"
            message = f"{example.trace.title} goes on with `{example.action}`, {rival}: neither is remembered there"
            faults.note(example.trace.flows[-1].place, message)
        for count, parts, _ in NEAR:
            near = near_key(example.states, count, parts)
            if near is not None:
                votes[near][example.action] += 1
                teller.setdefault((near, example.action), story)
        began = next((event.name for event in example.trace.dialogue.trail if event.kind == "action"), None)
        if began:
            beginnings[began] = None
    likeliest = {near: counted.most_common(1)[0][0] for near, counted in votes.items()}
    return Learned(
        story_names=tuple(names),
        stories={key: step for key, step in stories.items() if key not in two_ways},
        near={near: Step(action, teller[near, action]) for near, action in likeliest.items()},
        beginnings=tuple(beginnings),
    )


def _recent(states: list[State], max_history: int | None) -> list[State]:
    return states[-max_history:] if max_history else states


def _memory(learned: Learned, stories: Iterable[_Example], max_history: int | None) -> int:
    rules = max((len(rule.states) for rule in learned.rules), default=0)
    longest = max((len(_recent(example.states, max_history)) for example in stories), default=0)
    return max(rules, longest, LONGEST_NEAR)


class _Comparison:
    """Goes through all traces again with the rules learned, to see where they disagree."""

    def __init__(self, bot: Bot, faults: Faults) -> None:
        self._bot = bot
        self._policy = Policy(bot)
        self._faults = faults
        self._tellers: dict[str, dict[str, str]] = defaultdict(dict)  # source -> who tells it -> action
        self._used: set[str] = set()  # sources that a story follows

    def compared(self, rules: Sequence[Trace], stories: Sequence[Trace]) -> Bot:
        """The bot in which each rule knows whether a story follows it."""
        for each in rules:
            for _, action, foretold, source in self._foretold(each):
                known = source.startswith(("loop ", "intent "))
                self._tellers[source][source if known else each.title] = foretold if known else action
        self._forget_what_stories_know_better(stories)
        said: set[str] = set()
        for each in (*rules, *stories):
            for _, action, foretold, source in self._foretold(each):
                if foretold == action:
                    if not each.is_rule:
                        self._used.add(source)
                    continue
                rivals = [name for name, other in self._tellers[source].items() if other != action]
                if foretold and rivals:
                    said.add(self._disagreement(each, action, rivals, foretold))
        for message in sorted(said):
            place = message.rpartition("\0")[0]
            self._faults.add(place, message.rpartition("\0")[2])
        learned = self._bot.learned
        marked = tuple(replace(rule, in_stories=_rule_source(rule) in self._used) for rule in learned.rules)
        built_in = tuple(
            sorted(
                s.partition(" ")[2] if s.startswith("loop ") else s
                for s in self._used
                if s.startswith(("loop ", "intent "))
            )
        )
        return replace(self._bot, learned=replace(learned, rules=marked, built_in_in_stories=built_in))

    def _forget_what_stories_know_better(self, stories: Sequence[Trace]) -> None:
        """Drops a rule that listens after an action, whatever was said, where rules with conditions do that too.

        Such a rule is what remains of those that end so; a story that goes on there is no contradiction.
        """
        learned = self._bot.learned
        sources = [_rule_source(rule) for rule in learned.rules]
        known_better = {
            source
            for each in stories
            for _, action, foretold, source in self._foretold(each)
            if foretold == LISTEN != action and source.count("prev_action") == 1
            if any(other != source and other.startswith(source[:-2]) for other in sources)
        }
        kept = tuple(rule for rule, source in zip(learned.rules, sources, strict=True) if source not in known_better)
        self._bot = replace(self._bot, learned=replace(learned, rules=kept))
        self._policy = Policy(self._bot)

    def _disagreement(self, each: Trace, action: str, rivals: list[str], foretold: str) -> str:
        who = " and ".join(rivals[:3])
        return f"{each.flows[-1].place}\0{each.title} goes on with `{action}`, but by {who} comes `{foretold}`"

    def _foretold(self, each: Trace) -> Iterator[tuple[int, str, str, str]]:
        """For each action of a trace that something went before: the action, the one by the rules, and by which."""
        tracker = self._policy.tracker
        dialogue = tracker.begin()
        unforeseen = True
        for place, event in enumerate(each.dialogue.trail):
            if event.kind == "action":
                if event.name == SNIPPET:
                    unforeseen = True
                elif unforeseen or event.policy == BEGINNING:
                    unforeseen = False
                else:
                    dialogue, foretold, source = self._ask(dialogue, event.name or "")
                    if source is not None:
                        yield place, event.name or "", foretold, source
            dialogue = tracker.after(dialogue, event)

    def _ask(self, dialogue: Dialogue, wanted: str) -> tuple[Dialogue, str, str | None]:
        """What the rules foretell, and by which; the dialogue, in which a form may have had to reject what was said."""
        action, source = self._policy.without_stories(dialogue)
        loop = dialogue.now.loop
        if loop is not None and action == loop.name != wanted:  # it is an answer that the form could not use
            dialogue = self._policy.tracker.after(dialogue, Event("action_execution_rejected", loop.name))
            action, source = self._policy.without_stories(dialogue)
        match source:
            case LearnedRule():
                return dialogue, action or "", _rule_source(source)
            case str() if source.startswith("intent "):
                return dialogue, action or "", source
            case str():
                return dialogue, action or "", f"loop {source}"
            case _:
                states = self._policy.states.of_trail(dialogue)
                return dialogue, action or "", _key(_since_snippet(states))


def _rule_source(rule: LearnedRule) -> str:
    return _key(list(map(dict, rule.states)))
