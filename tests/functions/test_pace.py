"""The function that keeps the worker's pace: against SageMaker's shapes, and Lambda's API as MiniStack serves it."""

import importlib.util
import io
import json
import zipfile
from pathlib import Path

import boto3
import pytest
from botocore.stub import Stubber

from tests.contracts.conftest import aws  # noqa: F401  (a fixture)

FUNCTION = Path(__file__).parents[2] / "functions" / "pace" / "handler.py"
ENDPOINT = "parley-generator"
SOURCE = "11111111-2222-3333-4444-555555555555"
ARN = "arn:aws:sagemaker:eu-west-1:000000000000:endpoint/" + ENDPOINT


def load(monkeypatch, environment):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    spec = importlib.util.spec_from_file_location("pace_handler", FUNCTION)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def pace(monkeypatch):
    """The function with its environment, in front of no AWS at all."""
    return load(
        monkeypatch,
        {
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "eu-west-1",
            "GENERATOR_ENDPOINT": ENDPOINT,
            "TURNS_EVENT_SOURCE": SOURCE,
            "REQUESTS_PER_INSTANCE": "8",
            "LEAST": "2",
            "MOST": "1000",
        },
    )


@pytest.fixture
def sagemaker(pace):
    with Stubber(pace.sagemaker) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


@pytest.fixture
def functions(pace):
    with Stubber(pace.functions) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def endpoint_has(sagemaker, *counts):
    variants = [{"VariantName": f"v{n}", "CurrentInstanceCount": count} for n, count in enumerate(counts)]
    described = {
        "EndpointName": ENDPOINT,
        "EndpointArn": ARN,
        "EndpointStatus": "InService",
        "CreationTime": 0,
        "LastModifiedTime": 0,
        **({"ProductionVariants": variants} if variants else {}),
    }
    sagemaker.add_response("describe_endpoint", described, {"EndpointName": ENDPOINT})


def pace_is(functions, before, *, becomes=None):
    scaling = {} if before is None else {"ScalingConfig": {"MaximumConcurrency": before}}
    functions.add_response("get_event_source_mapping", {"UUID": SOURCE, **scaling}, {"UUID": SOURCE})
    if becomes is not None:
        wanted = {"UUID": SOURCE, "ScalingConfig": {"MaximumConcurrency": becomes}}
        functions.add_response("update_event_source_mapping", wanted, wanted)


@pytest.mark.parametrize(
    ("instances", "expected"), [(0, 2), (1, 8), (3, 24), (125, 1000), (126, 1000)], ids=lambda n: str(n)
)
def test_the_pace_is_the_places_of_all_instances_within_what_lambda_takes(pace, instances, expected):
    assert pace.pace_of(instances, 8, least=2, most=1000) == expected


def test_a_generator_that_has_grown_sets_the_pace_of_all_its_variants(pace, sagemaker, functions):
    endpoint_has(sagemaker, 2, 1)
    pace_is(functions, 8, becomes=24)

    assert pace.handler({"source": "aws.sagemaker"}, None) == {"instances": 3, "pace": 24}


def test_the_same_pace_is_not_set_again(pace, sagemaker, functions):
    endpoint_has(sagemaker, 3)
    pace_is(functions, 24)

    assert pace.handler({"source": "aws.events"}, None) == {"instances": 3, "pace": 24}


def test_an_event_source_without_a_pace_gets_one(pace, sagemaker, functions):
    endpoint_has(sagemaker, 1)
    pace_is(functions, None, becomes=8)

    assert pace.handler({}, None)["pace"] == 8


@pytest.mark.parametrize("counts", [(0,), ()], ids=["at zero", "being made"])
def test_a_generator_without_instances_leaves_the_least_so_that_a_turn_can_wake_it(pace, sagemaker, functions, counts):
    endpoint_has(sagemaker, *counts)
    pace_is(functions, 8, becomes=2)

    assert pace.handler({}, None) == {"instances": 0, "pace": 2}


def test_of_an_inference_component_the_copies_count(pace, sagemaker, functions, monkeypatch):
    monkeypatch.setenv("GENERATOR_COMPONENT", "parley-model")
    described = {
        "InferenceComponentName": "parley-model",
        "InferenceComponentArn": ARN.replace("endpoint/" + ENDPOINT, "inference-component/parley-model"),
        "EndpointName": ENDPOINT,
        "EndpointArn": ARN,
        "CreationTime": 0,
        "LastModifiedTime": 0,
        "RuntimeConfig": {"DesiredCopyCount": 5, "CurrentCopyCount": 4},
    }
    sagemaker.add_response("describe_inference_component", described, {"InferenceComponentName": "parley-model"})
    pace_is(functions, 2, becomes=32)

    assert pace.handler({}, None) == {"instances": 4, "pace": 32}


def test_what_cannot_be_asked_is_left_as_it_is_and_named(pace, sagemaker, functions):
    sagemaker.add_client_error("describe_endpoint", "ValidationException", "Could not find endpoint")

    with pytest.raises(pace.sagemaker.exceptions.ClientError, match="Could not find endpoint"):
        pace.handler({}, None)


def test_what_was_decided_is_logged_as_one_line_of_json(pace, sagemaker, functions, capsys):
    endpoint_has(sagemaker, 1)
    pace_is(functions, 2, becomes=8)

    pace.handler({}, None)

    assert json.loads(capsys.readouterr().out) == {"message": "pace changed", "before": 2, "instances": 1, "pace": 8}


def test_lambda_takes_the_pace(request, monkeypatch):
    environment = request.getfixturevalue("aws")
    names = {"GENERATOR_ENDPOINT": ENDPOINT, "REQUESTS_PER_INSTANCE": "8", "LEAST": "2", "MOST": "1000"}
    pace = load(monkeypatch, {**environment, **names})
    source = an_event_source_of_two(pace.functions)
    monkeypatch.setenv("TURNS_EVENT_SOURCE", source)

    with Stubber(pace.sagemaker) as sagemaker:
        endpoint_has(sagemaker, 3)
        pace.handler({}, None)

    kept = pace.functions.get_event_source_mapping(UUID=source)
    assert kept["ScalingConfig"] == {"MaximumConcurrency": 24}
    assert (kept["BatchSize"], kept["FunctionResponseTypes"]) == (1, ["ReportBatchItemFailures"])


def an_event_source_of_two(functions):
    """The worker's event source as it is deployed, in front of a function that does nothing."""
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("handler.py", "def handler(event, context):\n    return {}\n")
    functions.create_function(
        FunctionName="worker",
        Runtime="python3.13",
        Role="arn:aws:iam::000000000000:role/worker",
        Handler="handler.handler",
        Code={"ZipFile": code.getvalue()},
    )
    queue = boto3.client("sqs").create_queue(QueueName="turns.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
    arn = boto3.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"][
        "QueueArn"
    ]
    return functions.create_event_source_mapping(
        EventSourceArn=arn,
        FunctionName="worker",
        BatchSize=1,
        ScalingConfig={"MaximumConcurrency": 2},
        FunctionResponseTypes=["ReportBatchItemFailures"],
    )["UUID"]
