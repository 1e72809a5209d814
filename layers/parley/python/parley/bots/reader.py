"""From a folder of Rasa 3.x files, and perhaps a `bot.yml`, to a `Bot` and its training data.

Knows the two formats; knows no model and no policy: rules and stories are given as flows, to be learned. What Rasa
takes is taken; what nothing here acts on is noted, and what cannot work is a fault.
"""

import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path

import msgspec

from parley.access import Access
from parley.actions.custom_actions import ActionServer, CustomActions, HttpCall, LambdaCall
from parley.bots import checks
from parley.bots.bot import Bot, SystemSettings, Variation
from parley.bots.config import read_policy
from parley.bots.domain import Domain, DomainReader
from parley.bots.flows import START, Checkpoint, Flow, FlowReader
from parley.bots.shapes import ActionShape, BotSettings, WebhookShape, shaped
from parley.bots.source import SERVERS, SETTINGS, BotSource, Faults, Placed, read_source
from parley.bots.training import TrainingData, read_training_data
from parley.bots.webhook import CallbackSettings, Verify, Webhook
from parley.conversation import Event

_UNFIT = re.compile(r"[^a-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class ReadBot:
    """What the files say, before anything is learned or trained."""

    bot: Bot  # without its version, and with nothing learned
    training: TrainingData
    documents: Path
    rules: tuple[Flow, ...]
    stories: tuple[Flow, ...]


def read_bot(folder: Path, faults: Faults) -> ReadBot:
    """The bot in `folder`, as far as it can be read; what cannot is noted in `faults`.

    Raises:
        BadBot: there is no bot here, or its settings cannot be read.
    """
    source = read_source(folder, faults)
    settings = _settings(source, folder, faults)
    if settings is None:
        raise faults.error()
    domain = DomainReader(source, faults).read(settings.forms)
    training = read_training_data(source, domain.entities, faults)
    flows = FlowReader(domain.slots, faults)
    rules = (*flows.rules(source.lists["rules"]), *_triggered(domain))
    stories = tuple(flows.stories(source.lists["stories"]))
    bot = _bot(source, settings, domain, training, (*rules, *stories), faults)
    places = checks.Places(
        intents=domain.intents,
        entities={name: entity.place for name, entity in domain.entities.items()},
        settings={name: placed.place for name, placed in (source.settings or {}).items()},
        actions=domain.actions,
        **domain.places,
    )
    checks.check(bot, settings, training.examples, (*rules, *stories), places, faults)
    documents = folder / settings.knowledge.documents
    if not documents.resolve().is_relative_to(folder.resolve()):
        faults.add(places.setting("knowledge"), "`documents` must be a folder inside the bot's own")
    return ReadBot(bot, training, documents, rules, stories)


def _settings(source: BotSource, folder: Path, faults: Faults) -> BotSettings | None:
    if source.settings is None:
        return None
    said = {key: placed.value for key, placed in source.settings.items()}
    name = _UNFIT.sub("-", folder.resolve().name.lower()).strip("-_")[:64] or "bot"
    try:
        settings = msgspec.convert({"name": name, **said}, BotSettings)
    except msgspec.ValidationError as error:
        named = re.search(r"\$\.(\w+)", str(error)) or re.search(r"unknown field `(.+)`", str(error))
        placed = source.settings.get(named[1]) if named else None
        faults.add(placed.place if placed else f"{SETTINGS}:1", str(error))
        return None
    for section in ("generation", "handoff", "knowledge", "uploads"):
        known = {field.name for field in dataclasses.fields(getattr(settings, section))}
        for key in said.get(section, {}):
            if key not in known:
                faults.add(
                    source.settings[section].place, f"`{section}` has no `{key}`; it has {', '.join(sorted(known))}"
                )
    return settings


def _bot(
    source: BotSource,
    settings: BotSettings,
    domain: Domain,
    training: TrainingData,
    flows: tuple[Flow, ...],
    faults: Faults,
) -> Bot:
    language = settings.language or _language(source)
    said = {event.name for flow in flows for event in flow.events if event.kind == "action" and event.name}
    word_for_word = {text for text in said if " " in text} | set(domain.texts)  # `bot:` steps of stories
    retrieval = {example.intent.partition("/")[0] for example in training.examples if "/" in example.intent}
    retrieval |= {name.removeprefix("utter_").partition("/")[0] for name in domain.responses if "/" in name}
    return Bot(
        name=settings.name,
        version="",
        title=settings.title or settings.name,
        description=settings.description,
        language=language,
        intents=domain.seen_entities,
        slots=tuple(domain.slots.values()),
        forms=domain.forms,
        actions=tuple(domain.actions),
        responses={**{text: (Variation(text),) for text in sorted(word_for_word)}, **domain.responses},
        retrieval_intents=tuple(sorted(retrieval)),
        policy=read_policy(source, faults),
        session=domain.session,
        entities=training.patterns,
        unsure=settings.unsure,
        answered=settings.answered,
        declined=settings.declined,
        fallback=settings.fallback,
        handoff=settings.handoff,
        generation=settings.generation,
        custom=_custom_actions(source, settings, faults),
        small_talk=settings.small_talk,
        suggestions=settings.suggestions,
        intent_titles=settings.intent_titles,
        entity_names=tuple(domain.entities),
        reading=SystemSettings(language, *msgspec.structs.astuple(settings.reading)),
        access=Access(*msgspec.structs.astuple(settings.access)),
        rasa_api=settings.rasa_api,
        knowledge=settings.knowledge,
        uploads=settings.uploads,
        webhooks={name: _webhook(shape) for name, shape in settings.webhooks.items()},
    )


def _webhook(shape: WebhookShape) -> Webhook:
    said, callback = msgspec.structs.asdict(shape), shape.callback
    said["verify"] = Verify(*msgspec.structs.astuple(shape.verify))
    said["callback"] = CallbackSettings(*msgspec.structs.astuple(callback)) if callback is not None else None
    return Webhook(**said)


def _language(source: BotSource) -> str:
    said = [str(placed.value) for placed in source.words["language"] if placed.value]
    return said[0] if said else "en"


def _triggered(domain: Domain) -> list[Flow]:
    """Rasa 2: intents that always set off an action, as rules."""
    return [
        Flow(
            f"{intent} triggers {action}",
            domain.intents[intent],
            True,
            (Checkpoint(START),),
            (Event("action", "..."), Event("user", intent, intent), Event("action", action)),
        )
        for intent, action in domain.triggers.items()
    ]


def _custom_actions(source: BotSource, settings: BotSettings, faults: Faults) -> CustomActions:
    declared = settings.action_server
    server = ActionServer(declared.url, declared.secret, declared.timeout_seconds) if declared else None
    if server is None and (placed := source.servers.get("action_endpoint")) is not None:
        server = _server_of_rasa(placed, faults)
    place = (source.settings or {}).get("actions", Placed(None, f"{SETTINGS}:1")).place
    calls, lambdas = {}, {}
    for name, shape in settings.actions.items():
        match shape:
            case ActionShape(http=http, lambda_=None) if http is not None:
                calls[name] = HttpCall(
                    http.method,
                    http.url,
                    http.headers,
                    http.body,
                    shape.slots,
                    shape.say,
                    shape.failed,
                    shape.timeout_seconds,
                )
            case ActionShape(http=None, lambda_=function) if function is not None:
                if shape.slots or shape.say:
                    faults.add(place, f"action `{name}`: a function answers with events and responses of its own")
                lambdas[name] = LambdaCall(function, shape.failed, shape.timeout_seconds)
            case _:
                faults.add(place, f"action `{name}` needs either `http` or `lambda`")
    return CustomActions(server, calls, lambdas)


def _server_of_rasa(placed: Placed, faults: Faults) -> ActionServer | None:
    endpoint = shaped(placed, dict[str, object], f"{SERVERS} `action_endpoint`", faults)
    match endpoint:
        case {"url": str(url)}:
            return ActionServer(url)
        case _:
            faults.note(placed.place, "the action server has no `url` and is not used")
            return None
