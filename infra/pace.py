"""The pace of the worker: as many queued turns at once as the generator has room for, and no more.

    endpoint grows or shrinks ─▶ event ─┐
    every minute ───────────────────────┴▶ pace ─▶ the worker's event source: MaximumConcurrency

So a burst waits in SQS, where waiting costs nothing, instead of being thrown at a GPU that must refuse it.
"""

from aws_cdk import ArnFormat, Duration, Stack
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda_event_sources as event_sources
from constructs import Construct

from infra.functions import function_of
from infra.generators import EndpointSize
from infra.stage import LEAST_TURNS_AT_ONCE, MOST_TURNS_AT_ONCE, FunctionSize, Stage

# One call to SageMaker and one to Lambda.
_PACE = FunctionSize(memory_mb=256, timeout_seconds=30)


class Pace(Construct):
    """The function that sets the worker's pace, and what calls it."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        stage: Stage,
        generator: EndpointSize,
        turns: event_sources.SqsEventSource,
    ) -> None:
        super().__init__(scope, id)
        # No layer: it calls AWS with the boto3 that Lambda's own Python brings.
        self.function = function_of(
            self,
            "Pace",
            _PACE,
            stage=stage,
            environment={
                "GENERATOR_ENDPOINT": stage.generator_endpoint,
                **({"GENERATOR_COMPONENT": stage.generator_endpoint} if generator.sleeps else {}),
                "TURNS_EVENT_SOURCE": turns.event_source_mapping_id,
                "REQUESTS_PER_INSTANCE": str(generator.requests_per_instance),
                "LEAST": str(LEAST_TURNS_AT_ONCE),
                "MOST": str(MOST_TURNS_AT_ONCE),
            },
        )
        # Of a sleeping endpoint the copies of its component count, which has the endpoint's name.
        kind, describe = (
            ("inference-component", "DescribeInferenceComponent")
            if generator.sleeps
            else ("endpoint", "DescribeEndpoint")
        )
        self._grant(kind, describe, stage, turns)
        self._call(kind, stage.generator_endpoint)

    def _grant(self, kind: str, describe: str, stage: Stage, turns: event_sources.SqsEventSource) -> None:
        described = Stack.of(self).format_arn(
            service="sagemaker", resource=kind, resource_name=stage.generator_endpoint
        )
        mapping = Stack.of(self).format_arn(
            service="lambda",
            resource="event-source-mapping",
            resource_name=turns.event_source_mapping_id,
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        for actions, arn in (
            ([f"sagemaker:{describe}"], described),
            (["lambda:GetEventSourceMapping", "lambda:UpdateEventSourceMapping"], mapping),
        ):
            iam.Grant.add_to_principal(grantee=self.function, actions=actions, resource_arns=[arn])

    def _call(self, kind: str, endpoint: str) -> None:
        target = targets.LambdaFunction(self.function)
        patterns = {
            # An endpoint that is given another number of instances is Updating, then InService again.
            "EndpointChanged": events.EventPattern(
                source=["aws.sagemaker"],
                detail_type=["SageMaker Endpoint State Change"],
                detail={"EndpointName": [endpoint]},
            ),
            # Application Auto Scaling tells only that the most has been reached; see its user guide.
            "FullyGrown": events.EventPattern(
                source=["aws.application-autoscaling"],
                detail_type=["Application Auto Scaling Scaling Activity State Change"],
                detail={"serviceNamespace": ["sagemaker"], "resourceId": [{"prefix": f"{kind}/{endpoint}"}]},
            ),
        }
        for name, pattern in patterns.items():
            events.Rule(self, name, event_pattern=pattern, targets=[target])
        # Both kinds of event are sent at best effort, and neither when a component gets or loses a copy.
        events.Rule(self, "Now", schedule=events.Schedule.rate(Duration.minutes(1)), targets=[target])
