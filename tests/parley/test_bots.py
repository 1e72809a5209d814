"""Reading, refusing and packing bots; and what the reader's pieces mean."""

from pathlib import Path

import pytest

from parley.bots.bot import EntityPatterns
from parley.bots.bundle import pack, unpack
from parley.bots.reader import read_bot
from parley.compile import Compiled
from parley.errors import BadBot
from parley.nlu.encoder import OnnxEncoder
from parley.nlu.entities import EntityFinder
from parley.nlu.fit import fit_head
from parley.nlu.intents import IntentHead

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


def test_a_bot_is_read_from_its_files(tmp_path: Path) -> None:
    read = read_bot(write(tmp_path))

    assert read.bot.name == "tiny"
    assert read.bot.rules[0].actions == ("utter_hello",)
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
    "an intent without examples": ({"domain": DOMAIN.replace("affirm", "affirm, thank")}, "`thank` has no examples"),
    "an intent outside the domain": ({"domain": DOMAIN.replace(", affirm", "")}, "nlu.yml:11: intent `affirm`"),
    "an example in two intents": ({"nlu": NLU.replace("- yes", "- Hello")}, "'Hello' is an example of `affirm` and"),
    "a rule with an unknown action": ({"rules": RULES.replace("utter_hello", "utter_nix")}, "`utter_nix` is neither"),
    "a rule with an unknown intent": ({"rules": RULES.replace("greet", "nix")}, "`nix` is not in the domain"),
    "a response that is missing": ({"bot": BOT_YML.replace("[utter_hello]", "[utter_nix]")}, "no response `utter_nix`"),
    "unsure that may end in silence": (
        {"bot": BOT_YML.replace("[utter_hello]", "[answer]")},
        "must end with a response",
    ),
    "a misspelt setting": ({"bot": BOT_YML + "sugestions: []\n"}, "sugestions"),
    "a broken regular expression": (
        {"nlu": NLU + "- regex: size\n  examples: |\n    - (unclosed\n"},
        "nlu.yml:14: not a regular expression",
    ),
    "a slot type of another version": (
        {"domain": DOMAIN.replace("type: text", "type: float")},
        "'float' is not supported",
    ),
    "a line that is no example": ({"nlu": NLU.replace("- yes", "yes")}, "nlu.yml:10: an example must begin with"),
}


@pytest.mark.parametrize(("files", "said"), FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_is_named_with_its_place(tmp_path: Path, files: dict[str, str], said: str) -> None:
    with pytest.raises(BadBot) as caught:
        read_bot(write(tmp_path, **files))

    assert said in str(caught.value)


def test_all_faults_are_named_at_once(tmp_path: Path) -> None:
    broken = {"rules": RULES.replace("utter_hello", "utter_nix"), "domain": DOMAIN.replace("affirm", "affirm, thank")}

    with pytest.raises(BadBot, match="2 faults"):
        read_bot(write(tmp_path, **broken))


def test_a_folder_without_a_bot_says_what_a_bot_is(tmp_path: Path) -> None:
    with pytest.raises(BadBot, match=r"no bot\.yml here"):
        read_bot(tmp_path)


def test_a_bundle_is_read_back_whole_and_its_bytes_depend_on_nothing_else(compiled: Compiled) -> None:
    bundle = unpack(compiled.content)

    bot, content = pack(bundle)

    assert bot == compiled.bot
    assert content == compiled.content


def test_another_version_is_another_bundle(compiled: Compiled) -> None:
    bundle = unpack(compiled.content)

    bundle.passage_vectors[0, 0] += 1

    assert pack(bundle)[0].version != compiled.bot.version


def test_what_is_not_a_bundle_is_refused() -> None:
    with pytest.raises(BadBot, match="compile the bot again"):
        unpack(b"PK\x03\x04 no zip")


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


def test_a_head_learns_its_intents_and_refuses_the_rest(encoder: OnnxEncoder) -> None:
    taught = {
        "greet": ["hello", "hi there", "good morning", "hey", "good evening", "hello bot"],
        "order": ["where is my parcel", "track my order", "order status", "has it shipped", "my parcel is late"],
        "thank": ["thank you", "thanks a lot", "cheers", "many thanks", "thank you so much"],
        "stop": ["stop it", "never mind", "forget it", "cancel that", "please stop"],
    }
    examples = [(text, intent) for intent, texts in taught.items() for text in texts]

    head = fit_head(encoder.embed([text for text, _ in examples]), [intent for _, intent in examples]).head

    def read(text: str, head: IntentHead) -> str | None:
        vector = encoder.embed([text])[0]
        best = head.rank(vector)[0]
        return best.name if head.knows(vector, best.confidence) else None

    assert read("where is my order?", head) == "order"
    assert read("thanks!", head) == "thank"
    assert read("the mitochondria is the powerhouse of the cell", head) is None
