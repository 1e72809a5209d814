"""Whether the parts of a bot fit together: every name that one of them uses is there.

Pure; the shape of each part has been seen to before. A fault is what cannot work, a note what is probably not meant:
where Rasa's validator only warns, so do we.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from parley.actions.checks import check_http_call, check_lambda_call, check_server, slots_used, texts_in
from parley.bots.bot import (
    ACTION_FALLBACK,
    BUILT_IN_ACTIONS,
    DEFAULT_INTENTS,
    UNSURE_WAYS,
    Bot,
    SlotMapping,
    Variation,
)
from parley.bots.flows import SNIPPET, Flow
from parley.bots.shapes import BotSettings
from parley.bots.source import SETTINGS, Faults
from parley.bots.training import Example, is_expression
from parley.bots.webhook import check_webhook
from parley.files import ENDINGS, MOST_MB

_GENERATION_RANGES = {
    "max_tokens": (1, 4096),
    "temperature": (0, 2),
    "history_turns": (0, math.inf),
    "passages": (0, 20),
}
_PLACEHOLDER = re.compile(r"\{([\w.-]+)\}")
_AFFIRMATION_VALUES = frozenset({"intent", "payload"})  # what `action_default_ask_affirmation` fills in
_OUR_SLOTS = frozenset({"requested_slot", "session_started_metadata"})


@dataclass(frozen=True, slots=True)
class Places:
    """Where the parts of a bot stand, each as file:line; its keys are the names that the domain knows."""

    intents: Mapping[str, str]
    entities: Mapping[str, str]
    slots: Mapping[str, str]
    forms: Mapping[str, str]
    responses: Mapping[str, str]
    actions: Mapping[str, str]
    settings: Mapping[str, str]

    def setting(self, name: str) -> str:
        """Where a setting of bot.yml stands."""
        return self.settings.get(name, f"{SETTINGS}:1")


def check(
    bot: Bot,
    settings: BotSettings,
    examples: Iterable[Example],
    flows: Sequence[Flow],
    places: Places,
    faults: Faults,
) -> None:
    """Notes in `faults` whatever does not fit together."""
    _check_examples(examples, places, faults)
    _check_slots(bot, places, faults)
    _check_forms(bot, settings, places, faults)
    _check_responses(bot, places, faults)
    _check_flows(bot, flows, places, faults)
    _check_actions(bot, places, faults)
    _check_settings(bot, places, faults)
    _check_uploads(bot, places, faults)
    for name, webhook in bot.webhooks.items():
        for fault in check_webhook(webhook):
            faults.add(places.setting("webhooks"), f"webhook `{name}`: {fault}")


def _check_examples(examples: Iterable[Example], places: Places, faults: Faults) -> None:
    taught: dict[str, str] = {}
    untaught = dict(places.intents)
    for example in examples:
        family = example.intent.partition("/")[0]  # `faq/hours` is one part of the retrieval intent `faq`
        untaught.pop(family, None)
        if family not in places.intents and family not in DEFAULT_INTENTS:
            faults.note(example.place, f"intent `{family}` is not in the domain")
        known = taught.setdefault(example.text.lower(), example.intent)
        if known != example.intent:
            faults.note(example.place, f"{example.text!r} is an example of `{example.intent}` and of `{known}`")
    for name, place in untaught.items():
        if name not in DEFAULT_INTENTS:
            faults.note(place, f"intent `{name}` has no examples: only `/{name}` means it")


def _check_slots(bot: Bot, places: Places, faults: Faults) -> None:
    for slot in bot.slots:
        place = places.slots[slot.name]
        for mapping in slot.mappings:
            for intent in (*mapping.intents, *mapping.not_intents):
                if intent not in places.intents and intent not in DEFAULT_INTENTS:
                    faults.note(place, f"slot `{slot.name}`: intent `{intent}` is not in the domain")
            for fault in _mapping_faults(mapping, bot):
                faults.add(place, f"slot `{slot.name}`: {fault}")
            for condition in mapping.conditions:
                form = bot.forms.get(condition.loop or "")
                if form and form.slots and slot.name not in form.slots and mapping.type != "from_trigger_intent":
                    faults.note(
                        place, f"slot `{slot.name}` is mapped for form `{form.name}`, which does not require it"
                    )
            if mapping.type == "from_entity" and mapping.entity and mapping.entity not in places.entities:
                faults.note(place, f"slot `{slot.name}`: entity `{mapping.entity}` is not in the domain")


def _mapping_faults(mapping: SlotMapping, bot: Bot) -> Iterator[str]:
    for condition in mapping.conditions:
        if condition.loop is not None and condition.loop not in bot.forms:
            yield f"there is no form `{condition.loop}`"
    if mapping.action is not None and mapping.action not in bot.actions and not bot.custom.serves(mapping.action):
        yield f"action `{mapping.action}` is not in the domain"


def _check_forms(bot: Bot, settings: BotSettings, places: Places, faults: Faults) -> None:
    known = {slot.name for slot in bot.slots}
    for form in bot.forms.values():
        place = places.forms[form.name]
        for slot in form.slots:
            if slot not in known:
                faults.add(place, f"form `{form.name}` asks for `{slot}`, which is not in `slots`")
            elif not _can_ask(bot, form.name, slot):
                ask = f"utter_ask_{form.name}_{slot}"
                faults.note(place, f"form `{form.name}` asks for `{slot}`, but there is no response `{ask}`")
        for intent in form.ignored_intents:
            if intent not in places.intents:
                faults.note(place, f"form `{form.name}` ignores `{intent}`, which is not in the domain")
    place = places.setting("forms")
    for name, checked in settings.forms.items():
        if name not in bot.forms:
            faults.add(place, f"there is no form `{name}`")
            continue
        for slot, wanted in checked.items():
            if slot not in bot.forms[name].slots:
                faults.add(place, f"form `{name}` does not ask for `{slot}`")
            is_expression(wanted.pattern, place, faults)
            _check_response(wanted.invalid, bot, place, faults)


def _can_ask(bot: Bot, form: str, slot: str) -> bool:
    names = (f"action_ask_{form}_{slot}", f"utter_ask_{form}_{slot}", f"action_ask_{slot}", f"utter_ask_{slot}")
    return any(name in bot.responses or name in bot.actions for name in names) or f"validate_{form}" in bot.actions


def _check_responses(bot: Bot, places: Places, faults: Faults) -> None:
    if bot.has_custom_actions:
        return  # which may give values of their own beside a response
    known = {slot.name for slot in bot.slots} | _OUR_SLOTS
    for name, place in places.responses.items():
        given = _AFFIRMATION_VALUES if name == "utter_ask_affirmation" else frozenset()
        for variation in bot.responses[name]:
            for placeholder in sorted(_placeholders(variation) - known - given):
                faults.note(place, f"response `{name}` speaks of `{{{placeholder}}}`, which is no slot")


def _placeholders(variation: Variation) -> set[str]:
    texts = [variation.text, variation.image or ""]
    texts += [text for button in variation.buttons for text in (button.title, button.payload)]
    texts += [*texts_in(variation.custom), *texts_in(variation.attachment)]
    return {name for text in texts for name in _PLACEHOLDER.findall(text)}


def _check_flows(bot: Bot, flows: Sequence[Flow], places: Places, faults: Faults) -> None:
    slots = {slot.name for slot in bot.slots} | _OUR_SLOTS
    said: set[tuple[str, str]] = set()

    def tell(place: str, message: str, *, is_fault: bool) -> None:
        if (place, message) not in said:
            said.add((place, message))
            (faults.add if is_fault else faults.note)(place, message)

    for flow in flows:
        what = f"{'rule' if flow.is_rule else 'story'} `{flow.name}`"
        for event in flow.events:
            name = event.name or ""
            match event.kind:
                case "user" if name and name not in places.intents and name not in DEFAULT_INTENTS:
                    tell(flow.place, f"{what}: intent `{name}` is not in the domain", is_fault=False)
                case "user":
                    for entity in event.entities:
                        if entity.name not in places.entities:
                            message = f"{what}: entity `{entity.name}` is not in the domain"
                            tell(flow.place, message, is_fault=False)
                case "action" if name != SNIPPET and not bot.knows_action(name):
                    message = f"{what}: `{name}` is neither a response, nor a form, nor an action of the domain"
                    tell(flow.place, message, is_fault=True)
                case "slot" if name not in slots:
                    tell(flow.place, f"{what}: slot `{name}` is not in `slots`", is_fault=False)
                case "active_loop" if name and name not in bot.forms and name not in BUILT_IN_ACTIONS:
                    tell(flow.place, f"{what}: there is no form `{name}`", is_fault=True)


def _check_actions(bot: Bot, places: Places, faults: Faults) -> None:
    for action, place in places.actions.items():
        if action.startswith("utter_"):
            if not bot.can_say(action):
                faults.note(place, f"`{action}` has no response: it says nothing")
        elif action not in BUILT_IN_ACTIONS and not bot.custom.serves(action):
            faults.note(place, f"nobody runs the action `{action}`: name an action server, or declare it in {SETTINGS}")
    where = places.setting("action_server")
    if bot.custom.server is not None:
        for fault in check_server(bot.custom.server):
            faults.add(where, f"action server: {fault}")
    where = places.setting("actions")
    known = {slot.name for slot in bot.slots}
    for name, call in bot.custom.calls.items():
        problems = list(check_http_call(call))
        for fault in problems:
            faults.add(where, f"action `{name}`: {fault}")
        wanted = call.slots.keys() | (set() if problems else slots_used(call))
        for slot in sorted(wanted - known):
            faults.add(where, f"action `{name}`: slot `{slot}` is not in `slots`")
        for response in (call.say, call.failed):
            if response is not None:
                _check_response(response, bot, where, faults)
    for name, function in bot.custom.lambdas.items():
        for fault in check_lambda_call(function):
            faults.add(where, f"action `{name}`: {fault}")
        if function.failed is not None:
            _check_response(function.failed, bot, where, faults)
    if bot.policy.fallback_action != ACTION_FALLBACK and not bot.knows_action(bot.policy.fallback_action):
        faults.add("config.yml:1", f"`core_fallback_action_name`: there is no action `{bot.policy.fallback_action}`")


def _check_settings(bot: Bot, places: Places, faults: Faults) -> None:
    for response in bot.unsure:
        if response not in UNSURE_WAYS and not (response in bot.actions and bot.custom.serves(response)):
            _check_response(response, bot, places.setting("unsure"), faults)
    if bot.unsure and bot.unsure[-1] != "handoff" and not bot.can_say(bot.unsure[-1]):
        message = "`unsure` must end with a response or handoff, because everything else may have nothing to say"
        faults.add(places.setting("unsure"), message)
    for name, said in (
        ("answered", bot.answered),
        ("declined", bot.declined),
        ("fallback", bot.fallback),
        ("handoff", bot.handoff.say),
        ("handoff", bot.handoff.back),
    ):
        if said is not None:
            _check_response(said, bot, places.setting(name), faults)
    for setting, intents in (("small_talk", bot.small_talk), ("intent_titles", tuple(bot.intent_titles))):
        for intent in intents:
            if intent not in places.intents:
                faults.add(places.setting(setting), f"intent `{intent}` is not in the domain")
    for name, (least, most) in _GENERATION_RANGES.items():
        if not least <= getattr(bot.generation, name) <= most:
            limit = f" and at most {most}" if most < math.inf else ""
            faults.add(places.setting("generation"), f"`{name}` must be at least {least}{limit}")
    for slot in bot.knowledge.filters.values():
        if slot not in places.slots:
            faults.add(places.setting("knowledge"), f"`filters`: slot `{slot}` is not in `slots`")
    for slot in bot.generation.notes:
        if slot not in {*places.slots, *_OUR_SLOTS}:
            faults.add(places.setting("generation"), f"`notes`: slot `{slot}` is not in `slots`")


def _check_uploads(bot: Bot, places: Places, faults: Faults) -> None:
    uploads, place = bot.uploads, places.setting("uploads")
    for unknown in sorted(set(uploads.types) - ENDINGS.keys()):
        faults.add(place, f"`types`: no file can be told to be `{unknown}`; there is {', '.join(ENDINGS)}")
    if not 0 < uploads.most_mb <= MOST_MB:
        faults.add(place, f"`most_mb` must be above 0 and at most {MOST_MB}, which is what Lambda carries")
    slot = next((slot for slot in bot.slots if slot.name == uploads.slot), None)
    if uploads.slot is not None and slot is None:
        faults.add(place, f"slot `{uploads.slot}` is not in `slots`")
    elif slot is not None and slot.type not in ("list", "any"):
        faults.add(place, f"slot `{slot.name}` gets a list of what was sent: it must be of type `list` or `any`")
    if uploads.slot is not None and not uploads.types:
        faults.note(place, f"slot `{uploads.slot}` gets nothing: `types` is empty, so the bot takes no files")


def _check_response(name: str, bot: Bot, place: str, faults: Faults) -> None:
    if name not in bot.responses:
        faults.add(place, f"there is no response `{name}`")
