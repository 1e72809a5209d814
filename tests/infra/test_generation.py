"""The generator's endpoints in every shape: what grows them, wakes them, takes a bad deployment back, may call them.

By meaning: an alarm must name what the same template makes, and what is woken must be what is asked for.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_sns as sns
from cdk_nag import AwsSolutionsChecks

from infra.generation_stack import GenerationStack
from infra.generators import GENERATORS, EndpointSize, Model, PrefixAware
from tests.infra.template import Template, template_of

IN_AN_ACCOUNT = ("dev", "prod")
ENDPOINTS = {name: size for name, size in GENERATORS.items() if isinstance(size, EndpointSize)}
# Source: "Amazon EC2 instance types", accelerated computing; SageMaker's are EC2's with ml. before them.
GPUS = {"ml.g6.xlarge": 1, "ml.g6.2xlarge": 1, "ml.g6e.12xlarge": 4}
ROLLBACK_METRICS = {"Invocation5XXErrors", "ModelLatency", "FirstChunkLatency", "MidStreamErrors"}

StackOf = Callable[..., Template]
Synthesize = Callable[..., Template]


@pytest.fixture
def endpoint_of(tmp_path: Path) -> Synthesize:
    """One endpoint alone, of any size, with cdk-nag looking on."""

    def synthesize(size: EndpointSize) -> Template:
        app = cdk.App(outdir=str(tmp_path / "out"))
        topic = sns.Topic(cdk.Stack(app, "Elsewhere"), "Alarms", enforce_ssl=True)
        GenerationStack(app, "Generation", endpoints={"parley-x-generator": size}, alarms=topic)
        cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app))
        app.synth()
        return template_of(tmp_path / "out")

    return synthesize


def only(template: Template, kind: str) -> Any:
    """The properties of the one resource of a type."""
    (resource,) = template.of_type(kind).values()
    return resource


def container(template: Template) -> Any:
    return only(template, "AWS::SageMaker::Model")["PrimaryContainer"]


def variant(template: Template) -> Any:
    (one,) = only(template, "AWS::SageMaker::EndpointConfig")["ProductionVariants"]
    return one


def policies(template: Template) -> dict[str, Any]:
    """The scaling policies, by kind."""
    return {it["PolicyType"]: it for it in template.of_type("AWS::ApplicationAutoScaling::ScalingPolicy").values()}


def dimensions(alarm: Any) -> dict[str, str]:
    return {each["Name"]: each["Value"] for each in alarm["Dimensions"]}


def alarms_that_roll_back(template: Template, deployment: Any) -> list[Any]:
    """The alarms a deployment looks at, found by the name it gives them."""
    alarms = template.of_type("AWS::CloudWatch::Alarm")
    return [alarms[each["AlarmName"]["Ref"]] for each in deployment["AutoRollbackConfiguration"]["Alarms"]]


@pytest.mark.parametrize("size", ENDPOINTS.values(), ids=ENDPOINTS)
def test_a_copy_of_the_model_fills_the_instance_it_is_on(size: EndpointSize) -> None:
    assert size.tensor_parallel == GPUS[size.instance_type]


@pytest.mark.parametrize("name", GENERATORS)
def test_the_guide_for_operations_has_every_generator_as_it_is(name: str) -> None:
    size = GENERATORS[name]
    guide = (Path(__file__).parents[2] / "infra" / "GENERATION.md").read_text(encoding="utf-8")
    (row,) = (line for line in guide.splitlines() if line.startswith(f"| `{name}`"))

    assert f"{size.model.context_tokens:,} |" in row
    assert (size.model.weights in row and size.instance_type in row) or "the same" in row


@pytest.mark.parametrize("size", ENDPOINTS.values(), ids=ENDPOINTS)
def test_the_worker_alone_can_make_it_grow(size: EndpointSize) -> None:
    # The worker takes as many turns as there are places: were that the load to keep to, nothing would ever exceed it.
    assert 0 < size.busy_requests_per_instance < size.requests_per_instance
    assert size.least_instances < size.most_instances


@pytest.mark.parametrize("stage", IN_AN_ACCOUNT)
def test_the_container_is_told_what_to_load_and_how(stack_of: StackOf, stage: str) -> None:
    told = container(stack_of(stage))["Environment"]

    assert "/" in told["HF_MODEL_ID"]
    assert told["HF_MODEL_ID"].endswith(("-AWQ", "-FP8"))
    assert "OPTION_QUANTIZE" not in told  # it would keep vLLM from its fastest kernels
    assert int(told["OPTION_MAX_MODEL_LEN"]) >= 4096
    assert told["OPTION_ENABLE_PREFIX_CACHING"] == "true"
    assert told["TENSOR_PARALLEL_DEGREE"] == "1"


@pytest.mark.parametrize("stage", IN_AN_ACCOUNT)
def test_the_machine_has_a_driver_for_the_image(stack_of: StackOf, stage: str) -> None:
    template = stack_of(stage)

    assert "cu130" in json.dumps(container(template)["Image"])
    assert variant(template)["InferenceAmiVersion"] == "al2023-ami-sagemaker-inference-gpu-4-1"


@pytest.mark.parametrize("stage", IN_AN_ACCOUNT)
def test_functions_count_prompts_by_the_window_that_the_container_has(stack_of: StackOf, stage: str) -> None:
    template = stack_of(stage)

    for function in ("chat", "worker"):
        told = template.functions()[function]["Environment"]["Variables"]
        assert told["GENERATOR_CONTEXT_TOKENS"] == container(template)["Environment"]["OPTION_MAX_MODEL_LEN"]


@pytest.mark.parametrize("stage", IN_AN_ACCOUNT)
def test_it_grows_with_the_requests_in_flight_between_a_floor_and_a_ceiling(stack_of: StackOf, stage: str) -> None:
    template = stack_of(stage)
    target = only(template, "AWS::ApplicationAutoScaling::ScalableTarget")
    tracking = policies(template)["TargetTrackingScaling"]["TargetTrackingScalingPolicyConfiguration"]
    (endpoint,) = template.of_type("AWS::SageMaker::Endpoint")

    assert 1 <= target["MinCapacity"] < target["MaxCapacity"]
    assert endpoint in json.dumps(target["ResourceId"])
    assert variant(template)["VariantName"] in json.dumps(target["ResourceId"])
    assert tracking["PredefinedMetricSpecification"] == {
        "PredefinedMetricType": "SageMakerVariantConcurrentRequestsPerModelHighResolution"
    }
    assert tracking["ScaleOutCooldown"] < tracking["ScaleInCooldown"]


def test_in_production_hours_move_the_floor_and_never_below_what_a_canary_needs(stack_of: StackOf) -> None:
    target = only(stack_of("prod"), "AWS::ApplicationAutoScaling::ScalableTarget")
    floors = [action["ScalableTargetAction"]["MinCapacity"] for action in target["ScheduledActions"]]

    assert sorted(floors) == [2, 3]
    for action in target["ScheduledActions"]:
        assert action["Schedule"].startswith("cron(0 ")
        assert action["Timezone"] == "Etc/UTC"
        assert action["ScalableTargetAction"]["MaxCapacity"] == target["MaxCapacity"]


@pytest.mark.parametrize("stage", IN_AN_ACCOUNT)
def test_a_deployment_that_makes_people_wait_or_fail_is_taken_back(stack_of: StackOf, stage: str) -> None:
    template = stack_of(stage)
    endpoint = only(template, "AWS::SageMaker::Endpoint")
    looked_at = alarms_that_roll_back(template, endpoint["DeploymentConfig"])
    whole = {"EndpointName": endpoint["EndpointName"], "VariantName": variant(template)["VariantName"]}

    assert {alarm["MetricName"] for alarm in looked_at} == ROLLBACK_METRICS
    for alarm in looked_at:
        assert dimensions(alarm) == whole
        assert alarm["Namespace"] == "AWS/SageMaker"
        assert alarm["TreatMissingData"] == "notBreaching"  # at night nobody asks, and a deployment may end
        assert alarm["AlarmActions"]


def test_latencies_are_held_to_what_chat_waits_and_in_the_units_of_sagemaker(stack_of: StackOf) -> None:
    alarms = {it["MetricName"]: it for it in stack_of("prod").of_type("AWS::CloudWatch::Alarm").values()}

    assert alarms["FirstChunkLatency"]["Threshold"] == 5_000_000
    assert alarms["ModelLatency"]["Threshold"] == 20_000_000
    assert {alarms[name]["ExtendedStatistic"] for name in ("FirstChunkLatency", "ModelLatency")} == {"p90"}


def test_in_production_a_quarter_meets_the_new_version_first(stack_of: StackOf) -> None:
    update = only(stack_of("prod"), "AWS::SageMaker::Endpoint")["DeploymentConfig"]["BlueGreenUpdatePolicy"]
    shift = update["TrafficRoutingConfiguration"]
    waits = shift["WaitIntervalInSeconds"] + update["TerminationWaitInSeconds"]

    assert (shift["Type"], shift["CanarySize"]) == ("CANARY", {"Type": "CAPACITY_PERCENT", "Value": 25})
    assert shift["WaitIntervalInSeconds"] > 2 * 60  # the alarms need two minutes
    assert update["MaximumExecutionTimeoutInSeconds"] > waits


def test_one_instance_has_no_canary_and_is_watched_before_the_old_one_goes(stack_of: StackOf) -> None:
    update = only(stack_of("dev"), "AWS::SageMaker::Endpoint")["DeploymentConfig"]["BlueGreenUpdatePolicy"]

    assert update["TrafficRoutingConfiguration"]["Type"] == "ALL_AT_ONCE"  # a canary may be half of them at most
    assert update["TerminationWaitInSeconds"] > 2 * 60


@pytest.mark.parametrize("stage", IN_AN_ACCOUNT)
def test_an_endpoint_can_be_replaced_and_keeps_the_instances_that_scaling_chose(stack_of: StackOf, stage: str) -> None:
    template = stack_of(stage)

    assert "EndpointConfigName" not in only(template, "AWS::SageMaker::EndpointConfig")
    assert "ModelName" not in only(template, "AWS::SageMaker::Model")
    assert only(template, "AWS::SageMaker::Endpoint")["RetainAllVariantProperties"] is True


@pytest.mark.parametrize("stage", IN_AN_ACCOUNT)
def test_the_freest_instance_is_asked_and_every_metric_is_on(stack_of: StackOf, stage: str) -> None:
    template = stack_of(stage)

    assert variant(template)["RoutingConfig"] == {"RoutingStrategy": "LEAST_OUTSTANDING_REQUESTS"}
    assert only(template, "AWS::SageMaker::EndpointConfig")["MetricsConfig"] == {
        "EnableEnhancedMetrics": True,
        "EnableDetailedObservability": True,
        "MetricPublishFrequencyInSeconds": 10,
    }


@pytest.mark.parametrize("stage", ["local", *IN_AN_ACCOUNT])
def test_only_functions_that_generate_may_invoke_and_only_this_stages_endpoint(stack_of: StackOf, stage: str) -> None:
    template = stack_of(stage)
    invoking = [each for each in template.statements() if any(a.startswith("sagemaker:Invoke") for a in each.actions)]

    generating = ("chat", "worker") if stage == "local" else ("chat", "worker", "stream")
    assert {each.role for each in invoking} == {template.role_of(name) for name in generating}
    for each in invoking:
        assert set(each.actions) == {"sagemaker:InvokeEndpoint", "sagemaker:InvokeEndpointWithResponseStream"}
        assert len(each.resources) == 1
        assert f":endpoint/parley-{stage}-generator" in json.dumps(each.resources)


@pytest.mark.parametrize("stage", IN_AN_ACCOUNT)
def test_the_workers_pace_is_kept_to_the_places_of_the_endpoint(stack_of: StackOf, stage: str) -> None:
    template = stack_of(stage)
    told = template.functions()["pace"]["Environment"]["Variables"]
    size = ENDPOINTS["small" if stage == "dev" else "medium"]
    (turns,) = (
        name
        for name, it in template.of_type("AWS::Lambda::EventSourceMapping").items()
        if "TurnsQueue" in json.dumps(it["EventSourceArn"])
    )

    assert told["REQUESTS_PER_INSTANCE"] == str(size.requests_per_instance)
    assert told["TURNS_EVENT_SOURCE"] == {"Ref": turns}
    assert template.who_may("lambda:UpdateEventSourceMapping", to=turns) == {"pace"}
    assert template.who_may("sagemaker:DescribeEndpoint", to=told["GENERATOR_ENDPOINT"]) == {"pace"}


@pytest.mark.parametrize(
    ("chosen", "scaled"), [({}, "endpoint"), ({"generator": "small-asleep"}, "inference-component")]
)
def test_pace_is_called_when_the_generator_has_changed_and_every_minute_and_an_alarm_tells_if_it_fails(
    stack_of: StackOf, chosen: dict[str, str], scaled: str
) -> None:
    template = stack_of("prod", **chosen)
    (pace,) = (name for name in template.of_type("AWS::Lambda::Function") if "Pace" in name)
    rules = [it for it in template.of_type("AWS::Events::Rule").values() if pace in json.dumps(it["Targets"])]
    (grown,) = (it for it in rules if "application-autoscaling" in json.dumps(it))

    assert [it["ScheduleExpression"] for it in rules if "ScheduleExpression" in it] == ["rate(1 minute)"]
    assert [it for it in rules if "SageMaker Endpoint State Change" in json.dumps(it)]
    assert grown["EventPattern"]["detail"]["resourceId"] == [{"prefix": f"{scaled}/parley-prod-generator"}]
    assert template.alarmed("Errors", pace)


@pytest.fixture(scope="session")
def asleep(stack_of: StackOf) -> Template:
    return stack_of("prod", generator="small-asleep")


def test_who_sleeps_may_shrink_to_nothing(asleep: Template) -> None:
    managed = variant(asleep)["ManagedInstanceScaling"]
    target = only(asleep, "AWS::ApplicationAutoScaling::ScalableTarget")
    component = only(asleep, "AWS::SageMaker::InferenceComponent")

    assert (managed["Status"], managed["MinInstanceCount"]) == ("ENABLED", 0)
    assert target["MinCapacity"] == 0
    assert target["MaxCapacity"] == managed["MaxInstanceCount"]
    assert target["ResourceId"] == f"inference-component/{component['InferenceComponentName']}"
    assert target["ScalableDimension"] == "sagemaker:inference-component:DesiredCopyCount"
    assert policies(asleep)["TargetTrackingScaling"]["TargetTrackingScalingPolicyConfiguration"][
        "PredefinedMetricSpecification"
    ] == {"PredefinedMetricType": "SageMakerInferenceComponentConcurrentRequestsPerCopyHighResolution"}


def test_a_call_while_it_sleeps_wakes_the_very_component_that_was_called(asleep: Template) -> None:
    component = only(asleep, "AWS::SageMaker::InferenceComponent")["InferenceComponentName"]
    (target,) = asleep.of_type("AWS::ApplicationAutoScaling::ScalableTarget")
    (alarm,) = (
        it
        for it in asleep.of_type("AWS::CloudWatch::Alarm").values()
        if it["MetricName"] == "NoCapacityInvocationFailures"
    )
    (action,) = alarm["AlarmActions"]
    woken = asleep.of_type("AWS::ApplicationAutoScaling::ScalingPolicy")[action["Ref"]]

    assert dimensions(alarm) == {"InferenceComponentName": component}
    assert (alarm["Threshold"], alarm["ComparisonOperator"]) == (1, "GreaterThanOrEqualToThreshold")
    assert woken["PolicyType"] == "StepScaling"
    assert woken["ScalingTargetId"] == {"Ref": target}
    assert woken["StepScalingPolicyConfiguration"]["StepAdjustments"] == [
        {"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}
    ]


def test_functions_call_a_sleeping_one_by_its_component_and_may(asleep: Template) -> None:
    component = only(asleep, "AWS::SageMaker::InferenceComponent")["InferenceComponentName"]

    for function in ("chat", "worker", "stream", "pace"):
        assert asleep.functions()[function]["Environment"]["Variables"]["GENERATOR_COMPONENT"] == component
    for kind in ("endpoint", "inference-component"):
        who = asleep.who_may("sagemaker:InvokeEndpointWithResponseStream", to=f":{kind}/{component}")
        assert who == {"chat", "worker", "stream"}
    assert asleep.who_may("sagemaker:DescribeInferenceComponent", to=component) == {"pace"}


def test_a_new_version_rolls_over_a_sleeping_one_and_is_taken_back_by_its_own_alarms(asleep: Template) -> None:
    component = only(asleep, "AWS::SageMaker::InferenceComponent")
    looked_at = alarms_that_roll_back(asleep, component["DeploymentConfig"])
    own = {"InferenceComponentName": component["InferenceComponentName"]}
    whole = {"EndpointName": component["InferenceComponentName"], "VariantName": component["VariantName"]}

    assert {alarm["MetricName"]: dimensions(alarm) for alarm in looked_at} == {
        "Invocation5XXErrors": own,
        "ModelLatency": own,
        "FirstChunkLatency": whole,  # SageMaker has these two of the variant only
        "MidStreamErrors": whole,
    }
    assert component["DeploymentConfig"]["RollingUpdatePolicy"]["MaximumBatchSize"] == {
        "Type": "COPY_COUNT",
        "Value": 1,
    }


def test_a_sleeping_one_has_the_gpus_its_model_is_spread_over_and_a_role_where_its_variant_looks(
    asleep: Template,
) -> None:
    needs = only(asleep, "AWS::SageMaker::InferenceComponent")["Specification"]["ComputeResourceRequirements"]
    configuration = only(asleep, "AWS::SageMaker::EndpointConfig")

    told = container(asleep)["Environment"]["TENSOR_PARALLEL_DEGREE"]
    assert needs["NumberOfAcceleratorDevicesRequired"] == int(told)
    assert "ModelName" not in variant(asleep)
    assert configuration["ExecutionRoleArn"] == only(asleep, "AWS::SageMaker::Model")["ExecutionRoleArn"]


def test_a_second_smaller_generator_is_an_endpoint_of_its_own_that_functions_know(stack_of: StackOf) -> None:
    template = stack_of("prod", generator="large", second="small")
    names = {it["EndpointName"] for it in template.of_type("AWS::SageMaker::Endpoint").values()}
    resources = [it["ResourceId"] for it in template.of_type("AWS::ApplicationAutoScaling::ScalableTarget").values()]

    assert names == {"parley-prod-generator", "parley-prod-second"}
    assert len({json.dumps(each) for each in resources}) == 2
    for function in ("chat", "worker", "stream"):
        told = template.functions()[function]["Environment"]["Variables"]
        assert (told["GENERATOR_ENDPOINT"], told["GENERATOR_SECOND_ENDPOINT"]) == tuple(sorted(names))
    for name in names:
        assert template.who_may("sagemaker:InvokeEndpoint", to=f":endpoint/{name}") == {"chat", "worker", "stream"}
        alarms = template.of_type("AWS::CloudWatch::Alarm").values()
        watched = {it["MetricName"] for it in alarms if {"Name": "EndpointName", "Value": name} in it["Dimensions"]}
        assert watched == ROLLBACK_METRICS


def test_a_generator_that_nobody_knows_is_refused_by_name(stack_of: StackOf) -> None:
    with pytest.raises(ValueError, match=r"'huge' is no generator; .*'medium'"):
        stack_of("dev", generator="huge")


def test_a_second_generator_must_not_sleep_too(stack_of: StackOf) -> None:
    with pytest.raises(ValueError, match="always there"):
        stack_of("dev", second="small-asleep")


def test_a_model_of_72_b_is_spread_over_four_gpus_of_several_instances(endpoint_of: Synthesize) -> None:
    template = endpoint_of(ENDPOINTS["large"])

    assert container(template)["Environment"]["TENSOR_PARALLEL_DEGREE"] == "4"
    assert variant(template)["InitialInstanceCount"] == 2


def test_weights_in_s3_are_mounted_and_their_prefix_may_be_read_and_no_more(endpoint_of: Synthesize) -> None:
    size = EndpointSize(
        model=Model("s3://our-models/ours/8b-awq/", context_tokens=4096, caches_prefixes=False),
        instance_type="ml.g6.xlarge",
        tensor_parallel=1,
        least_instances=1,
        most_instances=2,
        requests_per_instance=8,
        busy_requests_per_instance=6,
        routing=PrefixAware(prefix_bytes=4096, busy_requests=6),
    )

    template = endpoint_of(size)

    granted = {a: each.resources for each in template.statements() for a in each.actions if a.startswith("s3:")}
    assert container(template)["ModelDataSource"]["S3DataSource"] == {
        "S3Uri": "s3://our-models/ours/8b-awq/",
        "S3DataType": "S3Prefix",
        "CompressionType": "None",
    }
    assert container(template)["Environment"]["HF_MODEL_ID"] == "/opt/ml/model"
    assert container(template)["Environment"]["OPTION_ENABLE_PREFIX_CACHING"] == "false"
    assert granted.keys() == {"s3:GetObject", "s3:ListBucket"}
    assert json.dumps(granted["s3:GetObject"]).endswith(':s3:::our-models/ours/8b-awq/*"]]}]')
    assert variant(template)["RoutingConfig"] == {
        "RoutingStrategy": "PREFIX_AWARE",
        "PrefixAwareRoutingConfig": {"PrefixLength": 4096, "ConcurrencyThreshold": 6},
    }
