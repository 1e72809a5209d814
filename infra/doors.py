"""The two doors people come through: an HTTP API, and a WebSocket API whose connections stay open.

Knows routes, limits and what is logged of a request. Does not know what the functions behind it do.
"""

import json
from typing import cast

from aws_cdk import ArnFormat, Duration, RemovalPolicy, Stack
from aws_cdk import aws_apigateway as account_of_apigw
from aws_cdk import aws_apigatewayv2 as apigw
from aws_cdk import aws_apigatewayv2_integrations as integrations
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.functions import LOG_RETENTION
from infra.nag import accept
from infra.stage import Stage

# What the access logs say of a request: never its query, its body, an address, or a token.
_TOLD = {
    "request_id": "$context.requestId",
    "at": "$context.requestTime",
    "route": "$context.routeKey",
    "status": "$context.status",
    "integration_error": "$context.integrationErrorMessage",
}
_TOLD_OF_HTTP = {**_TOLD, "latency_ms": "$context.responseLatency"}
_TOLD_OF_A_SOCKET = {
    **_TOLD,
    "what": "$context.eventType",  # CONNECT, MESSAGE or DISCONNECT
    "latency_ms": "$context.integrationLatency",
}

_ROUTES_OF_KEYS = {
    "/v1/keys": (apigw.HttpMethod.GET, apigw.HttpMethod.POST),
    "/v1/keys/{id}": (apigw.HttpMethod.DELETE,),
    "/v1/keys/{id}/rotate": (apigw.HttpMethod.POST,),
}
_ROUTES_OF_SUBSCRIPTIONS = {
    "/v1/subscriptions": (apigw.HttpMethod.GET, apigw.HttpMethod.POST),
    "/v1/subscriptions/{id}": (apigw.HttpMethod.GET, apigw.HttpMethod.PATCH, apigw.HttpMethod.DELETE),
    "/v1/subscriptions/{id}/{what}": (apigw.HttpMethod.GET, apigw.HttpMethod.POST),
}


# What a browser asks before a page of another origin may ask: answered here, so that no function of ours answers it.
# Where there is an edge, its authorizer is asked before, for `$default` takes OPTIONS too; it lets in what CloudFront
# hands on, and a route for OPTIONS without it would be a way around the edge. A token opens a conversation, never a
# cookie, so any page may ask; whether a bot talks there, chat says.
_ANY_PAGE = apigw.CorsPreflightOptions(
    allow_origins=["*"],
    allow_methods=[apigw.CorsHttpMethod.ANY],
    allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "Prefer"],
    expose_headers=["Location", "Retry-After"],
    max_age=Duration.hours(1),
)


class HttpDoor(Construct):
    """The HTTP API: a function each for pages, API keys, subscriptions and what Slack sends, and one for all else.

    Attributes:
        api: the HTTP API
        address: where clients reach it
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        stage: Stage,
        chat: lambda_.IFunction,
        web: lambda_.IFunction,
        keys: lambda_.IFunction,
        subscriptions: lambda_.IFunction,
        slack: lambda_.IFunction | None,
        local_aws: str | None,
        authorizer: apigw.IHttpRouteAuthorizer | None = None,  # of every route, what has none included
    ) -> None:
        super().__init__(scope, id)
        self.api = apigw.HttpApi(
            self,
            "Api",
            create_default_stage=False,
            default_integration=integrations.HttpLambdaIntegration("ToChat", chat),
            default_authorizer=authorizer,
            cors_preflight=_ANY_PAGE,
        )
        page = integrations.HttpLambdaIntegration("ToWeb", web)
        for path in ("/", "/widget", "/widget.js", "/assets/{proxy+}"):
            self.api.add_routes(path=path, methods=[apigw.HttpMethod.GET], integration=page)
        of_keys = integrations.HttpLambdaIntegration("ToKeys", keys)
        for path, methods in _ROUTES_OF_KEYS.items():
            self.api.add_routes(path=path, methods=list(methods), integration=of_keys)
        of_subscriptions = integrations.HttpLambdaIntegration("ToSubscriptions", subscriptions)
        for path, methods in _ROUTES_OF_SUBSCRIPTIONS.items():
            self.api.add_routes(path=path, methods=list(methods), integration=of_subscriptions)
        if slack is not None:
            told = integrations.HttpLambdaIntegration("ToSlack", slack)
            for path in ("/slack/events", "/slack/interactions", "/slack/commands"):
                self.api.add_routes(path=path, methods=[apigw.HttpMethod.POST], integration=told)
            for path in ("/slack/install", "/slack/oauth_redirect") if stage.has_workspaces else ():
                self.api.add_routes(path=path, methods=[apigw.HttpMethod.GET], integration=told)
        own_host = local_aws is None  # the local AWS has all APIs on one
        self.address = self.api.api_endpoint if own_host else f"{local_aws}/_aws/execute-api/{self.api.api_id}"
        live = apigw.HttpStage(
            self, "Live", http_api=self.api, stage_name="$default", auto_deploy=True, throttle=_throttle(stage)
        )
        _log_access(self, live, stage, "http", _TOLD_OF_HTTP)
        accept(
            self.api,
            "AwsSolutions-APIG4",
            "Anybody may begin to talk. What was said is open only to the bearer of the conversation's own token, "
            "which chat checks, as it does API keys and the operator key, and keys and subscriptions the latter; "
            "what Slack sends is signed, which slack checks; who installs the app is known to Slack; the stage is "
            "throttled.",
        )


class SocketDoor(Construct):
    """The WebSocket API: what people send comes to a function, and functions push into what is open.

    Attributes:
        api: the WebSocket API
        address: where clients connect to
        path: its part below the host
        management_url: where functions push to open connections, and close them
    """

    _STAGE = "live"

    def __init__(self, scope: Construct, id: str, *, stage: Stage, local_aws: str | None) -> None:
        super().__init__(scope, id)
        self.api = apigw.WebSocketApi(self, "Api", route_selection_expression="$request.body.action")
        live = apigw.WebSocketStage(
            self,
            "Live",
            web_socket_api=self.api,
            stage_name=self._STAGE,
            auto_deploy=True,
            throttle=_throttle(stage),
        )
        _log_access(self, live, stage, "socket", _TOLD_OF_A_SOCKET)
        if local_aws is None:
            live.node.add_dependency(_leave_to_log(self))
        self.address, self.management_url = self._urls(live, local_aws)
        self.path = f"/{self._STAGE}"
        accept(
            self.api,
            "AwsSolutions-APIG4",
            "Anybody may connect. Each message names its conversation and bears that conversation's own token, which "
            "socket checks; the stage is throttled.",
        )

    def lead_to(self, socket: lambda_.IFunction, *, authorizer: apigw.IWebSocketRouteAuthorizer | None = None) -> None:
        """Let `socket` hear who connects, if `authorizer` lets them, what they send, and who has left."""
        for route, asked in (("$connect", authorizer), ("$disconnect", None), ("$default", None)):
            integration = integrations.WebSocketLambdaIntegration("ToSocket", socket)
            self.api.add_route(route, integration=integration, authorizer=asked)

    def grant_pushing(self, grantee: lambda_.Function) -> None:
        """Send to the open connections of this API, and close them."""
        stack = Stack.of(self)
        arns = [
            stack.format_arn(
                service="execute-api",
                resource=self.api.api_id,
                resource_name=f"{self._STAGE}/{method}/@connections/*",
                arn_format=ArnFormat.SLASH_RESOURCE_NAME,
            )
            for method in ("POST", "DELETE")
        ]
        iam.Grant.add_to_principal(grantee=grantee, actions=["execute-api:ManageConnections"], resource_arns=arns)
        api = stack.resolve(self.api.api_id)["Ref"]
        for method in ("POST", "DELETE"):
            accept(
                cast(iam.Role, grantee.role),
                "AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:execute-api:<AWS::Region>:<AWS::AccountId>:"
                f"<{api}>/{self._STAGE}/{method}/@connections/*]",
                "A connection gets its name when it is opened.",
            )

    def _urls(self, live: apigw.WebSocketStage, local_aws: str | None) -> tuple[str, str]:
        if local_aws is None:
            return live.url, live.callback_url
        path = (
            f"/_aws/execute-api/{self.api.api_id}/{self._STAGE}"  # as the local AWS has it, without a host of its own
        )
        return f"{local_aws.replace('http', 'ws', 1)}{path}", f"{local_aws}{path}"


def stream_url(stream: lambda_.Function) -> str:
    """The address of a function URL that leads to `stream` and lets each piece through as it comes.

    Anybody may call it, as with both APIs: the function checks the API key of every request. Pages may not, for there
    is no CORS.
    """
    url = stream.add_function_url(
        auth_type=lambda_.FunctionUrlAuthType.NONE, invoke_mode=lambda_.InvokeMode.RESPONSE_STREAM
    )
    return url.url


def _throttle(stage: Stage) -> apigw.ThrottleSettings:
    return apigw.ThrottleSettings(rate_limit=stage.requests_per_second, burst_limit=stage.burst_requests)


def _log_access(scope: Construct, live: Construct, stage: Stage, door: str, told: dict[str, str]) -> None:
    access_log = logs.LogGroup(
        scope,
        "AccessLog",
        log_group_name=f"/aws/vendedlogs/parley-{stage.name}-{door}",
        retention=LOG_RETENTION[stage.log_retention_days],
        removal_policy=RemovalPolicy.DESTROY,
    )
    resource = cast(apigw.CfnStage, live.node.default_child)
    resource.access_log_settings = apigw.CfnStage.AccessLogSettingsProperty(
        destination_arn=access_log.log_group_arn, format=json.dumps(told)
    )


def _leave_to_log(scope: Construct) -> account_of_apigw.CfnAccount:
    """Leave for API Gateway to write logs, without which a WebSocket stage that has an access log is refused.

    It is one setting for the whole account and region, which other stages and other people's APIs share: so it stays
    when the stack goes, and any role that may write logs serves.
    """
    role = iam.Role(
        scope,
        "Logging",
        assumed_by=iam.ServicePrincipal("apigateway.amazonaws.com"),
        managed_policies=[
            iam.ManagedPolicy.from_aws_managed_policy_name("service-role/AmazonAPIGatewayPushToCloudWatchLogs")
        ],
    )
    accept(
        role,
        "AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/"
        "AmazonAPIGatewayPushToCloudWatchLogs]",
        "It serves every API of the account, and this is the policy that API Gateway asks for.",
    )
    account = account_of_apigw.CfnAccount(scope, "Account", cloud_watch_role_arn=role.role_arn)
    role.apply_removal_policy(RemovalPolicy.RETAIN)
    account.apply_removal_policy(RemovalPolicy.RETAIN)
    return account
