"""Each stage's stacks, synthesized once, with layers and a bundle of a few bytes: what is in them does not matter."""

import json
import os
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from build import node_environment

os.environ.update(node_environment())  # CDK's Python runs on the node that set-up installed

import aws_cdk as cdk

from infra.app import parley
from tests.infra.template import Template, template_of

Synthesize = Callable[..., Template]


@pytest.fixture(scope="session")
def stack_of(tmp_path_factory: pytest.TempPathFactory) -> Synthesize:
    """All that a stage deploys, as one template: `stack_of("prod")`, `stack_of("dev", generator="small-asleep")`.

    Fails where cdk-nag has a finding.
    """

    @cache
    def synthesize(stage: str, **chosen: str) -> Template:
        folder = tmp_path_factory.mktemp(stage)
        app = cdk.App(outdir=str(folder / "out"), context=_settings() | _build(folder) | {"stage": stage} | chosen)
        parley(app)
        app.synth()
        return template_of(folder / "out")

    return synthesize


NEEDS = {"secrets": ["weather-key"], "callback_secrets": ["desk-callback"], "functions": ["payments"]}


def _settings() -> dict[str, Any]:
    return dict(json.loads((Path(__file__).parents[2] / "cdk.json").read_text())["context"])


def _build(folder: Path) -> dict[str, str]:
    for layer in ("dependencies", "encoder", "documents", "tensorflow_serving", "chat_template", "identity"):
        (folder / layer).mkdir()
        (folder / layer / "something").write_text(layer)
    bundle = folder / "support-0.zip"
    with zipfile.ZipFile(bundle, "w") as archive:
        archive.writestr("needs.json", json.dumps(NEEDS))
        archive.writestr("access.json", json.dumps({"tenant": "acme", "visitors": True, "origins": []}))
    return {
        "layers": str(folder),
        "bundles": str(bundle),
        "sagemaker_url": "http://127.0.0.1:1",
        "aws_url": "http://127.0.0.1:1",
        "slack_url": "http://127.0.0.1:1",
    }
