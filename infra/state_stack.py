"""What must outlive a deployment: conversations, shared replies, secrets, and who hears of what happens.

Knows how data is kept, and lends it out as verbs. Does not know who borrows it.
"""

from typing import Any, cast

from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_secretsmanager as secrets
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.nag import NO_TLS, accept
from infra.stage import Stage

_TEXT = dynamodb.AttributeType.STRING
_NUMBER = dynamodb.AttributeType.NUMBER

# Items by their key, and those under one partition key: never a whole table.
_KEEPING = (
    "dynamodb:GetItem",
    "dynamodb:BatchGetItem",
    "dynamodb:Query",
    "dynamodb:PutItem",
    "dynamodb:UpdateItem",
    "dynamodb:DeleteItem",
    "dynamodb:BatchWriteItem",
    "dynamodb:ConditionCheckItem",
)
_KEEPING_KEYS = ("dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:DeleteItem")
_FOLLOWING = ("dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams")
_CONNECTING = ("dynamodb:GetItem", "dynamodb:Query", "dynamodb:PutItem", "dynamodb:DeleteItem")

# What DynamoDB and Secrets Manager do with the key in the name of a function.
_USE_OF_KEY = (
    "kms:Encrypt",
    "kms:Decrypt",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:DescribeKey",
)


class StateStack(Stack):
    """Tables, keys, the bus of announcements, and the topic of alarms.

    Attributes:
        conversations: an item for each turn, one `state` item for each conversation
        replies: the reply cache
        connections: who is listening to which conversation on an open WebSocket
        keys: API keys, of whose secrets it has digests only
        usage: how much users, API keys and tenants have asked
        workspaces: the workspaces of Slack that have installed the app, where several may
        tokens_key: what their tokens are encrypted under
        name_of_uploads: the bucket of the files that people sent
        subscriptions: who is told what happens
        deliveries: how it goes with each of these, and what could not be delivered
        signing_key: what the secrets of subscriptions are sealed by
        cache_key_arn: the secret that keys the hashes in `replies`
        operator_key_arn: the secret whose bearer takes conversations over and makes API keys
        edge_key_arn: the secret by which CloudFront is known; None: nothing is in front of the APIs
        bus: where hand-offs are announced
        alarms: the topic that every alarm is told to
        key: what data is encrypted under; None: a key of AWS's own
    """

    def __init__(self, scope: Construct, id: str, *, stage: Stage, **kwargs: Any) -> None:
        super().__init__(scope, id, **kwargs)
        self._stage = stage
        self.key = self._customer_key() if stage.customer_key else None

        # Its stream shows turns as they were kept; who is told of them is in `infra/webhooks.py`.
        self.conversations = self._table("Conversations", sort_key="sk", stream=dynamodb.StreamViewType.NEW_IMAGE)
        self.conversations.add_global_secondary_index(
            index_name="by_user",  # for export and erasure, which then read the items themselves
            partition_key=dynamodb.Attribute(name="user_id", type=_TEXT),
            sort_key=dynamodb.Attribute(name="updated_at", type=_NUMBER),
            projection_type=dynamodb.ProjectionType.KEYS_ONLY,
        )
        self.replies = self._table("Replies")
        self.replies.add_global_secondary_index(
            index_name="by_bot",  # functions follow what comes and goes; operators look, and drop
            partition_key=dynamodb.Attribute(name="bot", type=_TEXT),
            sort_key=dynamodb.Attribute(name="changed_at", type=_NUMBER),
            projection_type=dynamodb.ProjectionType.ALL,
        )
        self.connections = self._table("Connections", sort_key="sk")
        self.keys = self._table("Keys")
        self.keys.add_global_secondary_index(
            index_name="by_kind",  # the list that operators see
            partition_key=dynamodb.Attribute(name="kind", type=_TEXT),
            sort_key=dynamodb.Attribute(name="created_at", type=_NUMBER),
            projection_type=dynamodb.ProjectionType.ALL,
        )
        self.usage = self._table("Usage")
        self.workspaces = self._table("Workspaces") if stage.has_workspaces else None
        self.tokens_key = self._tokens_key() if stage.has_workspaces else None
        self._uploads_bucket()
        self.subscriptions = self._table("Subscriptions")
        self.subscriptions.add_global_secondary_index(
            index_name="by_tenant",  # those that are told of a tenant's bots
            partition_key=dynamodb.Attribute(name="tenant", type=_TEXT),
            sort_key=dynamodb.Attribute(name="created_at", type=_NUMBER),
            projection_type=dynamodb.ProjectionType.ALL,
        )
        self.deliveries = self._table("Deliveries", sort_key="sk")
        self.signing_key = self._signing_key()
        self.cache_key_arn = self._cache_key_arn()
        self.operator_key_arn = self._operator_key_arn()
        self.edge_key_arn = self._edge_key_arn() if stage.edge else None
        self.bus = events.EventBus(self, "Announcements", description="What happens in conversations: hand-offs.")
        self.alarms = self._alarms()

    def grant_conversing(self, grantee: iam.IGrantable) -> None:
        """Keep conversations, count what is asked, share replies, read the key of their hashes, announce hand-offs."""
        self.grant_keeping_conversations(grantee)
        _allow(grantee, self.replies.table_arn, "dynamodb:GetItem", "dynamodb:UpdateItem")
        _allow(grantee, f"{self.replies.table_arn}/index/by_bot", "dynamodb:Query")
        _allow(grantee, f"{self.conversations.table_arn}/index/by_user", "dynamodb:Query")
        _allow(grantee, self.cache_key_arn, "secretsmanager:GetSecretValue")
        _allow(grantee, self.usage.table_arn, "dynamodb:UpdateItem")
        _allow(grantee, self.bus.event_bus_arn, "events:PutEvents")

    def grant_keeping_conversations(self, grantee: iam.IGrantable) -> None:
        """Read conversations and change them, one at a time."""
        _allow(grantee, self.conversations.table_arn, *_KEEPING)
        self.grant_key(grantee)

    @property
    def name_of_uploads(self) -> str:
        """Known beforehand, so that no stack has to import it."""
        return f"parley-{self._stage.name}-uploads-{self.account}-{self.region}"

    def grant_knowing_uploads(self, grantee: lambda_.Function) -> None:
        """Read the files that people sent."""
        # Without leave to list, S3 answers for a file that is not there as if it were forbidden.
        _allow(grantee, f"arn:{self.partition}:s3:::{self.name_of_uploads}", "s3:ListBucket")
        self._grant_uploads(grantee, "s3:GetObject")

    def grant_keeping_uploads(self, grantee: lambda_.Function) -> None:
        """The same, and keep and erase them."""
        self.grant_knowing_uploads(grantee)
        self._grant_uploads(grantee, "s3:PutObject", "s3:DeleteObject")

    def _grant_uploads(self, grantee: lambda_.Function, *actions: str) -> None:
        _allow(grantee, f"arn:{self.partition}:s3:::{self.name_of_uploads}/*", *actions)
        accept(
            cast(iam.Role, grantee.role),
            f"AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:s3:::parley-{self._stage.name}-uploads-"
            "<AWS::AccountId>-<AWS::Region>/*]",
            "A file's key is that of its conversation.",
        )

    def grant_connecting(self, grantee: iam.IGrantable) -> None:
        """Know who is listening to a conversation, and note who comes and goes."""
        _allow(grantee, self.connections.table_arn, *_CONNECTING)
        self.grant_key(grantee)

    def grant_knowing_keys(self, grantee: iam.IGrantable) -> None:
        """Look one API key up."""
        _allow(grantee, self.keys.table_arn, "dynamodb:GetItem")
        self.grant_key(grantee)

    def grant_keeping_keys(self, grantee: iam.IGrantable) -> None:
        """Make API keys, list, change and revoke them."""
        _allow(grantee, self.keys.table_arn, *_KEEPING_KEYS)
        _allow(grantee, f"{self.keys.table_arn}/index/by_kind", "dynamodb:Query")
        self.grant_key(grantee)

    def grant_installing(self, grantee: iam.IGrantable) -> None:
        """Keep workspaces of Slack, encrypt their tokens, and forget them."""
        if self.workspaces is not None and self.tokens_key is not None:
            _allow(grantee, self.workspaces.table_arn, "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:DeleteItem")
            _allow(grantee, self.tokens_key.key_arn, "kms:Encrypt")
            self.grant_key(grantee)

    def grant_speaking(self, grantee: iam.IGrantable) -> None:
        """Look up the token of one workspace of Slack, and decrypt it."""
        if self.workspaces is not None and self.tokens_key is not None:
            _allow(grantee, self.workspaces.table_arn, "dynamodb:GetItem")
            _allow(grantee, self.tokens_key.key_arn, "kms:Decrypt")
            self.grant_key(grantee)

    def grant_following_conversations(self, grantee: iam.IGrantable) -> None:
        """See what is kept of conversations, as it is kept."""
        _allow(grantee, self.stream_arn, *_FOLLOWING)
        self.grant_key(grantee)

    def grant_knowing_subscribers(self, grantee: iam.IGrantable) -> None:
        """List a tenant's subscriptions."""
        _allow(grantee, f"{self.subscriptions.table_arn}/index/by_tenant", "dynamodb:Query")
        self.grant_key(grantee)

    def grant_keeping_subscriptions(self, grantee: iam.IGrantable) -> None:
        """Make subscriptions, list, change and delete them, and seal their secrets."""
        _allow(grantee, self.subscriptions.table_arn, *_KEEPING_KEYS)
        self.grant_knowing_subscribers(grantee)
        _allow(grantee, self.signing_key.key_arn, "kms:Encrypt")

    def grant_signing(self, grantee: iam.IGrantable) -> None:
        """Look one subscription up, and unseal its secrets."""
        _allow(grantee, self.subscriptions.table_arn, "dynamodb:GetItem")
        _allow(grantee, self.signing_key.key_arn, "kms:Decrypt")
        self.grant_key(grantee)

    def grant_noting_deliveries(self, grantee: iam.IGrantable) -> None:
        """Note what becomes of deliveries."""
        _allow(grantee, self.deliveries.table_arn, "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem")
        self.grant_key(grantee)

    def grant_looking_after_deliveries(self, grantee: iam.IGrantable) -> None:
        """Look at what became of deliveries, and take dead ones out again."""
        actions = ("dynamodb:GetItem", "dynamodb:Query", "dynamodb:UpdateItem")
        _allow(grantee, self.deliveries.table_arn, *actions, "dynamodb:DeleteItem", "dynamodb:BatchWriteItem")
        self.grant_key(grantee)

    def grant_knowing_operators(self, grantee: iam.IGrantable) -> None:
        """Read the key by which an operator is known."""
        _allow(grantee, self.operator_key_arn, "secretsmanager:GetSecretValue")

    def grant_knowing_the_edge(self, grantee: iam.IGrantable) -> None:
        """Read the secret by which CloudFront is known."""
        if self.edge_key_arn is not None:
            _allow(grantee, self.edge_key_arn, "secretsmanager:GetSecretValue")
            if self.key is not None:
                _allow(grantee, self.key.key_arn, "kms:Decrypt")  # and nothing else that the key is for

    def grant_key(self, grantee: iam.IGrantable) -> None:
        """Use the customer's key, where the stage has one."""
        if self.key is not None:
            _allow(grantee, self.key.key_arn, *_USE_OF_KEY)

    @property
    def stream_arn(self) -> str:
        """The stream of conversations."""
        return str(self.conversations.table_stream_arn)

    def _table(
        self, id: str, *, sort_key: str | None = None, stream: dynamodb.StreamViewType | None = None
    ) -> dynamodb.Table:
        return dynamodb.Table(
            self,
            id,
            partition_key=dynamodb.Attribute(name="pk", type=_TEXT),
            sort_key=dynamodb.Attribute(name=sort_key, type=_TEXT) if sort_key else None,
            time_to_live_attribute="expires_at",
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            encryption_key=self.key,
            stream=stream,
            deletion_protection=self._stage.keeps_data,
            removal_policy=self._removal_policy(),
        )

    def _uploads_bucket(self) -> None:
        bucket = s3.Bucket(
            self,
            "Uploads",
            bucket_name=self.name_of_uploads,
            encryption=s3.BucketEncryption.KMS if self.key else s3.BucketEncryption.S3_MANAGED,
            encryption_key=self.key,
            bucket_key_enabled=True if self.key else None,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            enforce_ssl=self._stage.tls,
            # Without versions: what is erased is gone, and what nobody erases goes with its conversation.
            lifecycle_rules=[s3.LifecycleRule(expiration=Duration.days(self._stage.retention_days))],
            removal_policy=removal_of_named(self._stage),
        )
        accept(bucket, "AwsSolutions-S1", "Two functions of ours reach it, which log; a log of reads would be theirs.")
        if not self._stage.tls:
            accept(bucket, "AwsSolutions-S10", NO_TLS)

    def _cache_key_arn(self) -> str:
        return self._secret_arn(
            "CacheKey",
            "Keys the hashes that replies are shared under, so that the table tells nobody what was asked.",
            "It opens nothing: it only salts the names of cache entries and of exchanges. A new one empties the cache "
            "and lets exchanges begin anew, which is done by hand when the old one may be known.",
        )

    def _operator_key_arn(self) -> str:
        return self._secret_arn(
            "OperatorKey",
            "Whoever bears it takes conversations over, reads them, and is told why the bot did what it did.",
            "A desk that people work at holds a copy: it is changed by hand, there and here together.",
        )

    def _edge_key_arn(self) -> str:
        return self._secret_arn(
            "EdgeKey",
            "CloudFront sends it along; what comes to the APIs without it is refused.",
            "CloudFront holds a copy: it is changed by hand, here and then there, and the old one is good meanwhile.",
        )

    def _secret_arn(self, id: str, description: str, why_not_rotated: str) -> str:
        secret = secrets.Secret(
            self,
            id,
            description=description,
            generate_secret_string=secrets.SecretStringGenerator(password_length=64, exclude_punctuation=True),
            encryption_key=self.key,
            removal_policy=self._removal_policy(),
        )
        accept(secret, "AwsSolutions-SMG4", why_not_rotated)
        # Both `Ref` and `Id` are its ARN, but the local AWS gives the bare name for `Ref`.
        return cast(secrets.CfnSecret, secret.node.default_child).attr_id

    def _alarms(self) -> sns.Topic:
        topic = sns.Topic(self, "Alarms", enforce_ssl=self._stage.tls)
        # A topic with a policy of its own, as TLS gives it, no longer lets the account's alarms in by itself.
        topic.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
                actions=["sns:Publish"],
                resources=[topic.topic_arn],
                conditions={"StringEquals": {"aws:SourceAccount": self.account}},
            )
        )
        if not self._stage.tls:
            accept(topic, "AwsSolutions-SNS3", NO_TLS)
        return topic

    def _customer_key(self) -> kms.Key:
        return kms.Key(
            self,
            "Key",
            description=f"Parley {self._stage.name}: conversations, documents, shared replies, the cache key",
            enable_key_rotation=True,
            removal_policy=self._removal_policy(),
        )

    def _tokens_key(self) -> kms.Key:
        # Not the customer's key: whoever keeps conversations may decrypt with that one.
        return kms.Key(
            self,
            "SlackTokens",
            description=f"Parley {self._stage.name}: the tokens with which the bot speaks in workspaces of Slack",
            enable_key_rotation=True,
            removal_policy=self._removal_policy(),
        )

    def _signing_key(self) -> kms.Key:
        """A key of its own: whoever may use a table's key could else unseal what is sealed in it."""
        return kms.Key(
            self,
            "SigningKey",
            description=f"Parley {self._stage.name}: the secrets that sign what subscribers are told",
            enable_key_rotation=True,
            removal_policy=self._removal_policy(),
        )

    def _removal_policy(self) -> RemovalPolicy:
        return RemovalPolicy.RETAIN if self._stage.keeps_data else RemovalPolicy.DESTROY


def removal_of_named(stage: Stage) -> RemovalPolicy:
    """What becomes of something whose name is fixed, when its stack goes.

    Were it kept by a deployment that makes it, fails and is rolled back, the next could not make it again.
    """
    return RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE if stage.keeps_data else RemovalPolicy.DESTROY


def _allow(grantee: iam.IGrantable, resource_arn: str, *actions: str) -> None:
    # CDK's own grants also open the table's indexes and name the grantee in the key's policy, which would tie this
    # stack to the one that uses it.
    iam.Grant.add_to_principal(grantee=grantee, actions=list(actions), resource_arns=[resource_arn])
