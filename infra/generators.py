"""The language models a stage may be given: which weights, on what machines, how many, and when.

Knows numbers, and nothing of CDK. How to choose one, and how to measure it: infra/GENERATION.md.
"""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Model:
    """Weights, and how vLLM holds them."""

    weights: str  # a Hugging Face id, or s3://bucket/prefix/ in the account; where they are quantized, then already
    context_tokens: int  # prompt and reply together
    caches_prefixes: bool = (
        True  # what prompts have in common is computed once: persona, rules, a passage often asked for
    )


@dataclass(frozen=True, slots=True)
class PrefixAware:
    """Requests that begin alike go to the same instance, which has that beginning in its cache."""

    prefix_bytes: int  # of the request's body: what all have in common, and enough of what tells them apart
    busy_requests: int  # past so many in flight on that instance, another one gets the request


@dataclass(frozen=True, slots=True)
class Hours:
    """From this time on, another number of instances is the least."""

    name: str
    hour: int
    week_days: str  # as cron writes them: MON-FRI
    time_zone: str  # as tz database has it
    least_instances: int


@dataclass(frozen=True, slots=True)
class EndpointSize:
    """A SageMaker endpoint. One copy of the model takes a whole instance."""

    model: Model
    instance_type: str
    tensor_parallel: int  # GPUs that the model is spread over: all of an instance's
    least_instances: int
    most_instances: int
    requests_per_instance: int  # what one instance answers at once; the worker gets as many turns
    busy_requests_per_instance: int  # autoscaling keeps the endpoint at this load: less than it can bear, for another
    # instance takes minutes to come
    grow_cooldown_seconds: int = 60
    shrink_cooldown_seconds: int = 600
    hours: tuple[Hours, ...] = ()
    routing: PrefixAware | None = None  # None: to the instance with the least requests in flight
    sleeps: bool = False  # with nobody there for a quarter of an hour it shrinks to nothing; waking takes ten minutes


@dataclass(frozen=True, slots=True)
class ClusterSize:
    """Machines that hold one model together, for one that no single machine can hold."""

    model: Model
    instance_type: str  # EC2's name for it
    nodes: int  # the model's layers are divided among them, one stage of the pipeline each
    tensor_parallel: int  # GPUs of a node, among which each layer is divided
    requests_at_once: int
    machine_image: str | None = None  # an AMI, to keep; None: AWS's newest at each deployment, which makes nodes anew


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A language model that somebody else has deployed, where functions reach it without a network of their own.

    What the words mean, and which backend needs which, is in README, "Generation backends". A function says when it
    starts what does not fit.
    """

    backend: str
    url: str
    context_tokens: int
    requests_at_once: int
    model: str = ""
    key_secret: str = ""  # a name in Secrets Manager
    body: str = ""
    input: str = ""
    output: str = ""
    has_template: bool = False  # beside the tokenizer that PARLEY_TOKENIZER names when the layers are built

    @property
    def settings(self) -> dict[str, str]:
        """What functions are told of it."""
        names = ("backend", "url", "context_tokens", "model", "key_secret", "body", "input", "output")
        said = {f"GENERATOR_{name.upper()}": str(value) for name in names if (value := getattr(self, name))}
        return {**said, "GENERATOR_TEMPLATE": "/opt/tokenizer"} if self.has_template else said


# 16 requests at once on an L4, and three quarters of them as the load to keep to, are estimates until
# scripts/bench_endpoint.py has measured the model on the instance; GENERATION.md says how.
_AT_ONCE_ON_AN_L4 = 16
_BUSY_ON_AN_L4 = 12

# 4 B parameters in FP8 are 4.4 GB and an L4 computes in FP8. It does not think aloud before it replies.
_SMALL = EndpointSize(
    model=Model("Qwen/Qwen3-4B-Instruct-2507-FP8", context_tokens=8192),
    instance_type="ml.g6.xlarge",
    tensor_parallel=1,
    least_instances=1,
    most_instances=2,
    requests_per_instance=_AT_ONCE_ON_AN_L4,
    busy_requests_per_instance=_BUSY_ON_AN_L4,
)

# 7.6 B parameters in 4 bits are 5.6 GB, which leaves most of an L4's 24 GB to the KV cache.
_MEDIUM = EndpointSize(
    model=Model("Qwen/Qwen2.5-7B-Instruct-AWQ", context_tokens=8192),
    instance_type="ml.g6.2xlarge",  # twice the memory and cores of xlarge for the same L4
    tensor_parallel=1,
    least_instances=2,  # in two availability zones, so that one may fail; and a canary needs a second one
    most_instances=20,
    requests_per_instance=_AT_ONCE_ON_AN_L4,
    busy_requests_per_instance=_BUSY_ON_AN_L4,
    hours=(
        # The morning's wave finds the instance there, in place of waiting ten minutes for it.
        Hours("Morning", hour=7, week_days="MON-FRI", time_zone="Etc/UTC", least_instances=3),
        Hours("Evening", hour=19, week_days="MON-FRI", time_zone="Etc/UTC", least_instances=2),
    ),
)

# 72.7 B parameters in 4 bits are 41 GB: one L40S of 48 GB would hold them with no room for a conversation, four do.
_LARGE = EndpointSize(
    model=Model("Qwen/Qwen2.5-72B-Instruct-AWQ", context_tokens=16384),
    instance_type="ml.g6e.12xlarge",
    tensor_parallel=4,
    least_instances=2,
    most_instances=6,
    requests_per_instance=32,
    busy_requests_per_instance=24,
)

# 671 B parameters in FP8 are 690 GB, more than the 640 GB of one machine with eight H100.
_ACROSS_NODES = ClusterSize(
    model=Model("deepseek-ai/DeepSeek-V3-0324", context_tokens=16384),
    instance_type="p5.48xlarge",
    nodes=2,
    tensor_parallel=8,
    requests_at_once=64,
)

GENERATORS: dict[str, EndpointSize | ClusterSize] = {
    "small": _SMALL,
    "small-asleep": replace(_SMALL, least_instances=0, sleeps=True),
    "medium": _MEDIUM,
    "large": _LARGE,
    "across-nodes": _ACROSS_NODES,
}
