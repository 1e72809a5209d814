"""A SageMaker endpoint in one of two shapes.

    Awake    instances that each hold the model; at least one; a new version takes over blue/green
    Asleep   an inference component, whose copies come and go, down to none; a new version rolls over it

A sleeping one is called by the name of its component beside its own, and its metrics, scaling and log group bear that.
"""

from typing import cast

from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from infra.generation.container import LOADING_SECONDS, MACHINE_IMAGE, model_of
from infra.generation.health import illnesses
from infra.generation.scaling import scale_copies, scale_instances
from infra.generators import EndpointSize
from infra.observability import Alarms

VARIANT = "main"

_BAKING_SECONDS = 300  # a new version is watched so long before more people meet it; the alarms need two minutes
_CANARY_PERCENT = 25
_DEPLOYING_SECONDS = 2 * 3600  # twice what two waits and an instance that loads a large model take

# What a copy reserves of its machine's memory. It is no limit, and SageMaker refuses a few GB of even an idle instance;
# the GPUs decide how many copies fit.
_RESERVED_MB = 1024


class Awake(Construct):
    """An endpoint that is always there."""

    def __init__(self, scope: Construct, id: str, *, name: str, size: EndpointSize, alarms: Alarms) -> None:
        super().__init__(scope, id)
        model = model_of(self, size)
        ill = illnesses(alarms, name=id, endpoint=name, variant=VARIANT, component=None)
        # The configuration has no name of its own: a changed one is then a new one, and the endpoint moves over to it
        # while the old one answers.
        configuration = sagemaker.CfnEndpointConfig(
            self,
            "Configuration",
            production_variants=[
                sagemaker.CfnEndpointConfig.ProductionVariantProperty(
                    variant_name=VARIANT,
                    model_name=model.attr_model_name,
                    instance_type=size.instance_type,
                    initial_instance_count=size.least_instances,
                    initial_variant_weight=1,
                    inference_ami_version=MACHINE_IMAGE,
                    container_startup_health_check_timeout_in_seconds=LOADING_SECONDS,
                    model_data_download_timeout_in_seconds=LOADING_SECONDS,
                    routing_config=_routing(size),
                )
            ],
            metrics_config=_metrics(),
        )
        endpoint = sagemaker.CfnEndpoint(
            self,
            "Endpoint",
            endpoint_name=name,
            endpoint_config_name=configuration.attr_endpoint_config_name,
            retain_all_variant_properties=True,  # a deployment keeps the number of instances that scaling chose
            deployment_config=sagemaker.CfnEndpoint.DeploymentConfigProperty(
                blue_green_update_policy=sagemaker.CfnEndpoint.BlueGreenUpdatePolicyProperty(
                    traffic_routing_configuration=_shift(size),
                    termination_wait_in_seconds=_BAKING_SECONDS,
                    maximum_execution_timeout_in_seconds=_DEPLOYING_SECONDS,
                ),
                auto_rollback_configuration=sagemaker.CfnEndpoint.AutoRollbackConfigProperty(
                    alarms=[sagemaker.CfnEndpoint.AlarmProperty(alarm_name=alarm.alarm_name) for alarm in ill]
                ),
            ),
        )
        scale_instances(self, endpoint=endpoint.attr_endpoint_name, variant=VARIANT, size=size)


class Asleep(Construct):
    """An endpoint that sleeps when nobody is there, and is woken by whoever comes."""

    def __init__(self, scope: Construct, id: str, *, name: str, size: EndpointSize, alarms: Alarms) -> None:
        super().__init__(scope, id)
        model = model_of(self, size)
        ill = illnesses(alarms, name=id, endpoint=name, variant=VARIANT, component=name)
        configuration = sagemaker.CfnEndpointConfig(
            self,
            "Configuration",
            execution_role_arn=cast(str, model.execution_role_arn),  # here too, for the variant has no model
            production_variants=[
                sagemaker.CfnEndpointConfig.ProductionVariantProperty(
                    variant_name=VARIANT,
                    instance_type=size.instance_type,
                    initial_instance_count=1,  # the deployment shall see that the model loads
                    inference_ami_version=MACHINE_IMAGE,
                    managed_instance_scaling=sagemaker.CfnEndpointConfig.ManagedInstanceScalingProperty(
                        status="ENABLED",
                        min_instance_count=size.least_instances,
                        max_instance_count=size.most_instances,
                    ),
                    routing_config=_routing(size),
                )
            ],
            metrics_config=_metrics(),
        )
        configuration.node.add_dependency(model)  # and so on its role with its policy
        endpoint = sagemaker.CfnEndpoint(
            self,
            "Endpoint",
            endpoint_name=name,
            endpoint_config_name=configuration.attr_endpoint_config_name,
            retain_all_variant_properties=True,
        )
        component = self._component(endpoint, name, model, size, ill)
        scale_copies(self, component=name, size=size).node.add_dependency(component)

    def _component(
        self,
        endpoint: sagemaker.CfnEndpoint,
        name: str,
        model: sagemaker.CfnModel,
        size: EndpointSize,
        ill: list[cloudwatch.Alarm],
    ) -> sagemaker.CfnInferenceComponent:
        kinds = sagemaker.CfnInferenceComponent
        return kinds(
            self,
            "Component",
            inference_component_name=name,
            endpoint_name=endpoint.attr_endpoint_name,
            variant_name=VARIANT,
            specification=kinds.InferenceComponentSpecificationProperty(
                model_name=model.attr_model_name,
                compute_resource_requirements=kinds.InferenceComponentComputeResourceRequirementsProperty(
                    number_of_accelerator_devices_required=size.tensor_parallel,
                    min_memory_required_in_mb=_RESERVED_MB,
                ),
                startup_parameters=kinds.InferenceComponentStartupParametersProperty(
                    container_startup_health_check_timeout_in_seconds=LOADING_SECONDS,
                    model_data_download_timeout_in_seconds=LOADING_SECONDS,
                ),
            ),
            runtime_config=kinds.InferenceComponentRuntimeConfigProperty(copy_count=1),
            deployment_config=kinds.InferenceComponentDeploymentConfigProperty(
                rolling_update_policy=kinds.InferenceComponentRollingUpdatePolicyProperty(
                    maximum_batch_size=kinds.InferenceComponentCapacitySizeProperty(type="COPY_COUNT", value=1),
                    wait_interval_in_seconds=_BAKING_SECONDS,
                    maximum_execution_timeout_in_seconds=_DEPLOYING_SECONDS,
                ),
                auto_rollback_configuration=kinds.AutoRollbackConfigurationProperty(
                    alarms=[kinds.AlarmProperty(alarm_name=alarm.alarm_name) for alarm in ill]
                ),
            ),
        )


def _shift(size: EndpointSize) -> sagemaker.CfnEndpoint.TrafficRoutingConfigProperty:
    """How people meet a new version: a quarter of it first. A canary may be half at most, so one instance has none."""
    kinds = sagemaker.CfnEndpoint
    if size.least_instances < 2:
        return kinds.TrafficRoutingConfigProperty(type="ALL_AT_ONCE", wait_interval_in_seconds=_BAKING_SECONDS)
    return kinds.TrafficRoutingConfigProperty(
        type="CANARY",
        canary_size=kinds.CapacitySizeProperty(type="CAPACITY_PERCENT", value=_CANARY_PERCENT),
        wait_interval_in_seconds=_BAKING_SECONDS,
    )


def _routing(size: EndpointSize) -> sagemaker.CfnEndpointConfig.RoutingConfigProperty:
    kinds = sagemaker.CfnEndpointConfig
    if size.routing is None:
        return kinds.RoutingConfigProperty(routing_strategy="LEAST_OUTSTANDING_REQUESTS")
    return kinds.RoutingConfigProperty(
        routing_strategy="PREFIX_AWARE",
        prefix_aware_routing_config=kinds.PrefixAwareRoutingConfigProperty(
            prefix_length=size.routing.prefix_bytes, concurrency_threshold=size.routing.busy_requests
        ),
    )


def _metrics() -> sagemaker.CfnEndpointConfig.MetricsConfigProperty:
    """By instance, by copy and by GPU, and what vLLM counts itself: queue, KV cache, time to first token."""
    return sagemaker.CfnEndpointConfig.MetricsConfigProperty(
        enable_enhanced_metrics=True,
        enable_detailed_observability=True,
        metric_publish_frequency_in_seconds=10,
    )
