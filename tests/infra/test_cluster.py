"""The generator across machines: who may come to it, how it is divided, and how its nodes find each other."""

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_sns as sns

from infra.cluster_stack import ClusterStack
from infra.generators import GENERATORS, ClusterSize
from infra.stage import STAGES
from parley.settings import read_settings
from tests.infra.template import Resource, Template, template_of

StackOf = Callable[..., Template]

(SIZE,) = (size for size in GENERATORS.values() if isinstance(size, ClusterSize))
# Source: "Amazon EC2 instance types", accelerated computing.
GPUS = {"p5.48xlarge": 8}


@pytest.fixture(scope="session")
def cluster(stack_of: StackOf) -> Template:
    return stack_of("prod", generator="across-nodes")


def started_with(node: Resource) -> str:
    """A node's first script; what only AWS knows stands in brackets."""
    parts = node["UserData"]["Fn::Base64"]["Fn::Join"][1]
    return "".join(part if isinstance(part, str) else f"<{json.dumps(part)}>" for part in parts)


def served(node: Resource) -> str:
    """What runs in a node's container."""
    return started_with(node).partition("<<'SERVE'\n")[2].partition("\nSERVE\n")[0]


def head_and_others(template: Template) -> tuple[Resource, list[Resource]]:
    nodes = list(template.of_type("AWS::EC2::Instance").values())
    (head,) = (node for node in nodes if "vllm serve" in served(node))
    return head, [node for node in nodes if node is not head]


def rules(template: Template) -> list[Any]:
    """Every way into a security group, whether in it or beside it."""
    inline = [
        {"GroupId": {"Fn::GetAtt": [name, "GroupId"]}, **rule}
        for name, group in template.of_type("AWS::EC2::SecurityGroup").items()
        for rule in group.get("SecurityGroupIngress", [])
    ]
    return [*inline, *template.of_type("AWS::EC2::SecurityGroupIngress").values()]


def test_the_model_is_divided_among_all_gpus_of_all_nodes(cluster: Template) -> None:
    head, others = head_and_others(cluster)

    assert len(others) == SIZE.nodes - 1
    assert {node["InstanceType"] for node in (head, *others)} == {SIZE.instance_type}
    assert f"--tensor-parallel-size {GPUS[SIZE.instance_type]} " in served(head)
    assert f"--pipeline-parallel-size {SIZE.nodes} " in served(head)
    assert "--distributed-executor-backend ray" in served(head)
    assert f"--max-model-len {SIZE.model.context_tokens} " in served(head)


def test_nodes_are_together_in_one_zone_and_one_placement_group(cluster: Template) -> None:
    head, others = head_and_others(cluster)
    (group,) = cluster.of_type("AWS::EC2::PlacementGroup").values()

    assert group["Strategy"] == "cluster"
    for node in others:
        assert node["SubnetId"] == head["SubnetId"]
        assert node["PlacementGroupName"] == head["PlacementGroupName"]


def test_every_node_finds_the_head_by_a_name_that_outlives_it(cluster: Template) -> None:
    _, others = head_and_others(cluster)
    (name,) = cluster.of_type("AWS::Route53::RecordSet").values()
    (zone,) = cluster.of_type("AWS::Route53::HostedZone").values()

    assert zone["VPCs"]  # a name of this network only
    for node in others:
        assert f"--address={name['Name'].rstrip('.')}:6379 " in served(node)


def test_only_functions_that_generate_are_let_in_and_nobody_from_outside(cluster: Template) -> None:
    inside = {
        name: function["VpcConfig"]["SecurityGroupIds"]
        for name, function in cluster.functions().items()
        if "VpcConfig" in function
    }
    ways = rules(cluster)
    (asking,) = (way for way in ways if way.get("FromPort") == 8000)
    (among,) = (way for way in ways if way is not asking)

    assert inside.keys() == {"chat", "worker", "stream"}
    for groups in inside.values():
        assert asking["SourceSecurityGroupId"]["Fn::GetAtt"][0] in json.dumps(groups)
    assert (asking["FromPort"], asking["ToPort"]) == (8000, 8000)
    assert among["SourceSecurityGroupId"] == among["GroupId"] == asking["GroupId"]
    assert not [way for way in ways if "CidrIp" in way or "CidrIpv6" in way]
    assert not [name for name in cluster.of_type("AWS::EC2::Instance").values() if "KeyName" in name]


def test_functions_are_told_where_it_is_and_take_it(cluster: Template) -> None:
    (name,) = cluster.of_type("AWS::Route53::RecordSet").values()

    for function in ("chat", "worker", "stream"):
        told = {key: str(value) for key, value in cluster.functions()[function]["Environment"]["Variables"].items()}
        settings = read_settings(told | {"BOTS": '{"support": "s3://bundles/support.zip"}'})
        assert settings.generator_backend == "openai"
        assert settings.generator_url == f"http://{name['Name'].rstrip('.')}:8000/v1"
        assert settings.generator_model == SIZE.model.weights
        assert settings.generator_context_tokens == SIZE.model.context_tokens


def test_no_sagemaker_is_made_or_called_and_the_workers_pace_is_fixed(cluster: Template) -> None:
    turns = [
        it["ScalingConfig"]["MaximumConcurrency"]
        for it in cluster.of_type("AWS::Lambda::EventSourceMapping").values()
        if "TurnsQueue" in json.dumps(it["EventSourceArn"])
    ]

    assert not [kind for kind in cluster.types() if kind.startswith("AWS::SageMaker")]
    assert not [each for each in cluster.statements() if any(a.startswith("sagemaker:") for a in each.actions)]
    assert "pace" not in cluster.functions()
    assert turns == [SIZE.requests_at_once]


def test_nodes_may_only_log_and_their_disks_are_encrypted(cluster: Template) -> None:
    head, others = head_and_others(cluster)
    (role,) = (name for name in cluster.of_type("AWS::IAM::Role") if name.startswith("Role"))
    allowed = {a for each in cluster.statements() if each.role == role for a in each.actions}

    assert allowed == {"logs:CreateLogStream", "logs:PutLogEvents"}
    for node in (head, *others):
        assert all(disk["Ebs"]["Encrypted"] for disk in node["BlockDeviceMappings"])
    templates = cluster.of_type("AWS::EC2::LaunchTemplate").values()
    assert {it["LaunchTemplateData"]["MetadataOptions"]["HttpTokens"] for it in templates} == {"required"}


def test_a_machine_image_that_is_named_is_kept_and_a_deployment_leaves_the_nodes_alone(tmp_path: Path) -> None:
    app = cdk.App(outdir=str(tmp_path))
    topic = sns.Topic(cdk.Stack(app, "Elsewhere"), "Alarms")
    kept = replace(SIZE, machine_image="ami-0123456789abcdef0")
    ClusterStack(app, "Cluster", stage=STAGES["prod"], size=kept, alarms=topic)

    app.synth()

    images = [it["ImageId"] for it in template_of(tmp_path).of_type("AWS::EC2::Instance").values()]
    assert images == ["ami-0123456789abcdef0"] * SIZE.nodes


def test_an_alarm_rings_when_a_node_fails_for_the_model_is_gone_with_it(cluster: Template) -> None:
    for node in cluster.of_type("AWS::EC2::Instance"):
        assert cluster.alarmed("StatusCheckFailed", node)


def test_what_a_node_begins_with_is_a_script_that_bash_takes(cluster: Template) -> None:
    head, others = head_and_others(cluster)

    for node in (head, *others):
        for script in (started_with(node), served(node)):
            read = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True, check=False)
            assert (read.returncode, read.stderr) == (0, "")


def test_the_head_serves_once_all_nodes_are_there(cluster: Template, tmp_path: Path) -> None:
    head, _ = head_and_others(cluster)
    for name, does in {
        "ray": "echo ray $*",
        "python3": 'echo x >> asked; wc -l < asked | tr -d " "',  # one more node each time somebody counts
        "sleep": "echo waits",
        "vllm": "echo vllm $*",
    }.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{does}\n")
        (tmp_path / name).chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "VLLM_HOST_IP": "10.0.0.1"}

    said = subprocess.run(
        ["bash"], input=served(head), capture_output=True, text=True, check=True, cwd=tmp_path, env=environment
    ).stdout.splitlines()

    assert said[0] == "ray start --head --port=6379 --node-ip-address=10.0.0.1 --include-dashboard=false"
    assert said[1:-1] == ["waits"] * (SIZE.nodes - 1)
    assert said[-1].startswith(f"vllm serve {SIZE.model.weights} --host 0.0.0.0 --port 8000 ")
