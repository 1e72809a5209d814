"""Reading, refusing and packing bots; and what the reader's pieces mean."""

import io
import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

import chat
import compile_bot
from parley.access import Access
from parley.bots.bot import EntityPatterns, MappingCondition, UploadSettings
from parley.bots.bundle import pack, unpack
from parley.bots.reader import ReadBot, read_bot
from parley.bots.source import Faults
from parley.bots.webhook import Verify, callback_secrets_of, secrets_of
from parley.compile import read_and_learn
from parley.conversation import Entity, Event
from parley.errors import BadBot
from parley.loaded import LoadedBot
from parley.nlu.entities import EntityFinder
from parley.turn import Services

BOT_YML = """
name: tiny
title: Tiny
description: Says hello.
unsure: [utter_hello]
declined: utter_hello
fallback: utter_hello
generation: {persona: Be kind.}
"""
DOMAIN = """
version: "3.1"
intents: [greet, affirm]
entities: [size]
slots:
  size: {type: text, mappings: [{type: from_entity, entity: size}]}
responses:
  utter_hello: [{text: hello}]
"""
NLU = """
version: "3.1"
nlu:
- intent: greet
  examples: |
    - hello
    - hi [big](size:large) one
- intent: affirm
  examples: |
    - yes
    - no problem, [tiny]{"entity": "size", "value": "small"}
"""
RULES = """
version: "3.1"
rules:
- rule: Greet
  steps:
  - intent: greet
  - action: utter_hello
"""


def write(folder: Path, **files: str) -> Path:
    contents = {"bot": BOT_YML, "domain": DOMAIN, "nlu": NLU, "rules": RULES, **files}
    (folder / "data").mkdir()
    for name, text in contents.items():
        path = folder / ("data" if name in ("nlu", "rules") else ".") / f"{name}.yml"
        path.write_text(text)
    return folder


def listed(examples: str) -> str:
    return NLU[: NLU.index("- intent: affirm")] + f"- intent: affirm\n  examples: [{examples}]\n"


def mapped(more: str) -> dict[str, str]:
    return {"domain": DOMAIN.replace("entity: size}", f"entity: size, {more}}}")}


def form(settings: str) -> dict[str, str]:
    return {"domain": f"{DOMAIN}  utter_ask_size: [{{text: Which?}}]\nforms:\n  order: {{{settings}}}\n"}


def ruled(intent: str, steps: str) -> dict[str, str]:
    return {"rules": f"{RULES}- rule: Other\n  steps:\n  - intent: {intent}\n  {steps}\n"}


def generating(setting: str) -> dict[str, str]:
    return {"bot": BOT_YML.replace("Be kind.", f"Be kind., {setting}")}


def read_tiny(folder: Path, **files: str) -> tuple[ReadBot, Faults]:
    faults = Faults()
    return read_bot(write(folder, **files), faults), faults


def learned(folder: Path, **files: str) -> Faults:
    """What is wrong or odd about a bot, its rules and stories included."""
    faults = Faults()
    try:
        read_and_learn(write(folder, **files), faults)
    except BadBot:
        assert faults.lines
    return faults


def test_a_bot_is_read_from_its_files(tmp_path: Path) -> None:
    read, faults = read_tiny(tmp_path)

    assert (faults.lines, faults.notes) == ([], [])
    assert read.bot.name == "tiny"
    assert [event.name for event in read.rules[0].events] == ["...", "greet", "utter_hello"]
    assert [example.text for example in read.training.examples] == [
        "hello",
        "hi big one",
        "yes",
        "no problem, tiny",
    ]
    entity = read.training.examples[1].entities[0]
    assert (entity.name, entity.value, entity.text, entity.start) == ("size", "large", "big", 3)
    assert read.bot.entities.synonyms == {"big": "large", "tiny": "small"}


FAULTS = {
    "not YAML": ({"domain": "intents: [greet\n"}, "domain.yml:"),
    "a rule with an unknown action": ({"rules": RULES.replace("utter_hello", "utter_nix")}, "`utter_nix` is neither"),
    "a response that is missing": ({"bot": BOT_YML.replace("[utter_hello]", "[utter_nix]")}, "no response `utter_nix`"),
    "unsure that may end in silence": (
        {"bot": BOT_YML.replace("[utter_hello]", "[answer]")},
        "must end with a response",
    ),
    "an origin with a path": ({"bot": BOT_YML + "access: {origins: [https://a.example/shop]}\n"}, "origins"),
    "a tenant that is no name": ({"bot": BOT_YML + "access: {tenant: A Shop}\n"}, "tenant"),
    "a type that no file can be told to be": (
        {"bot": BOT_YML + "uploads: {types: [image/svg+xml]}\n"},
        "image/svg+xml",
    ),
    "files larger than Lambda carries": (
        {"bot": BOT_YML + "uploads: {types: [image/png], most_mb: 5}\n"},
        "bot.yml:9: `most_mb` must be above 0 and at most 4",
    ),
    "files for a slot that is missing": (
        {"bot": BOT_YML + "uploads: {types: [image/png], slot: photo}\n"},
        "bot.yml:9: slot `photo` is not in `slots`",
    ),
    "files for a slot that holds a text": (
        {"bot": BOT_YML + "uploads: {types: [image/png], slot: size}\n"},
        "slot `size` gets a list of what was sent: it must be of type `list` or `any`",
    ),
    "a misspelt setting of files": ({"bot": BOT_YML + "uploads: {type: [image/png]}\n"}, "`uploads` has no `type`"),
    "a misspelt setting": ({"bot": BOT_YML + "sugestions: []\n"}, "sugestions"),
    "a broken regular expression": (
        {"nlu": NLU + "- regex: size\n  examples: |\n    - (unclosed\n"},
        "nlu.yml:14: not a regular expression",
    ),
    "an example that is null": ({"nlu": listed("null, hello")}, "an example must be a text"),
    "an example with an intent of its own": ({"nlu": listed("{text: hello, intent: x}")}, "an example must be a text"),
    "a number of repetitions that no machine can count to": (
        {"nlu": NLU + "- regex: size\n  examples: |\n    - a{99999999999999999999}\n"},
        "nlu.yml:14: not a regular expression",
    ),
    # YAML
    "a control character": ({"domain": DOMAIN + "# \x01\n"}, "domain.yml:9: not valid YAML"),
    "a date that there is not": ({"domain": DOMAIN + "assistant_id: 2024-99-99\n"}, "domain.yml:1: not valid YAML"),
    "a tag": ({"domain": DOMAIN.replace("text: hello", "text: !secret hello")}, "put it in quotes"),
    "a mapping for a key": ({"domain": DOMAIN + "? {a: [b]}\\n: x\\n"}, "domain.yml:"),
    "a tag in the middle of a mapping": (
        {"domain": DOMAIN.replace(", mappings:", ",!!omap  mappings:")},
        "domain.yml:1: not valid YAML",
    ),
    "nothing but brackets": ({"domain": "[" * 5000}, "domain.yml:1: nested too deeply"),
    # The domain
    "mappings that are a number": (
        {"domain": DOMAIN.replace("[{type: from_entity, entity: size}]", "3")},
        "domain.yml:6: slot `size`: Expected `array | null`, got `int` - at `$.mappings`",
    ),
    "conditions that are a number": (mapped("conditions: 3"), "Expected `array`, got `int` - at `$.mappings[0].cond"),
    "a condition that is a text": (mapped("conditions: [x]"), "Expected `object`, got `str` - at `$.mappings[0].cond"),
    "a mapping in an unknown form": (
        mapped("conditions: [{active_loop: nix}]"),
        "domain.yml:6: slot `size`: there is no form `nix`",
    ),
    "required slots that are a number": (
        form("required_slots: -1"),
        "domain.yml:11: form `order`: `required_slots` must be a list of slots",
    ),
    "a form that asks for an unknown slot": (
        form("required_slots: [size, nix]"),
        "domain.yml:11: form `order` asks for `nix`, which is not in `slots`",
    ),
    # Rules and stories
    "a step that is no mapping": (ruled("affirm", "- x"), "rules.yml:8: rule `Other`: the step 'x' is none of intent,"),
    "two intents in a rule": (
        ruled("affirm", "- intent: greet"),
        "rules.yml:8: rule `Other` has more than one utterance",
    ),
    "a loop that there is not": (
        ruled("affirm", "- active_loop: order"),
        "rules.yml:8: rule `Other`: there is no form",
    ),
    "two rules for one case": (
        ruled("greet", "- action: action_answer"),
        "rules.yml:8 goes on with `action_answer`, where rule `Greet` at data/rules.yml:4 goes on with `utter_hello`",
    ),
    "a story that goes another way than a rule": (
        {"rules": RULES + "stories:\n- story: One\n  steps:\n  - intent: greet\n  - action: action_answer\n"},
        "rules.yml:9 goes on with `action_answer`, but by rule `Greet` at data/rules.yml:4 comes `utter_hello`",
    ),
    # bot.yml
    "checks of an unknown form": (
        {"bot": BOT_YML + "forms: {nix: {size: {pattern: x, invalid: utter_hello}}}\n"},
        "bot.yml:9: there is no form `nix`",
    ),
    "checks of a slot that the form does not ask for": (
        {
            **form("required_slots: [size]"),
            "bot": BOT_YML + "forms: {order: {nix: {pattern: x, invalid: utter_hello}}}\n",
        },
        "bot.yml:9: form `order` does not ask for `nix`",
    ),
    "small talk of an unknown intent": ({"bot": BOT_YML + "small_talk: [nix]\n"}, "bot.yml:9: intent `nix` is not in"),
    "a history of less than nothing": (
        generating("history_turns: -1"),
        "bot.yml:8: `history_turns` must be at least 0",
    ),
    "a reply of no tokens": (
        generating("max_tokens: 0"),
        "bot.yml:8: `max_tokens` must be at least 1 and at most 4096",
    ),
    "a reply of too many tokens": (generating("max_tokens: 4097"), "bot.yml:8: `max_tokens` must be"),
    "a temperature below zero": (generating("temperature: -0.1"), "bot.yml:8: `temperature` must be at least 0"),
    "a temperature that is no number": (generating("temperature: .nan"), "bot.yml:8: `temperature` must be"),
    "a misspelt key": (
        generating("passage: 3"),
        "bot.yml:8: `generation` has no `passage`; it has history_turns, max_tokens, notes, passages, persona, rules,",
    ),
    "a prompt of too many passages": (generating("passages: 21"), "bot.yml:8: `passages` must be at least 0 and at"),
    "a note that is no slot": (generating("notes: [size, colour]"), "bot.yml:8: `notes`: slot `colour` is not in"),
    "a rule that is no text": (generating("rules: [{never: ask}]"), "bot.yml:8: Expected `str`, got `object`"),
    "a name that is no address": (
        {"bot": BOT_YML.replace("name: tiny", "name: a/b c")},
        "bot.yml:2: Expected `str` ma",
    ),
    "documents of somebody else": ({"bot": BOT_YML + "knowledge: {documents: ../x}\n"}, "bot.yml:9: `documents` must"),
}


@pytest.mark.parametrize(("files", "said"), FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_is_named_with_its_place(tmp_path: Path, files: dict[str, str], said: str) -> None:
    faults = learned(tmp_path, **files)

    assert said in str(faults.error())


NOTES = {
    "an intent outside the domain": (
        {"domain": DOMAIN.replace(", affirm", "")},
        "nlu.yml:11: intent `affirm` is not in the domain",
    ),
    "an intent without examples": (
        {"domain": DOMAIN.replace("affirm", "affirm, thank")},
        "domain.yml:3: intent `thank` has no examples",
    ),
    "an example in two intents": (
        {"nlu": NLU.replace("- yes", "- Hello")},
        "nlu.yml:10: 'Hello' is an example of `affirm` and",
    ),
    "a rule with an unknown intent": (
        {"rules": RULES.replace("greet", "nix")},
        "rules.yml:4: rule `Greet`: intent `nix` is not in the domain",
    ),
    "a line that is no example": ({"nlu": NLU.replace("- yes", "yes")}, "nlu.yml:10: an example begins with `- `"),
    "an example that is empty": ({"nlu": NLU.replace("- yes", "-")}, "nlu.yml:10: an example is empty"),
    "an entity with an unknown role": (
        {"nlu": NLU.replace('"value": "small"', '"role": "to"')},
        "nlu.yml:11: entity `size` has no role `to` in the domain",
    ),
    "an example with an unknown entity": ({"nlu": NLU.replace("(size", "(nix")}, "nlu.yml:7: entity `nix` is not in"),
    "a regular expression for an unknown entity": (
        {"nlu": NLU + "- regex: nix\n  examples: |\n    - x\n"},
        "nlu.yml:12: the regex `nix` is named like no entity",
    ),
    "a lookup table for an unknown entity": (
        {"nlu": NLU + "- lookup: nix\n  examples: |\n    - x\n"},
        "nlu.yml:12: the lookup table `nix` is named like no entity",
    ),
    "an unknown key beside examples": ({"nlu": NLU + "  uses: x\n"}, "nlu.yml:8: `uses` is not used"),
    "a misspelt section": ({"domain": DOMAIN + "respones: {}\n"}, "domain.yml:9: `respones` is not a section"),
    "a slot of somebody else's type": (
        {"domain": DOMAIN.replace("type: text", "type: addons.ColourSlot")},
        "domain.yml:6: slot `size`: `addons.ColourSlot` is a class of somebody's own",
    ),
    "a mapping from an unknown entity": (
        {"domain": DOMAIN.replace("entity: size", "entity: nix")},
        "domain.yml:6: slot `size`: entity `nix` is not in the domain",
    ),
    "a mapping with an unknown intent": (
        mapped("not_intent: nix"),
        "domain.yml:6: slot `size`: intent `nix` is not in the domain",
    ),
    "a form that cannot ask": (
        {"domain": f"{DOMAIN}forms:\n  order: {{required_slots: [size]}}\n"},
        "domain.yml:10: form `order` asks for `size`, but there is no response `utter_ask_order_size`",
    ),
    "a condition on an unknown slot": (
        {"rules": RULES.replace("  steps", "  condition:\n  - slot_was_set: [{nix: a}]\n  steps")},
        "rules.yml:4: rule `Greet`: slot `nix` is not in `slots`",
    ),
    "a checkpoint that leads nowhere": (
        ruled("affirm", "- checkpoint: x"),
        "rules.yml:8: `Other` ends at checkpoint `x`, where nothing begins",
    ),
}


@pytest.mark.parametrize(("files", "said"), NOTES.values(), ids=NOTES.keys())
def test_what_rasa_takes_although_it_is_probably_not_meant_is_told_with_its_place(
    tmp_path: Path, files: dict[str, str], said: str
) -> None:
    faults = learned(tmp_path, **files)

    assert [line for line in faults.notes if line.removeprefix("data/").startswith(said)], faults.notes
    assert not faults.lines


ORDER = form("required_slots: [size], ignored_intents: [affirm]")
TAKEN = {
    "a slot that is a number": {"domain": DOMAIN.replace("type: text", "type: float")},
    "an entity with options of somebody else": {"domain": DOMAIN.replace("[size]", "[{size: {rolls: [from, to]}}]")},
    "buttons that are null": {"domain": DOMAIN.replace("text: hello", "text: hello, buttons: null")},
    "a mapping for a role": mapped("role: to"),
    "a form without slots": form("required_slots: []"),
    "a form that ignores intents": ORDER,
    "a condition that is null": {"rules": RULES.replace("  steps", "  condition:\n  steps")},
    "a slot set in a rule": ruled("affirm", "- slot_was_set: [{size: a}]"),
    "a condition that a slot be set to anything": {
        "rules": RULES.replace("  steps", "  condition:\n  - slot_was_set: [size]\n  steps")
    },
    "entities of a rule's intent": {"rules": RULES.replace("- intent: greet", "- intent: greet\n    entities: [size]")},
    "a story": {
        "rules": RULES + "stories:\n- story: One\n  steps:\n  - intent: greet\n  - action: utter_hello\n"
        "  - intent: affirm\n  - action: action_answer\n"
    },
    "a rule that says nothing": ruled("affirm", "- action: action_listen"),
    "actions after the turn's end": ruled("affirm", "- action: action_listen\n  - action: utter_hello"),
    "a form that begins where it ends": {
        **ORDER,
        "rules": RULES + "- rule: Again\n  steps:\n  - action: order\n  - active_loop: null\n  - action: order\n",
    },
}


@pytest.mark.parametrize("files", TAKEN.values(), ids=TAKEN.keys())
def test_what_rasa_takes_is_taken(tmp_path: Path, files: dict[str, str]) -> None:
    faults = learned(tmp_path, **files)

    assert (faults.lines, faults.notes) == ([], [])


def test_slots_forms_and_steps_mean_what_they_say(tmp_path: Path) -> None:
    domain = ORDER["domain"].replace("entity: size}", "entity: size, role: to, conditions: [{active_loop: order}]}")
    steps = "- intent: affirm\n    entities: [size: big]\n  - slot_was_set: [{size: big}, size]"

    read, _ = read_tiny(tmp_path, domain=domain, rules=ruled("greet", steps)["rules"])

    [slot] = read.bot.slots
    assert (slot.mappings[0].role, slot.mappings[0].conditions) == ("to", (MappingCondition("order"),))
    assert read.bot.forms["order"].ignored_intents == ("affirm",)
    assert read.rules[1].events[2:] == (
        Event("user", "affirm", "affirm", entities=(Entity("size", "big", 0, 0, ""),)),
        Event("slot", "size", "big"),
        Event("slot", "size", "filled"),
    )


def test_a_bot_may_be_a_project_of_rasas_alone_and_is_then_named_after_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "Pizza Shop"
    folder.mkdir()
    faults = Faults()

    bot = read_bot(write(folder, bot=""), faults).bot

    assert (bot.name, bot.title, bot.unsure) == ("pizza-shop", "pizza-shop", ())
    assert (faults.lines, faults.notes) == ([], [])


def test_a_bot_says_whose_it_is_and_who_may_talk_to_it(tmp_path: Path) -> None:
    said = "access: {tenant: acme, visitors: false, origins: ['https://acme.example']}\n"

    read, faults = read_tiny(tmp_path, bot=BOT_YML + said)

    assert not faults.lines
    assert read.bot.access == Access("acme", visitors=False, origins=("https://acme.example",))


def test_a_bot_says_which_files_it_takes(tmp_path: Path) -> None:
    said = "uploads: {types: [image/png, application/pdf], most_mb: 2.5, slot: photo}\n"
    domain = DOMAIN.replace("slots:\n", "slots:\n  photo: {type: list, mappings: [{type: custom}]}\n")

    read, faults = read_tiny(tmp_path, bot=BOT_YML + said, domain=domain)

    assert (faults.lines, faults.notes) == ([], [])
    assert read.bot.uploads == UploadSettings(("image/png", "application/pdf"), 2.5, "photo")


WEBHOOK = """
webhooks:
  tickets:
    verify: {scheme: hmac, header: X-Hub-Signature-256, prefix: "sha256=", secret: tickets-webhook}
    id: "{event.id}"
    conversation: "{ticket.id}"
    message: "{ticket.subject}\\n{ticket.text}"
    only_if: {event.type: ticket.created}
    reply: {text: "{reply.text}", ticket: "{ticket.id}"}
    callback: {url: "https://desk.example/{ticket.id}", secret: desk, headers: {X-Key: "{secret:desk-key}"}}
"""


def test_a_bot_says_which_servers_talk_to_it_and_what_secrets_that_takes(tmp_path: Path) -> None:
    read, faults = read_tiny(tmp_path, bot=BOT_YML + WEBHOOK)

    webhook = read.bot.webhooks["tickets"]
    assert faults.lines == []
    assert webhook.verify == Verify("hmac", "tickets-webhook", "X-Hub-Signature-256", "sha256=")
    assert webhook.paths() == {"event.id", "ticket.id", "ticket.subject", "ticket.text"}
    assert webhook.paths_of_reply() == {"ticket.id"}
    assert secrets_of(read.bot.webhooks) == {"tickets-webhook"}
    assert callback_secrets_of(read.bot.webhooks) == {"desk", "desk-key"}


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("scheme: hmac", "scheme: md5", "Invalid enum value 'md5'"),
        ("header: X-Hub-Signature-256, ", "", "has a `header` where its scheme is hmac or token"),
        ("secret: tickets-webhook", "secret: 'a secret!'", "Expected `str` matching regex"),
        ('"{event.id}"', '"always"', "`id` must name something"),
        ('"{ticket.id}"\n    message', '"{ticket.id"\n    message', "`conversation`: "),
        ("{ticket.text}", "{ticket..text}", "is no path such as"),
        ("{ticket.text}", "{reply.text}", "there is no reply yet"),
        ("{ticket.text}", "{secret:key}", "a secret may stand in a header"),
        ("{reply.text}", "{reply.words}", "and no `reply.words`"),
        ("https://desk.example", "http://desk.example", "is not https"),
        ("https://desk.example/", "https://{ticket.host}/", "never in what decides who is called"),
        ("{secret:desk-key}", "{ticket.key}", "nothing of the caller's JSON"),
        ("    only_if", "    only_when", "unknown field `only_when`"),
    ],
)
def test_what_is_wrong_with_a_webhook_is_named_with_its_place(
    tmp_path: Path, before: str, after: str, said: str
) -> None:
    broken = WEBHOOK.replace(before, after, 1)
    assert broken != WEBHOOK

    faults = learned(tmp_path, bot=BOT_YML + broken)

    line = (BOT_YML + WEBHOOK).splitlines().index("webhooks:") + 1
    assert [fault for fault in faults.lines if said in fault and fault.startswith(f"bot.yml:{line}: ")], faults.lines


def test_all_faults_are_named_at_once(tmp_path: Path) -> None:
    broken = {"rules": RULES.replace("utter_hello", "utter_nix"), "nlu": NLU + "- regex: size\n  examples: '- ('\n"}

    faults = learned(tmp_path, **broken)

    assert str(faults.error()).startswith("2 faults in the bot's files:\n")


def test_a_file_that_is_not_utf_8_is_named_with_the_line(tmp_path: Path) -> None:
    (write(tmp_path) / "domain.yml").write_bytes(b"intents:\n- caf\xe9\n")
    faults = Faults()

    read_bot(tmp_path, faults)

    assert faults.lines[0].startswith("domain.yml:2: not UTF-8")


def test_what_rasa_keeps_beside_a_bot_is_no_fault(tmp_path: Path) -> None:
    config = "recipe: default.v1\nlanguage: en\nassistant_id: x\npipeline: []\npolicies: []\n"
    session = "session_config: {session_expiration_time: 60}\nactions: [action_answer]\n"

    read, faults = read_tiny(
        tmp_path, config=config, session=session, credentials="rest:\n", endpoints="models: {url: x}\n"
    )

    assert read.bot.session.minutes == 60
    assert (faults.lines, faults.notes) == ([], [])


def test_sections_may_be_merged_in_by_an_anchor(tmp_path: Path) -> None:
    domain = DOMAIN.replace("responses:\n", "responses:\n  <<: &more\n    utter_more: [{text: more}]\n")

    assert "utter_more" in read_tiny(tmp_path, domain=domain)[0].bot.responses


def test_a_rule_may_say_how_its_actions_leave_the_form(tmp_path: Path) -> None:
    left = "- active_loop: null\n  - slot_was_set:\n    - requested_slot: null\n  - action: utter_hello\n"
    rules = (
        f"{RULES}- rule: Ask\n  steps:\n  - intent: affirm\n  - action: order\n  - active_loop: order\n"
        "- rule: Stop\n  condition:\n  - active_loop: order\n  - slot_was_set: [{size: null}]\n  steps:\n"
        f"  - intent: affirm\n  - action: action_deactivate_loop\n  {left}"
        f"- rule: Filled\n  condition:\n  - active_loop: order\n  steps:\n  - action: order\n  {left}"
    )
    faults = Faults()

    bot = read_and_learn(write(tmp_path, **form("required_slots: [size]"), rules=rules), faults).bot

    after = {rule.told_by.split("`")[1]: rule.action for rule in bot.learned.rules if rule.action == "utter_hello"}
    assert faults.lines == []
    assert after.keys() == {"Greet", "Stop", "Filled"}


def test_a_folder_without_a_bot_says_what_a_bot_is(tmp_path: Path) -> None:
    with pytest.raises(BadBot, match=r"no bot here; a bot is a folder with domain\.yml"):
        read_bot(tmp_path, Faults())


def test_a_bundle_is_read_back_whole_and_its_bytes_depend_on_nothing_else(bundle: Path) -> None:
    read = unpack(bundle.read_bytes())

    bot, content = pack(read)

    assert bot == read.bot
    assert bundle.name == f"{bot.name}-{bot.version}.zip"
    assert content == bundle.read_bytes()


def test_another_version_is_another_bundle(bundle: Path) -> None:
    read = unpack(bundle.read_bytes())
    before = read.bot.version

    read.trained["knowledge"].arrays["vectors"][0, 0] += 1  # type: ignore[index]

    assert pack(read)[0].version != before


def test_what_is_not_a_bundle_is_refused() -> None:
    with pytest.raises(BadBot, match="compile the bot again"):
        unpack(b"PK\x03\x04 no zip")


def test_a_bot_is_compiled_again_only_when_something_that_it_is_made_from_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bot, encoder = tmp_path / "bot", tmp_path / "encoder"
    for name in ("bot/bot.yml", "bot/documents/a/x.md", "encoder/model.onnx", "encoder/tokenizer.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    numbers = itertools.count(1)

    def compiled_anew(bot: Path, out: Path, encoder: Path) -> Path:
        out.mkdir(exist_ok=True)
        path = out / f"bot-{next(numbers)}.zip"
        path.touch()
        return path

    monkeypatch.setattr(compile_bot, "_compile", compiled_anew)

    def made() -> str:
        return compile_bot.bundle_of(bot, out=tmp_path / "out", encoder=encoder).name

    assert [made(), made()] == ["bot-1.zip", "bot-1.zip"]
    (bot / "documents/a").rename(bot / "documents/b")
    assert made() == "bot-2.zip"
    (encoder / "model.onnx").write_text("another")
    assert made() == "bot-3.zip"
    (encoder / "tokenizer.json").write_text("another")
    assert made() == "bot-4.zip"


def test_a_line_that_is_not_utf_8_is_answered_in_the_terminal(
    support: LoadedBot,
    make_services: Callable[[], Services],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    typed = io.TextIOWrapper(io.BytesIO(b"wh\xe9re is my order?\n"), encoding="utf-8", errors="surrogateescape")
    monkeypatch.setattr("sys.stdin", typed)

    chat.talk(support, make_services(), styled=False)

    assert "Ask which order" in capsys.readouterr().out


def test_the_longest_entity_wins_and_synonyms_give_its_value() -> None:
    finder = EntityFinder(
        EntityPatterns(
            regexes={"number": (r"\d{4,8}",)},
            lookups={"tool": ("spade", "border spade")},
            synonyms={"border spade": "small spade"},
        )
    )

    found = finder.find("a Border Spade for order 204518, not a spadework")

    assert [(entity.name, entity.value) for entity in found] == [("tool", "small spade"), ("number", "204518")]


@pytest.mark.parametrize("text", ["7" * 4000, "7" * 2000 + " " + "7" * 2000])
def test_as_many_entities_are_found_as_there_are_characters(text: str) -> None:
    finder = EntityFinder(EntityPatterns(regexes={"digit": (r"\d",), "pair": (r"\d\d(?= )",)}))

    found = finder.find(text)

    assert "".join(entity.text for entity in found) == text.replace(" ", "")


def test_spans_that_overlap_are_taken_as_the_rule_says() -> None:
    spans = ["a", "ab", "bcd", "cde", "e", "ef"]  # in abcdef: the longest first, then the one that begins first
    finder = EntityFinder(EntityPatterns(regexes={"span": tuple(spans)}))

    assert [entity.text for entity in finder.find("abcdef")] == ["a", "bcd", "ef"]
