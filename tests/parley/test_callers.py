"""Who callers are, and what they may do with which bot and which conversation."""

from dataclasses import replace

import pytest

from parley.access import Access
from parley.adapters.memory import MemoryIdentities, MemoryKeys
from parley.callers import Caller, Callers, begun
from parley.channels import api_key, token
from parley.errors import MalformedRequest, NoBot, NotFound, NotKnown, NotYours, ParleyError
from parley.ports import Identity
from tests.builders import a_session

OPERATOR = "the operator's key"
ACCESS = {
    "shop": Access("acme"),
    "staff": Access("acme", visitors=False),
    "clinic": Access("weir-street"),
}
JWT = {name: f"eyJ.{name}.signed" for name in ("alice", "bob", "chief", "patient")}
IDENTITIES = MemoryIdentities(
    **{
        JWT["alice"]: Identity("@alice", "acme"),
        JWT["bob"]: Identity("@bob", "acme"),
        JWT["chief"]: Identity("@chief", "acme", is_operator=True),
        JWT["patient"]: Identity("@patient", "weir-street"),
    }
)


def key(keys: MemoryKeys, tenant: str, *scopes: str, bots: tuple[str, ...] = ()) -> str:
    made, shown = api_key.new_key("a server", scopes or ("chat",), bots, tenant=tenant, now=0.0, expires_at=None)
    keys.save(made)
    return shown


@pytest.fixture
def keys() -> MemoryKeys:
    return MemoryKeys()


@pytest.fixture
def callers(keys: MemoryKeys) -> Callers:
    return Callers(ACCESS, lambda: 1_000.0, OPERATOR.encode, keys, IDENTITIES)


def who(callers: Callers, shown: str | None) -> Caller:
    return callers.who(f"Bearer {shown}" if shown else None)


def talks_with(callers: Callers, shown: str | None) -> list[str]:
    return [bot for bot in ACCESS if callers.may_talk(who(callers, shown), bot)]


def test_visitors_talk_with_bots_that_let_them(callers: Callers) -> None:
    assert talks_with(callers, None) == ["shop", "clinic"]
    assert talks_with(callers, token.new_token()) == ["shop", "clinic"]


def test_who_is_signed_in_talks_with_the_bots_of_the_tenant(callers: Callers) -> None:
    assert talks_with(callers, JWT["alice"]) == ["shop", "staff"]
    assert talks_with(callers, JWT["patient"]) == ["clinic"]


def test_a_server_talks_with_the_bots_of_its_tenant_that_its_key_names(callers: Callers, keys: MemoryKeys) -> None:
    assert talks_with(callers, key(keys, "acme")) == ["shop", "staff"]
    assert talks_with(callers, key(keys, "acme", bots=("staff",))) == ["staff"]
    assert talks_with(callers, key(keys, "acme", bots=("clinic",))) == []


def test_the_bearer_of_the_operator_key_talks_with_all(callers: Callers) -> None:
    assert talks_with(callers, OPERATOR) == [*ACCESS]


@pytest.mark.parametrize("shown", [None, JWT["patient"]])
def test_a_bot_that_is_not_for_somebody_is_told_as_one_that_is_not_there(callers: Callers, shown: str | None) -> None:
    told = []
    for bot in ("staff", "nowhere"):
        with pytest.raises(NoBot) as refused:
            callers.check_talks(who(callers, shown), bot)
        told.append(str(refused.value).replace(bot, "BOT"))

    assert told[0] == told[1]


def test_a_key_that_is_limited_to_other_bots_of_its_tenant_is_told_so(callers: Callers, keys: MemoryKeys) -> None:
    with pytest.raises(NotYours, match="limited to shop"):
        callers.check_talks(who(callers, key(keys, "acme", bots=("shop",))), "staff")


def test_a_key_for_operating_talks_with_nobody(callers: Callers, keys: MemoryKeys) -> None:
    with pytest.raises(NotYours, match="scope 'chat'"):
        callers.check_talks(who(callers, key(keys, "acme", "operate")), "shop")


@pytest.mark.parametrize(
    "shown", ["eyJ.forged.token", "parley_0123456789abcdef_" + "A" * 43], ids=["a JWT", "an API key"]
)
def test_what_looks_like_a_key_or_a_jwt_and_is_none_is_not_taken_for_a_visitors(callers: Callers, shown: str) -> None:
    with pytest.raises(NotKnown):
        who(callers, shown)


def test_a_function_that_looks_up_no_keys_takes_them_for_a_visitors_token(keys: MemoryKeys) -> None:
    caller = Callers(ACCESS, lambda: 0.0).who(f"Bearer {key(keys, 'acme', 'operate')}")

    assert caller.is_visitor


def refusal(callers: Callers, caller: Caller, bot: str, owner: Caller) -> type[ParleyError] | None:
    """How somebody is refused who wants into a conversation that another began."""
    secret, session = begun(bot, owner, owner.user_of(None), now=0.0)
    caller = replace(caller, shown=secret) if caller.shown == "the token" else caller
    try:
        callers.check_owns(caller, session)
    except ParleyError as error:
        return type(error)
    return None


def test_a_conversation_is_open_to_those_whose_it_is_and_their_operators(callers: Callers, keys: MemoryKeys) -> None:
    server, another, clinics = (who(callers, key(keys, tenant)) for tenant in ("acme", "acme", "weir-street"))
    operator, foreign = (who(callers, key(keys, tenant, "operate")) for tenant in ("acme", "weir-street"))
    alice, bob, chief, patient = (who(callers, JWT[name]) for name in ("alice", "bob", "chief", "patient"))
    everybody = {
        "nobody": Caller(),
        "a stranger": Caller(shown=token.new_token()),
        "the bearer": Caller(shown="the token"),
        "alice": alice,
        "bob": bob,
        "chief": chief,
        "patient": patient,
        "server": server,
        "another": another,
        "clinics": clinics,
        "operator": operator,
        "foreign": foreign,
        "root": who(callers, OPERATOR),
    }

    def let_in(owner: Caller) -> set[str]:
        return {name for name, caller in everybody.items() if refusal(callers, caller, "shop", owner) is None}

    operators = {"operator", "chief", "root"}
    assert let_in(Caller()) == {"the bearer", *operators}
    assert let_in(alice) == {"alice", *operators}
    assert let_in(server) == {"the bearer", "server", *operators}
    assert {refusal(callers, each, "shop", alice) for each in (clinics, foreign, patient)} == {NotFound}


def test_nobody_claims_to_be_who_is_signed_in(callers: Callers, keys: MemoryKeys) -> None:
    alice, server = who(callers, JWT["alice"]), who(callers, key(keys, "acme"))

    assert Caller().user_of("alice") == "alice"
    assert server.key is not None
    assert server.user_of("alice") == f"{server.key.id}/alice"
    with pytest.raises(MalformedRequest):
        alice.user_of("bob")


def test_operators_are_told_from_others(callers: Callers, keys: MemoryKeys) -> None:
    operator = who(callers, key(keys, "acme", "operate"))

    callers.check_operates(who(callers, OPERATOR), "clinic")
    callers.check_operates(operator, "shop")
    with pytest.raises(NoBot):
        callers.check_operates(operator, "clinic")
    for shown in (None, JWT["alice"], key(keys, "acme")):
        with pytest.raises(NotYours):
            callers.check_operates(who(callers, shown), "shop")


def test_a_conversation_with_a_bot_that_is_gone_is_the_root_operators_only(callers: Callers, keys: MemoryKeys) -> None:
    session = a_session(bot="gone")

    callers.check_owns(who(callers, OPERATOR), session)
    with pytest.raises(NotFound):
        callers.check_owns(who(callers, key(keys, "acme", "operate")), session)


def test_a_key_that_talks_and_operates_lists_the_users_it_talks_for_and_one_that_operates_only_none(
    callers: Callers, keys: MemoryKeys
) -> None:
    both, operator = who(callers, key(keys, "acme", "chat", "operate")), who(callers, key(keys, "acme", "operate"))

    assert both.key is not None
    assert callers.user_meant(both, "ada") == f"{both.key.id}/ada"
    with pytest.raises(NotYours):
        callers.user_meant(operator, "ada")
