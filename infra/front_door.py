"""The one address that people have: CloudFront in front of both doors, and what keeps the doors shut to anybody else.

people ─▶ CloudFront, guarded by the web ACL ─┬ /assets/*, /widget.js ─▶ kept at the edge, else the HTTP API
                                              ├ /live ─────▶ the WebSocket API
                                              ├ /, /widget ▶ the HTTP API, each time; from plain HTTP led to HTTPS
                                              └ the rest ──▶ the HTTP API, each time
Both APIs ask `edge` whether a request bears the header that only CloudFront knows. Knows addresses and what may be
kept; the limits are the web ACL's (infra/edge_stack.py).
"""

from aws_cdk import Duration, SecretValue, Stack
from aws_cdk import aws_apigatewayv2_authorizers as authorizers
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_cloudfront as cloudfront
from aws_cdk import aws_cloudfront_origins as origins
from constructs import Construct

from infra.doors import HttpDoor, SocketDoor
from infra.functions import function_of
from infra.nag import accept
from infra.stage import EdgeSize, FunctionSize, Stage
from infra.state_stack import StateStack

_HEADER = "x-parley-edge"  # functions/edge/handler.py reads it
# It compares two strings. Half a core, for people wait while it starts, if only once an hour.
_EDGE = FunctionSize(memory_mb=512, timeout_seconds=10)
_REMEMBERED = Duration.hours(1)  # the most that API Gateway takes
_GIVEN_UP_AFTER = Duration.seconds(35)  # API Gateway gives up after 30, and says so itself
_HTTPS_FOR = Duration.days(365)  # a browser that was here asks for nothing in plain HTTP any more
_KEPT = ("/assets/*", "/widget.js")  # what is the same for everybody, and says how long it may be kept
# Every status that CloudFront would keep for 10 s, whoever asks next: what one person may not read another may.
_KEPT_ERRORS = (400, 403, 404, 405, 414, 500, 501, 502, 503, 504)
# API Gateway drops what `web` says of it, and says it itself only to who names an origin, which CloudFront does not
# hand on for what it keeps for everybody.
_ANY_PAGE = cloudfront.ResponseHeadersCorsBehavior(
    access_control_allow_credentials=False,
    access_control_allow_headers=["*"],
    access_control_allow_methods=["GET", "HEAD"],
    access_control_allow_origins=["*"],
    origin_override=True,
)


class Gate(Construct):
    """What both APIs ask before they let anything in.

    Attributes:
        function: what looks at the header
        of_http, of_socket: how each API asks it
    """

    def __init__(self, scope: Construct, id: str, *, stage: Stage, state: StateStack, key_arn: str) -> None:
        super().__init__(scope, id)
        # No layer: it calls AWS with the boto3 that Lambda's own Python brings.
        self.function = function_of(self, "Edge", _EDGE, stage=stage, environment={"EDGE_KEY_SECRET": key_arn})
        state.grant_knowing_the_edge(self.function)
        self.of_http = authorizers.HttpLambdaAuthorizer(
            "Edge",
            self.function,
            response_types=[authorizers.HttpLambdaResponseType.SIMPLE],
            identity_source=[f"$request.header.{_HEADER}"],
            results_cache_ttl=_REMEMBERED,
        )
        self.of_socket = authorizers.WebSocketLambdaAuthorizer(  # which remembers no answers
            "Edge", self.function, identity_source=[f"route.request.header.{_HEADER}"]
        )


class FrontDoor(Construct):
    """The distribution.

    Attributes:
        address: where clients find the HTTP API and the chat page
        socket_address: where they connect to
        cloudfront_name: what the DNS record of a domain of one's own points to
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        size: EdgeSize,
        web_acl_arn: str,
        key_arn: str,
        http: HttpDoor,
        live: SocketDoor,
    ) -> None:
        super().__init__(scope, id)
        known_by = {_HEADER: SecretValue.secrets_manager(key_arn).unsafe_unwrap()}  # a reference, which stays one
        http_api, socket_api = (self._origin(api, known_by) for api in (http.api.api_id, live.api.api_id))
        named = size.domain
        in_https = self._headers("InHttps")
        page = _each_time(http_api, cloudfront.AllowedMethods.ALLOW_ALL, in_https, leads_to_https=True)
        distribution = cloudfront.Distribution(
            self,
            "Distribution",
            comment="Parley",
            default_behavior=page,  # which is `/` alone: CloudFront has no other pattern for it
            additional_behaviors={
                **dict.fromkeys(_KEPT, _kept(http_api, self._headers("ForAnyPage", cors=_ANY_PAGE))),
                live.path: _each_time(socket_api, cloudfront.AllowedMethods.ALLOW_GET_HEAD),
                "/widget": page,
                "/?*": _each_time(http_api, cloudfront.AllowedMethods.ALLOW_ALL, in_https),
            },
            error_responses=[
                cloudfront.ErrorResponse(http_status=status, ttl=Duration.seconds(0)) for status in _KEPT_ERRORS
            ],
            http_version=cloudfront.HttpVersion.HTTP2_AND_3,
            enable_ipv6=False,  # whoever has one network of it has more addresses than a limit for each can hold
            web_acl_id=web_acl_arn,
            domain_names=[named.name] if named else None,
            certificate=acm.Certificate.from_certificate_arn(self, "Certificate", named.certificate_arn)
            if named
            else None,
            minimum_protocol_version=cloudfront.SecurityPolicyProtocol.TLS_V1_2_2021 if named else None,
        )
        self.cloudfront_name = distribution.distribution_domain_name
        host = named.name if named else self.cloudfront_name
        self.address = f"https://{host}"
        self.socket_address = f"wss://{host}{live.path}"
        self._accept(distribution, is_named=named is not None)

    def _headers(
        self, id: str, *, cors: cloudfront.ResponseHeadersCorsBehavior | None = None
    ) -> cloudfront.ResponseHeadersPolicy:
        """What CloudFront adds to the headers of a response."""
        return cloudfront.ResponseHeadersPolicy(
            self,
            id,
            cors_behavior=cors,
            security_headers_behavior=cloudfront.ResponseSecurityHeadersBehavior(
                strict_transport_security=cloudfront.ResponseHeadersStrictTransportSecurity(
                    access_control_max_age=_HTTPS_FOR, override=True
                )
            ),
        )

    def _origin(self, api_id: str, known_by: dict[str, str]) -> origins.HttpOrigin:
        stack = Stack.of(self)
        return origins.HttpOrigin(
            f"{api_id}.execute-api.{stack.region}.{stack.url_suffix}",
            custom_headers=known_by,
            protocol_policy=cloudfront.OriginProtocolPolicy.HTTPS_ONLY,
            origin_ssl_protocols=[cloudfront.OriginSslPolicy.TLS_V1_2],
            read_timeout=_GIVEN_UP_AFTER,
        )

    def _accept(self, distribution: cloudfront.Distribution, *, is_named: bool) -> None:
        accept(distribution, "AwsSolutions-CFR1", "People may come from any country.")
        accept(
            distribution,
            "AwsSolutions-CFR3",
            "CloudFront's log has the address, the user agent and the whole query of everybody. The APIs behind it log "
            "each request without these, and WAF what it refuses.",
        )
        if not is_named:
            accept(
                distribution,
                "AwsSolutions-CFR4",
                "CloudFront's own name takes no policy for TLS; with a domain of one's own it is TLSv1.2_2021.",
            )


def _kept(origin: origins.HttpOrigin, headers: cloudfront.ResponseHeadersPolicy) -> cloudfront.BehaviorOptions:
    """Keep a file for everybody, as long as its own headers say."""
    return cloudfront.BehaviorOptions(
        origin=origin,
        viewer_protocol_policy=cloudfront.ViewerProtocolPolicy.HTTPS_ONLY,
        cache_policy=cloudfront.CachePolicy.CACHING_OPTIMIZED,
        response_headers_policy=headers,
        compress=True,
    )


def _each_time(
    origin: origins.HttpOrigin,
    methods: cloudfront.AllowedMethods,
    headers: cloudfront.ResponseHeadersPolicy | None = None,
    *,
    leads_to_https: bool = False,
) -> cloudfront.BehaviorOptions:
    """Keep nothing, and hand on all that the client says but for the host, by which API Gateway knows an API.

    Only a page leads to HTTPS: a client that shows its token in plain HTTP is better refused than led on each time.
    """
    https = cloudfront.ViewerProtocolPolicy
    return cloudfront.BehaviorOptions(
        origin=origin,
        allowed_methods=methods,
        viewer_protocol_policy=https.REDIRECT_TO_HTTPS if leads_to_https else https.HTTPS_ONLY,
        cache_policy=cloudfront.CachePolicy.CACHING_DISABLED,
        origin_request_policy=cloudfront.OriginRequestPolicy.ALL_VIEWER_EXCEPT_HOST_HEADER,
        response_headers_policy=headers,
    )
