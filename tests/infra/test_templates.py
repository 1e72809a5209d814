"""Every template that can be deployed, as CloudFormation itself would judge it, with no account to ask."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from setup import VENV
from tests.infra.template import Template

StackOf = Callable[..., Template]

# CDK writes both in every template: a dependency that a reference says again, and an output that passes an import on.
HARMLESS = ("W3005", "W6001")

STAGES = ("dev", "prod")
OTHER_GENERATORS = {"small-asleep": "Generation", "large": "Generation", "across-nodes": "Cluster"}


def findings(*files: Path) -> str:
    """What cfn-lint says of the templates: types and values of properties, references, and services' own rules."""
    command: list[str | Path] = [VENV / "bin" / "cfn-lint", "--ignore-checks", *HARMLESS, "--", *files]
    said: str = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return said


@pytest.mark.timeout(300)  # a minute on two cores that have nothing else to do
def test_cfn_lint_has_nothing_to_say(stack_of: StackOf) -> None:
    files = [file for stage in STAGES for file in stack_of(stage).files]
    for name, stack in OTHER_GENERATORS.items():
        files += [file for file in stack_of("prod", generator=name).files if stack in file.name]

    assert findings(*files) == ""


def test_cfn_lint_would_have_something_to_say(tmp_path: Path) -> None:
    careless = tmp_path / "careless.template.json"
    careless.write_text(
        '{"Resources": {"Canary": {"Type": "AWS::SageMaker::Endpoint", "Properties": {"EndpointConfigName": "a", '
        '"DeploymentConfig": {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": {"Type": "SLOWLY"}}}}}}}'
    )

    assert "'SLOWLY' is not one of ['ALL_AT_ONCE', 'CANARY', 'LINEAR']" in findings(careless)
