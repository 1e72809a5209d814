"""Who is kept out before anything of ours runs: the web ACL in front of CloudFront.

a request ─▶ how often this address asks ─▶ where it comes from ─▶ how much it brings ─▶ what is known to attack

Always in us-east-1, the only region in which WAF keeps what guards CloudFront; the rest of a stage may be elsewhere.
The distribution itself is the chat stack's (infra/front_door.py), which is told this web ACL's ARN as a parameter, for
CloudFormation passes no output from one region to another. Knows routes; knows nothing of what lies behind them.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from aws_cdk import ArnFormat, CfnOutput, RemovalPolicy, Stack
from aws_cdk import aws_logs as logs
from aws_cdk import aws_wafv2 as waf
from constructs import Construct

from infra.functions import LOG_RETENTION
from infra.stage import EdgeSize, Stage

REGION = "us-east-1"

_WINDOW_SECONDS = 300
# Of a larger body WAF sees no more than this, and only that it is larger. No message needs it: 4,000 characters are
# 48 KB of JSON at the very most.
_SEEN_BYTES, _SEEN = 64 * 1024, "KB_64"
# All of Slack comes from a few addresses, so it has a limit of its own, where anybody hears it.
_SLACK = ("/slack/events", "/slack/interactions", "/slack/commands")
_SIGNATURE = "x-slack-signature"  # which `slack` checks: here only that there is one

# What other servers send, and messages that Slack sends along with a click: as channels/http.py reads.
_MORE_BYTES = 128 * 1024
_WEBHOOKS = "/v1/webhooks/"
# Documents, files that people send, and whole conversations of OpenAI's clients, which may have images in them.
_FILE_BYTES = 4_500_000  # with what base64 adds it is as much as Lambda takes
_DOCUMENTS, _COMPLETIONS = "/v1/knowledge/", "/v1/chat/completions"
_CONVERSATIONS, _UPLOADS = "/v1/conversations/", "/uploads"

# Where it is posted what begins a conversation, adds to one or may ask the language model.
_SAID = ("/v1/chat", "/v1/conversations", _WEBHOOKS, "/webhooks/")

# Rules of AWS's that only count, for they would refuse what people say and documents hold, and what a file is called
# that somebody sends (`?name=server.log`): nobody's form, which no shell, template or Java of ours ever reads. A client
# that names no User-Agent is no attack.
_ONLY_COUNTED = {
    "AWSManagedRulesKnownBadInputsRuleSet": (
        "JavaDeserializationRCE_BODY",
        "Log4JRCE_BODY",
        "ReactJSRCE_BODY",
        "JavaDeserializationRCE_QUERYSTRING",
        "Log4JRCE_QUERYSTRING",
    ),
    "AWSManagedRulesCommonRuleSet": (
        "SizeRestrictions_BODY",
        "EC2MetaDataSSRF_BODY",
        "GenericLFI_BODY",
        "GenericRFI_BODY",
        "CrossSiteScripting_BODY",
        "SizeRestrictions_QUERYSTRING",
        "EC2MetaDataSSRF_QUERYARGUMENTS",
        "GenericLFI_QUERYARGUMENTS",
        "GenericRFI_QUERYARGUMENTS",
        "CrossSiteScripting_QUERYARGUMENTS",
        "RestrictedExtensions_QUERYARGUMENTS",
        "NoUserAgent_HEADER",
    ),
}
_HIDDEN_HEADERS = ("authorization", "cookie", _SIGNATURE)

_ACL = waf.CfnWebACL
_AS_SENT = [_ACL.TextTransformationProperty(priority=0, type="NONE")]
# As whatever lies behind may read a path: `/v1/%63hat` is `/v1/chat`.
_DECODED = [
    _ACL.TextTransformationProperty(priority=priority, type=kind)
    for priority, kind in enumerate(("URL_DECODE", "NORMALIZE_PATH"))
]
_PATH = _ACL.FieldToMatchProperty(uri_path={})


class EdgeStack(Stack):
    """The web ACL and its log.

    Attributes:
        web_acl_arn: what a distribution is guarded by
    """

    def __init__(self, scope: Construct, id: str, *, stage: Stage, size: EdgeSize, **kwargs: Any) -> None:
        super().__init__(scope, id, **kwargs)
        self._stage = stage
        acl = self._acl(size)
        self.web_acl_arn = acl.attr_arn
        self._log(acl)
        CfnOutput(self, "WebAcl", value=self.web_acl_arn)

    def _acl(self, size: EdgeSize) -> waf.CfnWebACL:
        rules = (
            *self._limits(size),
            self._managed("AWSManagedRulesAmazonIpReputationList"),
            self._rule("TooLarge", _too_large(), action=_refused(413, "TooLarge")),
            *(self._managed(name, counted) for name, counted in _ONLY_COUNTED.items()),
        )
        return _ACL(
            self,
            "Acl",
            scope="CLOUDFRONT",
            name=f"parley-{self._stage.name}",
            default_action=_ACL.DefaultActionProperty(allow={}),
            visibility_config=self._seen_as("All"),
            rules=[
                _ACL.RuleProperty(priority=priority, **rule)  # the first that refuses ends it
                for priority, rule in enumerate(rules)
            ],
            association_config=_ACL.AssociationConfigProperty(
                request_body={
                    "CLOUDFRONT": _ACL.RequestBodyAssociatedResourceTypeConfigProperty(
                        default_size_inspection_limit=_SEEN
                    )
                }
            ),
            custom_response_bodies={
                "TooOften": _problem(429, "Too Many Requests", "This address asks too often; wait, then try again."),
                "TooLarge": _problem(
                    413,
                    "Content Too Large",
                    "The body is larger than this route reads, or large and without a Content-Length.",
                ),
            },
            data_protection_config=_ACL.DataProtectionConfigProperty(data_protections=_hidden()),
        )

    def _limits(self, size: EdgeSize) -> list[dict[str, Any]]:
        """How often an address may ask at all, and how often talk; Slack has a limit of its own, if it is heard."""
        talks = self._limit("Talks", size.talks_per_five_minutes, _talks())
        if not self._stage.has_slack:
            return [self._limit("Often", size.requests_per_five_minutes), talks]
        slack = _from_slack()
        return [
            self._limit("Often", size.requests_per_five_minutes, _neither(slack)),
            self._limit("Slack", size.slack_per_five_minutes, slack),
            talks,
        ]

    def _limit(self, name: str, requests: int, of: waf.CfnWebACL.StatementProperty | None = None) -> dict[str, Any]:
        """Refuse an address from so many requests in five minutes on, until it asks less."""
        statement = _ACL.StatementProperty(
            rate_based_statement=_ACL.RateBasedStatementProperty(
                aggregate_key_type="IP",
                limit=requests,
                evaluation_window_sec=_WINDOW_SECONDS,
                scope_down_statement=of,
            )
        )
        # What is refused is counted too: only who stays away for the whole window is sure to be let in.
        return self._rule(name, statement, action=_refused(429, "TooOften", retry_after=_WINDOW_SECONDS))

    def _managed(self, group: str, counted: Sequence[str] = ()) -> dict[str, Any]:
        count = _ACL.RuleActionProperty(count={})
        statement = _ACL.StatementProperty(
            managed_rule_group_statement=_ACL.ManagedRuleGroupStatementProperty(
                vendor_name="AWS",
                name=group,
                rule_action_overrides=[
                    _ACL.RuleActionOverrideProperty(name=rule, action_to_use=count) for rule in counted
                ]
                or None,
            )
        )
        name = group.removeprefix("AWSManagedRules")
        return self._rule(name, statement, override_action=_ACL.OverrideActionProperty(none={}))

    def _rule(self, name: str, statement: waf.CfnWebACL.StatementProperty, **action: Any) -> dict[str, Any]:
        return {"name": name, "statement": statement, "visibility_config": self._seen_as(name), **action}

    def _seen_as(self, name: str) -> waf.CfnWebACL.VisibilityConfigProperty:
        return _ACL.VisibilityConfigProperty(
            cloud_watch_metrics_enabled=True,
            metric_name=f"parley-{self._stage.name}-{name}",
            sampled_requests_enabled=False,  # samples are requests of people
        )

    def _log(self, acl: waf.CfnWebACL) -> None:
        """Keep what was refused, and nothing of anybody else."""
        group = logs.LogGroup(
            self,
            "Log",
            log_group_name=f"aws-waf-logs-parley-{self._stage.name}",  # WAF takes only names that begin so
            retention=LOG_RETENTION[self._stage.log_retention_days],
            removal_policy=RemovalPolicy.DESTROY,
        )
        destination = self.format_arn(  # without the `:*` at the end of a log group's own ARN
            service="logs",
            resource="log-group",
            resource_name=group.log_group_name,
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        redacted = waf.CfnLoggingConfiguration.FieldToMatchProperty
        waf.CfnLoggingConfiguration(
            self,
            "Logging",
            resource_arn=self.web_acl_arn,
            log_destination_configs=[destination],
            logging_filter={
                "DefaultBehavior": "DROP",
                "Filters": [
                    {
                        "Behavior": "KEEP",
                        "Requirement": "MEETS_ANY",
                        "Conditions": [{"ActionCondition": {"Action": "BLOCK"}}],
                    }
                ],
            },
            redacted_fields=[
                *(redacted(single_header={"Name": name}) for name in _HIDDEN_HEADERS),
                redacted(query_string={}),
            ],
        ).node.add_dependency(acl)


def at_most(most: int) -> str:
    """The regular expression of the whole numbers up to `most`, for WAF compares no header as a number."""
    digits = str(most)
    alike = [  # up to a place, at which the digit is smaller; then whatever follows
        f"{digits[:place]}[0-{int(digit) - 1}]" + "[0-9]" * (len(digits) - place - 1)
        for place, digit in enumerate(digits)
        if digit != "0"
    ]
    fewer = ["[0-9]" * length for length in range(1, len(digits))]
    return f"^({'|'.join([*fewer, *alike, digits])})$"


def _too_large() -> waf.CfnWebACL.StatementProperty:
    """More than WAF sees, unless it says its length and the route takes that much."""
    body = _ACL.FieldToMatchProperty(body=_ACL.BodyProperty(oversize_handling="MATCH"))
    larger = _ACL.StatementProperty(
        size_constraint_statement=_ACL.SizeConstraintStatementProperty(
            comparison_operator="GT", size=_SEEN_BYTES, field_to_match=body, text_transformations=_AS_SENT
        )
    )
    of_servers = _any(_paths(_SLACK), _path(_WEBHOOKS, "STARTS_WITH"))
    upload = _all(_path(_CONVERSATIONS, "STARTS_WITH"), _path(_UPLOADS, "ENDS_WITH"))
    file = _any(_path(_DOCUMENTS, "STARTS_WITH"), _path(_COMPLETIONS, "EXACTLY"), upload)
    more = _any(_all(of_servers, _says_at_most(_MORE_BYTES)), _all(file, _says_at_most(_FILE_BYTES)))
    return _all(larger, _neither(more))


def _says_at_most(size: int) -> waf.CfnWebACL.StatementProperty:
    length = _ACL.FieldToMatchProperty(single_header={"Name": "content-length"})
    return _ACL.StatementProperty(
        regex_match_statement=_ACL.RegexMatchStatementProperty(
            regex_string=at_most(size), field_to_match=length, text_transformations=_AS_SENT
        )
    )


def _talks() -> waf.CfnWebACL.StatementProperty:
    """What begins a conversation, adds to one or may ask the language model; a WebSocket may do any of these."""
    said = _any(*(_path(path, "STARTS_WITH", _DECODED) for path in _SAID))
    return _any(_all(_post(), said), _path("/live", "STARTS_WITH", _DECODED))


def _from_slack() -> waf.CfnWebACL.StatementProperty:
    """What may be from Slack: it is posted where Slack posts to, and signed, by whomever."""
    signature = _ACL.StatementProperty(
        size_constraint_statement=_ACL.SizeConstraintStatementProperty(
            comparison_operator="GT",
            size=0,
            field_to_match=_ACL.FieldToMatchProperty(single_header={"Name": _SIGNATURE}),
            text_transformations=_AS_SENT,
        )
    )
    return _all(_post(), _paths(_SLACK), signature)


def _post() -> waf.CfnWebACL.StatementProperty:
    return _ACL.StatementProperty(
        byte_match_statement=_ACL.ByteMatchStatementProperty(
            field_to_match=_ACL.FieldToMatchProperty(method={}),
            positional_constraint="EXACTLY",
            search_string="POST",
            text_transformations=_AS_SENT,
        )
    )


def _paths(paths: Iterable[str]) -> waf.CfnWebACL.StatementProperty:
    return _any(*(_path(path, "EXACTLY") for path in paths))


def _path(path: str, constraint: str, read: Sequence[Any] = _AS_SENT) -> waf.CfnWebACL.StatementProperty:
    return _ACL.StatementProperty(
        byte_match_statement=_ACL.ByteMatchStatementProperty(
            field_to_match=_PATH, positional_constraint=constraint, search_string=path, text_transformations=read
        )
    )


def _all(*statements: waf.CfnWebACL.StatementProperty) -> waf.CfnWebACL.StatementProperty:
    return _ACL.StatementProperty(and_statement=_ACL.AndStatementProperty(statements=list(statements)))


def _any(*statements: waf.CfnWebACL.StatementProperty) -> waf.CfnWebACL.StatementProperty:
    return _ACL.StatementProperty(or_statement=_ACL.OrStatementProperty(statements=list(statements)))


def _neither(statement: waf.CfnWebACL.StatementProperty) -> waf.CfnWebACL.StatementProperty:
    return _ACL.StatementProperty(not_statement=_ACL.NotStatementProperty(statement=statement))


def _refused(status: int, body: str, *, retry_after: int | None = None) -> waf.CfnWebACL.RuleActionProperty:
    """A refusal that scripts of any page may read, as they may what the API says."""
    said = {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "Retry-After"}
    if retry_after is not None:
        said["Retry-After"] = str(retry_after)
    response = _ACL.CustomResponseProperty(
        response_code=status,
        custom_response_body_key=body,
        response_headers=[_ACL.CustomHTTPHeaderProperty(name=name, value=value) for name, value in said.items()],
    )
    return _ACL.RuleActionProperty(block=_ACL.BlockActionProperty(custom_response=response))


def _problem(status: int, title: str, detail: str) -> waf.CfnWebACL.CustomResponseBodyProperty:
    """A problem of RFC 9457 in all but its media type: WAF knows plain text, HTML and JSON only."""
    problem = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return _ACL.CustomResponseBodyProperty(content=json.dumps(problem), content_type="APPLICATION_JSON")


def _hidden() -> list[waf.CfnWebACL.DataProtectProperty]:
    """What no log and no sample may show, nor the piece of it that a rule found."""
    fields = [
        _ACL.FieldToProtectProperty(field_type="SINGLE_HEADER", field_keys=[*_HIDDEN_HEADERS]),
        _ACL.FieldToProtectProperty(field_type="QUERY_STRING"),
        _ACL.FieldToProtectProperty(field_type="BODY"),
    ]
    return [_ACL.DataProtectProperty(action="SUBSTITUTION", field=field) for field in fields]
