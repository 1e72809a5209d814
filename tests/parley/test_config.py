"""`config.yml`: what of it decides how the dialogue goes, and what is named because nothing here does it."""

from pathlib import Path

import pytest

from parley.bots.bot import PolicySettings
from parley.bots.config import read_policy
from parley.bots.source import Faults, read_source


def read(folder: Path, text: str) -> tuple[PolicySettings, Faults]:
    (folder / "config.yml").write_text(text, encoding="utf-8")
    faults = Faults()
    return read_policy(read_source(folder, faults), faults), faults


def policies(folder: Path, *listed: str) -> PolicySettings:
    settings, faults = read(folder, "policies:\n" + "".join(f"- {each}\n" for each in listed))
    assert faults.lines == []
    return settings


def test_without_policies_the_dialogue_goes_as_by_rasas_own_choice(tmp_path: Path) -> None:
    settings, faults = read(tmp_path, "language: en\n")

    assert settings == PolicySettings()
    assert settings.takes_near_stories
    assert faults.lines == faults.notes == []


def test_rules_and_stories_that_are_remembered_need_no_near_matches(tmp_path: Path) -> None:
    settings = policies(tmp_path, "name: MemoizationPolicy", "name: RulePolicy")

    assert settings == PolicySettings(takes_near_stories=False)


@pytest.mark.parametrize("network", ["TEDPolicy", "KerasPolicy", "SklearnPolicy", "EmbeddingPolicy"])
def test_where_rasa_has_a_network_near_matches_count_and_that_is_told(tmp_path: Path, network: str) -> None:
    settings, faults = read(tmp_path, f"policies:\n- name: {network}\n  epochs: 100\n")

    assert settings.takes_near_stories
    assert faults.notes == [
        f"config.yml:2: `{network}` is not trained: where no story fits, the one that fits nearly decides"
    ]


@pytest.mark.parametrize("memory", ["MemoizationPolicy", "AugmentedMemoizationPolicy"])
@pytest.mark.parametrize(("written", "states"), [("5", 5), ("null", None), ("0", None), ("five", None)])
def test_stories_look_back_as_far_as_the_memory_does(
    tmp_path: Path, memory: str, written: str, states: int | None
) -> None:
    assert policies(tmp_path, f"{{name: {memory}, max_history: {written}}}").max_history == states


@pytest.mark.parametrize(
    ("parameters", "changed"),
    [
        ("", {}),
        ("core_fallback_action_name: utter_default", {"fallback_action": "utter_default"}),
        ("core_fallback_action_name: null", {}),
        ("core_fallback_threshold: 0.5", {"fallback_threshold": 0.5}),
        ("enable_fallback_prediction: false", {"fallback_enabled": False}),
        ("restrict_rules: false", {"restrict_rules": False}),
        ("check_for_contradictions: false", {"checks_contradictions": False}),
    ],
)
def test_the_rule_policy_has_parameters(tmp_path: Path, parameters: str, changed: dict[str, object]) -> None:
    settings = policies(tmp_path, f"{{name: RulePolicy, {parameters}}}")

    assert settings == PolicySettings(takes_near_stories=False, **changed)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("policy", "instead"),
    [
        ("FallbackPolicy", "RulePolicy's core fallback and FallbackClassifier"),
        ("TwoStageFallbackPolicy", "a rule for `nlu_fallback` with `action_two_stage_fallback`"),
        ("MappingPolicy", "rules"),
        ("FormPolicy", "RulePolicy, which runs forms"),
    ],
)
def test_a_policy_of_rasa_2_is_named_with_what_does_its_work_now(tmp_path: Path, policy: str, instead: str) -> None:
    _, faults = read(tmp_path, f"policies:\n- name: {policy}\n")

    assert faults.notes == [f"config.yml:2: `{policy}` is of Rasa 2 and not used; its work is done by {instead}"]


def test_a_policy_that_nobody_knows_is_named(tmp_path: Path) -> None:
    _, faults = read(tmp_path, "policies:\n- name: addons.policies.MyPolicy\n")

    assert faults.notes == ["config.yml:2: `MyPolicy` is not used"]


def test_a_component_may_be_given_by_its_class_or_as_a_bare_name(tmp_path: Path) -> None:
    settings, faults = read(
        tmp_path,
        "pipeline:\n- WhitespaceTokenizer\n- name: rasa.nlu.classifiers.diet_classifier.DIETClassifier\n"
        "policies:\n- rasa.core.policies.memoization.MemoizationPolicy\n",
    )

    assert settings == PolicySettings(takes_near_stories=False)
    assert faults.notes == []


def test_what_parleys_own_understanding_does_is_not_named(tmp_path: Path) -> None:
    done = ("RegexFeaturizer", "CountVectorsFeaturizer", "DIETClassifier", "EntitySynonymMapper", "ResponseSelector")

    _, faults = read(tmp_path, "pipeline:\n" + "".join(f"- name: {name}\n  epochs: 3\n" for name in done))

    assert faults.notes == []


@pytest.mark.parametrize("component", ["SpacyNLP", "ConveRTTokenizer", "LanguageModelFeaturizer", "addons.MyExtractor"])
def test_a_component_that_is_not_used_is_named(tmp_path: Path, component: str) -> None:
    _, faults = read(tmp_path, f"language: en\npipeline:\n- name: {component}\n")

    name = component.rpartition(".")[2]
    assert faults.notes == [
        f"config.yml:3: `{name}` is not used: Parley has an encoder, a head and a tagger of its own"
    ]


def test_the_fallback_classifier_says_when_nothing_was_understood(tmp_path: Path) -> None:
    plain, _ = read(tmp_path, "pipeline:\n- name: FallbackClassifier\n")
    told, _ = read(tmp_path, "pipeline:\n- name: FallbackClassifier\n  threshold: 0.7\n  ambiguity_threshold: 0\n")
    without, _ = read(tmp_path, "pipeline: []\n")

    assert (plain.intent_threshold, plain.ambiguity_threshold) == (0.3, 0.1)
    assert (told.intent_threshold, told.ambiguity_threshold) == (0.7, 0.0)
    assert (without.intent_threshold, without.ambiguity_threshold) == (0.0, 0.0)


@pytest.mark.parametrize("threshold", ["much", "1.5", "-0.1", "true", "null", "[0.3]"])
def test_a_threshold_that_is_none_is_refused(tmp_path: Path, threshold: str) -> None:
    _, faults = read(tmp_path, f"pipeline:\n- {{name: FallbackClassifier, threshold: {threshold}}}\n")

    assert faults.lines[0].startswith("config.yml:2: a threshold must be a number from 0 to 1")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("pipeline:\n- epochs: 3\n", "pipeline: every component has a `name`"),
        ("policies:\n- name: 3\n", "policies: every component has a `name`"),
        ("policies:\n- {}\n", "policies: Expected `object` of length >= 1"),
        ("policies:\n- [RulePolicy]\n", "policies: Expected `object`, got `array`"),
        ("policies: RulePolicy\n", "`policies` must be a list"),
    ],
)
def test_what_is_no_component_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    _, faults = read(tmp_path, text)

    [fault] = faults.lines
    assert reason in fault


def test_keys_of_rasas_server_are_taken_in_silence(tmp_path: Path) -> None:
    _, faults = read(
        tmp_path, "recipe: default.v1\nassistant_id: shop-1\nlanguage: en\nversion: '3.1'\nimporters: []\n"
    )

    assert faults.lines == faults.notes == []


def test_a_key_that_nobody_knows_is_named(tmp_path: Path) -> None:
    _, faults = read(tmp_path, "language: en\npipelines: []\n")

    assert faults.notes == ["config.yml:2: `pipelines` is not a section of Rasa's; it is left out"]
