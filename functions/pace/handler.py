"""pace: as many queued turns are answered at once as the generator has places.

    the generator grows, shrinks, falls asleep ─▶ MaximumConcurrency of the worker's event source

Called when something has changed and, because such events may get lost, on a schedule. What called is not looked at:
the truth is asked for, so that calls may come late, twice or in any order. Standard library and boto3 only.
"""

import json
import os
from collections.abc import Mapping
from typing import Any

import boto3
from botocore.config import Config

PATIENCE = Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 3})

sagemaker = boto3.client("sagemaker", config=PATIENCE)
functions = boto3.client("lambda", config=PATIENCE)


def handler(_event: object, _context: object) -> dict[str, int]:
    """The pace as it is afterwards."""
    return keep_pace(os.environ)


def keep_pace(environment: Mapping[str, str]) -> dict[str, int]:
    """Gives the worker its pace, unless it has it already."""
    places = int(environment["REQUESTS_PER_INSTANCE"])
    instances = _instances(environment["GENERATOR_ENDPOINT"], environment.get("GENERATOR_COMPONENT"))
    pace = pace_of(instances, places, least=int(environment["LEAST"]), most=int(environment["MOST"]))
    source = environment["TURNS_EVENT_SOURCE"]
    before = functions.get_event_source_mapping(UUID=source).get("ScalingConfig", {}).get("MaximumConcurrency")
    if pace != before:
        functions.update_event_source_mapping(UUID=source, ScalingConfig={"MaximumConcurrency": pace})
    told = {"instances": instances, "pace": pace}
    print(json.dumps({"message": "pace kept" if pace == before else "pace changed", "before": before, **told}))
    return told


def pace_of(instances: int, requests_per_instance: int, *, least: int, most: int) -> int:
    """How many turns may be answered at once; never none, for the first turn is what wakes a generator asleep."""
    return max(least, min(most, instances * requests_per_instance))


def _instances(endpoint: str, component: str | None) -> int:
    """How many can answer now, which while it grows is less than how many are wanted."""
    if component:
        described: dict[str, Any] = sagemaker.describe_inference_component(InferenceComponentName=component)
        return int(described.get("RuntimeConfig", {}).get("CurrentCopyCount", 0))
    variants = sagemaker.describe_endpoint(EndpointName=endpoint).get("ProductionVariants", [])
    return sum(int(variant.get("CurrentInstanceCount", 0)) for variant in variants)
