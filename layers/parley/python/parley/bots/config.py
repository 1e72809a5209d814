"""`config.yml`: what of it concerns Parley, and what is named because nothing here does it.

Knows Rasa's components by name; runs none of them.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from parley.bots.bot import ACTION_FALLBACK, PolicySettings
from parley.bots.shapes import Component, shaped
from parley.bots.source import BotSource, Faults, Placed

# Done by Parley's own understanding, whatever the parameters.
_OUR_WORK = frozenset(
    {
        "WhitespaceTokenizer",
        "RegexFeaturizer",
        "LexicalSyntacticFeaturizer",
        "CountVectorsFeaturizer",
        "DIETClassifier",
        "LogisticRegressionClassifier",
        "SklearnIntentClassifier",
        "CRFEntityExtractor",
        "RegexEntityExtractor",
        "EntitySynonymMapper",
        "ResponseSelector",
        "KeywordIntentClassifier",
        "DucklingEntityExtractor",
        "DucklingHTTPExtractor",
    }
)
_FALLBACK_CLASSIFIER = "FallbackClassifier"
_MEMORIES = frozenset({"MemoizationPolicy", "AugmentedMemoizationPolicy"})
_NETWORKS = frozenset({"TEDPolicy", "KerasPolicy", "SklearnPolicy", "EmbeddingPolicy"})
_OLD_POLICIES = {
    "FallbackPolicy": "RulePolicy's core fallback and FallbackClassifier",
    "TwoStageFallbackPolicy": "a rule for `nlu_fallback` with `action_two_stage_fallback`",
    "MappingPolicy": "rules",
    "FormPolicy": "RulePolicy, which runs forms",
}


def read_policy(source: BotSource, faults: Faults) -> PolicySettings:
    """How the dialogue goes by config.yml; what has no meaning here is noted in `faults`."""
    pipeline = list(_named(source.lists["pipeline"], "pipeline", faults))
    policies = list(_named(source.lists["policies"], "policies", faults))
    settings = PolicySettings()
    if policies:
        settings = _policies(policies, faults)
    for name, options, place in pipeline:
        if name == _FALLBACK_CLASSIFIER:
            settings = replace(
                settings,
                intent_threshold=_number(options.get("threshold", 0.3), place, faults),
                ambiguity_threshold=_number(options.get("ambiguity_threshold", 0.1), place, faults),
            )
        elif name not in _OUR_WORK:
            faults.note(place, f"`{name}` is not used: Parley has an encoder, a head and a tagger of its own")
    return settings


def _policies(policies: list[tuple[str, dict[str, Any], str]], faults: Faults) -> PolicySettings:
    settings = PolicySettings(takes_near_stories=False)
    for name, options, place in policies:
        if name in _MEMORIES:
            history = options.get("max_history")
            settings = replace(settings, max_history=history if isinstance(history, int) and history > 0 else None)
        elif name == "RulePolicy":
            settings = replace(
                settings,
                fallback_action=str(options.get("core_fallback_action_name") or ACTION_FALLBACK),
                fallback_threshold=_number(options.get("core_fallback_threshold", 0.3), place, faults),
                fallback_enabled=options.get("enable_fallback_prediction") is not False,
                restrict_rules=options.get("restrict_rules") is not False,
                checks_contradictions=options.get("check_for_contradictions") is not False,
            )
        elif name in _NETWORKS:
            settings = replace(settings, takes_near_stories=True)
            faults.note(place, f"`{name}` is not trained: where no story fits, the one that fits nearly decides")
        elif name in _OLD_POLICIES:
            faults.note(place, f"`{name}` is of Rasa 2 and not used; its work is done by {_OLD_POLICIES[name]}")
        else:
            faults.note(place, f"`{name}` is not used")
    return settings


def _named(items: Iterable[Placed], section: str, faults: Faults) -> Iterable[tuple[str, dict[str, Any], str]]:
    for item in items:
        if isinstance(item.value, str):  # Rasa 2 took a bare name
            yield item.value.rpartition(".")[2], {}, item.place
            continue
        component = shaped(item, Component, section, faults)
        if component is None:
            continue
        if not isinstance(component.get("name"), str):
            faults.add(item.place, f"{section}: every component has a `name`")
            continue
        yield component["name"].rpartition(".")[2], component, item.place


def _number(value: Any, place: str, faults: Faults) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1:
        return float(value)
    faults.add(place, f"a threshold must be a number from 0 to 1, not {value!r}")
    return 0.3
