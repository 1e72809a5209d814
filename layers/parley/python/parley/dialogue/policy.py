"""The policy: what to do next. Pure, and the only place that decides.

    built-in intents (/restart, /back)  >  the form under way  >  rules  >  stories  >  near stories  >  fallback

A form is asked first and rules only where it could not use what was said. What was rejected is not chosen again.

Source: the order is that of `RulePolicy` and `DefaultPolicyPredictionEnsemble` of Rasa 3.6.
"""

from dataclasses import dataclass, replace
from functools import cached_property

from parley.bots.bot import ACTION_FALLBACK, ACTION_UNSURE, BUILT_IN_INTENTS, Bot
from parley.bots.learned import LearnedRule
from parley.conversation import LISTEN, Dialogue, Situation
from parley.dialogue.rules import RuleBook, Ruled
from parley.dialogue.states import States
from parley.dialogue.stories import StoryBook
from parley.dialogue.tracker import Tracker


@dataclass(frozen=True, slots=True)
class Prediction:
    """The action that comes next, and why."""

    action: str
    policy: str  # rule, story, nearest-story, form, fallback, followup or built-in
    because: str
    interrupts: bool = False  # the form comes back from something else, and must not take the last words for an answer
    hidden: bool = False  # stories look past it


@dataclass(frozen=True)
class Policy:
    """The policy of one bot."""

    bot: Bot

    @cached_property
    def tracker(self) -> Tracker:
        """How events change a dialogue with this bot."""
        return Tracker(self.bot)

    @cached_property
    def states(self) -> States:
        """What rules and stories see."""
        return States(self.tracker)

    @cached_property
    def _rules(self) -> RuleBook:
        return RuleBook(self.bot.learned)

    @cached_property
    def _stories(self) -> StoryBook:
        return StoryBook(self.bot.learned, self.states, self.bot.policy.max_history)

    def next(self, dialogue: Dialogue, *, rejected: str | None = None) -> Prediction:
        """What to do next; not what was `rejected` a moment ago."""
        followup = dialogue.now.followup
        if followup and followup != rejected and self.bot.knows_action(followup):
            return Prediction(followup, "followup", "the action before asked for it")
        found = self._built_in(dialogue.now) or self._in_loop(dialogue.now)
        if found is not None and found.action != rejected:
            return found
        ruled = self._rules.judge(self.states.of_trail(dialogue, self._rules.longest))
        found = by_rule = self._from(ruled, dialogue.now)
        if found is None or found.action == rejected:
            found = self._told(dialogue, rejected) or self._near(dialogue, rejected)
        if found is None:
            found = self._fallback(dialogue, rejected)
            found = replace(found, hidden=found.hidden or (by_rule is not None and by_rule.hidden))
        return replace(found, interrupts=ruled.interrupts)

    def without_stories(self, dialogue: Dialogue) -> tuple[str | None, LearnedRule | str | None]:
        """The action that follows by built-in intent, form or rule alone, and the rule, or what else it was."""
        found = self._built_in(dialogue.now) or self._in_loop(dialogue.now)
        if found is not None:
            return found.action, found.because
        ruled = self._rules.judge(self.states.of_trail(dialogue, self._rules.longest))
        found = self._from(ruled, dialogue.now)
        return (found.action if found else None), ruled.rule

    def _built_in(self, now: Situation) -> Prediction | None:
        intent = now.heard.name if now.heard and (now.action == LISTEN or now.paused) else None
        action = BUILT_IN_INTENTS.get(intent) if intent else None
        if action is None:
            return None
        hidden = f"intent {intent}" not in self.bot.learned.built_in_in_stories
        return Prediction(action, "built-in", f"intent {intent}", hidden=hidden)

    def _in_loop(self, now: Situation) -> Prediction | None:
        """The form under way, unless it rejected what was said; after it has run, it waits."""
        loop = now.loop
        if loop is None or loop.rejected or now.action is None:
            return None
        waits = now.action == loop.name
        action, because = LISTEN if waits else loop.name, f"form `{loop.name}`{' waits' if waits else ''}"
        hidden = because not in self.bot.learned.built_in_in_stories
        return Prediction(action, "form", because, hidden=hidden)

    def _from(self, ruled: Ruled, now: Situation) -> Prediction | None:
        if ruled.rule is None:
            return None
        rule, action = ruled.rule, ruled.rule.action
        if now.loop is not None and ruled.only_listens:  # a rule that does not know of the loop hands back to it
            if ruled.leaves:
                return None
            action = now.loop.name
        return Prediction(action, "rule", rule.told_by, hidden=not rule.in_stories)

    def _told(self, dialogue: Dialogue, rejected: str | None) -> Prediction | None:
        step = self._stories.recall(dialogue)
        if step is None or step.action == rejected:
            return None
        return Prediction(step.action, "story", self._name(step.story))

    def _near(self, dialogue: Dialogue, rejected: str | None) -> Prediction | None:
        settings = self.bot.policy
        found = self._stories.nearest(dialogue) if settings.takes_near_stories else None
        if found is None or found[0].action == rejected or found[1] < settings.fallback_threshold:
            return None
        return Prediction(found[0].action, "nearest-story", f"like {self._name(found[0].story)}")

    def _fallback(self, dialogue: Dialogue, rejected: str | None) -> Prediction:
        """What is done where nothing applies; after something was done, that is to listen: it was understood."""
        settings = self.bot.policy
        if dialogue.now.action not in (None, LISTEN):
            was_hidden = next((event.hidden for event in reversed(dialogue.trail) if event.kind == "action"), False)
            return Prediction(LISTEN, "fallback", "nothing follows", hidden=was_hidden)
        if not settings.fallback_enabled:
            return Prediction(LISTEN, "fallback", "nothing applies, and the fallback is off")
        action = settings.fallback_action
        if action == ACTION_FALLBACK and self.bot.unsure:
            action = ACTION_UNSURE
        return Prediction(LISTEN if action == rejected else action, "fallback", "no rule or story applies")

    def _name(self, story: int) -> str:
        return self.bot.learned.story_names[story]
