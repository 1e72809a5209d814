"""The hot tier of the reply cache: a Valkey server in a network of its own, off by default.

chat, worker ─▶ server :6379   what many ask, for the minutes in which they do
     └────────▶ NAT ─▶ AWS and the internet

Deployed only where a stage has a size for it. The store in DynamoDB stays what counts: what the server loses is asked
of it again. Whoever is let in signs with a role of his own, so there is no password.

A NAT and no interface endpoints: API Gateway's is for private REST APIs only and refuses pushes to WebSockets, custom
actions and some language models are on the internet, and each of the other endpoints would cost as much as half a NAT.
"""

from collections.abc import Mapping
from typing import Any

from aws_cdk import ArnFormat, Duration, RemovalPolicy, Stack, Token
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_elasticache as elasticache
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.functions import LOG_RETENTION, Network
from infra.observability import Alarms
from infra.stage import CacheSize, Stage

_ENGINE, _ENGINE_VERSION = "valkey", "8"
_PORT = 6379
# All that parley/adapters/valkey.py does, and to its own keys only.
_ALLOWED = "~reply:* -@all +get +set +del"
# It is there to forget what nobody asks for, so a few are no fault: three a second for a quarter of an hour are.
_MANY_EVICTIONS = 1000
_MANY_REFUSED = 5


class CacheStack(Stack):
    """The server, and the network it and the functions that run turns are in.

    Attributes:
        network: where functions must be to reach it
        settings: what they are told of it
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        stage: Stage,
        size: CacheSize,
        key: kms.IKey | None,
        alarms: sns.ITopic,
        network: Network | None,  # where the functions are already, for they can be in one only
        **kwargs: Any,
    ) -> None:
        super().__init__(scope, id, **kwargs)
        self._stage = stage
        self._name = f"parley-{stage.name}-replies"  # IAM signs for the name, so it is lower case and known beforehand
        self._user = f"parley-{stage.name}-turns"
        self.network = network or self._network(size)
        server = self._server(size, key)
        self._watch(Alarms(self, "Watch", topic=alarms))
        self.settings: Mapping[str, str] = {
            "CACHE_SERVER": f"{server.attr_endpoint_address}:{Token.as_string(server.attr_endpoint_port)}",
            "CACHE_SERVER_NAME": self._name,
            "CACHE_SERVER_USER": self._user,
        }

    def grant_asking(self, grantee: lambda_.Function) -> None:
        """Come to the server as the one user that it has."""
        arns = [
            self.format_arn(
                service="elasticache",
                resource=resource,
                resource_name=name,
                arn_format=ArnFormat.COLON_RESOURCE_NAME,
            )
            for resource, name in (("serverlesscache", self._name), ("user", self._user))
        ]
        iam.Grant.add_to_principal(grantee=grantee, actions=["elasticache:Connect"], resource_arns=arns)

    def _network(self, size: CacheSize) -> Network:
        vpc = ec2.Vpc(
            self,
            "Network",
            max_azs=2,
            nat_gateways=size.nat_gateways,
            restrict_default_security_group=False,  # nothing is in it, and CDK would run a function to empty it
            gateway_endpoints={
                "Tables": ec2.GatewayVpcEndpointOptions(service=ec2.GatewayVpcEndpointAwsService.DYNAMODB),
                "Bundles": ec2.GatewayVpcEndpointOptions(service=ec2.GatewayVpcEndpointAwsService.S3),
            },
        )
        log = logs.LogGroup(
            self,
            "Log",
            retention=LOG_RETENTION[self._stage.log_retention_days],
            removal_policy=RemovalPolicy.DESTROY,
        )
        vpc.add_flow_log("Flows", destination=ec2.FlowLogDestination.to_cloud_watch_logs(log))
        functions = ec2.SecurityGroup(self, "Functions", vpc=vpc, description="Functions that run turns")
        return Network(vpc, functions)

    def _server(self, size: CacheSize, key: kms.IKey | None) -> elasticache.CfnServerlessCache:
        vpc = self.network.vpc
        group = ec2.SecurityGroup(self, "Server", vpc=vpc, description="The cache server", allow_all_outbound=False)
        group.add_ingress_rule(self.network.group, ec2.Port.tcp(_PORT), "Functions that run turns")
        user = elasticache.CfnUser(
            self,
            "User",
            engine=_ENGINE,
            user_id=self._user,
            user_name=self._user,  # IAM wants them to be the same
            authentication_mode={"Type": "iam"},
            access_string=f"on {_ALLOWED}",
        )
        users = elasticache.CfnUserGroup(
            self, "Users", engine=_ENGINE, user_group_id=f"parley-{self._stage.name}", user_ids=[user.ref]
        )
        private = vpc.select_subnets(subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS)
        return elasticache.CfnServerlessCache(
            self,
            "Cache",  # TLS, and more than one zone, are not to be switched off
            engine=_ENGINE,
            major_engine_version=_ENGINE_VERSION,
            serverless_cache_name=self._name,
            description="The hot tier of the reply cache; it may lose everything",
            cache_usage_limits=elasticache.CfnServerlessCache.CacheUsageLimitsProperty(
                data_storage=elasticache.CfnServerlessCache.DataStorageProperty(maximum=size.most_gb, unit="GB"),
                ecpu_per_second=elasticache.CfnServerlessCache.ECPUPerSecondProperty(
                    maximum=size.most_ecpus_per_second
                ),
            ),
            kms_key_id=key.key_arn if key else None,
            security_group_ids=[group.security_group_id],
            subnet_ids=private.subnet_ids,
            user_group_id=users.ref,
        )

    def _watch(self, alarms: Alarms) -> None:
        alarms.when(
            "CacheThrottled",
            self._metric("ThrottledCmds"),
            at_least=1,
            periods=2,
            meaning="The cache server turns requests away: it may not grow further, or not so fast.",
        )
        alarms.when(
            "CacheFull",
            self._metric("Evictions"),
            at_least=_MANY_EVICTIONS,
            periods=3,
            meaning="The cache server is full, and forgets replies before their time.",
        )
        alarms.when(
            "CacheRefuses",
            self._metric("AuthenticationFailures"),
            at_least=_MANY_REFUSED,
            meaning="The cache server does not know who asks: a function's role, or somebody who should not.",
        )

    def _metric(self, name: str) -> cloudwatch.Metric:
        return cloudwatch.Metric(
            namespace="AWS/ElastiCache",
            metric_name=name,
            dimensions_map={"clusterId": self._name},  # as serverless caches report, and only they
            statistic="sum",
            period=Duration.minutes(5),
        )
