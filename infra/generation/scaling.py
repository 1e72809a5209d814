"""How a generator grows and shrinks: with the requests in flight, within a floor and a ceiling that hours may raise.

The metric comes every 10 s, and a stream counts until its last token: requests in flight, not requests begun.
"""

from aws_cdk import Duration, Stack, TimeZone
from aws_cdk import aws_applicationautoscaling as scaling
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.generation.health import Wake
from infra.generators import EndpointSize

_PER_INSTANCE = scaling.PredefinedMetric.SAGEMAKER_VARIANT_CONCURRENT_REQUESTS_PER_MODEL_HIGH_RESOLUTION
_PER_COPY = scaling.PredefinedMetric.SAGEMAKER_INFERENCE_COMPONENT_CONCURRENT_REQUESTS_PER_COPY_HIGH_RESOLUTION


def scale_instances(scope: Construct, *, endpoint: str, variant: str, size: EndpointSize) -> None:
    """Let the instances of a variant follow its load."""
    target = _target(
        scope,
        dimension="sagemaker:variant:DesiredInstanceCount",
        resource=f"endpoint/{endpoint}/variant/{variant}",
        size=size,
    )
    _follow(target, _PER_INSTANCE, size)


def scale_copies(scope: Construct, *, component: str, size: EndpointSize) -> scaling.ScalableTarget:
    """Let the copies of a component follow its load, down to none, and wake it when somebody asks.

    Following alone never leaves zero, for there are no copies to divide the load by.
    """
    target = _target(
        scope,
        dimension="sagemaker:inference-component:DesiredCopyCount",
        resource=f"inference-component/{component}",
        size=size,
    )
    _follow(target, _PER_COPY, size)
    one_more = scaling.StepScalingAction(
        scope,
        "OneMore",
        scaling_target=target,
        adjustment_type=scaling.AdjustmentType.CHANGE_IN_CAPACITY,
        metric_aggregation_type=scaling.MetricAggregationType.MAXIMUM,
        cooldown=Duration.seconds(size.grow_cooldown_seconds),
    )
    one_more.add_adjustment(adjustment=1, lower_bound=0)
    Wake(scope, "Wake", component=component, action=actions.ApplicationScalingAction(one_more))
    return target


def _target(scope: Construct, *, dimension: str, resource: str, size: EndpointSize) -> scaling.ScalableTarget:
    target = scaling.ScalableTarget(
        scope,
        "Instances",
        service_namespace=scaling.ServiceNamespace.SAGEMAKER,
        scalable_dimension=dimension,
        resource_id=resource,
        role=_service_linked(scope),
        min_capacity=size.least_instances,
        max_capacity=size.most_instances,
    )
    for hours in size.hours:
        target.scale_on_schedule(
            hours.name,
            schedule=scaling.Schedule.cron(minute="0", hour=str(hours.hour), week_day=hours.week_days),
            time_zone=TimeZone.of(hours.time_zone),
            min_capacity=hours.least_instances,
            max_capacity=size.most_instances,
        )
    return target


def _service_linked(scope: Construct) -> iam.IRole:
    """The role that Application Auto Scaling has for SageMaker in every account; CDK would make an idle one."""
    name = "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
    arn = Stack.of(scope).format_arn(
        service="iam",
        region="",
        resource="role",
        resource_name=f"aws-service-role/sagemaker.application-autoscaling.amazonaws.com/{name}",
    )
    return iam.Role.from_role_arn(scope, "ServiceLinked", arn, mutable=False)


def _follow(target: scaling.ScalableTarget, metric: scaling.PredefinedMetric, size: EndpointSize) -> None:
    target.scale_to_track_metric(
        "RequestsInFlight",
        target_value=size.busy_requests_per_instance,
        predefined_metric=metric,
        scale_out_cooldown=Duration.seconds(size.grow_cooldown_seconds),
        scale_in_cooldown=Duration.seconds(size.shrink_cooldown_seconds),
    )
