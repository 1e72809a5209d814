"""Rasa's own HTTP API: what its front ends send and expect."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from parley.access import Access
from parley.adapters.memory import MemoryDocuments, MemoryLibraries, MemoryQueue, memory_callers, memory_lines
from parley.dialogue.policy import Policy
from parley.http_api import HttpApi
from parley.http_door import HttpDoor
from parley.knowledge_door import KnowledgeDoor
from parley.loaded import LoadedBot
from parley.rasa_door import RasaDoor
from parley.services import Services
from tests.parley.test_http_api import Client, Response

KEY = "operator-key"
ANYBODY = Access()
ROUTES = [
    ("POST", "/webhooks/rest/webhook", {"sender": "ada", "message": "hello"}),
    ("POST", "/model/parse", {"text": "hello"}),
    ("GET", "/status", None),
    ("GET", "/version", None),
]


@pytest.fixture
def make_client(make_services: Callable[..., Services], support: LoadedBot) -> Callable[..., Client]:
    def build(*, rasa_api: bool = True, access: Access = ANYBODY) -> Client:
        bot = replace(support.bot, rasa_api=rasa_api, access=access)
        loaded = replace(support, bot=bot, policy=Policy(bot))
        services = replace(make_services(), bots=lambda _: loaded)
        callers = replace(memory_callers(operator_key=KEY.encode()), access={"support": access})
        door = HttpDoor(services, MemoryQueue(), memory_lines(), callers, "support", "local")
        return Client(
            HttpApi(
                door,
                RasaDoor(services, callers, "support"),
                KnowledgeDoor(services.bots, MemoryDocuments(), MemoryLibraries(), callers),
            ),
            MemoryQueue(),
            services,
        )

    return build


@pytest.fixture
def client(make_client: Callable[..., Client]) -> Client:
    return make_client()


def say(client: Client, message: str, sender: str = "ada", **more: Any) -> Response:
    return client.call("POST", "/webhooks/rest/webhook", {"sender": sender, "message": message, **more})


def test_a_message_gets_bubbles_for_its_sender(client: Client) -> None:
    hello = say(client, "hello", metadata={"page": "start"})

    assert hello.status == 200
    assert hello.body[0]["recipient_id"] == "ada"
    assert hello.body[0]["text"]
    assert set(hello.body[0]["buttons"][0]) == {"title", "payload"}


def test_a_sender_goes_on_where_they_stopped_and_others_begin(client: Client) -> None:
    say(client, "where is my order?")

    told = say(client, "WB-204518")
    other = say(client, "WB-204518", sender="grace")

    assert "track/WB-204518" in told.body[0]["text"]
    assert told.body != other.body or other.body[0]["recipient_id"] == "grace"


def test_a_button_of_rasa_means_its_intent(client: Client) -> None:
    assert "WB-" in say(client, "/order_status").body[0]["text"]


def test_an_utterance_is_parsed_as_rasa_would_write_it(client: Client) -> None:
    parsed = client.call("POST", "/model/parse", {"text": "where is WB-204518?", "message_id": "m1"}).body

    assert parsed["intent"]["name"] == parsed["intent_ranking"][0]["name"] == "inform_order_number"
    assert 0 < parsed["intent"]["confidence"] <= 1
    assert parsed["entities"][0]["entity"] == "order_number"
    assert (parsed["text"], parsed["message_id"]) == ("where is WB-204518?", "m1")


def test_what_is_not_understood_is_rasas_fallback(client: Client) -> None:
    assert client.call("POST", "/model/parse", {"text": "blorp"}).body["intent"]["name"] == "nlu_fallback"


def test_a_tracker_tells_an_operator_everything(client: Client) -> None:
    say(client, "where is my order?")
    say(client, "WB-204518")

    tracker = client.call("GET", "/conversations/ada/tracker", authorization=f"Bearer {KEY}").body

    kinds = [event["event"] for event in tracker["events"]]
    assert tracker["sender_id"] == "ada"
    assert tracker["slots"]["order_number"] == "WB-204518"
    assert kinds.count("user") == 2
    assert [event["name"] for event in tracker["events"] if event["event"] == "action"].count("order_form") == 2
    assert tracker["latest_message"]["text"] == "WB-204518"
    assert tracker["active_loop"] == {}


def test_a_tracker_is_also_had_with_the_key_as_token_as_rasas_clients_do(client: Client) -> None:
    say(client, "hello")

    assert client.call("GET", f"/conversations/ada/tracker?token={KEY}").status == 200
    assert client.call("GET", "/conversations/ada/tracker?token=wrong").status == 403
    assert client.call("GET", "/conversations/ada/tracker").status == 403


def test_status_and_version_tell_what_it_is(client: Client) -> None:
    assert client.call("GET", "/status").body["model_file"].startswith("support-")
    assert client.call("GET", "/version").body["version"].startswith("3.6")


@pytest.mark.parametrize(("method", "path", "body"), ROUTES)
def test_a_bot_that_does_not_want_them_has_no_such_routes(
    make_client: Callable[..., Client], method: str, path: str, body: Any
) -> None:
    assert make_client(rasa_api=False).call(method, path, body).status == 404


@pytest.mark.parametrize("message", ["", "   ", "x" * 5_000, None])
def test_a_bad_message_is_refused_readably(client: Client, message: Any) -> None:
    refused = client.call("POST", "/webhooks/rest/webhook", {"sender": "ada", "message": message})

    assert refused.status == 422
    assert "message" in refused.body["detail"]


def test_a_page_on_which_the_bot_does_not_talk_is_refused(make_client: Callable[..., Client]) -> None:
    client = make_client(access=Access(origins=("https://shop.example",)))
    message = {"sender": "ada", "message": "hello"}

    allowed = client.call("POST", "/webhooks/rest/webhook", message, origin="https://shop.example")
    refused = client.call("POST", "/webhooks/rest/webhook", message, origin="https://elsewhere.example")

    assert allowed.status == 200
    assert refused.status == 403
