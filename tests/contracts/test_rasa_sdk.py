"""`RemoteActions` before the real thing: Rasa's own action server, with a bot author's actions in it.

It gets an environment of its own in `.parley/rasa-sdk`, once: of Python 3.10, 3.9 or 3.8, for which it is declared, or
else of the Python that runs the tests, where it works as well (3.11 to 3.13 were tried). PARLEY_RASA_SDK_PYTHON names
an interpreter that has it already. Where it cannot be installed, the tests say so by name.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from parley.actions import ActionServer, CustomActions
from parley.adapters.actions import RemoteActions
from parley.errors import ActionFailed
from parley.ports import ActionAnswer, ActionRequest

SDK = Path(__file__).resolve().parents[2] / ".parley/rasa-sdk"
SDK_VERSION = "3.6.2"
INSTALL_SECONDS = 180
START_SECONDS = 30

ACTIONS = """
from rasa_sdk import Action, FormValidationAction
from rasa_sdk.events import ActiveLoop, FollowupAction, SlotSet
from rasa_sdk.interfaces import ActionExecutionRejection


class Offer(Action):
    def name(self):
        return "action_offer"

    def run(self, dispatcher, tracker, domain):
        name = next(tracker.get_latest_entity_values("person"), "you")
        dispatcher.utter_message(text=f"Grüß Gott, {name}!", image="https://shop.example/a.png")
        dispatcher.utter_message(
            text="Which size?", buttons=[{"title": "XL", "payload": '/inform{"size": "xl"}'}], json_message={"a": [1]}
        )
        dispatcher.utter_message(response="utter_offer", price=9.5)
        return [
            SlotSet("offered", tracker.get_slot("size")),
            SlotSet("words", tracker.latest_message["text"]),
            FollowupAction("action_listen"),
            ActiveLoop(None),
        ]


class Nothing(Action):
    def name(self):
        return "action_nothing"

    async def run(self, dispatcher, tracker, domain):
        return []


class Reject(Action):
    def name(self):
        return "action_reject"

    def run(self, dispatcher, tracker, domain):
        raise ActionExecutionRejection(self.name(), "not now")


class Fail(Action):
    def name(self):
        return "action_fail"

    def run(self, dispatcher, tracker, domain):
        raise RuntimeError("the shop is on fire")


class ValidatePizzaForm(FormValidationAction):
    def name(self):
        return "validate_pizza_form"

    async def required_slots(self, domain_slots, dispatcher, tracker, domain):
        return [*domain_slots, "crust"]

    def validate_size(self, value, dispatcher, tracker, domain):
        if value in ("m", "xl"):
            return {"size": value.upper()}
        dispatcher.utter_message(text=f"We have no {value}.")
        return {"size": None}

    async def extract_crust(self, dispatcher, tracker, domain):
        return {"crust": "thin"} if "thin" in tracker.latest_message.get("text", "") else {}
"""

DOMAIN = {
    "version": "3.1",
    "slots": {
        "size": {"type": "text", "mappings": [{"type": "from_text", "conditions": [{"active_loop": "pizza_form"}]}]},
        "crust": {"type": "text", "mappings": [{"type": "custom"}]},
        "requested_slot": {"type": "text", "mappings": [{"type": "custom"}]},
    },
    "forms": {"pizza_form": {"required_slots": ["size"]}},
}


@pytest.fixture(scope="module")
def sdk_python() -> str:
    """An interpreter that has rasa-sdk."""
    named = os.environ.get("PARLEY_RASA_SDK_PYTHON")
    if named is not None:
        return named
    python = SDK / "bin/python"
    mark = SDK / SDK_VERSION
    if not mark.is_file():
        try:
            _install(python)
        except (subprocess.SubprocessError, OSError) as error:
            pytest.skip(
                f"rasa-sdk {SDK_VERSION} cannot be installed into {SDK}, and PARLEY_RASA_SDK_PYTHON is not set: {error}"
            )
        mark.touch()
    return str(python)


def _install(python: Path) -> None:
    deadline = time.monotonic() + INSTALL_SECONDS
    no_compiler = {**os.environ, "MULTIDICT_NO_EXTENSIONS": "1"}  # sanic's multidict has no wheels for newer Pythons
    log_file = SDK.parent / "logs/rasa-sdk.log"
    log_file.parent.mkdir(parents=True, exist_ok=True)
    with log_file.open("w") as log:
        pip = [python, "-m", "pip", "install", "--quiet", "--ignore-requires-python", "--prefer-binary"]
        for command in (
            [_interpreter(), "-m", "venv", "--clear", SDK],
            [*pip, f"rasa-sdk=={SDK_VERSION}", "setuptools<80"],  # which has pkg_resources
        ):
            left = deadline - time.monotonic()
            subprocess.run(command, check=True, timeout=left, env=no_compiler, stdout=log, stderr=log)


def _interpreter() -> str:
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    for version in ("3.10", "3.9", "3.8"):
        for found in (shutil.which(f"python{version}"), *map(str, pyenv.glob(f"versions/{version}.*/bin/python"))):
            if found and subprocess.run([found, "-c", "import venv, ensurepip"], capture_output=True).returncode == 0:
                return found
    return sys.executable


@pytest.fixture(scope="module")
def server(sdk_python: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ActionServer]:
    folder = tmp_path_factory.mktemp("action-server")
    (folder / "shop_actions.py").write_text(ACTIONS, encoding="utf-8")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sdk_python, "-m", "rasa_sdk", "--actions", "shop_actions", "--port", str(port)]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            command, cwd=folder, env={**os.environ, "SANIC_HOST": "127.0.0.1"}, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        _wait(f"http://127.0.0.1:{port}/health", process, folder / "log")
        yield ActionServer(f"http://127.0.0.1:{port}/webhook")
    finally:
        process.terminate()
        process.wait(20)


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            urllib.request.urlopen(url, timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError(log.read_text())


def a_tracker(
    text: str, *, slots: dict[str, Any], candidates: dict[str, Any] | None = None, loop: str | None = None
) -> dict[str, Any]:
    """A conversation of one turn as Rasa writes it: `candidates` are the slots that a form found in that turn."""
    found = candidates or {}
    entities = [{"entity": "person", "value": "Ada", "start": 0, "end": 3, "role": None, "group": None}]
    parsed = {
        "text": text,
        "message_id": "m1",
        "metadata": {},
        "intent": {"name": "inform", "confidence": 0.9},
        "intent_ranking": [{"name": "inform", "confidence": 0.9}],
        "entities": entities,
    }
    events: list[dict[str, Any]] = [
        {"event": "action", "timestamp": 1.0, "name": "action_session_start", "policy": None, "confidence": 1.0},
        {"event": "session_started", "timestamp": 1.0},
        {"event": "action", "timestamp": 1.0, "name": "action_listen", "policy": None, "confidence": None},
        {
            "event": "user",
            "timestamp": 2.0,
            "text": text,
            "parse_data": parsed,
            "input_channel": "rest",
            "message_id": "m1",
            "metadata": {},
        },
        *({"event": "slot", "timestamp": 2.0, "name": name, "value": found[name]} for name in found),
    ]
    return {
        "sender_id": "a person",
        "slots": {**slots, **found},
        "latest_message": parsed,
        "latest_event_time": 2.0,
        "followup_action": None,
        "paused": False,
        "events": events,
        "latest_input_channel": "rest",
        "active_loop": {"name": loop, "is_interrupted": False, "rejected": False, "trigger_message": None}
        if loop
        else {},
        "latest_action": {"action_name": "action_listen"},
        "latest_action_name": "action_listen",
    }


def run(server: ActionServer, action: str, tracker: dict[str, Any]) -> ActionAnswer:
    body = {
        "next_action": action,
        "sender_id": tracker["sender_id"],
        "tracker": tracker,
        "domain": DOMAIN,
        "version": "3.6.21",
    }

    def no_secret(name: str) -> str:
        raise AssertionError(name)

    request = ActionRequest(action, body, tracker["slots"])
    return RemoteActions(no_secret).run(CustomActions(server), request, budget_seconds=10.0)


def slots_of(answer: ActionAnswer) -> dict[str, Any]:
    return {event["name"]: event["value"] for event in answer.events if event["event"] == "slot"}


def test_an_action_reads_the_tracker_says_things_and_sets_slots(server: ActionServer) -> None:
    answer = run(server, "action_offer", a_tracker("Ada wants one", slots={"size": "xl"}))

    assert slots_of(answer) == {"offered": "xl", "words": "Ada wants one"}
    assert [event["event"] for event in answer.events] == ["slot", "slot", "followup", "active_loop"]
    hello, question, named = answer.responses
    assert (hello["text"], hello["image"]) == ("Grüß Gott, Ada!", "https://shop.example/a.png")
    assert question["buttons"] == [{"title": "XL", "payload": '/inform{"size": "xl"}'}]
    assert question["custom"] == {"a": [1]}
    assert (named["response"], named["price"], named["text"]) == ("utter_offer", 9.5, None)


def test_an_action_may_do_nothing(server: ActionServer) -> None:
    assert run(server, "action_nothing", a_tracker("hello", slots={})) == ActionAnswer()


def test_an_action_may_reject_its_execution(server: ActionServer) -> None:
    assert run(server, "action_reject", a_tracker("hello", slots={})) == ActionAnswer(rejected=True)


@pytest.mark.parametrize(("action", "what"), [("action_fail", "answered 500"), ("action_unknown", "answered 404")])
def test_an_action_that_breaks_or_is_not_there_is_a_failure(server: ActionServer, action: str, what: str) -> None:
    with pytest.raises(ActionFailed) as failure:
        run(server, action, a_tracker("hello", slots={}))

    assert str(failure.value) == f"{action}: {what}"


def test_a_forms_validation_changes_values_and_asks_for_the_next_slot(server: ActionServer) -> None:
    tracker = a_tracker("xl", slots={"crust": None}, candidates={"size": "xl"}, loop="pizza_form")

    answer = run(server, "validate_pizza_form", tracker)

    assert slots_of(answer) == {"size": "XL", "requested_slot": "crust"}
    assert answer.responses == ()


def test_a_forms_validation_refuses_a_value_and_finds_slots_of_its_own(server: ActionServer) -> None:
    tracker = a_tracker("huge and thin", slots={"crust": None}, candidates={"size": "huge"}, loop="pizza_form")

    answer = run(server, "validate_pizza_form", tracker)

    assert slots_of(answer) == {"size": None, "crust": "thin", "requested_slot": "size"}
    assert answer.responses[0]["text"] == "We have no huge."
