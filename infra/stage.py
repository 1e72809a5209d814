"""The stages: what each one is sized for, as data.

Knows every number that differs between a laptop, a developer's account and
production. Knows nothing of CDK: the stacks read these values and decide nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from infra.access import Issuer, Limits, Quotas
from infra.generators import GENERATORS, ClusterSize, Elsewhere, EndpointSize


@dataclass(frozen=True, slots=True)
class FunctionSize:
    """The room and the time one Lambda function gets."""

    memory_mb: int  # Lambda gives CPU by memory: 1,769 MB is one whole core
    timeout_seconds: int
    most_at_once: int | None = None  # set aside of the account's functions at once; None: what the others leave


@dataclass(frozen=True, slots=True)
class CacheSize:
    """How far the cache server may grow; used by nobody, it is billed as a tenth of a GB."""

    most_gb: int  # past this it forgets what was not asked for the longest
    most_ecpus_per_second: int  # ElastiCache's unit of work: a command, and one more for each KB of it
    nat_gateways: int  # of the network that functions then are in: with one, a zone's end is the end of both


CACHES = {
    # A reply is 1 to 2 KB, so 1 GB is half a million of them, and 1,000 a second the least that can be asked for.
    "small": CacheSize(most_gb=1, most_ecpus_per_second=1000, nat_gateways=1),
    # The 2,000 requests a second of prod, each of which asks once and, at worst, keeps once.
    "large": CacheSize(most_gb=10, most_ecpus_per_second=12_000, nat_gateways=2),
}


@dataclass(frozen=True, slots=True)
class Domain:
    """A name of one's own for the address that people have."""

    name: str  # chat.example.com; its DNS record for CloudFront is made by hand
    certificate_arn: str  # for that name, in us-east-1, where CloudFront looks for it


@dataclass(frozen=True, slots=True)
class EdgeSize:
    """How much one address may ask of CloudFront, in front of both APIs; WAF counts no less than 10."""

    requests_per_five_minutes: int
    talks_per_five_minutes: int  # of those: what begins a conversation, adds to one or may ask the language model
    slack_per_five_minutes: int  # beside those, where Slack is heard, all of which comes from a few addresses
    domain: Domain | None = None  # None: the name that CloudFront gives


@dataclass(frozen=True, slots=True)
class Stage:
    """One place the stack is deployed to."""

    name: str
    chat: FunctionSize
    worker: FunctionSize
    web: FunctionSize
    socket: FunctionSize
    slack: FunctionSize
    ingest: FunctionSize
    keys: FunctionSize
    notify: FunctionSize
    deliver: FunctionSize
    subscriptions: FunctionSize
    generator: EndpointSize | ClusterSize | Elsewhere | None  # None: a server on this machine stands in, outside of CDK
    second_generator: EndpointSize | None  # a smaller one, asked while the first is asleep, slow or broken
    deliveries_at_once: int  # messages posted to other people's servers; one of them gets four of these places at most
    waiting_turns_at_once: int  # of those whose person agreed to wait for the generator
    requests_per_second: int  # past this, API Gateway answers 429
    burst_requests: int
    explains: bool  # the API tells anybody who asks why the bot did what it did; operators it always tells
    tls: bool  # queues and topics refuse plain HTTP
    keeps_data: bool  # tables outlive the stack and refuse to be deleted
    customer_key: bool  # data is encrypted under a key of the account's own, 1 USD a month
    traced: bool  # X-Ray
    snap_start: bool  # resumes a snapshot in place of a cold start; about 4 USD a month for each GB of memory
    log_retention_days: int  # one of the lengths that CloudWatch Logs offers
    retention_days: int  # of conversations
    cache_ttl_seconds: int  # of shared replies
    dollars_per_million_tokens: float = 0.0  # of the generator, for the metric of what the reply cache saves; 0: none
    cache: CacheSize | None = None  # the server in front of shared replies; None: there is none
    has_slack: bool = False  # people talk to the bot in Slack, too
    issuers: tuple[Issuer, ...] = ()  # who signs people in
    quotas: Quotas = Quotas(user=Limits(turns_per_minute=60))  # noqa: RUF009  # frozen; nobody writes once a second
    stream: FunctionSize | None = None  # replies to OpenAI's clients leave while they are made; None: whole ones only
    slack_client_id: str = ""  # of an app that several workspaces may install; "": one has it, by hand
    passages_in_memory: int | None = None  # of a bot; more are searched in DynamoDB. None: all are in memory
    edge: EdgeSize | None = None  # CloudFront and WAF in front of everything; None: the APIs are open themselves

    @property
    def has_workspaces(self) -> bool:
        """Whether several workspaces of Slack may install the app."""
        return self.has_slack and bool(self.slack_client_id)

    @property
    def generator_endpoint(self) -> str:
        """The endpoint's name, fixed so that the chat stack need not wait for the generation stack."""
        return f"parley-{self.name}-generator"

    @property
    def second_endpoint(self) -> str:
        """The name of the smaller endpoint."""
        return f"parley-{self.name}-second"

    @property
    def endpoints(self) -> Mapping[str, EndpointSize]:
        """Every SageMaker endpoint of the stage, by its name."""
        both = {self.generator_endpoint: self.generator, self.second_endpoint: self.second_generator}
        return {name: size for name, size in both.items() if isinstance(size, EndpointSize)}

    @property
    def turns_at_once(self) -> int:
        """How many queued turns are answered at once before anything has grown: what the generator's floor can hold."""
        match self.generator:
            case None:
                return _LAPTOP_TURNS_AT_ONCE
            case EndpointSize() as endpoint:
                room = endpoint.least_instances * endpoint.requests_per_instance
            case ClusterSize() | Elsewhere() as server:
                room = server.requests_at_once
        return min(max(room, LEAST_TURNS_AT_ONCE), MOST_TURNS_AT_ONCE)


# What Lambda takes as an event source's MaximumConcurrency.
LEAST_TURNS_AT_ONCE = 2
MOST_TURNS_AT_ONCE = 1000

_LAPTOP_TURNS_AT_ONCE = 8  # each is a process of its own on the local AWS, and the small generator has one queue

_MINUTE = 60
_HOUR = 60 * _MINUTE

# 1,024 MB: the process needs 200 MB at most; the rest buys CPU. A scripted turn takes 4 ms of a core, and most of
# a generated turn is waiting, which is billed by memory too. 29 s: API Gateway gives up after 30.
_CHAT = FunctionSize(memory_mb=1024, timeout_seconds=29)
# Nobody's connection is waiting, so a generated reply may take its time.
_WORKER = FunctionSize(memory_mb=1024, timeout_seconds=1 * _MINUTE)
# Reads a few files; 256 MB is where a cold start stops getting much faster.
_WEB = FunctionSize(memory_mb=256, timeout_seconds=5)
# It has no encoder: 512 MB buy a third of a core, so that a cold start keeps a handshake waiting a little only. It
# reads and writes a few items and queues the turn: 10 s are for a DynamoDB that has a bad moment.
_SOCKET = FunctionSize(memory_mb=512, timeout_seconds=10)
# As little as socket does; but Slack waits three seconds and no longer, of which a cold start may take one: with twice
# the memory it has more of a core. What it misses, Slack sends again.
_SLACK = FunctionSize(memory_mb=1024, timeout_seconds=10)

# As the worker: a reply may take its time, and its client reads along. Nothing is in front of it, and whoever asks
# starts one, with a key or not: so prod says how many there may be, and leaves the rest of the account to others. Of
# the 10 functions at once that a new account has Lambda lets none be set aside: there dev could not be deployed.
_STREAM = FunctionSize(memory_mb=1024, timeout_seconds=1 * _MINUTE)

# Two cores, which is two passages embedded at once. What does not fit in the time goes on in another run.
_INGEST = FunctionSize(memory_mb=3008, timeout_seconds=15 * _MINUTE)

# Operators wait for it now and then; half a GB for the third of a core that importing pydantic wants.
_KEYS = FunctionSize(memory_mb=512, timeout_seconds=10)
# Reads some turns, looks their subscribers up and queues a message for each: with a hundred turns and a few subscribers
# that is hundreds of small calls, one after the other.
_NOTIFY = FunctionSize(memory_mb=512, timeout_seconds=1 * _MINUTE)
# Ten seconds are the other server's; the rest is for a DynamoDB that has a bad moment. Nearly all of it is waiting.
_DELIVER = FunctionSize(memory_mb=256, timeout_seconds=30)
# Operators wait for it; a ping takes ten seconds at most, and a hundred dead deliveries are queued again at once.
_SUBSCRIPTIONS = FunctionSize(memory_mb=512, timeout_seconds=20)

STAGES = {
    stage.name: stage
    for stage in (
        Stage(
            name="local",
            chat=_CHAT,
            worker=_WORKER,
            web=_WEB,
            socket=_SOCKET,
            slack=_SLACK,
            ingest=_INGEST,
            keys=_KEYS,
            notify=_NOTIFY,
            deliver=_DELIVER,
            subscriptions=_SUBSCRIPTIONS,
            generator=None,
            second_generator=None,
            deliveries_at_once=8,
            waiting_turns_at_once=LEAST_TURNS_AT_ONCE,
            requests_per_second=1000,
            burst_requests=1000,
            explains=True,
            tls=False,
            keeps_data=False,
            customer_key=False,
            traced=False,
            snap_start=False,
            log_retention_days=1,
            retention_days=30,
            cache_ttl_seconds=1 * _HOUR,
            has_slack=True,
            # No `stream`: the local AWS starts Python by itself, past AWS_LAMBDA_EXEC_WRAPPER, and its function URLs
            # hold a response back until it is whole.
            slack_client_id="0.0",
        ),
        Stage(
            name="dev",
            chat=_CHAT,
            worker=_WORKER,
            web=_WEB,
            socket=_SOCKET,
            slack=_SLACK,
            ingest=_INGEST,
            keys=_KEYS,
            notify=_NOTIFY,
            deliver=_DELIVER,
            subscriptions=_SUBSCRIPTIONS,
            generator=GENERATORS["small"],
            second_generator=None,
            deliveries_at_once=10,
            waiting_turns_at_once=LEAST_TURNS_AT_ONCE,
            requests_per_second=50,
            burst_requests=100,
            explains=True,
            tls=True,
            keeps_data=False,
            customer_key=False,
            traced=True,
            snap_start=True,
            log_retention_days=7,
            retention_days=30,
            cache_ttl_seconds=1 * _HOUR,
            # A few people behind one address, each of whom says something every ten seconds and loads the page. Two
            # workspaces of Slack, of each of which Slack tells 30,000 events an hour at most.
            edge=EdgeSize(requests_per_five_minutes=1500, talks_per_five_minutes=300, slack_per_five_minutes=5000),
            stream=_STREAM,
        ),
        Stage(
            name="prod",
            chat=_CHAT,
            worker=_WORKER,
            web=_WEB,
            socket=_SOCKET,
            slack=_SLACK,
            ingest=_INGEST,
            keys=_KEYS,
            notify=_NOTIFY,
            deliver=_DELIVER,
            subscriptions=_SUBSCRIPTIONS,
            generator=GENERATORS["medium"],
            second_generator=None,
            deliveries_at_once=50,
            waiting_turns_at_once=16,  # one instance's room; the rest is for those who did not agree to wait
            # An account's first limit is 1,000 functions at once; at 4 ms a turn this rate keeps far below it, and
            # at 2 s for each generated reply it is reached when every tenth turn is generated and all else is quick.
            requests_per_second=2000,
            burst_requests=4000,
            explains=False,
            tls=True,
            keeps_data=True,
            customer_key=True,
            traced=True,
            snap_start=True,
            log_retention_days=30,
            retention_days=90,
            cache_ttl_seconds=24 * _HOUR,
            # An office or a mobile network of some hundred people behind one address, or a server that talks for
            # others five times a second. One address alone gets no more than a hundredth of the rate above, Slack a
            # tenth: two dozen workspaces, of each of which it tells 30,000 events an hour at most.
            edge=EdgeSize(requests_per_five_minutes=6000, talks_per_five_minutes=1500, slack_per_five_minutes=60_000),
            stream=replace(_STREAM, most_at_once=100),  # a tenth of that account
        ),
    )
}
