"""Deploying: in which order, and what the chat stack is told of what was deployed before."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

import deploy
from steps import Stop

EDGE, CHAT = "Parley-dev-Edge", "Parley-dev-Chat"
WEB_ACL = "arn:aws:wafv2:us-east-1:000000000000:global/webacl/parley-dev/1"

Run = Callable[..., list[list[str]]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Runs the command with a CDK CLI that writes what it would and deploys nothing; gives what the CLI was asked."""

    def deployed(command: str, *, stacks: tuple[str, ...] = (EDGE, CHAT), fails: str = "") -> list[list[str]]:
        asked: list[list[str]] = []

        def cdk(arguments: list[str | Path], **_: object) -> SimpleNamespace:
            said = [str(each) for each in arguments[1:]]
            asked.append(said)
            if said[0] == "synth":
                folder = Path(said[said.index("--output") + 1])
                folder.mkdir(parents=True, exist_ok=True)
                (folder / "manifest.json").write_text(json.dumps({"artifacts": dict.fromkeys(stacks)}))
            if "--outputs-file" in said:
                outputs = Path(said[said.index("--outputs-file") + 1])
                outputs.write_text(json.dumps({EDGE: {"WebAcl": WEB_ACL}}))
            return SimpleNamespace(returncode=int(fails in said))

        monkeypatch.setattr(deploy, "ROOT", tmp_path)
        monkeypatch.setattr(deploy, "PARLEY", tmp_path / ".parley")
        monkeypatch.setattr(deploy, "build", lambda _: SimpleNamespace(context=["-c", "layers=built"]))
        monkeypatch.setattr(subprocess, "run", cdk)
        monkeypatch.setattr(sys, "argv", ["deploy.py", command, "--stage", "dev"])
        deploy.main()
        return asked

    return deployed


def test_the_edge_is_deployed_first_and_the_chat_stack_told_its_web_acl(run: Run) -> None:
    synth, edge, everything = run("deploy")

    assert synth[:2] == ["synth", "--quiet"]
    assert {"stage=dev", "layers=built"} <= set(synth)
    assert edge[:2] == ["deploy", EDGE]
    assert everything[:2] == ["deploy", "--all"]
    assert everything[-2:] == ["--parameters", f"{CHAT}:WebAcl={WEB_ACL}"]
    folders = {asked[asked.index(option) + 1] for asked, option in ((synth, "--output"), (edge, "--app"))}
    assert folders == {everything[everything.index("--app") + 1]}


def test_a_stage_without_an_edge_is_deployed_at_once(run: Run) -> None:
    _, everything = run("deploy", stacks=(CHAT,))

    assert everything[:2] == ["deploy", "--all"]
    assert "--parameters" not in everything


def test_templates_are_written_without_deploying(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert [asked[0] for asked in run("synth")] == ["synth"]
    assert "Templates: .parley/cdk/dev/*.template.json" in capsys.readouterr().out


def test_where_the_edge_fails_nothing_else_is_deployed(run: Run) -> None:
    with pytest.raises(Stop, match="cdk deploy failed"):
        run("deploy", fails=EDGE)


def test_the_name_of_the_address_is_taken_from_the_environment(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARLEY_DOMAIN", "chat.example.com")
    monkeypatch.setenv("PARLEY_CERTIFICATE", "arn:aws:acm:us-east-1:0:certificate/1")

    (synth,) = run("synth")

    assert {"domain=chat.example.com", "certificate=arn:aws:acm:us-east-1:0:certificate/1"} <= set(synth)
