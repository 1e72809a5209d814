"""The generator: a language model behind a SageMaker endpoint that grows with the requests in flight.

Deployed to an account only; on a laptop a loopback server speaks SageMaker's runtime protocol in its place.
"""

from typing import Any

from aws_cdk import ArnFormat, Stack
from aws_cdk import aws_applicationautoscaling as scaling
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sagemaker as sagemaker
from aws_cdk import aws_sns as sns
from aws_cdk.region_info import FactName
from constructs import Construct

from infra.nag import accept
from infra.observability import Alarms
from infra.stage import GeneratorSize, Stage

# AWS's own vLLM server: takes OpenAI chat messages on /invocations and batches what is in flight.
_IMAGE = "djl-inference:0.36.0-lmi28.0.0-cu130"
_REPOSITORY = _IMAGE.partition(":")[0]
_MACHINE_IMAGE = "al2023-ami-sagemaker-inference-gpu-4-1"  # driver 580: a cu130 container dies without a log on older
_LOADING_SECONDS = 900  # weights come from a hub, then vLLM compiles
_LOGS = "/aws/sagemaker/Endpoints/parley-*"
_VARIANT = "main"


class GenerationStack(Stack):
    """One SageMaker model, its endpoint, and the scaling of it."""

    def __init__(
        self, scope: Construct, id: str, *, stage: Stage, generator: GeneratorSize, alarms: sns.ITopic, **kwargs: Any
    ) -> None:
        super().__init__(scope, id, **kwargs)
        model = self._model(generator)
        endpoint = self._endpoint(stage.generator_endpoint, model, generator)
        self._scale(endpoint, generator)
        self._watch(stage.generator_endpoint, alarms)

    def _model(self, generator: GeneratorSize) -> sagemaker.CfnModel:
        registry = f"{self.regional_fact(FactName.DLC_REPOSITORY_ACCOUNT)}.dkr.ecr.{self.region}.{self.url_suffix}"
        role = self._role()
        model = sagemaker.CfnModel(
            self,
            "Model",
            execution_role_arn=role.role_arn,
            primary_container=sagemaker.CfnModel.ContainerDefinitionProperty(
                image=f"{registry}/{_IMAGE}",
                environment={
                    "HF_MODEL_ID": generator.model,
                    "OPTION_MAX_MODEL_LEN": str(generator.context_tokens),
                    "TENSOR_PARALLEL_DEGREE": "max",
                },
            ),
        )
        model.node.add_dependency(role)  # with its policy: SageMaker pulls the image at once
        return model

    def _role(self) -> iam.Role:
        """What the container may do: be pulled, log, and count."""
        role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"))
        repository = self.format_arn(
            service="ecr",
            account=self.regional_fact(FactName.DLC_REPOSITORY_ACCOUNT),
            resource="repository",
            resource_name=_REPOSITORY,
        )
        logs = self.format_arn(
            service="logs", resource="log-group", resource_name=_LOGS, arn_format=ArnFormat.COLON_RESOURCE_NAME
        )
        for statement in (
            iam.PolicyStatement(actions=["ecr:GetAuthorizationToken"], resources=["*"]),
            iam.PolicyStatement(
                actions=["ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage"],
                resources=[repository],
            ),
            iam.PolicyStatement(
                actions=["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"],
                resources=[logs],
            ),
            iam.PolicyStatement(
                actions=["cloudwatch:PutMetricData"],
                resources=["*"],
                conditions={"StringEquals": {"cloudwatch:namespace": "/aws/sagemaker/Endpoints"}},
            ),
        ):
            role.add_to_policy(statement)
        accept(
            role,
            "AwsSolutions-IAM5[Resource::*]",
            "ecr:GetAuthorizationToken and cloudwatch:PutMetricData take only *; the latter is held to one namespace.",
        )
        accept(
            role,
            f"AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:logs:<AWS::Region>:<AWS::AccountId>:log-group:{_LOGS}]",
            "SageMaker names an endpoint's log group and streams itself, by the endpoint's name.",
        )
        return role

    def _endpoint(self, name: str, model: sagemaker.CfnModel, generator: GeneratorSize) -> sagemaker.CfnEndpoint:
        # The configuration has no name of its own: a changed one is then a new one, and the endpoint moves over to it
        # while the old one answers.
        configuration = sagemaker.CfnEndpointConfig(
            self,
            "Configuration",
            production_variants=[
                sagemaker.CfnEndpointConfig.ProductionVariantProperty(
                    variant_name=_VARIANT,
                    model_name=model.attr_model_name,
                    instance_type=generator.instance_type,
                    initial_instance_count=generator.least_instances,
                    initial_variant_weight=1,
                    inference_ami_version=_MACHINE_IMAGE,
                    container_startup_health_check_timeout_in_seconds=_LOADING_SECONDS,
                )
            ],
        )
        return sagemaker.CfnEndpoint(
            self,
            "Endpoint",
            endpoint_name=name,
            endpoint_config_name=configuration.attr_endpoint_config_name,
            retain_all_variant_properties=True,  # a deployment keeps the number of instances that scaling chose
        )

    def _scale(self, endpoint: sagemaker.CfnEndpoint, generator: GeneratorSize) -> None:
        instances = scaling.ScalableTarget(
            self,
            "Instances",
            service_namespace=scaling.ServiceNamespace.SAGEMAKER,
            scalable_dimension="sagemaker:variant:DesiredInstanceCount",
            resource_id=f"endpoint/{endpoint.attr_endpoint_name}/variant/{_VARIANT}",
            min_capacity=generator.least_instances,
            max_capacity=generator.most_instances,
        )
        # Measured every 10 s, and a stream counts until its last token: requests in flight, not requests begun.
        metric = scaling.PredefinedMetric.SAGEMAKER_VARIANT_CONCURRENT_REQUESTS_PER_MODEL_HIGH_RESOLUTION
        instances.scale_to_track_metric(
            "RequestsInFlight",
            target_value=generator.concurrent_requests_per_instance,
            predefined_metric=metric,
        )

    def _watch(self, endpoint_name: str, topic: sns.ITopic) -> None:
        failures = cloudwatch.Metric(
            namespace="AWS/SageMaker",
            metric_name="Invocation5XXErrors",
            dimensions_map={"EndpointName": endpoint_name, "VariantName": _VARIANT},
            statistic="sum",
        )
        Alarms(self, "Watch", topic=topic).when(
            "GeneratorFails",
            failures,
            at_least=5,
            meaning="The generator answers with 5xx; people get the bot's fallback reply.",
        )
