"""The routes of documents: who may put in, what is told, and what a citation leads to."""

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest

from parley.adapters.memory import (
    MemoryDocuments,
    MemoryLibraries,
    MemoryPages,
    MemoryQueue,
    memory_callers,
    memory_lines,
)
from parley.current_bots import CurrentBots
from parley.http_api import HttpApi
from parley.http_door import HttpDoor
from parley.ingest import ingest
from parley.knowledge_door import KnowledgeDoor
from parley.loaded import LoadedBot
from parley.nlu.encoder import OnnxEncoder
from parley.ports import Page
from parley.rasa_door import RasaDoor
from parley.services import Services

KEY = "the operator's key"
POLICY = "# Returns\n\nWithin thirty days.\n\n## What it costs\n\nNothing <b>at all</b>."


class Client:
    """Somebody who calls the routes of documents."""

    def __init__(self, services: Services, support: LoadedBot, encoder: OnnxEncoder) -> None:
        self.documents, self.libraries, self._encoder = MemoryDocuments(), MemoryLibraries(), encoder
        self.pages = MemoryPages()
        self._now = 0.0
        bots = CurrentBots(services.bots, self.libraries, lambda: self._now)
        callers = memory_callers("support", operator_key=KEY.encode())
        door = HttpDoor(services, MemoryQueue(), memory_lines(), callers, "support", "prod")
        knowledge = KnowledgeDoor(bots, self.documents, self.libraries, callers)
        self._api = HttpApi(door, RasaDoor(services, callers, "support"), knowledge)

    def call(self, method: str, path: str, body: str = "", *, key: str | None = KEY, **more: Any) -> SimpleNamespace:
        event = {
            "version": "2.0",
            "rawPath": path,
            "rawQueryString": "",
            "headers": {"authorization": f"Bearer {key}"} if key else {},
            "requestContext": {"http": {"method": method, "path": path}, "stage": "$default", "requestId": "r"},
            "isBase64Encoded": False,
            "body": body,
            **more,
        }
        response = self._api(event, None)
        is_json = "json" in str(response.get("multiValueHeaders", response.get("headers")))
        content = json.loads(response["body"]) if is_json else response["body"]
        return SimpleNamespace(status=response["statusCode"], content=content)

    def ingest(self) -> None:
        ingest("support", self.documents, self.libraries, self.pages, self._encoder, deadline=1.0, clock=lambda: 0.0)
        self._now += 60

    def listed(self, name: str) -> dict[str, Any]:
        listed = self.call("GET", "/v1/knowledge/support").content["documents"]
        return next(each for each in listed if each["name"] == name)


@pytest.fixture
def client(make_services: Callable[..., Services], support: LoadedBot, encoder: OnnxEncoder) -> Client:
    return Client(make_services(), support, encoder)


def test_a_document_is_queued_then_ready(client: Client) -> None:
    accepted = client.call("PUT", "/v1/knowledge/support/policy.md", POLICY)

    assert (accepted.status, accepted.content) == (202, {"document": "policy.md", "status": "queued"})
    assert client.listed("policy.md") == {"name": "policy.md", "origin": "uploaded", "status": "queued", "passages": 0}

    client.ingest()

    assert client.listed("policy.md") == {"name": "policy.md", "origin": "uploaded", "status": "ready", "passages": 2}


def test_any_bytes_are_taken_as_they_are(client: Client) -> None:
    client.call("PUT", "/v1/knowledge/support/a.pdf", "/v7/AA==", isBase64Encoded=True)

    assert client.documents.read("support", "a.pdf") == b"\xfe\xfe\xff\x00"


def test_a_name_may_have_folders(client: Client) -> None:
    client.call("PUT", "/v1/knowledge/support/returns%2Fpolicy%20of%20ours.md", POLICY)

    assert client.documents.read("support", "returns/policy of ours.md") == POLICY.encode()


@pytest.mark.parametrize("name", ["..%2Fother%2Fa.md", "%2Fa.md", ".hidden", "a%2F%2Fb.md", "a%00.md", "x" * 201])
def test_a_name_that_leads_elsewhere_is_refused(client: Client, name: str) -> None:
    refused = client.call("PUT", f"/v1/knowledge/support/{name}", POLICY)

    assert refused.status in (404, 422, 400)
    assert client.documents.list("support") == ()


@pytest.mark.parametrize("name", ["photo.png", "policy", "a.md.exe"])
def test_what_is_not_read_is_refused_at_once(client: Client, name: str) -> None:
    refused = client.call("PUT", f"/v1/knowledge/support/{name}", POLICY)

    assert refused.status == 400
    assert ".pdf" in refused.content["detail"]


def test_an_empty_document_is_refused(client: Client) -> None:
    refused = client.call("PUT", "/v1/knowledge/support/a.md")

    assert "empty" in refused.content["detail"]


def test_a_document_that_cannot_be_read_says_why(client: Client) -> None:
    client.call("PUT", "/v1/knowledge/support/a.pdf", "no pdf")
    client.ingest()

    listed = client.listed("a.pdf")

    assert listed["status"] == "failed"
    assert "a.pdf" in listed["fault"]


def test_a_list_of_links_is_listed_with_its_pages_in_it(client: Client) -> None:
    url = "https://shop.example/hours"
    client.pages.pages[url] = Page(url, b"# Hours\n\nNine.\n\n## Sundays\n\nNever.", "text/markdown")
    client.call("PUT", "/v1/knowledge/support/help.urls", f"{url}\nhttps://shop.example/gone")
    client.ingest()

    listed = client.listed("help.urls")

    assert (listed["origin"], listed["status"], listed["passages"]) == ("uploaded", "ready", 2)
    assert "https://shop.example/gone" in listed["left_out"][0]
    assert url not in [each["name"] for each in client.call("GET", "/v1/knowledge/support").content["documents"]]
    assert "Never." in client.call("GET", f"/v1/knowledge/support/{quote(url, safe='')}", key=None).content


def test_the_bots_own_documents_are_listed_too(client: Client, support: LoadedBot) -> None:
    name = min(support.knowledge.documents)

    assert client.listed(name)["origin"] == "bundled"
    assert client.listed(name)["status"] == "ready"


def test_a_deleted_document_goes(client: Client) -> None:
    client.call("PUT", "/v1/knowledge/support/policy.md", POLICY)
    client.ingest()

    assert client.call("DELETE", "/v1/knowledge/support/policy.md").status == 202
    client.ingest()

    names = [each["name"] for each in client.call("GET", "/v1/knowledge/support").content["documents"]]
    assert "policy.md" not in names


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/v1/knowledge/support/a.md"),
        ("DELETE", "/v1/knowledge/support/a.md"),
        ("GET", "/v1/knowledge/support"),
    ],
)
@pytest.mark.parametrize("key", [None, "", "another"])
def test_only_operators_change_and_list(client: Client, method: str, path: str, key: str | None) -> None:
    refused = client.call(method, path, POLICY if method == "PUT" else "", key=key)

    assert refused.status == 403
    assert client.documents.list("support") == ()


def test_a_bot_that_is_not_here_has_no_documents(client: Client) -> None:
    assert client.call("PUT", "/v1/knowledge/nobody/a.md", POLICY).status == 404


def test_a_citation_leads_to_its_place(client: Client) -> None:
    client.call("PUT", "/v1/knowledge/support/policy.md", POLICY)
    client.ingest()

    page = client.call("GET", "/v1/knowledge/support/policy.md", key=None)

    assert page.status == 200
    assert '<section id="what-it-costs"><h2>What it costs</h2>' in page.content


def test_what_a_document_says_is_never_markup_on_the_page(client: Client) -> None:
    client.call("PUT", "/v1/knowledge/support/p.md", "# T <script>alert(1)</script>\n\n<b>bold</b> & <i>more</i> words")
    client.ingest()

    page = client.call("GET", "/v1/knowledge/support/p.md", key=None).content

    assert "<script>" not in page
    assert "<b>" not in page


def test_there_is_no_page_of_a_document_that_is_not_known(client: Client) -> None:
    assert client.call("GET", "/v1/knowledge/support/nothing.md", key=None).status == 404
