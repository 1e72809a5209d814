"""A tokenizer is fetched from a hub, here one of our own; what cannot be had is said in words."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from build_layers import TOKENIZER
from fetch_tokenizer import fetched
from steps import Stop


class Hub(BaseHTTPRequestHandler):
    """Has one model for everybody, one behind a token, and one whose tokenizer is none."""

    asked: list[str]
    server: ThreadingHTTPServer

    def do_GET(self) -> None:
        self.asked.append(self.path)
        model = self.path.split("/")[2]
        if model in ("moved", "away"):
            self.send_response(307)
            host = "localhost" if model == "away" else "127.0.0.1"
            self.send_header("Location", f"http://{host}:{self.server.server_port}{self.path.replace(model, 'gated')}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        match model, self.headers.get("Authorization"):
            case ("open", _) if self.path.endswith("/tokenizer_config.json"):
                self._answer(200, b"{}")
            case _ if not self.path.endswith("/tokenizer.json"):
                self._answer(404, b"not found")
            case ("open", _) | ("gated", "Bearer mine"):
                self._answer(200, TOKENIZER.read_bytes())
            case "gated", _:
                self._answer(401, b"gated")
            case "odd", _:
                self._answer(200, b"<html>")
            case _:
                self._answer(404, b"not found")

    def _answer(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Silent."""


@pytest.fixture
def hub() -> Iterator[dict[str, str]]:
    """The environment that leads to the hub."""
    Hub.asked = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield {"HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}"}
        server.shutdown()


def test_a_tokenizer_is_fetched_once(hub: dict[str, str], tmp_path: Path) -> None:
    first = fetched("some/open", "main", hub, tmp_path)
    again = fetched("some/open", "main", hub, tmp_path)

    assert first == again == tmp_path / "some--open/tokenizer.json"
    assert first.read_bytes() == TOKENIZER.read_bytes()
    assert Hub.asked.count("/some/open/resolve/main/tokenizer.json") == 1


def test_the_chat_template_comes_along_where_the_model_has_one(hub: dict[str, str], tmp_path: Path) -> None:
    file = fetched("some/open", "main", hub, tmp_path)

    assert {each.name for each in file.parent.iterdir()} == {"tokenizer.json", "tokenizer_config.json"}


def test_another_revision_is_another_tokenizer(hub: dict[str, str], tmp_path: Path) -> None:
    assert fetched("some/open", "refs/pr/1", hub, tmp_path) == tmp_path / "some--open--refs-pr-1/tokenizer.json"


def test_a_token_opens_what_is_not_for_everybody(hub: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(Stop, match="accept the model's licence on the hub, and set HF_TOKEN"):
        fetched("some/gated", "main", hub, tmp_path)

    assert fetched("some/gated", "main", {**hub, "HF_TOKEN": "mine"}, tmp_path).is_file()


def test_a_token_follows_within_the_hub_and_not_to_other_hosts(hub: dict[str, str], tmp_path: Path) -> None:
    environment = {**hub, "HF_TOKEN": "mine"}

    assert fetched("some/moved", "main", environment, tmp_path).is_file()
    with pytest.raises(Stop, match="set HF_TOKEN"):
        fetched("some/away", "main", environment, tmp_path)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("some/other", "the model's name may be wrong"),
        ("some/odd", "What the hub has as tokenizer of some/odd is none"),
        ("../../etc", "A model is named OWNER/NAME"),
        ("gpt2", "A model is named OWNER/NAME"),
    ],
)
def test_what_cannot_be_had_is_said(hub: dict[str, str], tmp_path: Path, model: str, said: str) -> None:
    with pytest.raises(Stop, match=said):
        fetched(model, "main", hub, tmp_path)

    assert not list(tmp_path.iterdir())


def test_without_a_network_the_way_around_it_is_said(tmp_path: Path) -> None:
    with pytest.raises(Stop, match=r"cannot be reached .* name it in PARLEY_TOKENIZER"):
        fetched("some/open", "main", {"HF_ENDPOINT": "http://127.0.0.1:9"}, tmp_path)
