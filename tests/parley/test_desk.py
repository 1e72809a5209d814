"""Hand-off over the HTTP API, in one process: who may do what, what is announced, what the user sees; and `explain`."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from parley.adapters.memory import (
    MemoryAnnouncements,
    MemoryDocuments,
    MemoryLibraries,
    MemoryQueue,
    memory_callers,
    memory_lines,
)
from parley.dialogue.policy import Policy
from parley.errors import Unavailable
from parley.http_api import HttpApi
from parley.http_door import HttpDoor
from parley.knowledge_door import KnowledgeDoor
from parley.loaded import LoadedBot
from parley.rasa_door import RasaDoor
from parley.services import Services
from tests.parley.test_http_api import Client, Response

KEY = "the operator key"
MakeClient = Callable[..., "Desk"]


@dataclass
class Desk(Client):
    """A client of the API of a bot that hands off whatever it does not understand."""

    announcements: MemoryAnnouncements | None = None

    def operate(self, path: str, body: Any = None, key: str = KEY) -> Response:
        return self.call(
            "POST", f"/v1/conversations/{self.conversation_id}/{path}", body, authorization=f"Bearer {key}"
        )


@pytest.fixture
def make_client(make_services: Callable[..., Services], support: LoadedBot) -> MakeClient:
    def build(*, explains: bool = False, announcements: MemoryAnnouncements | None = None, **changes: Any) -> Desk:
        bot = replace(support.bot, unsure=("handoff",), **changes)
        loaded = replace(support, bot=bot, policy=Policy(bot))
        announcements = announcements or MemoryAnnouncements()
        services = replace(make_services(announcements=announcements), bots=lambda _: loaded)
        callers = memory_callers("support", operator_key=KEY.encode())
        door = HttpDoor(services, MemoryQueue(), memory_lines(), callers, "support", "prod", explains)
        api = HttpApi(
            door,
            RasaDoor(services, callers, "support"),
            KnowledgeDoor(services.bots, MemoryDocuments(), MemoryLibraries(), callers),
        )
        return Desk(api, MemoryQueue(), services, announcements=announcements)

    return build


def test_a_person_is_told_the_whole_conversation_and_the_bot_keeps_silent(make_client: MakeClient) -> None:
    client = make_client()
    client.chat("hello")

    handed = client.chat("blorp")
    silent = client.chat("is anybody there?")

    assert handed.body["handed_off"] is True
    assert (silent.body["replies"], silent.body["source"]) == ([], "handoff")
    assert client.announcements is not None
    (first, detail), (second, message) = client.announcements.told
    assert (first, second) == ("conversation.handed_off", "conversation.message")
    assert [line["text"] for line in detail["transcript"] if line["from"] == "user"] == ["hello", "blorp"]
    assert detail["is_whole"] is True
    assert [line["text"] for line in message["transcript"]] == ["is anybody there?"]


def test_what_the_person_writes_reaches_the_user_and_the_bot_comes_back(make_client: MakeClient) -> None:
    client = make_client(handoff=replace(make_client().services.bots("support").bot.handoff, back="utter_welcome"))
    client.chat("blorp")

    written = client.operate("person", {"message": "Good day, Maeve here."})
    meanwhile = client.own("GET", f"/v1/conversations/{client.conversation_id}").body
    back = client.operate("handback")
    after = client.chat("hello")

    assert written.status == 201
    assert (meanwhile["handed_off"], meanwhile["turns"][-1]["replies"]) == (True, [{"text": "Good day, Maeve here."}])
    assert (meanwhile["turns"][-1]["channel"], meanwhile["turns"][-1]["source"]) == ("person", "person")
    assert back.body["replies"][0]["text"]
    assert after.body["source"] == "scripted"
    assert "handed_off" not in after.body


@pytest.mark.parametrize("key", ["", "the operator keys", "x"])
def test_who_has_another_key_takes_no_part(make_client: MakeClient, key: str) -> None:
    client = make_client()
    client.chat("blorp")

    assert client.operate("person", {"message": "hi"}, key=key).status == 403
    assert client.operate("handback", key=key).status == 403


def test_the_users_own_token_is_no_operator_key(make_client: MakeClient) -> None:
    client = make_client()
    client.chat("blorp")

    assert client.operate("handback", key=client.token or "").status == 403


def test_nobody_writes_in_a_conversation_that_the_bot_has(make_client: MakeClient) -> None:
    client = make_client()
    client.chat("hello")

    refused = client.operate("person", {"message": "hi"})

    assert refused.status == 400
    assert "the bot has this conversation" in refused.body["detail"]


def test_an_operator_reads_any_conversation(make_client: MakeClient) -> None:
    client = make_client()
    client.chat("hello")

    read = client.call("GET", f"/v1/conversations/{client.conversation_id}", authorization=f"Bearer {KEY}")

    assert read.status == 200
    assert read.body["turns"][0]["message"] == "hello"


def test_a_turn_fails_readably_where_nobody_can_be_told_and_can_be_sent_again(make_client: MakeClient) -> None:
    client = make_client(announcements=MemoryAnnouncements(Unavailable("the event bus did not answer")))
    client.chat("hello")

    refused = client.chat("blorp")

    assert refused.status == 503
    turns = client.own("GET", f"/v1/conversations/{client.conversation_id}").body["turns"]
    assert [turn["message"] for turn in turns] == ["hello"]


def test_why_is_told_to_everybody_where_the_stage_allows_it(make_client: MakeClient) -> None:
    client = make_client(explains=True)
    client.chat("where is my order?")

    told = client.chat("WB-204518", explain=True).body["explanation"]

    assert [step["action"] for step in told["steps"]] == ["order_form", "utter_order_status", "action_listen"]
    assert [step["policy"] for step in told["steps"]] == ["form", "rule", "rule"]
    assert "data/rules.yml" in told["steps"][1]["because"]
    assert {"name": "order_number", "before": None, "after": "WB-204518"} in told["slots"]
    assert told["understanding"]["ranking"]


def test_why_is_told_to_operators_only_where_it_does_not(make_client: MakeClient) -> None:
    client = make_client()

    refused = client.chat("hello", explain=True)
    told = client.call("POST", "/v1/chat", {"message": "hello", "explain": True}, authorization=f"Bearer {KEY}")

    assert refused.status == 403
    assert told.body["explanation"]["steps"]


def test_health_says_whether_it_explains(make_client: MakeClient) -> None:
    assert make_client(explains=True).call("GET", "/v1/health").body["explain"] is True
    assert make_client().call("GET", "/v1/health").body["explain"] is False
