"""What functions are told: that it fits into Lambda, which else refuses it in the middle of a deployment.

Reads templates as they will be deployed. Does not know what any of the settings means.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsii
from aws_cdk import (
    IPolicyValidationContext,
    IPolicyValidationPlugin,
    PolicyValidationPluginReport,
    PolicyViolatingResource,
    PolicyViolation,
)

_MOST = 4096  # bytes that Lambda takes of all names and values, measured as JSON
# What CloudFormation fills in later, at its longest; a name, an address or an ARN of a resource is about as long.
_FILLED_IN = {"AWS::AccountId": 12, "AWS::Partition": 10, "AWS::Region": 14, "AWS::URLSuffix": 16}
_OF_A_RESOURCE = 80

_INSTEAD = (
    "Each bot adds its name, its bundle and its `access:`, beside issuers and quotas: deploy fewer bots in one stage, "
    "or name fewer origins."
)


@jsii.implements(IPolicyValidationPlugin)
class FitsIntoLambda:
    """Refuses to synthesize a function with a larger environment than Lambda takes."""

    @property
    def name(self) -> str:
        """By what the report names it."""
        return "environment"

    @property
    def version(self) -> None:
        """It has none of its own."""

    @property
    def rule_ids(self) -> list[str]:
        """What it looks at."""
        return ["FitsIntoLambda"]

    def validate(self, context: IPolicyValidationContext) -> PolicyValidationPluginReport:
        """Each function that is told too much."""
        violations = [each for path in context.template_paths for each in _violations(path)]
        return PolicyValidationPluginReport(success=not violations, violations=violations)


def size_of(variables: Mapping[str, Any]) -> int:
    """How many bytes Lambda will measure, about, for CloudFormation has not filled everything in yet."""
    filled_in = {name: _filled_in(value) for name, value in variables.items()}
    return len(json.dumps(filled_in, separators=(",", ":"), ensure_ascii=False).encode())


def _violations(path: str) -> Iterator[PolicyViolation]:
    resources = json.loads(Path(path).read_text())["Resources"]
    for logical_id, resource in resources.items():
        if resource["Type"] != "AWS::Lambda::Function":
            continue
        size = size_of(resource["Properties"].get("Environment", {}).get("Variables", {}))
        if size > _MOST:
            yield PolicyViolation(
                rule_name="FitsIntoLambda",
                description=f"An environment of about {size:,} bytes, where Lambda takes {_MOST:,}.",
                fix=_INSTEAD,
                severity="error",
                violating_resources=[
                    PolicyViolatingResource(
                        resource_logical_id=logical_id,
                        template_path=path,
                        locations=["Properties/Environment/Variables"],
                    )
                ],
            )


def _filled_in(value: Any) -> str:
    match value:
        case str():
            return value
        case {"Fn::Join": [separator, parts]}:
            return str(separator).join(_filled_in(part) for part in parts)
        case {"Fn::Sub": str(text)}:
            return text
        case {"Ref": str(name)} if name in _FILLED_IN:
            return "x" * _FILLED_IN[name]
        case _:
            return "x" * _OF_A_RESOURCE
