"""What the cache server means: there only where it is switched on, and open to those who run turns alone."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from infra.stage import CACHES, STAGES
from parley.settings import read_settings
from tests.contracts.cache_server import ALLOWED
from tests.infra.template import Resource, Template
from tests.infra.test_templates import findings

StackOf = Callable[..., Template]

IN_AN_ACCOUNT = ("dev", "prod")
OF_TURNS = ("chat", "worker", "stream")
KINDS = ("AWS::ElastiCache", "AWS::EC2")


@pytest.fixture(params=[("dev", "small"), ("prod", "large")], ids=lambda it: it[0])
def cached(request: pytest.FixtureRequest, stack_of: StackOf) -> Template:
    stage, size = request.param
    return stack_of(stage, cache=size)


def server(template: Template) -> Resource:
    (found,) = template.of_type("AWS::ElastiCache::ServerlessCache").values()
    return found


def inside(template: Template) -> dict[str, Any]:
    """The functions that are in a network, with its groups."""
    return {
        name: function["VpcConfig"]["SecurityGroupIds"]
        for name, function in template.functions().items()
        if "VpcConfig" in function
    }


def ways_in(template: Template) -> list[Any]:
    """Every way into a security group, whether in it or beside it."""
    groups = template.of_type("AWS::EC2::SecurityGroup").values()
    inline = [rule for group in groups for rule in group.get("SecurityGroupIngress", [])]
    return [*inline, *template.of_type("AWS::EC2::SecurityGroupIngress").values()]


@pytest.mark.parametrize("stage", ["local", *IN_AN_ACCOUNT])
def test_nobody_has_one_who_did_not_ask_for_it(stack_of: StackOf, stage: str) -> None:
    template = stack_of(stage)

    assert STAGES[stage].cache is None
    assert not [kind for kind in template.types() if kind.startswith(KINDS)]
    assert not inside(template)
    assert "CACHE_SERVER" not in template.functions()["chat"]["Environment"]["Variables"]


def test_a_laptop_has_none_even_if_it_asks(stack_of: StackOf) -> None:
    with pytest.raises(ValueError, match="the local AWS has no network"):
        stack_of("local", cache="small")


def test_a_name_that_is_no_size_is_told_the_names_that_are(stack_of: StackOf) -> None:
    with pytest.raises(ValueError, match=r"'huge' is no cache server; .*'small', 'large'"):
        stack_of("dev", cache="huge")


def test_only_functions_that_run_turns_are_in_the_network(cached: Template) -> None:
    assert inside(cached).keys() == set(OF_TURNS)


def test_only_functions_that_run_turns_reach_the_server_and_only_its_port(cached: Template) -> None:
    (way,) = ways_in(cached)

    assert (way["IpProtocol"], way["FromPort"], way["ToPort"]) == ("tcp", 6379, 6379)
    assert way["GroupId"] == server(cached)["SecurityGroupIds"][0]
    asking = way["SourceSecurityGroupId"]["Fn::GetAtt"][0]
    assert all(asking in json.dumps(groups) for groups in inside(cached).values())


def test_only_functions_that_run_turns_may_sign_for_its_one_user(cached: Template) -> None:
    (user,) = cached.of_type("AWS::ElastiCache::User").values()
    (group,) = cached.of_type("AWS::ElastiCache::UserGroup").values()
    name = server(cached)["ServerlessCacheName"]

    assert cached.who_may("elasticache:Connect", to=f":serverlesscache:{name}") == set(OF_TURNS)
    assert cached.who_may("elasticache:Connect", to=f":user:{user['UserId']}") == set(OF_TURNS)
    assert len(group["UserIds"]) == 1
    assert "Ref" in server(cached)["UserGroupId"]


def test_the_user_has_no_password_and_may_only_keep_and_read_replies(cached: Template) -> None:
    (user,) = cached.of_type("AWS::ElastiCache::User").values()

    assert user["AuthenticationMode"] == {"Type": "iam"}
    assert user["UserId"] == user["UserName"]  # IAM wants it so
    assert not user.keys() & {"Passwords", "NoPasswordRequired"}
    assert user["AccessString"] == f"on {ALLOWED}"  # what the contract suite's server allows


def test_functions_of_turns_are_told_where_it_is_and_take_it(cached: Template) -> None:
    (cache,) = cached.of_type("AWS::ElastiCache::ServerlessCache")
    for function in OF_TURNS:
        told = cached.functions()[function]["Environment"]["Variables"]
        address = json.dumps(told["CACHE_SERVER"])
        texts = {name: value if isinstance(value, str) else "somewhere" for name, value in told.items()}

        settings = read_settings(
            texts | {"BOTS": '{"support": "s3://bundles/support.zip"}', "CACHE_SERVER": "cache.example:6379"}
        )

        assert cache in address
        assert "EndpointAddress" in address
        assert "EndpointPort" in address
        assert settings.cache_server_name == server(cached)["ServerlessCacheName"]
        assert settings.cache_server_user in json.dumps(cached.of_type("AWS::ElastiCache::User"))
    assert "CACHE_SERVER" not in cached.functions()["socket"]["Environment"]["Variables"]


def test_no_secret_is_in_the_environment_or_made_for_it(cached: Template, stack_of: StackOf) -> None:
    told = cached.functions()["chat"]["Environment"]["Variables"]
    without = stack_of(told["PARLEY_STAGE"])

    assert "resolve:secretsmanager" not in json.dumps(told)
    assert len(cached.of_type("AWS::SecretsManager::Secret")) == len(without.of_type("AWS::SecretsManager::Secret"))


def test_it_grows_as_far_as_its_size_says_and_keeps_no_copy_of_itself(cached: Template, stack_of: StackOf) -> None:
    size = CACHES["large" if "prod" in server(cached)["ServerlessCacheName"] else "small"]
    limits = server(cached)["CacheUsageLimits"]

    assert server(cached)["Engine"] == "valkey"
    assert limits["DataStorage"] == {"Maximum": size.most_gb, "Unit": "GB"}
    assert limits["ECPUPerSecond"] == {"Maximum": size.most_ecpus_per_second}
    assert "SnapshotRetentionLimit" not in server(cached)


def test_in_production_it_is_under_the_accounts_own_key(stack_of: StackOf) -> None:
    template = stack_of("prod", cache="large")
    keys = template.of_type("AWS::KMS::Key").items()
    (key,) = (name for name, each in keys if "shared replies" in each["Description"])

    assert key in json.dumps(server(template)["KmsKeyId"])


def test_it_is_in_two_zones_without_a_way_to_it_from_the_internet(cached: Template) -> None:
    subnets = cached.of_type("AWS::EC2::Subnet")
    used = [subnets[each["Ref"]] for each in server(cached)["SubnetIds"]]

    assert len({json.dumps(each["AvailabilityZone"]) for each in used}) == 2
    assert not [each for each in used if each["MapPublicIpOnLaunch"]]
    assert server(cached).get("ConnectionType", "vpc") == "vpc"


def test_functions_still_come_to_all_that_they_call(cached: Template) -> None:
    endpoints = cached.of_type("AWS::EC2::VPCEndpoint").values()
    routes = cached.of_type("AWS::EC2::Route").values()
    gateways = cached.of_type("AWS::EC2::NatGateway")

    assert {each["VpcEndpointType"] for each in endpoints} == {"Gateway"}  # DynamoDB and S3, which cost nothing
    assert {"dynamodb", "s3"} == {json.dumps(each["ServiceName"]).rpartition(".")[2].strip('"]}') for each in endpoints}
    outward = [each for each in routes if "NatGatewayId" in each]
    assert len(outward) == 2  # one for each private subnet
    assert gateways.keys() == {each["NatGatewayId"]["Ref"] for each in outward}


def test_production_keeps_answering_when_a_zone_is_gone(stack_of: StackOf) -> None:
    assert len(stack_of("prod", cache="large").of_type("AWS::EC2::NatGateway")) == 2


def test_who_comes_and_goes_in_the_network_is_logged(cached: Template) -> None:
    (vpc,) = cached.of_type("AWS::EC2::VPC")

    assert [flow["ResourceId"]["Ref"] for flow in cached.of_type("AWS::EC2::FlowLog").values()] == [vpc]


@pytest.mark.parametrize("metric", ["ThrottledCmds", "Evictions", "AuthenticationFailures"])
def test_an_alarm_rings_when_it_is_too_small_or_somebody_is_refused(cached: Template, metric: str) -> None:
    assert cached.alarmed(metric, server(cached)["ServerlessCacheName"])


def test_beside_a_model_across_machines_it_is_in_the_network_that_is_there(stack_of: StackOf) -> None:
    template = stack_of("prod", cache="large", generator="across-nodes")
    asking = [way for way in ways_in(template) if way.get("FromPort") == 6379]

    assert len(template.of_type("AWS::EC2::VPC")) == 1
    assert inside(template).keys() == set(OF_TURNS)
    assert len(asking) == 1
    assert "Functions" in json.dumps(asking[0]["SourceSecurityGroupId"])


@pytest.mark.timeout(300)
def test_cfn_lint_has_nothing_to_say(stack_of: StackOf) -> None:
    for stage, size in (("dev", "small"), ("prod", "large")):
        assert findings(*[file for file in stack_of(stage, cache=size).files if "-Generation" not in file.name]) == ""
