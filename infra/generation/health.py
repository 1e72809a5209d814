"""What tells that a generator is ill: alarms that wake people, and that take a deployment back while it is under way.

Source: metrics and dimensions as SageMaker's developer guide has them ("Amazon SageMaker AI metrics in Amazon
CloudWatch", and "Metric name mapping: legacy to OTel").
"""

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from infra.observability import Alarms

_NAMESPACE = "AWS/SageMaker"
_MICROSECONDS = 1_000_000  # SageMaker's latencies are counted in them

FAILING_SHARE = 0.05  # of the requests; below it retries and the smaller generator hide the failures from people
WHOLE_SECONDS = 20  # functions/chat: so long one turn waits for the generator, from first try to last word
FIRST_SECONDS = 5  # functions/chat: so long it waits for the first token


def illnesses(
    alarms: Alarms, *, name: str, endpoint: str, variant: str, component: str | None
) -> list[cloudwatch.Alarm]:
    """Alarms on errors, latency, time to the first token and streams that broke off."""
    whole = {"EndpointName": endpoint, "VariantName": variant}
    part = {"InferenceComponentName": component} if component else whole
    # Of a component, SageMaker tells errors and latency; first chunks and streams only of the variant it is on.
    ills = (
        ("Fails", "Invocation5XXErrors", part, "avg", FAILING_SHARE, "answers with 5xx"),
        ("IsSlow", "ModelLatency", part, "p90", WHOLE_SECONDS * _MICROSECONDS, "takes too long for a whole reply"),
        (
            "StartsLate",
            "FirstChunkLatency",
            whole,
            "p90",
            FIRST_SECONDS * _MICROSECONDS,
            "is late with its first token",
        ),
        ("BreaksOff", "MidStreamErrors", whole, "sum", 5, "breaks off in the middle of replies"),
    )
    return [
        alarms.when(
            f"{name}{ill}",
            cloudwatch.Metric(
                namespace=_NAMESPACE,
                metric_name=metric,
                dimensions_map=dimensions,
                statistic=statistic,
                period=Duration.minutes(1),
            ),
            at_least=least,
            periods=2,  # one request that fails at a quiet hour is no reason
            meaning=f"The generator {endpoint} {what}; people get the bot's fallback reply.",
        )
        for ill, metric, dimensions, statistic, least, what in ills
    ]


def sleeping_failures(component: str) -> cloudwatch.Metric:
    """Requests that found no copy of the component up: somebody is there, and it must wake."""
    return cloudwatch.Metric(
        namespace=_NAMESPACE,
        metric_name="NoCapacityInvocationFailures",
        dimensions_map={"InferenceComponentName": component},
        statistic="sum",
        period=Duration.minutes(1),
    )


class Wake(Construct):
    """The alarm that wakes one component by one copy, from none."""

    def __init__(self, scope: Construct, id: str, *, component: str, action: cloudwatch.IAlarmAction) -> None:
        super().__init__(scope, id)
        alarm = cloudwatch.Alarm(
            self,
            "NoCapacity",
            metric=sleeping_failures(component),
            threshold=1,
            evaluation_periods=1,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
            alarm_description=f"Somebody asks {component} while it sleeps. This alarm wakes it, and nobody else.",
        )
        alarm.add_alarm_action(action)
