"""A deployed stage as the tests ask about it: by meaning, never by a name that CDK made up."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Resource = dict[str, Any]


@dataclass(frozen=True)
class Statement:
    """One permission: which functions' or services' role may do what to what."""

    role: str
    actions: tuple[str, ...]
    resources: tuple[Any, ...]
    conditions: Any


@dataclass(frozen=True)
class Template:
    """The CloudFormation templates of one stage."""

    files: tuple[Path, ...]
    parts: tuple[dict[str, Any], ...]

    def of_type(self, kind: str) -> dict[str, Resource]:
        """The properties of every resource of a type, by logical id."""
        return {
            name: resource.get("Properties", {})
            for part in self.parts
            for name, resource in part["Resources"].items()
            if resource["Type"] == kind
        }

    def types(self) -> set[str]:
        return {resource["Type"] for part in self.parts for resource in part["Resources"].values()}

    def functions(self) -> dict[str, Resource]:
        """Every Lambda function, by the name of its folder."""
        found = self.of_type("AWS::Lambda::Function").values()
        return {function["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"]: function for function in found}

    def statements(self) -> Iterator[Statement]:
        """Every permission that is granted to a role."""
        for policy in self.of_type("AWS::IAM::Policy").values():
            for role in policy["Roles"]:
                for statement in policy["PolicyDocument"]["Statement"]:
                    assert statement["Effect"] == "Allow"
                    yield Statement(
                        role["Ref"],
                        tuple(_listed(statement["Action"])),
                        tuple(_listed(statement["Resource"])),
                        statement.get("Condition"),
                    )

    def actions_of(self, function: str) -> set[str]:
        """Everything a function may do."""
        role = self.role_of(function)
        return {action for statement in self.statements() if statement.role == role for action in statement.actions}

    def who_may(self, action: str, *, to: str) -> set[str]:
        """The functions that may do something to a resource whose logical id, or name, holds `to`."""
        roles = {each.role for each in self.statements() if action in each.actions and to in json.dumps(each.resources)}
        return {name for name in self.functions() if self.role_of(name) in roles}

    def role_of(self, function: str) -> str:
        return str(self.functions()[function]["Role"]["Fn::GetAtt"][0])

    def alarmed(self, metric: str, resource: str) -> bool:
        """Whether an alarm with somebody to tell watches a metric of a resource."""
        return any(
            alarm["MetricName"] == metric and alarm["AlarmActions"] and resource in json.dumps(alarm["Dimensions"])
            for alarm in self.of_type("AWS::CloudWatch::Alarm").values()
        )


def template_of(folder: Path) -> Template:
    """What CDK has written into a folder."""
    files = tuple(sorted(folder.glob("*.template.json")))
    return Template(files, tuple(json.loads(file.read_text()) for file in files))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
