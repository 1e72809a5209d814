"""The container that serves a model: AWS's own vLLM server, how it is told what to load, and what it may do.

Knows the image and its environment. Does not know how many of it there are.
"""

from aws_cdk import ArnFormat, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sagemaker as sagemaker
from aws_cdk.region_info import FactName
from constructs import Construct

from infra.generators import EndpointSize, Model
from infra.nag import accept

# Takes OpenAI chat messages on /invocations, streams, and batches what is in flight, as vLLM does of itself.
_IMAGE = "djl-inference:0.36.0-lmi28.0.0-cu130"
_REPOSITORY = _IMAGE.partition(":")[0]
MACHINE_IMAGE = "al2023-ami-sagemaker-inference-gpu-4-1"  # driver 580: a cu130 container dies without a log on older
LOADING_SECONDS = 1800  # 41 GB come from a hub, then vLLM compiles; the first call must not be the one that waits

_MOUNTED = "/opt/ml/model"  # where SageMaker puts what it fetched from S3
_NAMESPACES = ["/aws/sagemaker/Endpoints", "/aws/sagemaker/InferenceComponents"]
_LOGS = ("/aws/sagemaker/Endpoints/parley-*", "/aws/sagemaker/InferenceComponents/parley-*")


def model_of(scope: Construct, size: EndpointSize) -> sagemaker.CfnModel:
    """The model, with a role that may be pulled, log, count, and read its weights if they are in S3."""
    role = _role(scope, size.model)
    model = sagemaker.CfnModel(
        scope,
        "Model",
        execution_role_arn=role.role_arn,
        primary_container=sagemaker.CfnModel.ContainerDefinitionProperty(
            image=f"{_registry(scope)}/{_IMAGE}",
            environment=_environment(size),
            model_data_source=_source(size.model),
        ),
    )
    model.node.add_dependency(role)  # with its policy: SageMaker pulls the image at once
    return model


def _environment(size: EndpointSize) -> dict[str, str]:
    # OPTION_QUANTIZE stays unset: vLLM reads from the weights how they are quantized, and takes its fastest kernels.
    return {
        "HF_MODEL_ID": _MOUNTED if _place_in_s3(size.model) else size.model.weights,
        "TENSOR_PARALLEL_DEGREE": str(size.tensor_parallel),
        "OPTION_MAX_MODEL_LEN": str(size.model.context_tokens),
        "OPTION_ENABLE_PREFIX_CACHING": str(size.model.caches_prefixes).lower(),
        "SERVING_FAIL_FAST": "true",  # a model that cannot be loaded ends the container, in place of a long silence
    }


def _place_in_s3(model: Model) -> tuple[str, str] | None:
    """The bucket and the prefix of the weights."""
    if not model.weights.startswith("s3://"):
        return None
    bucket, _, prefix = model.weights.removeprefix("s3://").partition("/")
    return bucket, prefix


def _source(model: Model) -> sagemaker.CfnModel.ModelDataSourceProperty | None:
    if _place_in_s3(model) is None:
        return None
    return sagemaker.CfnModel.ModelDataSourceProperty(
        s3_data_source=sagemaker.CfnModel.S3DataSourceProperty(
            s3_uri=model.weights,
            s3_data_type="S3Prefix",
            compression_type="None",  # weights do not compress, and unpacking them takes as long as fetching them
        )
    )


def _registry(scope: Construct) -> str:
    stack = Stack.of(scope)
    return f"{stack.regional_fact(FactName.DLC_REPOSITORY_ACCOUNT)}.dkr.ecr.{stack.region}.{stack.url_suffix}"


def _role(scope: Construct, model: Model) -> iam.Role:
    stack = Stack.of(scope)
    role = iam.Role(scope, "Role", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"))
    repository = stack.format_arn(
        service="ecr",
        account=stack.regional_fact(FactName.DLC_REPOSITORY_ACCOUNT),
        resource="repository",
        resource_name=_REPOSITORY,
    )
    logs = [
        stack.format_arn(
            service="logs", resource="log-group", resource_name=name, arn_format=ArnFormat.COLON_RESOURCE_NAME
        )
        for name in _LOGS
    ]
    for statement in (
        iam.PolicyStatement(actions=["ecr:GetAuthorizationToken"], resources=["*"]),
        iam.PolicyStatement(
            actions=["ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage"],
            resources=[repository],
        ),
        iam.PolicyStatement(
            actions=["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"],
            resources=logs,
        ),
        iam.PolicyStatement(
            actions=["cloudwatch:PutMetricData"],
            resources=["*"],
            conditions={"StringEquals": {"cloudwatch:namespace": _NAMESPACES}},
        ),
        *_reading(stack, model),
    ):
        role.add_to_policy(statement)
    accept(
        role,
        "AwsSolutions-IAM5[Resource::*]",
        "ecr:GetAuthorizationToken and cloudwatch:PutMetricData take only *; the latter is held to two namespaces.",
    )
    for name in _LOGS:
        accept(
            role,
            f"AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:logs:<AWS::Region>:<AWS::AccountId>:log-group:{name}]",
            "SageMaker names the log group and the streams itself, by the endpoint's or the component's name.",
        )
    if place := _place_in_s3(model):
        accept(
            role,
            f"AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:s3:::{place[0]}/{place[1]}*]",
            "The weights are the files under this prefix, and their number is the model's.",
        )
    return role


def _reading(stack: Stack, model: Model) -> list[iam.PolicyStatement]:
    place = _place_in_s3(model)
    if place is None:
        return []
    bucket, prefix = place
    arn = f"arn:{stack.partition}:s3:::{bucket}"
    return [
        iam.PolicyStatement(actions=["s3:GetObject"], resources=[f"{arn}/{prefix}*"]),
        iam.PolicyStatement(
            actions=["s3:ListBucket"], resources=[arn], conditions={"StringLike": {"s3:prefix": [f"{prefix}*"]}}
        ),
    ]
