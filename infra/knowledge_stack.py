"""Knowledge: the documents that people put in, and the function that makes of them what the bots find.

documents/BOT/NAME ─▶ changes ─▶ ingest ─▶ libraries/BOT/FILE, then libraries/BOT/current
                         └▶ dead letters, with an alarm
Chat and worker read the libraries, and look every quarter of a minute whether there is a newer one. Where the stage
says how many passages of a bot fit in memory, ingest puts those of larger libraries into a table, and they search it.
"""

import json
from collections.abc import Mapping
from typing import Any, cast

from aws_cdk import CfnOutput, Duration, RemovalPolicy, Stack
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as event_sources
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.functions import function_of
from infra.nag import NO_TLS, accept
from infra.observability import Alarms
from infra.packaging import Build, package_layer
from infra.stage import Stage
from infra.state_stack import StateStack, removal_of_named

DOCUMENTS, LIBRARIES = "documents", "libraries"
_TRIES = 5
_GATHERED, _GATHERING_SECONDS = 1000, 2  # a folder that is copied becomes one run, not one for each file
_AT_ONCE = 2  # the least that Lambda takes
_BY_MEANING, _DIMENSIONS = "by_meaning", 384  # the index, and the length of the encoder's vectors
_OLD_VERSIONS_DAYS = 30  # what was replaced or deleted can be had back for so long


class KnowledgeStack(Stack):
    """The bucket of documents, and ingest.

    Attributes:
        name_of_bucket: where documents and libraries lie
        where_passages_are: the table of passages as a function's settings name it; nothing where all are in memory
    """

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
        self._key = state.key
        dead_letters = self._queue("Dead")
        changes = self._queue("Changes", redrive=sqs.DeadLetterQueue(queue=dead_letters, max_receive_count=_TRIES))
        self._bucket(told=changes)
        self._passages = self._passages_table() if stage.passages_in_memory is not None else None
        ingest = function_of(
            self,
            "Ingest",
            stage.ingest,
            stage=stage,
            layers=self._layers(build),
            environment={
                "DOCUMENTS_BUCKET": self.name_of_bucket,
                "CHANGES_QUEUE_URL": changes.queue_url,
                "BOTS": json.dumps(sorted(build.bundles)),
                "ENCODER_DIR": "/opt/encoder",
                "OMP_NUM_THREADS": "1",  # each of its threads asks the encoder for a passage of its own
                **self.where_passages_are,
                **({"PASSAGES_IN_MEMORY": str(stage.passages_in_memory)} if self._passages else {}),
                **local_settings,
            },
        )
        ingest.add_event_source(
            event_sources.SqsEventSource(
                changes,
                batch_size=_GATHERED,
                max_batching_window=Duration.seconds(_GATHERING_SECONDS),
                max_concurrency=_AT_ONCE,
            )
        )
        changes.grant_send_messages(ingest)
        state.grant_key(ingest)
        self._grant_listing(ingest)
        self._grant_objects(ingest, DOCUMENTS, "s3:GetObject")
        self._grant_objects(ingest, LIBRARIES, "s3:GetObject", "s3:PutObject")
        if self._passages:
            _allow(ingest, self._passages.table_arn, "dynamodb:BatchWriteItem")

        watch = Alarms(self, "Watch", topic=state.alarms)
        watch.on_dead_letters(
            "Changes",
            dead_letters,
            meaning="A changed document was not taken in, as often as that was tried: the bot still has the old one. "
            "The log of ingest says why; once that is mended, SQS's redrive tries it again.",
        )
        watch.on_failures("ingest", ingest)
        told = {
            "DocumentsBucket": self.name_of_bucket,
            "IngestFunction": ingest.function_name,
            "ChangesQueue": changes.queue_url,
            "ChangesDeadLettersQueue": dead_letters.queue_url,
        }
        for name, value in told.items():
            CfnOutput(self, name, value=value)

    def grant_knowing(self, grantee: lambda_.Function) -> None:
        """Read what was made of the documents."""
        # Without leave to list, S3 answers for a catalogue that is not there yet as if it were forbidden.
        self._grant_listing(grantee)
        self._grant_objects(grantee, LIBRARIES, "s3:GetObject")
        if self._passages:
            _allow(grantee, self._passages.table_arn, "dynamodb:Query")
            _allow(grantee, f"{self._passages.table_arn}/index/{_BY_MEANING}", "dynamodb:SearchVectors")

    def grant_putting_in(self, grantee: lambda_.Function) -> None:
        """Put documents in, and take them away."""
        self._grant_objects(grantee, DOCUMENTS, "s3:PutObject", "s3:DeleteObject")

    @property
    def where_passages_are(self) -> dict[str, str]:
        return {"PASSAGES_TABLE": self._passages.table_name} if self._passages else {}

    def _passages_table(self) -> dynamodb.Table:
        """What parley.adapters.passages writes and searches; it can all be made again from the documents."""
        table = dynamodb.Table(
            self,
            "Passages",
            partition_key=dynamodb.Attribute(name="pk", type=dynamodb.AttributeType.STRING),
            sort_key=dynamodb.Attribute(name="sk", type=dynamodb.AttributeType.STRING),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            encryption_key=self._key,
            deletion_protection=self._stage.keeps_data,
            removal_policy=RemovalPolicy.RETAIN if self._stage.keeps_data else RemovalPolicy.DESTROY,
        )
        cfn = dynamodb.CfnTable
        cast(dynamodb.CfnTable, table.node.default_child).vector_indexes = [  # the construct above does not know them
            cfn.VectorIndexProperty(
                index_name=_BY_MEANING,
                vector_attribute=cfn.VectorAttributeProperty(attribute_name="vector"),
                dimensions=_DIMENSIONS,
                distance_function="COSINE",
                search_schema=[cfn.SearchSchemaElementProperty(attribute_name="pk", search_schema_element_type="HASH")],
                projection=cfn.ProjectionProperty(projection_type="INCLUDE", non_key_attributes=["content"]),
            )
        ]
        return table

    def _bucket(self, *, told: sqs.Queue) -> s3.Bucket:
        bucket = s3.Bucket(
            self,
            "Documents",
            bucket_name=self.name_of_bucket,
            encryption=s3.BucketEncryption.KMS if self._key else s3.BucketEncryption.S3_MANAGED,
            encryption_key=self._key,
            bucket_key_enabled=True if self._key else None,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            enforce_ssl=self._stage.tls,
            versioned=True,
            lifecycle_rules=[s3.LifecycleRule(noncurrent_version_expiration=Duration.days(_OLD_VERSIONS_DAYS))],
            removal_policy=removal_of_named(self._stage),
        )
        self._tell_of_changes(bucket, told)
        accept(bucket, "AwsSolutions-S1", "Who changes documents is in CloudTrail; a log of reads would be ours alone.")
        if not self._stage.tls:
            accept(bucket, "AwsSolutions-S10", NO_TLS)
        return bucket

    def _tell_of_changes(self, bucket: s3.Bucket, queue: sqs.Queue) -> None:
        # CDK's own way is a function in the account that changes the bucket afterwards; CloudFormation can do it.
        queue.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.ServicePrincipal("s3.amazonaws.com")],
                actions=["sqs:SendMessage"],
                resources=[queue.queue_arn],
                conditions={"StringEquals": {"aws:SourceAccount": self.account}},  # the bucket's name is not known yet
            )
        )
        filtered = s3.CfnBucket.NotificationFilterProperty(
            s3_key=s3.CfnBucket.S3KeyFilterProperty(
                rules=[s3.CfnBucket.FilterRuleProperty(name="prefix", value=f"{DOCUMENTS}/")]
            )
        )
        resource = cast(s3.CfnBucket, bucket.node.default_child)
        resource.notification_configuration = s3.CfnBucket.NotificationConfigurationProperty(
            queue_configurations=[
                s3.CfnBucket.QueueConfigurationProperty(event=event, queue=queue.queue_arn, filter=filtered)
                for event in ("s3:ObjectCreated:*", "s3:ObjectRemoved:*")
            ]
        )
        for policy in queue.node.find_all():
            if isinstance(policy, sqs.CfnQueuePolicy):
                resource.add_resource_dependency(policy)  # S3 tries whether it may send

    def _queue(self, id: str, *, redrive: sqs.DeadLetterQueue | None = None) -> sqs.Queue:
        queue = sqs.Queue(
            self,
            id,
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=self._stage.tls,
            visibility_timeout=Duration.seconds(self._stage.ingest.timeout_seconds + 60),
            retention_period=Duration.days(4 if redrive else 14),
            dead_letter_queue=redrive,
        )
        if not self._stage.tls:
            accept(queue, "AwsSolutions-SQS4", NO_TLS)
        return queue

    def _layers(self, build: Build) -> list[lambda_.ILayerVersion]:
        sources = {
            "Encoder": build.layer("encoder"),
            "Dependencies": build.layer("dependencies"),
            "Readers": build.layer("documents"),
            "Parley": package_layer(),
        }
        return [
            lambda_.LayerVersion(self, name, code=code, compatible_runtimes=[lambda_.Runtime.PYTHON_3_13])
            for name, code in sources.items()
        ]

    @property
    def name_of_bucket(self) -> str:
        """Known beforehand, so that people can copy documents into it and no stack has to import it."""
        return f"parley-{self._stage.name}-documents-{self.account}-{self.region}"

    def _grant_listing(self, grantee: lambda_.Function) -> None:
        _allow(grantee, f"arn:{self.partition}:s3:::{self.name_of_bucket}", "s3:ListBucket")

    def _grant_objects(self, grantee: lambda_.Function, folder: str, *actions: str) -> None:
        _allow(grantee, f"arn:{self.partition}:s3:::{self.name_of_bucket}/{folder}/*", *actions)
        name = f"parley-{self._stage.name}-documents-<AWS::AccountId>-<AWS::Region>"
        accept(
            cast(iam.Role, grantee.role),
            f"AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:s3:::{name}/{folder}/*]",
            "Documents are named by people, and libraries by what is in them.",
        )


def _allow(grantee: lambda_.Function, arn: str, *actions: str) -> None:
    iam.Grant.add_to_principal(grantee=grantee, actions=list(actions), resource_arns=[arn])
