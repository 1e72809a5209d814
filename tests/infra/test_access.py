"""Who may talk and how much: what the functions are told, and what they may do about it."""

import json

import pytest

from infra.access import read_issuers, read_quotas
from parley.access import Access, Issuer, Limits, Quotas
from parley.settings import Settings, read_settings
from tests.infra.conftest import Synthesize
from tests.infra.template import Template

ISSUERS = json.dumps([{"issuer": "https://id.example", "audience": "parley", "tenant": "acme", "operators": "desk"}])
QUOTAS = json.dumps({"key": {"tokens_per_day": 9}, "tenants": {"acme": {"turns_per_month": 5}}})


def settings_of(template: Template, function: str) -> Settings:
    """What a function reads; what CloudFormation fills in is no matter here."""
    variables = template.functions()[function]["Environment"]["Variables"]
    told = {name: value if isinstance(value, str) else "filled in" for name, value in variables.items()}
    return read_settings(told | {"BOTS": '{"support": "s3://a/b"}'})


def test_functions_are_told_who_signs_people_in_and_how_much_is_allowed(stack_of: Synthesize) -> None:
    settings = settings_of(stack_of("prod", issuers=ISSUERS, quotas=QUOTAS), "chat")

    assert settings.access == {"support": Access("acme")}
    assert settings.issuers == (Issuer("https://id.example", "parley", "acme", "desk"),)
    assert settings.quotas == Quotas(key=Limits(tokens_per_day=9), tenants={"acme": Limits(turns_per_month=5)})


@pytest.mark.parametrize("stage", ["local", "dev", "prod"])
def test_nobody_is_signed_in_until_somebody_says_by_whom_and_no_user_asks_without_end(
    stack_of: Synthesize, stage: str
) -> None:
    settings = settings_of(stack_of(stage), "chat")

    assert settings.issuers == ()
    assert settings.quotas.user.turns_per_minute == 60


def test_what_reads_tokens_is_where_tokens_come_and_only_then(stack_of: Synthesize) -> None:
    def with_it(template: Template) -> set[str]:
        layers = {name: json.dumps(each.get("Layers", [])) for name, each in template.functions().items()}
        return {name for name, mounted in layers.items() if "Identity" in mounted}

    assert with_it(stack_of("prod", issuers=ISSUERS)) == {"chat", "socket", "keys", "subscriptions"}
    assert with_it(stack_of("prod")) == set()


def test_only_what_answers_counts_and_it_reads_nothing_there(stack_of: Synthesize) -> None:
    template = stack_of("prod")
    counting = [statement for statement in template.statements() if "Usage" in json.dumps(statement.resources)]

    assert template.who_may("dynamodb:UpdateItem", to="Usage") == {"chat", "worker", "stream"}
    assert {action for statement in counting for action in statement.actions} == {"dynamodb:UpdateItem"}


@pytest.mark.parametrize(
    "bad", ['{"user": {"turns_per_hour": 1}}', '{"robot": {}}', '{"tenants": {"acme": {"turns": 1}}}']
)
def test_a_misspelt_limit_is_refused_by_its_name(bad: str) -> None:
    with pytest.raises(ValueError, match=r"quotas: .*unexpected"):
        read_quotas(bad)


def test_an_issuer_without_an_audience_is_refused() -> None:
    with pytest.raises(ValueError, match="audience"):
        read_issuers('[{"issuer": "https://id.example"}]')
