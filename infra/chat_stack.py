"""The conversation itself: the HTTP API, the three functions behind it, and the queue between two of them.

GET / and /assets ─▶ web      the chat page
everything else ───▶ chat ─┬─ the turn, answered at once
                           └▶ turns.fifo ─▶ worker   the same turn, later
                                  └▶ turns-dead.fifo, with an alarm
"""

import json
from collections.abc import Mapping
from typing import Any, cast

from aws_cdk import ArnFormat, CfnOutput, Duration, RemovalPolicy, Stack
from aws_cdk import aws_apigatewayv2 as apigw
from aws_cdk import aws_apigatewayv2_integrations as integrations
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as event_sources
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3_assets as s3_assets
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.nag import NO_TLS, accept
from infra.observability import Alarms
from infra.packaging import Build, function_code, needs_of, package_layer
from infra.stage import FunctionSize, Stage
from infra.state_stack import StateStack

_TRIES = 3  # how often a queued turn may fail before it is put aside
_WAITING_TOO_LONG_SECONDS = 120

_LOG_RETENTION = {
    1: logs.RetentionDays.ONE_DAY,
    7: logs.RetentionDays.ONE_WEEK,
    30: logs.RetentionDays.ONE_MONTH,
}

# What the access log says of a request: never its body, nor an address, nor a token.
_ACCESS_LOG = {
    "request_id": "$context.requestId",
    "at": "$context.requestTime",
    "route": "$context.routeKey",
    "status": "$context.status",
    "latency_ms": "$context.responseLatency",
    "integration_error": "$context.integrationErrorMessage",
}


class ChatStack(Stack):
    """API Gateway, the functions chat, worker and web, and the queue of turns."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        stage: Stage,
        build: Build,
        state: StateStack,
        local_settings: Mapping[str, str],
        **kwargs: Any,
    ) -> None:
        super().__init__(scope, id, **kwargs)
        self._stage = stage
        dead_letters = self._queue("TurnsDead")
        turns = self._queue("Turns", dead_letters=dead_letters)
        bundles = {name: s3_assets.Asset(self, f"Bot-{name}", path=str(path)) for name, path in build.bundles.items()}

        layers = self._layers(build)
        settings = {**self._settings(state, turns, bundles), **local_settings}
        chat = self._function("Chat", stage.chat, layers=layers, environment=settings, snap_start=stage.snap_start)
        worker = self._function("Worker", stage.worker, layers=layers, environment=settings)
        web = self._function("Web", stage.web)

        for answering in (chat, worker):
            state.grant_conversing(answering)
            self._grant_reading(bundles, answering)
            self._grant_generating(answering)
            self._grant_custom_actions(build, answering)
        state.grant_knowing_operators(chat)
        turns.grant_send_messages(chat)
        worker.add_event_source(
            event_sources.SqsEventSource(
                turns,
                batch_size=1,  # a turn is seconds of waiting: in a batch the second person would wait for the first
                report_batch_item_failures=True,
            )
        )

        api = self._api(chat=self._entry(chat), web=web)

        alarms = Alarms(self, "Watch", topic=state.alarms)
        alarms.on_dead_letters(dead_letters)
        alarms.on_waiting(turns, seconds=_WAITING_TOO_LONG_SECONDS)
        alarms.on_failures("chat", chat)
        alarms.on_failures("worker", worker)
        alarms.on_server_errors(api)

        CfnOutput(self, "HttpApi", value=api.api_endpoint, description="The chat page, and the root of the HTTP API")
        CfnOutput(self, "HttpApiId", value=api.api_id)
        CfnOutput(self, "ChatFunction", value=chat.function_name)
        CfnOutput(self, "WorkerFunction", value=worker.function_name)
        CfnOutput(self, "OperatorKeySecret", value=state.operator_key_arn)
        CfnOutput(self, "AnnouncementsBus", value=state.bus.event_bus_name)
        CfnOutput(self, "ConversationsTable", value=state.conversations.table_name)
        CfnOutput(self, "RepliesTable", value=state.replies.table_name)
        CfnOutput(self, "TurnsQueue", value=turns.queue_url)
        CfnOutput(self, "DeadLettersQueue", value=dead_letters.queue_url)

    def _queue(self, id: str, *, dead_letters: sqs.Queue | None = None) -> sqs.Queue:
        queue = sqs.Queue(
            self,
            id,
            fifo=True,  # the turns of one conversation are one group, so they stay in order
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=self._stage.tls,
            # A try that died leaves its turn hidden this long; twice the worker's own limit covers its slowest end.
            visibility_timeout=Duration.seconds(2 * self._stage.worker.timeout_seconds),
            retention_period=Duration.days(4 if dead_letters else 14),
            dead_letter_queue=sqs.DeadLetterQueue(queue=dead_letters, max_receive_count=_TRIES)
            if dead_letters
            else None,
        )
        if not self._stage.tls:
            accept(queue, "AwsSolutions-SQS4", NO_TLS)
        return queue

    def _layers(self, build: Build) -> list[lambda_.ILayerVersion]:
        sources = {
            "Dependencies": build.layer("dependencies"),
            "Encoder": build.layer("encoder"),
            "Parley": package_layer(),
        }
        return [
            lambda_.LayerVersion(self, name, code=code, compatible_runtimes=[lambda_.Runtime.PYTHON_3_13])
            for name, code in sources.items()
        ]

    def _settings(self, state: StateStack, turns: sqs.Queue, bundles: dict[str, s3_assets.Asset]) -> dict[str, str]:
        return {
            "PARLEY_STAGE": self._stage.name,
            "CONVERSATIONS_TABLE": state.conversations.table_name,
            "REPLIES_TABLE": state.replies.table_name,
            "TURNS_QUEUE_URL": turns.queue_url,
            "BOTS": json.dumps({name: bundle.s3_object_url for name, bundle in bundles.items()}),
            "ENCODER_DIR": "/opt/encoder",
            "GENERATOR_ENDPOINT": self._stage.generator_endpoint,
            "CACHE_KEY_SECRET": state.cache_key_arn,
            "EVENT_BUS": state.bus.event_bus_name,
            "OPERATOR_KEY_SECRET": state.operator_key_arn,
            "ACTION_SECRETS": self._secrets_prefix,
            "EXPLAINS": str(self._stage.explains).lower(),
            "RETENTION_DAYS": str(self._stage.retention_days),
            "CACHE_TTL_SECONDS": str(self._stage.cache_ttl_seconds),
            # One utterance is a dozen tokens: a second thread costs more than it brings, and Lambda has no core for it.
            "OMP_NUM_THREADS": "1",
        }

    def _function(
        self,
        id: str,
        size: FunctionSize,
        *,
        layers: list[lambda_.ILayerVersion] | None = None,
        environment: dict[str, str] | None = None,
        snap_start: bool = False,
    ) -> lambda_.Function:
        log_group = logs.LogGroup(
            self,
            f"{id}Log",
            retention=_LOG_RETENTION[self._stage.log_retention_days],
            removal_policy=RemovalPolicy.DESTROY,
        )
        role = iam.Role(self, f"{id}Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        function = lambda_.Function(
            self,
            id,
            runtime=lambda_.Runtime.PYTHON_3_13,
            # arm64 is a fifth cheaper, but the encoder's INT8 kernels round differently there, and the bots'
            # thresholds were measured on x86_64.
            architecture=lambda_.Architecture.X86_64,
            handler="handler.handler",
            code=function_code(id.lower()),
            layers=layers,
            environment={"POWERTOOLS_SERVICE_NAME": id.lower(), **(environment or {})},
            memory_size=size.memory_mb,
            timeout=Duration.seconds(size.timeout_seconds),
            role=role,
            log_group=log_group,
            tracing=lambda_.Tracing.ACTIVE if self._stage.traced else lambda_.Tracing.DISABLED,
            snap_start=lambda_.SnapStartConf.ON_PUBLISHED_VERSIONS if snap_start else None,
        )
        log_group.grant_write(function)
        accept(function, "AwsSolutions-L1", "3.13 is the newest Python that the local AWS runs functions under too.")
        if self._stage.traced:
            accept(role, "AwsSolutions-IAM5[Resource::*]", "X-Ray has no resources to name: it takes only *.")
        return function

    def _entry(self, chat: lambda_.Function) -> lambda_.IFunction:
        """What API Gateway calls: the function itself, or with SnapStart the version that has a snapshot."""
        if not self._stage.snap_start:
            return chat
        accept(
            chat,
            "Annotation::@aws-cdk/aws-lambda:snapStartRequirePublish",
            "Only the version published here is called.",
        )
        return lambda_.Alias(self, "ChatLive", alias_name="live", version=chat.current_version)

    def _grant_reading(self, bundles: dict[str, s3_assets.Asset], grantee: lambda_.Function) -> None:
        for bundle in bundles.values():
            iam.Grant.add_to_principal(
                grantee=grantee,
                actions=["s3:GetObject"],
                resource_arns=[bundle.bucket.arn_for_objects(bundle.s3_object_key)],
            )

    def _grant_generating(self, grantee: lambda_.Function) -> None:
        endpoint = self.format_arn(
            service="sagemaker", resource="endpoint", resource_name=self._stage.generator_endpoint
        )
        iam.Grant.add_to_principal(
            grantee=grantee,
            actions=["sagemaker:InvokeEndpoint", "sagemaker:InvokeEndpointWithResponseStream"],
            resource_arns=[endpoint],
        )

    @property
    def _secrets_prefix(self) -> str:
        """What the names of custom actions' secrets begin with in Secrets Manager."""
        return f"parley/{self._stage.name}/"

    def _grant_custom_actions(self, build: Build, grantee: lambda_.Function) -> None:
        """Read the secrets and call the functions that the bots' custom actions name, and no others."""
        needs = [needs_of(bundle) for bundle in build.bundles.values()]
        secrets = sorted({name for need in needs for name in need.secrets})
        functions = sorted({name for need in needs for name in need.functions})
        if secrets:
            # Secrets Manager ends every ARN with six characters of its own.
            arns = [
                self.format_arn(
                    service="secretsmanager",
                    resource="secret",
                    resource_name=f"{self._secrets_prefix}{name}-??????",
                    arn_format=ArnFormat.COLON_RESOURCE_NAME,
                )
                for name in secrets
            ]
            iam.Grant.add_to_principal(grantee=grantee, actions=["secretsmanager:GetSecretValue"], resource_arns=arns)
        if functions:
            arns = [
                self.format_arn(
                    service="lambda",
                    resource="function",
                    resource_name=name,
                    arn_format=ArnFormat.COLON_RESOURCE_NAME,
                )
                for name in functions
            ]
            iam.Grant.add_to_principal(grantee=grantee, actions=["lambda:InvokeFunction"], resource_arns=arns)

    def _api(self, *, chat: lambda_.IFunction, web: lambda_.IFunction) -> apigw.HttpApi:
        api = apigw.HttpApi(
            self,
            "Http",
            create_default_stage=False,
            default_integration=integrations.HttpLambdaIntegration("ToChat", chat),
        )
        page = integrations.HttpLambdaIntegration("ToWeb", web)
        for path in ("/", "/assets/{proxy+}"):
            api.add_routes(path=path, methods=[apigw.HttpMethod.GET], integration=page)
        access_log = logs.LogGroup(
            self,
            "AccessLog",
            log_group_name=f"/aws/vendedlogs/parley-{self._stage.name}-http",
            retention=_LOG_RETENTION[self._stage.log_retention_days],
            removal_policy=RemovalPolicy.DESTROY,
        )
        http = apigw.HttpStage(
            self,
            "HttpStage",
            http_api=api,
            stage_name="$default",
            auto_deploy=True,
            throttle=apigw.ThrottleSettings(
                rate_limit=self._stage.requests_per_second, burst_limit=self._stage.burst_requests
            ),
        )
        resource = cast(apigw.CfnStage, http.node.default_child)
        resource.access_log_settings = apigw.CfnStage.AccessLogSettingsProperty(
            destination_arn=access_log.log_group_arn, format=json.dumps(_ACCESS_LOG)
        )
        accept(
            api,
            "AwsSolutions-APIG4",
            "Anybody may begin to talk. What was said is open only to the bearer of the conversation's own token, "
            "which chat checks; the stage is throttled.",
        )
        return api
