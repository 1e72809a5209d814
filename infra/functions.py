"""Lambda functions as Parley runs them: one folder, one role, one log group each.

Knows how a function is made. What it may do, and what calls it, the stacks say.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.nag import accept
from infra.packaging import function_code
from infra.stage import FunctionSize, Stage

LOG_RETENTION = {
    1: logs.RetentionDays.ONE_DAY,
    7: logs.RetentionDays.ONE_WEEK,
    30: logs.RetentionDays.ONE_MONTH,
}


@dataclass(frozen=True, slots=True)
class Network:
    """Where a function must be to reach what is not on the internet."""

    vpc: ec2.IVpc
    group: ec2.ISecurityGroup


def function_of(
    scope: Construct,
    id: str,
    size: FunctionSize,
    *,
    stage: Stage,
    layers: Sequence[lambda_.ILayerVersion] = (),
    environment: Mapping[str, str] | None = None,
    snap_start: bool = False,
    network: Network | None = None,
) -> lambda_.Function:
    """The function whose handler is in the folder `functions/<id>`; it may log and be traced, and no more."""
    log_group = logs.LogGroup(
        scope,
        f"{id}Log",
        retention=LOG_RETENTION[stage.log_retention_days],
        removal_policy=RemovalPolicy.DESTROY,
    )
    role = iam.Role(scope, f"{id}Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
    function = lambda_.Function(
        scope,
        id,
        runtime=lambda_.Runtime.PYTHON_3_13,
        # arm64 is a fifth cheaper, but the encoder's INT8 kernels round differently there, and the bots'
        # thresholds were measured on x86_64.
        architecture=lambda_.Architecture.X86_64,
        handler="handler.handler",
        code=function_code(id.lower()),
        layers=list(layers) or None,
        environment={"POWERTOOLS_SERVICE_NAME": id.lower(), **(environment or {})},
        memory_size=size.memory_mb,
        timeout=Duration.seconds(size.timeout_seconds),
        reserved_concurrent_executions=size.most_at_once,
        role=role,
        log_group=log_group,
        tracing=lambda_.Tracing.ACTIVE if stage.traced else lambda_.Tracing.DISABLED,
        snap_start=lambda_.SnapStartConf.ON_PUBLISHED_VERSIONS if snap_start else None,
        vpc=network.vpc if network else None,
        security_groups=[network.group] if network else None,
    )
    log_group.grant_write(function)
    accept(function, "AwsSolutions-L1", "3.13 is the newest Python that the local AWS runs functions under too.")
    if stage.traced:
        accept(role, "AwsSolutions-IAM5[Resource::*]", "X-Ray has no resources to name: it takes only *.")
    if network:
        _let_join(role)
    return function


def _let_join(role: iam.Role) -> None:
    """Leave to have a network interface, without which a function cannot be made in a network."""
    policy = "service-role/AWSLambdaVPCAccessExecutionRole"
    role.add_managed_policy(iam.ManagedPolicy.from_aws_managed_policy_name(policy))
    accept(
        role,
        f"AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/{policy}]",
        "Interfaces have no names before they are made, and this is the policy that Lambda asks for.",
    )
