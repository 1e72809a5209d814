"""The edge of every stage in an account: who is refused there, what is kept, and that nobody gets around it."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import unquote

import pytest

from infra.edge_stack import at_most
from infra.stage import STAGES
from parley.channels.http import MAX_BODY_BYTES
from parley.channels.limits import MAX_MESSAGE_CHARACTERS
from tests.infra.template import Resource, Template

IN_AN_ACCOUNT = ("dev", "prod")
CACHING_DISABLED = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"  # AWS's own policies, which have the same ids everywhere
AS_LONG_AS_IT_SAYS = "658327ea-f89d-4fab-a63d-7e88639e58f6"  # CachingOptimized: a second to a year, as headers say
ALL_BUT_THE_HOST = "b689b0a8-53d0-40ab-baf2-68738e2966ac"
KB = 1024

StackOf = Callable[..., Template]


@dataclass(frozen=True)
class Asked:
    """A request as WAF sees it; `body` is its size."""

    method: str = "POST"
    path: str = "/v1/chat"
    body: int = 100
    headers: Mapping[str, str] = field(default_factory=dict)


def upload(path: str, body: int, method: str = "POST") -> Asked:
    """A request that says how large it is."""
    return Asked(method, path, body, {"content-length": str(body)})


def matches(statement: Resource, asked: Asked, seen: int) -> bool:
    """Whether a statement of WAF's holds for a request, of whose body WAF sees so many bytes."""
    ((kind, of),) = statement.items()
    match kind:
        case "AndStatement":
            return all(matches(each, asked, seen) for each in of["Statements"])
        case "OrStatement":
            return any(matches(each, asked, seen) for each in of["Statements"])
        case "NotStatement":
            return not matches(of["Statement"], asked, seen)
        case "SizeConstraintStatement" if "SingleHeader" in of["FieldToMatch"]:
            value = asked.headers.get(of["FieldToMatch"]["SingleHeader"]["Name"])
            assert of["ComparisonOperator"] == "GT"
            return len(value or "") > int(of["Size"])
        case "SizeConstraintStatement":
            assert (of["FieldToMatch"], of["ComparisonOperator"]) == ({"Body": {"OversizeHandling": "MATCH"}}, "GT")
            return asked.body > min(seen, int(of["Size"]))
        case "RegexMatchStatement":
            value = asked.headers.get(of["FieldToMatch"]["SingleHeader"]["Name"])
            return value is not None and re.search(of["RegexString"], value) is not None
        case "ByteMatchStatement":
            return byte_matches(of, asked)
        case other:
            raise AssertionError(other)


def byte_matches(of: Resource, asked: Asked) -> bool:
    text = asked.method if "Method" in of["FieldToMatch"] else asked.path
    for transformation in of["TextTransformations"]:
        match transformation["Type"]:
            case "URL_DECODE":
                text = unquote(text)
            case "NORMALIZE_PATH":
                text = re.sub(r"/(\./|/)+", "/", text)
    if of["PositionalConstraint"] == "EXACTLY":
        return bool(text == of["SearchString"])
    if of["PositionalConstraint"] == "ENDS_WITH":
        return text.endswith(of["SearchString"])
    assert of["PositionalConstraint"] == "STARTS_WITH"
    return text.startswith(of["SearchString"])


def acl_of(template: Template) -> Resource:
    (acl,) = template.of_type("AWS::WAFv2::WebACL").values()
    return acl


def rules_of(template: Template) -> dict[str, Resource]:
    """The rules of the web ACL in the order in which they are asked."""
    return {rule["Name"]: rule for rule in sorted(acl_of(template)["Rules"], key=lambda rule: int(rule["Priority"]))}


def limits_of(template: Template) -> list[Resource]:
    """The limits to how often, the widest first."""
    found = [rule["Statement"]["RateBasedStatement"] for rule in rules_of(template).values() if is_limit(rule)]
    return sorted(found, key=lambda limit: int(limit["Limit"]), reverse=True)


def counted_by(template: Template, asked: Asked) -> set[int]:
    """The limits that count a request, by how many they let in."""
    everything: Resource = {"AndStatement": {"Statements": []}}
    limits = limits_of(template)
    return {each["Limit"] for each in limits if matches(each.get("ScopeDownStatement", everything), asked, 64 * KB)}


def is_limit(rule: Resource) -> bool:
    return "RateBasedStatement" in rule["Statement"]


def is_too_large(template: Template, asked: Asked) -> bool:
    seen = acl_of(template)["AssociationConfig"]["RequestBody"]["CLOUDFRONT"]["DefaultSizeInspectionLimit"]
    (rule,) = (each for each in rules_of(template).values() if answer_of(each).get("ResponseCode") == 413)
    return matches(rule["Statement"], asked, int(seen.removeprefix("KB_")) * KB)


def answer_of(rule: Resource) -> Resource:
    return dict(rule.get("Action", {}).get("Block", {}).get("CustomResponse", {}))


def distribution_of(template: Template) -> Resource:
    (distribution,) = template.of_type("AWS::CloudFront::Distribution").values()
    return dict(distribution["DistributionConfig"])


def behaviors_of(template: Template) -> dict[str, Resource]:
    """How each path is treated, in the order in which they are looked at; `*` is every other."""
    distribution = distribution_of(template)
    paths = {each["PathPattern"]: each for each in distribution["CacheBehaviors"]}
    return {**paths, "*": distribution["DefaultCacheBehavior"]}


def behavior_for(template: Template, path: str) -> Resource:
    """How a path is treated: as the first says whose pattern it fits."""
    return next(it for pattern, it in behaviors_of(template).items() if fnmatchcase(path, pattern))


def said_of(template: Template, behavior: Resource) -> Resource:
    """What CloudFront adds to the headers of a behaviour's responses."""
    policy = template.of_type("AWS::CloudFront::ResponseHeadersPolicy")[behavior["ResponseHeadersPolicyId"]["Ref"]]
    return dict(policy["ResponseHeadersPolicyConfig"])


def part_with(template: Template, kind: str) -> dict[str, Any]:
    (part,) = (
        part for part in template.parts if any(resource["Type"] == kind for resource in part["Resources"].values())
    )
    return part


def test_a_laptop_has_no_edge_and_its_apis_are_open(stack_of: StackOf) -> None:
    template = stack_of("local")

    assert "edge" not in template.functions()
    assert not [kind for kind in template.types() if kind.startswith(("AWS::CloudFront", "AWS::WAF"))]
    assert not template.of_type("AWS::ApiGatewayV2::Authorizer")


@pytest.mark.parametrize("stage", IN_AN_ACCOUNT)
def test_a_web_acl_guards_the_distribution_which_is_told_of_it_as_a_parameter(stack_of: StackOf, stage: str) -> None:
    template = stack_of(stage)
    with_acl, with_distribution = (
        part_with(template, kind) for kind in ("AWS::WAFv2::WebACL", "AWS::CloudFront::Distribution")
    )

    assert acl_of(template)["Scope"] == "CLOUDFRONT"
    (acl,) = template.of_type("AWS::WAFv2::WebACL")
    assert with_acl["Outputs"]["WebAcl"]["Value"] == {"Fn::GetAtt": [acl, "Arn"]}
    assert distribution_of(template)["WebACLId"] == {"Ref": "WebAcl"}
    assert "Default" not in with_distribution["Parameters"]["WebAcl"]  # without it nothing is deployed


@pytest.mark.parametrize("stage", IN_AN_ACCOUNT)
def test_the_web_acl_is_in_us_east_1_wherever_the_stage_is_and_deployed_first(stack_of: StackOf, stage: str) -> None:
    folder = stack_of(stage).files[0].parent
    stacks = json.loads((folder / "manifest.json").read_text())["artifacts"]

    assert stacks[f"Parley-{stage}-Edge"]["environment"] == "aws://unknown-account/us-east-1"
    assert stacks[f"Parley-{stage}-Chat"]["environment"] == "aws://unknown-account/unknown-region"
    assert f"Parley-{stage}-Edge" in stacks[f"Parley-{stage}-Chat"]["dependencies"]


@pytest.mark.parametrize("stage", IN_AN_ACCOUNT)
def test_an_address_may_ask_as_often_as_the_stage_says(stack_of: StackOf, stage: str) -> None:
    size = STAGES[stage].edge
    assert size is not None
    usual = [size.requests_per_five_minutes, size.talks_per_five_minutes]

    with_slack = [size.slack_per_five_minutes, *usual]
    for template, expected in ((stack_of(stage), usual), (stack_of(stage, slack="true"), with_slack)):
        limits = limits_of(template)
        assert [limit["Limit"] for limit in limits] == expected
        assert {limit["EvaluationWindowSec"] for limit in limits} == {300}
        assert {limit["AggregateKeyType"] for limit in limits} == {"IP"}


@pytest.mark.parametrize(
    ("asked", "is_talk"),
    [
        (Asked("POST", "/v1/chat"), True),
        (Asked("POST", "/v1/chat/completions"), True),
        (Asked("POST", "/v1/%63hat"), True),
        (Asked("POST", "//v1/./chat"), True),
        (Asked("POST", "/webhooks/rest/webhook"), True),
        (Asked("POST", "/v1/conversations"), True),
        (Asked("POST", "/v1/conversations/1/uploads"), True),
        (Asked("POST", "/v1/conversations/1/turns/2/wait"), True),
        (Asked("POST", "/v1/%63onversations//1/uploads"), True),
        (Asked("GET", "/live"), True),
        (Asked("GET", "/v1/health"), False),
        (Asked("GET", "/assets/main.js"), False),
        (Asked("GET", "/v1/conversations/1/turns/2"), False),
        (Asked("DELETE", "/v1/conversations/1"), False),
        (Asked("POST", "/slack/events/../../v1/chat"), False),  # which is no route
    ],
    ids=lambda it: f"{it.method} {it.path}" if isinstance(it, Asked) else "",
)
def test_what_begins_a_conversation_or_adds_to_one_or_asks_the_model_has_a_tighter_limit(
    stack_of: StackOf, asked: Asked, is_talk: bool
) -> None:
    size = STAGES["prod"].edge
    assert size is not None
    expected = {size.requests_per_five_minutes, *([size.talks_per_five_minutes] if is_talk else [])}

    assert counted_by(stack_of("prod"), asked) == expected
    assert counted_by(stack_of("prod", slack="true"), asked) == expected


@pytest.mark.parametrize("path", ["/slack/events", "/slack/interactions", "/slack/commands"])
def test_what_slack_signs_has_a_wider_limit_where_it_is_heard_and_nothing_goes_uncounted(
    stack_of: StackOf, path: str
) -> None:
    size, signed = STAGES["prod"].edge, {"x-slack-signature": "v0=00"}
    assert size is not None
    heard, deaf = stack_of("prod", slack="true"), stack_of("prod")

    assert counted_by(heard, Asked("POST", path, headers=signed)) == {size.slack_per_five_minutes}
    assert counted_by(heard, Asked("GET", path, headers=signed)) == {size.requests_per_five_minutes}
    assert counted_by(heard, Asked("POST", path)) == {size.requests_per_five_minutes}
    assert counted_by(heard, Asked("POST", path, headers={"x-slack-signature": ""})) == {size.requests_per_five_minutes}
    assert counted_by(deaf, Asked("POST", path, headers=signed)) == {size.requests_per_five_minutes}


@pytest.mark.parametrize("stage", IN_AN_ACCOUNT)
def test_who_is_refused_hears_a_problem_and_when_to_come_again_on_any_page(stack_of: StackOf, stage: str) -> None:
    template = stack_of(stage)
    bodies = acl_of(template)["CustomResponseBodies"]
    answers = [(is_limit(rule), answer_of(rule)) for rule in rules_of(template).values() if answer_of(rule)]

    assert [answer["ResponseCode"] for _, answer in answers] == [429, 429, 413]
    for limits, answer in answers:
        body = bodies[answer["CustomResponseBodyKey"]]
        assert json.loads(body["Content"])["status"] == answer["ResponseCode"]
        assert body["ContentType"] == "APPLICATION_JSON"
        headers = {each["Name"]: each["Value"] for each in answer["ResponseHeaders"]}
        assert headers.pop("Access-Control-Allow-Origin") == "*"
        assert headers.pop("Access-Control-Expose-Headers") == "Retry-After"
        assert headers == ({"Retry-After": "300"} if limits else {})


@pytest.mark.parametrize("path", ["/v1/chat", "/v1/understand", "/v1/conversations/1/person", "/v1/keys"])
def test_a_body_of_json_may_be_as_large_as_any_message_makes_it(stack_of: StackOf, path: str) -> None:
    template = stack_of("prod")
    largest = MAX_MESSAGE_CHARACTERS * len(json.dumps("\N{GRINNING FACE}")) + 4 * KB

    assert not is_too_large(template, upload(path, largest))
    assert not is_too_large(template, upload(path, 64 * KB))
    assert is_too_large(template, upload(path, 64 * KB + 1))
    assert is_too_large(template, Asked("POST", path, 5_000_000))


@pytest.mark.parametrize("path", ["/v1/webhooks/tickets", "/slack/events", "/slack/interactions"])
def test_what_servers_send_may_be_as_large_as_functions_read(stack_of: StackOf, path: str) -> None:
    template = stack_of("prod")

    assert not is_too_large(template, upload(path, MAX_BODY_BYTES))
    assert is_too_large(template, upload(path, MAX_BODY_BYTES + 1))
    assert is_too_large(template, upload(path, 4_000_000))


@pytest.mark.parametrize(
    "path", ["/v1/knowledge/support/returns%2Fpolicy.pdf", "/v1/conversations/9f/uploads", "/v1/chat/completions"]
)
def test_files_may_be_as_large_as_lambda_takes(stack_of: StackOf, path: str) -> None:
    template = stack_of("prod")

    assert not is_too_large(template, upload(path, 4_500_000, "PUT"))
    assert is_too_large(template, upload(path, 4_500_001, "PUT"))
    assert is_too_large(template, upload("/v1/chat/..%2Fknowledge/", 4_500_000, "PUT"))


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/knowledge/support/policy.md"])
@pytest.mark.parametrize("length", [None, "", "-1", "1e3", "99, 100"])
def test_who_brings_much_and_does_not_say_how_much_is_refused(stack_of: StackOf, path: str, length: str | None) -> None:
    template = stack_of("prod")
    headers = {} if length is None else {"content-length": length}

    assert is_too_large(template, Asked("PUT", path, 64 * KB + 1, headers))
    assert not is_too_large(template, Asked("PUT", path, 64 * KB, headers))


@pytest.mark.parametrize("most", [9, 10, 99, 100, 305, 131_072])
def test_a_regular_expression_holds_for_the_numbers_up_to_one(most: int) -> None:
    numbers = range(max(0, most - 2000), most + 2000)

    assert [n for n in numbers if re.search(at_most(most), str(n))] == [n for n in numbers if n <= most]
    assert len(at_most(4_500_000)) <= 512  # what WAF takes


@pytest.mark.parametrize("stage", IN_AN_ACCOUNT)
def test_what_is_known_to_attack_is_refused_but_nobody_for_what_people_say(stack_of: StackOf, stage: str) -> None:
    groups = {
        rule["Statement"]["ManagedRuleGroupStatement"]["Name"]: rule
        for rule in rules_of(stack_of(stage)).values()
        if "ManagedRuleGroupStatement" in rule["Statement"]
    }
    counted = {
        override["Name"]
        for rule in groups.values()
        for override in rule["Statement"]["ManagedRuleGroupStatement"].get("RuleActionOverrides", [])
        if override["ActionToUse"] == {"Count": {}}
    }

    assert {name.removeprefix("AWSManagedRules") for name in groups} == {
        "AmazonIpReputationList",
        "CommonRuleSet",
        "KnownBadInputsRuleSet",
    }
    assert all(rule["OverrideAction"] == {"None": {}} for rule in groups.values())
    assert counted >= {
        "SizeRestrictions_BODY",
        "CrossSiteScripting_BODY",
        "GenericRFI_BODY",
        "GenericLFI_BODY",
        "EC2MetaDataSSRF_BODY",
        "Log4JRCE_BODY",
        "JavaDeserializationRCE_BODY",
        "SizeRestrictions_QUERYSTRING",  # what a file is called that somebody sends
        "Log4JRCE_QUERYSTRING",
        "JavaDeserializationRCE_QUERYSTRING",
        "EC2MetaDataSSRF_QUERYARGUMENTS",
        "GenericLFI_QUERYARGUMENTS",
        "GenericRFI_QUERYARGUMENTS",
        "CrossSiteScripting_QUERYARGUMENTS",
        "RestrictedExtensions_QUERYARGUMENTS",
    }
    about_words = ("_BODY", "_QUERYARGUMENTS", "_QUERYSTRING")
    assert {name for name in counted if not name.endswith(about_words)} == {"NoUserAgent_HEADER"}


@pytest.mark.parametrize("stage", IN_AN_ACCOUNT)
def test_the_log_has_who_was_refused_and_no_tokens_words_or_anybody_else(stack_of: StackOf, stage: str) -> None:
    template = stack_of(stage)
    (logging,) = template.of_type("AWS::WAFv2::LoggingConfiguration").values()
    (group,) = (
        name
        for name, it in template.of_type("AWS::Logs::LogGroup").items()
        if it.get("LogGroupName") == f"aws-waf-logs-parley-{stage}"
    )
    hidden = acl_of(template)["DataProtectionConfig"]["DataProtections"]
    (kept,) = logging["LoggingFilter"]["Filters"]

    assert json.dumps(logging["LogDestinationConfigs"]).count(group) == 1
    assert ":*" not in json.dumps(logging["LogDestinationConfigs"])
    assert logging["LoggingFilter"]["DefaultBehavior"] == "DROP"
    assert kept["Conditions"] == [{"ActionCondition": {"Action": "BLOCK"}}]
    assert {"QueryString": {}} in logging["RedactedFields"]
    for name in ("authorization", "cookie"):
        assert {"SingleHeader": {"Name": name}} in logging["RedactedFields"]
        assert name in json.dumps(hidden)
    assert {each["Field"]["FieldType"] for each in hidden} == {"SINGLE_HEADER", "QUERY_STRING", "BODY"}


@pytest.mark.parametrize("stage", IN_AN_ACCOUNT)
def test_every_rule_has_a_metric_of_its_own_and_keeps_no_samples(stack_of: StackOf, stage: str) -> None:
    acl = acl_of(stack_of(stage))
    seen = [acl["VisibilityConfig"], *(rule["VisibilityConfig"] for rule in acl["Rules"])]

    assert len({each["MetricName"] for each in seen}) == len(seen)
    assert all(each["MetricName"].startswith(f"parley-{stage}-") for each in seen)
    assert all(each["CloudWatchMetricsEnabled"] and not each["SampledRequestsEnabled"] for each in seen)


@pytest.mark.parametrize("stage", IN_AN_ACCOUNT)
def test_only_https_is_spoken_and_to_the_apis_nothing_older_than_tls_1_2(stack_of: StackOf, stage: str) -> None:
    template = stack_of(stage)
    distribution = distribution_of(template)

    assert {each["ViewerProtocolPolicy"] for each in behaviors_of(template).values()} == {
        "https-only",
        "redirect-to-https",
    }
    assert distribution["HttpVersion"] == "http2and3"
    for origin in distribution["Origins"]:
        assert origin["CustomOriginConfig"]["OriginProtocolPolicy"] == "https-only"
        assert origin["CustomOriginConfig"]["OriginSSLProtocols"] == ["TLSv1.2"]


@pytest.mark.parametrize("stage", IN_AN_ACCOUNT)
@pytest.mark.parametrize(
    ("path", "leads"),
    [
        ("/", True),
        ("/widget", True),
        ("/widget.js", False),
        ("/assets/main.js", False),
        ("/v1/chat", False),
        ("/v1/conversations/1", False),
        ("/webhooks/rest/webhook", False),
        ("/live", False),
    ],
)
def test_pages_lead_from_plain_http_to_https_and_nothing_that_bears_a_token_does(
    stack_of: StackOf, stage: str, path: str, leads: bool
) -> None:
    treated = behavior_for(stack_of(stage), path)

    assert treated["ViewerProtocolPolicy"] == ("redirect-to-https" if leads else "https-only")


@pytest.mark.parametrize("stage", IN_AN_ACCOUNT)
def test_who_was_here_asks_for_nothing_in_plain_http_any_more(stack_of: StackOf, stage: str) -> None:
    template = stack_of(stage)
    answers = {path: it for path, it in behaviors_of(template).items() if path != "/live"}  # a handshake is no page

    for each in answers.values():
        said = said_of(template, each)["SecurityHeadersConfig"]["StrictTransportSecurity"]
        assert said["AccessControlMaxAgeSec"] == 365 * 24 * 60 * 60
        assert not said.get("IncludeSubdomains")  # the domain above is not ours
        assert not said.get("Preload")


@pytest.mark.parametrize("stage", IN_AN_ACCOUNT)
def test_the_widget_and_assets_are_kept_and_everything_else_is_asked_for_each_time_as_the_client_said_it(
    stack_of: StackOf, stage: str
) -> None:
    behaviors = behaviors_of(stack_of(stage))

    for path in ("/assets/*", "/widget.js"):
        kept = behaviors.pop(path)
        assert kept["CachePolicyId"] == AS_LONG_AS_IT_SAYS
        assert kept["Compress"] is True
    assert behaviors.keys() == {"*", "/?*", "/widget", "/live"}
    for each in behaviors.values():
        assert (each["CachePolicyId"], each["OriginRequestPolicyId"]) == (CACHING_DISABLED, ALL_BUT_THE_HOST)
    for path in ("*", "/?*"):
        assert {"OPTIONS", "POST", "PUT", "DELETE"} <= set(behaviors[path]["AllowedMethods"])


@pytest.mark.parametrize("stage", IN_AN_ACCOUNT)
def test_what_is_kept_says_itself_that_any_page_may_load_it(stack_of: StackOf, stage: str) -> None:
    template = stack_of(stage)
    kept = {path: it for path, it in behaviors_of(template).items() if it["CachePolicyId"] != CACHING_DISABLED}

    assert kept.keys() == {"/assets/*", "/widget.js"}
    for each in kept.values():
        allowed = said_of(template, each)["CorsConfig"]
        assert "OriginRequestPolicyId" not in each  # no origin reaches the API, which then says nothing of it
        assert allowed["AccessControlAllowOrigins"]["Items"] == ["*"]
        assert "GET" in allowed["AccessControlAllowMethods"]["Items"]
        assert allowed["AccessControlAllowCredentials"] is False


@pytest.mark.parametrize("stage", IN_AN_ACCOUNT)
def test_no_error_is_kept_for_who_asks_next(stack_of: StackOf, stage: str) -> None:
    errors = distribution_of(stack_of(stage))["CustomErrorResponses"]

    assert {each["ErrorCode"] for each in errors} >= {403, 404, 500, 502, 503, 504}
    assert all(each["ErrorCachingMinTTL"] == 0 for each in errors)
    assert all("ResponsePagePath" not in each for each in errors)


@pytest.mark.parametrize("stage", IN_AN_ACCOUNT)
def test_cloudfront_bears_a_secret_which_no_template_holds(stack_of: StackOf, stage: str) -> None:
    template = stack_of(stage)
    borne = [origin["OriginCustomHeaders"] for origin in distribution_of(template)["Origins"]]
    (secret,) = (it for name, it in template.of_type("AWS::SecretsManager::Secret").items() if "EdgeKey" in name)

    assert len(borne) == 2
    for (header,) in borne:
        before, secret_arn, after = header["HeaderValue"]["Fn::Join"][1]
        assert header["HeaderName"] == "x-parley-edge"
        assert (before, after) == ("{{resolve:secretsmanager:", ":SecretString:::}}")
        assert "EdgeKey" in json.dumps(secret_arn)
    assert secret["GenerateSecretString"]["PasswordLength"] == 64
    assert "SecretString" not in secret


@pytest.mark.parametrize("stage", IN_AN_ACCOUNT)
def test_both_apis_refuse_who_goes_around_the_edge(stack_of: StackOf, stage: str) -> None:
    template = stack_of(stage)
    routes = template.of_type("AWS::ApiGatewayV2::Route").values()
    http, socket = sorted(template.of_type("AWS::ApiGatewayV2::Authorizer").items(), key=lambda it: it[0])

    assert http[1]["IdentitySource"] == ["$request.header.x-parley-edge"]
    assert socket[1]["IdentitySource"] == ["route.request.header.x-parley-edge"]
    assert (http[1]["EnableSimpleResponses"], http[1]["AuthorizerResultTtlInSeconds"]) == (True, 3600)
    for name, authorizer in (http, socket):
        guarded = {route["RouteKey"] for route in routes if route.get("AuthorizerId") == {"Ref": name}}
        all_of_it = {route["RouteKey"] for route in routes if route["ApiId"] == authorizer["ApiId"]}
        assert guarded == ({"$connect"} if "$connect" in all_of_it else all_of_it)
        assert guarded & {"$connect", "$default"}


@pytest.mark.parametrize("stage", IN_AN_ACCOUNT)
def test_who_looks_at_the_header_may_read_that_secret_and_nothing_else(stack_of: StackOf, stage: str) -> None:
    template = stack_of(stage)

    assert template.who_may("secretsmanager:GetSecretValue", to="EdgeKey") == {"edge"}
    allowed = {name for name in template.actions_of("edge") if not name.startswith(("logs:", "xray:"))}
    decrypting = {"kms:Decrypt"} if STAGES[stage].customer_key else set()
    assert allowed == {"secretsmanager:GetSecretValue", *decrypting}
    assert any(template.alarmed("Errors", name) for name in template.of_type("AWS::Lambda::Function") if "Gate" in name)


@pytest.mark.parametrize("stage", IN_AN_ACCOUNT)
def test_people_and_pages_are_told_the_address_of_the_edge(stack_of: StackOf, stage: str) -> None:
    template = stack_of(stage, slack="true")
    (distribution,) = template.of_type("AWS::CloudFront::Distribution")
    told = part_with(template, "AWS::CloudFront::Distribution")["Outputs"]
    host = {"Fn::GetAtt": [distribution, "DomainName"]}

    for name, function in template.functions().items():
        settings = function["Environment"]["Variables"]
        if "SOCKET_ADDRESS" in settings and name != "ingest":
            assert settings["SOCKET_ADDRESS"] == {"Fn::Join": ["", ["wss://", host, "/live"]]}
    assert told["Address"]["Value"] == {"Fn::Join": ["", ["https://", host]]}
    assert template.functions()["worker"]["Environment"]["Variables"]["DOCUMENTS_AT"] == told["Address"]["Value"]


def test_a_domain_of_ones_own_takes_nothing_older_than_tls_1_2(stack_of: StackOf) -> None:
    certificate = "arn:aws:acm:us-east-1:000000000000:certificate/1"
    template = stack_of("prod", domain="chat.example.com", certificate=certificate)
    distribution = distribution_of(template)

    assert distribution["Aliases"] == ["chat.example.com"]
    assert distribution["ViewerCertificate"]["AcmCertificateArn"] == certificate
    assert distribution["ViewerCertificate"]["MinimumProtocolVersion"] == "TLSv1.2_2021"
    assert template.functions()["web"]["Environment"]["Variables"]["SOCKET_ADDRESS"] == "wss://chat.example.com/live"


@pytest.mark.parametrize(
    ("stage", "chosen", "why"),
    [
        ("prod", {"domain": "chat.example.com"}, "needs its certificate"),
        ("local", {"domain": "chat.example.com", "certificate": "arn:aws:acm:us-east-1:0:certificate/1"}, "no edge"),
    ],
)
def test_a_domain_that_cannot_be_is_refused(stack_of: StackOf, stage: str, chosen: dict[str, str], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        stack_of(stage, **chosen)
