"""The validation: every kind of finding with its place, and a command that fails only where it should."""

import json
import sys
from pathlib import Path

import pytest

import validate_bot
from draft_findings import Finding
from nlu_trial import RememberingEncoder
from parley.nlu.encoder import OnnxEncoder
from steps import Stop
from validate_bot import validate

BOT_YML = """\
name: tiny
title: Tiny
description: Says hello.
unsure: [utter_hello]
declined: utter_hello
fallback: utter_hello
generation: {persona: Be kind.}
"""
DOMAIN = """\
intents:
- greet
- order
entities:
- size
slots:
  size: {type: text, mappings: [{type: from_entity, entity: size}]}
responses:
  utter_hello: [{text: hello}]
  utter_order: [{text: "a {size} one, then"}]
"""
NLU = """\
nlu:
- intent: greet
  examples: |
    - hello
    - good morning
    - hi there
    - hey you
    - good evening
- intent: order
  examples: |
    - I want a [big](size) pizza
    - bring me a [small](size) cake
    - can I have a soup
    - two beers for our table
    - we would like to eat
"""
RULES = """\
rules:
- rule: Greet
  steps:
  - intent: greet
  - action: utter_hello
- rule: Order
  steps:
  - intent: order
  - action: utter_order
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path)


def write(folder: Path, **files: str) -> Path:
    contents = {"bot": BOT_YML, "domain": DOMAIN, "nlu": NLU, "rules": RULES, **files}
    (folder / "documents").mkdir(parents=True, exist_ok=True)
    (folder / "documents/shop.md").write_text("# Shop\n\n## Hours\n\nOpen from nine to five.\n")
    for name, text in contents.items():
        (folder / f"{name}.yml").write_text(text)
    return folder


def told(findings: list[Finding]) -> list[str]:
    return [f"{finding.place}: {finding.severity}: {finding.message} [{finding.check}]" for finding in findings]


def test_a_bot_without_fault_has_no_finding_in_its_files(folder: Path) -> None:
    assert told(validate(folder, None)) == []


ERRORS = {
    "a rule with an unknown action": (
        {"rules": RULES.replace("utter_order", "utter_nix")},
        "rules.yml:6: error: rule `Order`: `utter_nix` is neither a response, nor a form, nor an action of the domain",
    ),
    "two rules for one case": (
        {"rules": f"{RULES}- rule: Other\n  steps:\n  - intent: order\n  - action: utter_hello\n"},
        "rules.yml:10: error: rule `Other` at rules.yml:10 goes on with `utter_hello`, where rule `Order` at rules",
    ),
    "a story that goes another way than a rule": (
        {"stories": "stories:\n- story: One\n  steps:\n  - intent: order\n  - action: utter_hello\n"},
        "stories.yml:2: error: story `One` at stories.yml:2 goes on with `utter_hello`, but by rule `Order` at",
    ),
    "no settings that can be read": ({"bot": "name: [\n"}, "bot.yml:2: error: not valid YAML"),
    "one intent only": (
        {
            "domain": DOMAIN.replace("- order\n", ""),
            "nlu": NLU[: NLU.index("- intent: order")],
            "rules": RULES[: RULES.index("- rule: Order")],
        },
        "tiny: error: a bot needs examples of at least two intents [compiler]",
    ),
}


@pytest.mark.parametrize(("files", "line"), ERRORS.values(), ids=ERRORS)
def test_what_the_compiler_refuses_is_an_error(tmp_path: Path, files: dict[str, str], line: str) -> None:
    lines = told(validate(write(tmp_path / "tiny", **files), None))

    assert any(said.startswith(line) for said in lines), lines


def test_a_document_without_text_is_an_error(folder: Path) -> None:
    (folder / "documents/shop.md").write_text("")

    assert told(validate(folder, None)) == ["documents/shop.md:1: error: this document holds no text [compiler]"]


def test_a_bot_that_would_answer_from_documents_and_has_none_is_told_so(tmp_path: Path) -> None:
    folder = write(tmp_path / "tiny", bot=BOT_YML.replace("[utter_hello]", "[answer, utter_hello]"))
    (folder / "documents/shop.md").unlink()

    assert told(validate(folder, None)) == [
        "tiny: warning: no Markdown document in documents/: there is nothing to answer from [compiler]"
    ]


def test_a_bot_that_answers_from_no_document_needs_none(folder: Path) -> None:
    (folder / "documents/shop.md").unlink()

    assert told(validate(folder, None)) == []


def nlu_and(block: str) -> dict[str, str]:
    return {"nlu": f"{NLU}{block}"}


SIZES = "- lookup: size\n  examples: |\n    - big\n    - small\n"
WARNINGS = {
    "an intent without examples": (
        {"domain": DOMAIN.replace("- order", "- order\n- bye")},
        "domain.yml:4: warning: intent `bye` has no examples: only `/bye` means it [compiler]",
    ),
    "an example in two intents": (
        {"nlu": NLU.replace("two beers for our table", "Hello")},
        "nlu.yml:14: warning: 'Hello' is an example of `order` and of `greet` [compiler]",
    ),
    "a mark of an undeclared entity": (
        {"nlu": NLU.replace("(size)", "(colour)", 1)},
        "nlu.yml:11: warning: entity `colour` is not in the domain [compiler]",
    ),
    "a lookup for an undeclared entity": (
        nlu_and("- lookup: colour\n  examples: |\n    - red\n"),
        "nlu.yml:16: warning: the lookup table `colour` is named like no entity, so it finds none [compiler]",
    ),
    "few examples": (
        {"nlu": NLU.replace("    - hey you\n", "")},
        "domain.yml:2: warning: intent `greet` has 4 examples; 5 is little enough [few-examples]",
    ),
    "the same example twice": (
        {"nlu": NLU.replace("hey you", "Hi  There")},
        "nlu.yml:7: warning: 'Hi  There' stands in `greet` already, at nlu.yml:6 [duplicate-example]",
    ),
    "a mark that cuts a word": (
        {"nlu": NLU.replace("[big](size) pizza", "[big](size)ger pizza")},
        "nlu.yml:11: warning: the mark [big](size) begins or ends in the middle of a word [odd-mark]",
    ),
    "a mark with a blank in it": (
        {"nlu": NLU.replace("[big]", "[big ]")},
        "nlu.yml:11: warning: the mark [big ](size) begins or ends with a blank [odd-mark]",
    ),
    "a broken mark": (
        {"nlu": NLU.replace("can I have a soup", "can I have a [big] (size) soup")},
        "nlu.yml:13: warning: is this a mark gone wrong?",
    ),
    "a phrase marked here and not there": (
        {"nlu": NLU.replace("can I have a soup", "can I have a big soup")},
        "nlu.yml:13: warning: 'big' is not marked here; at nlu.yml:11 it is `size` [uneven-marks]",
    ),
    "an intent in no rule": (
        {"rules": RULES.replace("intent: order\n  - action: utter_order", "intent: greet\n  - action: utter_hello")},
        "domain.yml:3: warning: nothing is done on intent `order`: it stands in no rule or story [unused-intent]",
    ),
    "an entity that nothing finds or uses": (
        {"domain": DOMAIN.replace("- size", "- size\n- colour")},
        "domain.yml:6: warning: entity `colour` is never found",
    ),
    "an entity that no slot takes": (
        {"domain": DOMAIN.replace("- size", "- size\n- colour")},
        "domain.yml:6: warning: entity `colour` is never used: no slot takes it [unused-entity]",
    ),
    "a slot that nothing fills": (
        {"domain": DOMAIN.replace("slots:", "slots:\n  name: {type: text}")},
        "domain.yml:7: warning: slot `name` is never filled",
    ),
    "a slot that nothing uses": (
        {"domain": DOMAIN.replace("{size}", "big")},
        "domain.yml:7: warning: slot `size` is never used: in no form, no rule, no story and no response [unused-slot]",
    ),
    "a response that is never said": (
        {"domain": f"{DOMAIN}  utter_bye: [{{text: bye}}]\n"},
        "domain.yml:11: warning: response `utter_bye` is never said [unused-response]",
    ),
    "a form that never begins": (
        {"domain": f"{DOMAIN}  utter_ask_size: [{{text: how big?}}]\nforms:\n  a_form: {{required_slots: [size]}}\n"},
        "domain.yml:13: warning: form `a_form` never begins: no rule or story has it as an action [unused-form]",
    ),
    "a misspelt slot in a response": (
        {"domain": DOMAIN.replace("{size}", "{syze}")},
        "domain.yml:10: warning: response `utter_order` speaks of `{syze}`, which is no slot [compiler]",
    ),
    "a misspelt slot in a button": (
        {
            "domain": DOMAIN.replace(
                "{text: hello}", "{text: hello, buttons: [{title: 'A {syze} one', payload: /order}]}"
            )
        },
        "domain.yml:9: warning: response `utter_hello` speaks of `{syze}`, which is no slot [compiler]",
    ),
    "a button that sends an unknown intent": (
        {"domain": DOMAIN.replace("{text: hello}", "{text: hello, buttons: [{title: Bye, payload: /bye}]}")},
        "domain.yml:9: warning: a button of response `utter_hello` sends `/bye`, which is no intent [button]",
    ),
    "a phrase twice in a lookup table": (
        nlu_and(f"{SIZES}    - Big\n"),
        "nlu.yml:20: warning: 'Big' stands in the lookup table of `size` already, at nlu.yml:18 [pattern]",
    ),
    "a regex that matches nothing at all": (
        nlu_and("- regex: size\n  examples: |\n    - \\d*\n"),
        "nlu.yml:18: warning: the regex of `size` matches nothing at all, which is everywhere [pattern]",
    ),
    "a regex that finds none of the marked examples": (
        nlu_and("- regex: size\n  examples: |\n    - XX?L\n"),
        "nlu.yml:18: warning: the regex of `size` finds none of its 2 marked examples, such as 'big' [pattern]",
    ),
    "a synonym that means two things": (
        nlu_and(f"{SIZES}- synonym: large\n  examples: |\n    - big\n- synonym: huge\n  examples: |\n    - big\n"),
        "nlu.yml:25: warning: 'big' means `huge` here and `large` at nlu.yml:22 [synonym]",
    ),
    "a mark that contradicts a synonym": (
        {
            "nlu": f"{NLU}- synonym: large\n  examples: |\n    - big\n".replace(
                "[big](size)", '[big]{"entity": "size", "value": "huge"}'
            )
        },
        "nlu.yml:11: warning: 'big' means `huge` here and `large` at nlu.yml:18 [synonym]",
    ),
    "a synonym that nothing finds": (
        nlu_and("- synonym: large\n  examples: |\n    - enormous\n"),
        "nlu.yml:18: warning: synonym 'enormous' of `large` finds nothing by itself",
    ),
    "another language than the examples'": (
        {"bot": f"{BOT_YML}language: de\n"},
        "bot.yml:8: warning: the bot's `language` is `de`, but 6 examples seem to be `en` [language]",
    ),
    "the same rule twice": (
        {"rules": f"{RULES}- rule: Order again\n  steps:\n  - intent: order\n  - action: utter_order\n"},
        "rules.yml:10: warning: this rule says the same as the one at rules.yml:6 [same-rule]",
    ),
}


@pytest.mark.parametrize(("files", "line"), WARNINGS.values(), ids=WARNINGS)
def test_what_is_probably_not_meant_is_a_warning(tmp_path: Path, files: dict[str, str], line: str) -> None:
    findings = validate(write(tmp_path, **files), None)

    assert any(said.startswith(line) for said in told(findings)), told(findings)
    assert not [finding for finding in findings if finding.severity == "error"], told(findings)


def test_errors_and_warnings_are_told_together_in_the_order_of_the_files(tmp_path: Path) -> None:
    nlu = NLU.replace("(size)", "(colour)", 1).replace("hey you", "hello")
    domain = f"{DOMAIN}  utter_bye: [{{text: bye}}]\n"
    rules = RULES.replace("utter_order", "utter_nix")

    lines = told(validate(write(tmp_path, nlu=nlu, domain=domain, rules=rules), None))

    assert [line.split(": ")[:2] for line in lines] == [
        ["domain.yml:10", "warning"],
        ["domain.yml:11", "warning"],
        ["nlu.yml:7", "warning"],
        ["nlu.yml:11", "warning"],
        ["rules.yml:6", "error"],
    ]


def test_a_system_entity_need_not_be_marked(tmp_path: Path) -> None:
    domain = DOMAIN.replace("- size", "- size\n- time").replace(
        "responses:", "  when: {type: text, mappings: [{type: from_entity, entity: time}]}\nresponses:"
    )

    lines = told(validate(write(tmp_path, domain=domain.replace("a {size} one", "a {size} one at {when}")), None))

    assert lines == []


SAID_BY_RASA = ("default", "restart", "back", "ask_rephrase", "ask_affirmation", "ask_size", "ask_order_form_size")
USED = {
    "responses that Rasa's own actions say": {
        "domain": DOMAIN + "".join(f"  utter_{name}: [{{text: well}}]\n" for name in SAID_BY_RASA)
    },
    "what is put in when a guess is asked about": {
        "domain": f"{DOMAIN}  utter_ask_affirmation:\n  - text: Did you mean {{intent}}?\n"
        "    buttons: [{title: 'Yes', payload: '{payload}'}, {title: 'No', payload: /out_of_scope}]\n"
    },
    "the slot that a form asks for": {"domain": f"{DOMAIN}  utter_ask_size: [{{text: 'your {{requested_slot}}?'}}]\n"},
    "the condition of a response": {
        "domain": DOMAIN.replace("{size}", "big").replace(
            "{text: hello}", "{text: hello, condition: [{type: slot, name: size, value: big}]}, {text: hi}"
        )
    },
    "what a hand-off says": {
        "domain": f"{DOMAIN}  utter_call: [{{text: a person comes}}]\n  utter_back: [{{text: here I am}}]\n",
        "bot": f"{BOT_YML}handoff: {{say: utter_call, back: utter_back}}\n",
    },
    "what is said when unsure": {
        "domain": f"{DOMAIN}  utter_hm: [{{text: hm}}]\n",
        "bot": BOT_YML.replace("[utter_hello]", "[utter_hm]"),
    },
    "what is said where nothing applies": {
        "domain": f"{DOMAIN}  utter_hm: [{{text: hm}}]\n",
        "config": "policies:\n- name: RulePolicy\n  core_fallback_action_name: utter_hm\n",
    },
    "a story": {
        "domain": f"{DOMAIN}  utter_big: [{{text: 'that is big'}}]\n".replace("{size}", "big"),
        "rules": RULES[: RULES.index("- rule: Order")],
        "stories": "stories:\n- story: Big\n  steps:\n  - user: I want a [big](size) pizza\n    intent: order\n"
        "  - slot_was_set: [{size: big}]\n  - action: utter_order\n  - action: utter_big\n",
    },
    "parts of a retrieval intent": {
        "domain": DOMAIN.replace("utter_order:", "utter_faq/hours: [{text: nine to five}]\n  utter_order:").replace(
            "- order", "- order\n- faq"
        ),
        "nlu": NLU + "- intent: faq/hours\n  examples: |\n" + "".join(f"    - open at {n}?\n" for n in range(5)),
        "rules": f"{RULES}- rule: Answer\n  steps:\n  - intent: faq\n  - action: utter_faq\n",
    },
}


@pytest.mark.parametrize("files", USED.values(), ids=USED)
def test_what_is_used_in_any_way_is_not_called_unused(tmp_path: Path, files: dict[str, str]) -> None:
    assert told(validate(write(tmp_path, **files), None)) == []


WEATHER = """\
actions:
  action_weather:
    http: {url: "https://weather.example/?at={town}"}
    slots: {sky: sky}
    say: utter_order
"""
SERVED = {
    "domain": f"{DOMAIN}actions: [action_weather]\n",
    "bot": f"{BOT_YML}action_server: {{url: 'https://a.example'}}\n",
}
DECLARED = {
    "domain": DOMAIN.replace(
        "slots:",
        "slots:\n  sky: {type: text, mappings: [{type: custom}]}\n  town: {type: any, mappings: [{type: from_text}]}",
    )
    + "actions: [action_weather]\n",
    "bot": BOT_YML + WEATHER,
}


@pytest.mark.parametrize("files", [SERVED, DECLARED], ids=["by a server", "declared"])
def test_what_custom_actions_may_say_and_fill_in_is_not_called_unused_or_unknown(
    tmp_path: Path, files: dict[str, str]
) -> None:
    domain = files["domain"].replace("responses:\n", "responses:\n  utter_rain: [{text: 'rain at {hour}'}]\n")

    assert told(validate(write(tmp_path, **{**files, "domain": domain}), None)) == []


def test_parleys_own_actions_say_nothing_but_what_the_files_tell(tmp_path: Path) -> None:
    domain = (
        f"{DOMAIN}  utter_bye: [{{text: 'bye, {{nobody}}'}}]\nactions: [action_answer, action_handoff, utter_bye]\n"
    )

    lines = told(validate(write(tmp_path, domain=domain), None))

    assert lines == [
        "domain.yml:11: warning: response `utter_bye` is never said [unused-response]",
        "domain.yml:11: warning: response `utter_bye` speaks of `{nobody}`, which is no slot [compiler]",
    ]


def test_a_folder_that_is_no_bot_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Stop, match="no bot here"):
        validate(tmp_path, None)


@pytest.fixture(scope="module")
def remembering(encoder: OnnxEncoder) -> RememberingEncoder:
    return RememberingEncoder(encoder)


def test_examples_of_two_intents_that_say_the_same_are_told_with_both_places(
    tmp_path: Path, remembering: RememberingEncoder
) -> None:
    nlu = NLU.replace("hey you", "how much is my water bill?").replace("can I have a soup", "how much is my water bill")

    lines = told(validate(write(tmp_path, nlu=nlu), remembering))

    [line] = [line for line in lines if "[near-duplicate]" in line]
    assert line.startswith(
        "nlu.yml:13: warning: 'how much is my water bill' of `order` is nearly the same as 'how much"
    )
    assert "at nlu.yml:7 (cosine" in line


def test_opposites_are_no_near_duplicates(tmp_path: Path, remembering: RememberingEncoder) -> None:
    nlu = NLU.replace("hey you", "I want to buy a ticket").replace("can I have a soup", "I want to return a ticket")

    lines = told(validate(write(tmp_path, nlu=nlu), remembering))

    assert not [line for line in lines if "[near-duplicate]" in line]


def test_intents_that_no_head_can_tell_apart_are_told_with_their_number(
    tmp_path: Path, remembering: RememberingEncoder
) -> None:
    foods = ("soup", "cake", "beer", "bread", "steak", "salad", "cheese", "ham", "rice", "fish")
    asked = [f"{number} {food} for our table" for number, food in enumerate(foods, start=2)]
    blocks = {"greet": asked[0::2], "order": asked[1::2]}
    nlu = "nlu:\n" + "".join(
        f"- intent: {name}\n  examples: |\n" + "".join(f"    - {text}\n" for text in texts)
        for name, texts in blocks.items()
    )

    lines = told(validate(write(tmp_path, nlu=nlu), remembering))

    confused = [line for line in lines if "[confused]" in line]
    assert confused, lines
    assert "examples of `" in confused[0]
    assert confused[0].startswith(("domain.yml:2: warning: of 5", "domain.yml:3: warning: of 5"))


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> int:
    monkeypatch.setattr(sys, "argv", ["validate_bot.py", *map(str, arguments)])
    try:
        validate_bot.main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


@pytest.mark.parametrize(
    ("files", "options", "code"),
    [
        ({}, (), 0),
        ({"nlu": NLU.replace("hey you", "hello")}, (), 0),
        ({"nlu": NLU.replace("hey you", "hello")}, ("--strict",), 1),
        ({"nlu": NLU.replace("hey you", "hello")}, ("--strict", "--ignore", "duplicate-example"), 0),
        ({"nlu": NLU.replace("(size)", "(colour)")}, ("--ignore", "unused-entity"), 0),
        ({"rules": RULES.replace("utter_order", "utter_nix")}, (), 1),
    ],
)
def test_the_command_fails_on_errors_and_if_strict_on_warnings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], options: tuple[str, ...], code: int
) -> None:
    assert run(monkeypatch, write(tmp_path, **files), "--quick", *options) == code


def test_machines_get_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write(tmp_path, nlu=NLU.replace("hey you", "hello"))

    run(monkeypatch, folder, "--quick", "--json")

    assert json.loads(capsys.readouterr().out) == {
        "errors": 0,
        "warnings": 1,
        "findings": [
            {
                "file": "nlu.yml",
                "line": 7,
                "severity": "warning",
                "check": "duplicate-example",
                "message": "'hello' stands in `greet` already, at nlu.yml:4",
            }
        ],
    }


def test_people_get_lines(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    run(monkeypatch, folder, "--quick")

    assert capsys.readouterr().out.splitlines()[-1] == "nothing to find fault with"


def test_the_support_bot_has_no_error_in_its_files() -> None:
    support = Path(__file__).resolve().parents[2] / "models/bots/support"

    assert [line for line in told(validate(support, None)) if ": error: " in line] == []
