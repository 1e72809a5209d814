"""A bot's YAML files: merged over files and folders, with the place of every value, as YAML 1.2 and with variables."""

from pathlib import Path

import pytest

from parley.bots.source import BotSource, Faults, read_source
from parley.errors import BadBot


def write(folder: Path, **files: str) -> Path:
    """Files by name, `__` for a folder: `data__nlu` is data/nlu.yml."""
    for name, text in files.items():
        path = folder / f"{name.replace('__', '/')}.yml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def read(folder: Path, **files: str) -> tuple[BotSource, Faults]:
    faults = Faults()
    return read_source(write(folder, **files), faults), faults


def listed(source: BotSource, section: str) -> list[tuple[str, str]]:
    return [(str(item.value), item.place) for item in source.lists[section]]


def test_sections_are_merged_over_files_and_folders(tmp_path: Path) -> None:
    source, faults = read(
        tmp_path,
        domain="intents:\n- greet\nslots:\n  size: {type: text}\n",
        domain__orders="intents:\n- order\nslots:\n  number: {type: text}\n",
        data__nlu="nlu:\n- intent: greet\n  examples: '- hi'\n",
        data__more__rules="rules:\n- rule: one\n  steps: []\n",
    )

    assert sorted(listed(source, "intents")) == [("greet", "domain.yml:2"), ("order", "domain/orders.yml:2")]
    assert {name: placed.place for name, placed in source.maps["slots"].items()} == {
        "size": "domain.yml:4",
        "number": "domain/orders.yml:4",
    }
    assert source.lists["nlu"][0].place == "data/nlu.yml:2"
    assert source.lists["rules"][0].place == "data/more/rules.yml:2"
    assert faults.lines == faults.notes == []


def test_all_sections_may_stand_in_one_file(tmp_path: Path) -> None:
    text = (
        "version: '3.1'\nintents: [greet]\nresponses:\n  utter_x: [{text: hi}]\nrules: []\nstories: []\nlanguage: de\n"
    )

    source, faults = read(tmp_path, domain=text)

    assert [item.value for item in source.words["language"]] == ["de"]
    assert source.maps["responses"]["utter_x"].value == [{"text": "hi"}]
    assert faults.lines == faults.notes == []


def test_versions_may_be_mixed(tmp_path: Path) -> None:
    source, faults = read(tmp_path, domain="version: '3.0'\n", data__stories="version: '2.0'\nstories: []\n")

    assert {item.value for item in source.words["version"]} == {"3.0", "2.0"}
    assert faults.lines == faults.notes == []


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("Off", "Off"),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("12", 12),
        ("0o14", 12),
        ("012", 12),
        ("1.5", 1.5),
        ("12:30:45", "12:30:45"),
        ("'12'", "12"),
    ],
)
def test_values_are_those_of_yaml_1_2(tmp_path: Path, written: str, value: object) -> None:
    source, _ = read(tmp_path, domain=f"slots:\n  size: {{initial_value: {written}}}\n")

    found = source.maps["slots"]["size"].value["initial_value"]
    assert (found, type(found)) == (value, type(value))


def test_the_environments_variables_are_put_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_NAME", "The Shop")

    source, faults = read(tmp_path, domain='responses:\n  utter_x: [{text: "at ${SHOP_NAME}, $5 or ${not one}"}]\n')

    assert source.maps["responses"]["utter_x"].value == [{"text": "at The Shop, $5 or ${not one}"}]
    assert faults.lines == []


def test_a_variable_that_the_environment_lacks_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH_NAME", raising=False)

    _, faults = read(tmp_path, domain="intents:\n- ${NO_SUCH_NAME}\n")

    assert faults.lines == ["domain.yml:2: the environment has no variable `NO_SUCH_NAME`"]


def test_in_what_is_for_servers_it_is_only_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH_NAME", raising=False)

    source, faults = read(tmp_path, domain="intents: []", endpoints="action_endpoint:\n  url: ${NO_SUCH_NAME}\n")

    assert source.servers["action_endpoint"].value == {"url": "${NO_SUCH_NAME}"}
    assert faults.lines == []
    assert faults.notes == ["endpoints.yml:2: the environment has no variable `NO_SUCH_NAME`"]


def test_a_name_that_stands_in_two_files_is_told_and_the_last_counts(tmp_path: Path) -> None:
    source, faults = read(
        tmp_path,
        domain__a="responses:\n  utter_x: [{text: first}]\n",
        domain__b="responses:\n  utter_x: [{text: second}]\n",
    )

    assert source.maps["responses"]["utter_x"].value == [{"text": "second"}]
    assert faults.notes == ["domain/b.yml:2: `utter_x` stands already at domain/a.yml:2"]


def test_a_name_that_stands_twice_in_one_file_is_refused(tmp_path: Path) -> None:
    _, faults = read(tmp_path, domain="responses:\n  utter_x: [{text: a}]\n  utter_x: [{text: b}]\n")

    assert faults.lines[0].startswith("domain.yml:3: not valid YAML: found duplicate key")


def test_tests_documents_and_deployments_are_no_part_of_the_bot(tmp_path: Path) -> None:
    other = "intents: [nix]\n"
    files = ("tests__a", "documents__a", "models__a", "results__a", "actions__a", "credentials", "docker-compose")

    source, faults = read(tmp_path, domain="intents: [greet]\n", **dict.fromkeys(files, other))
    (tmp_path / ".hidden").mkdir()

    assert [item.value for item in source.lists["intents"]] == ["greet"]
    assert faults.notes == []


def test_a_file_without_anything_of_a_bot_is_named(tmp_path: Path) -> None:
    _, faults = read(tmp_path, domain="intents: []\n", values="replicas: 3\n")

    assert faults.notes == ["values.yml:1: nothing in this file is of a bot; it is left out"]


def test_bot_yml_and_endpoints_yml_stand_for_themselves(tmp_path: Path) -> None:
    source, _ = read(
        tmp_path, bot="name: shop\nintents: [not here]\n", endpoints="action_endpoint: {url: x}\n", domain=""
    )

    assert source.settings is not None
    assert source.settings["name"].value == "shop"
    assert source.servers["action_endpoint"].place == "endpoints.yml:1"
    assert source.lists["intents"] == ()


def test_a_rasa_project_needs_no_bot_yml(tmp_path: Path) -> None:
    assert read(tmp_path, domain="intents: []\n")[0].settings == {}


def test_a_folder_without_a_bot_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadBot, match="no bot here"):
        read_source(tmp_path, Faults())


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("intents: [greet\n", "domain.yml:"),
        ("- greet\n", "domain.yml:1: the file must be a mapping of sections"),
        ("intents: greet\n", "domain.yml:1: `intents` must be a list"),
        ("slots: [size]\n", "domain.yml:1: `slots` must be a mapping"),
        ("slots:\n  since: {initial_value: 2026-01-01}\n", "2026-01-01 is neither a text nor a number"),
        ("intents:\n- !greet hello\n", "not valid YAML"),
        ("intents: " + "[" * 1_000 + "\n", "nested too deeply"),
        ("intents: [\x01]\n", "not valid YAML"),
    ],
    ids=["unclosed", "a list", "no list", "no mapping", "date", "tag", "deep", "control character"],
)
def test_what_cannot_be_read_is_refused_with_its_place(tmp_path: Path, text: str, reason: str) -> None:
    _, faults = read(tmp_path, domain=text)

    assert len(faults.lines) == 1
    assert reason in faults.lines[0]


def test_a_file_in_another_encoding_is_refused_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "domain.yml").write_bytes("intents:\n- grüß\n".encode("latin-1"))
    faults = Faults()

    read_source(tmp_path, faults)

    assert faults.lines == ["domain.yml:2: not UTF-8; save the file as UTF-8"]


def test_a_mark_at_the_beginning_of_a_file_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "domain.yml").write_bytes(b"\xef\xbb\xbfintents: [greet]\n")

    assert [item.value for item in read_source(tmp_path, Faults()).lists["intents"]] == ["greet"]


def test_all_faults_are_named_at_once(tmp_path: Path) -> None:
    _, faults = read(tmp_path, domain="intents: greet\n", domain__more="slots: []\n", data__nlu="nlu: [\n")

    assert len(faults.lines) == 3
    with pytest.raises(BadBot, match="3 faults in the bot's files"):
        faults.raise_if_any()


def test_a_note_is_told_once(tmp_path: Path) -> None:
    faults = Faults()

    faults.note("domain.yml:1", "so and so")
    faults.note("domain.yml:1", "so and so")

    assert faults.notes == ["domain.yml:1: so and so"]
    faults.raise_if_any()
