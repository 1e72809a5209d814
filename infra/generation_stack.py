"""The generator: a language model behind a SageMaker endpoint that grows with the requests in flight.

chat, worker ─▶ endpoint      instances ◀── requests in flight, floor and ceiling, hours
     └────────▶ the second    a smaller model that answers while the first is asleep, slow or broken; optional

Deployed to an account only; on a laptop a loopback server speaks SageMaker's runtime protocol in its place.
"""

from collections.abc import Mapping
from typing import Any

from aws_cdk import Stack
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.generation.endpoint import Asleep, Awake
from infra.generators import EndpointSize
from infra.observability import Alarms


class GenerationStack(Stack):
    """The endpoints of a stage, by name."""

    def __init__(
        self, scope: Construct, id: str, *, endpoints: Mapping[str, EndpointSize], alarms: sns.ITopic, **kwargs: Any
    ) -> None:
        super().__init__(scope, id, **kwargs)
        watch = Alarms(self, "Watch", topic=alarms)
        for place, (name, size) in zip(("Generator", "Second"), endpoints.items(), strict=False):
            shape = Asleep if size.sleeps else Awake
            shape(self, place, name=name, size=size, alarms=watch)
