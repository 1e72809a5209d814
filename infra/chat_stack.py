"""The conversation itself: two APIs, the functions behind them, and the queues between those.

In an account CloudFront is in front of both APIs, and `edge` keeps them shut to whoever goes around it.
GET / and /assets ─▶ web      the chat page, and the widget
/v1/keys ──────────▶ keys     API keys, for operators
/v1/subscriptions ─▶ subscriptions   who is told what happens (`webhooks`)
everything else ───▶ chat ─┬─ the turn, answered at once
POST /slack/… ─────▶ slack ┤
WebSocket ─────────▶ socket ┴▶ turns.fifo ─▶ worker   the same turn, later; pushed to whoever listens
                     │           pace ──▶ how many at once
                     └ and chat, worker ─▶ waiting ─▶ worker   turns whose person agreed to wait for the generator
function URL ──────▶ stream   OpenAI's routes again, whose replies leave while they are made
Each queue has a second one for what failed, with an alarm.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from aws_cdk import ArnFormat, CfnOutput, CfnParameter, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as event_sources
from aws_cdk import aws_s3_assets as s3_assets
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.access import as_json
from infra.cache_stack import CacheStack
from infra.cluster_stack import Reach
from infra.doors import HttpDoor, SocketDoor, stream_url
from infra.front_door import FrontDoor, Gate
from infra.functions import Network, function_of
from infra.generators import ClusterSize, Elsewhere, EndpointSize
from infra.knowledge_stack import KnowledgeStack
from infra.nag import accept
from infra.observability import Alarms
from infra.pace import Pace
from infra.packaging import Build, access_of, needs_of, package_layer
from infra.queues import TurnQueue
from infra.stage import Stage
from infra.state_stack import StateStack
from infra.webhooks import Webhooks

_TRIES = 3  # parley/queue_door.py says after the third that the turn has failed
_TRIES_OF_WAITING = 20  # nobody is held up behind it, and its person has agreed to wait
_WAITING_TOO_LONG_SECONDS = 120
_UNANSWERED = (
    "A turn failed as often as it may and lies in a dead-letter queue; nobody has been answered. "
    "The log of worker says why."
)


class ChatStack(Stack):
    """The HTTP API and the WebSocket API, the functions behind them and worker, and the queues of turns."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        stage: Stage,
        build: Build,
        state: StateStack,
        knowledge: KnowledgeStack,
        cluster: Reach | None,
        cache: CacheStack | None,
        local_aws: str | None,
        local_settings: Mapping[str, str],
        **kwargs: Any,
    ) -> None:
        super().__init__(scope, id, **kwargs)
        self._stage = stage
        self._cluster = cluster
        inside = cache or cluster  # where there are both, they are in one network
        network = inside.network if inside else None
        # The turns of one conversation are one group, so they stay in order. One that waits has a delay of its own,
        # which SQS grants only where there is no order.
        turns = TurnQueue(self, "Turns", stage=stage, in_order=True, tries=_TRIES)
        waiting = TurnQueue(self, "Waiting", stage=stage, in_order=False, tries=_TRIES_OF_WAITING)
        bundles = {name: s3_assets.Asset(self, f"Bot-{name}", path=str(path)) for name, path in build.bundles.items()}
        live = SocketDoor(self, "WebSocket", stage=stage, local_aws=local_aws)

        encoder, *light = self._layers(build)
        identity = self._identity_layer(build)
        answering_layers = [*light, encoder, *self._generator_layers(build)]
        settings = {
            **self._settings(state, knowledge, bundles),
            "ACCESS": json.dumps({name: access_of(path) for name, path in build.bundles.items()}),
            **self._addresses(turns, waiting, live),
            **local_settings,
        }
        of_turns = {**settings, **cache.settings} if cache else settings
        chat = function_of(
            self,
            "Chat",
            stage.chat,
            stage=stage,
            layers=[*answering_layers, *identity],
            environment=of_turns,
            snap_start=stage.snap_start,
            network=network,
        )
        worker = function_of(
            self,
            "Worker",
            stage.worker,
            stage=stage,
            layers=answering_layers,
            environment=of_turns,
            network=network,
        )
        known = [*light, *identity]
        socket = function_of(self, "Socket", stage.socket, stage=stage, layers=known, environment=settings)
        keys = function_of(self, "Keys", stage.keys, stage=stage, layers=known, environment=settings)
        slack = self._slack(light, settings, worker, state)
        stream = self._stream(answering_layers, of_turns, network)
        webhooks = Webhooks(
            self,
            "Webhooks",
            stage=stage,
            state=state,
            layers=light,
            identity=identity,
            settings=self._settings_of_webhooks(settings),
        )
        web = function_of(self, "Web", stage.web, stage=stage, environment={"SOCKET_ADDRESS": live.address})

        for answering in filter(None, (chat, worker, stream)):
            state.grant_conversing(answering)
            knowledge.grant_knowing(answering)
            self._grant_reading(bundles, answering)
            self._grant_generating(answering)
            self._grant_custom_actions(build, answering)
            if cache:
                cache.grant_asking(answering)
        for operated in (chat, keys):
            state.grant_knowing_operators(operated)
        for admitting in filter(None, (chat, stream)):
            state.grant_knowing_keys(admitting)
        state.grant_keeping_keys(keys)
        knowledge.grant_putting_in(chat)
        for taking_files in filter(None, (chat, stream)):
            state.grant_keeping_uploads(taking_files)
        state.grant_knowing_uploads(worker)
        state.grant_keeping_conversations(socket)
        for pushing in (chat, worker, socket):
            state.grant_connecting(pushing)
            live.grant_pushing(pushing)
            waiting.turns.grant_send_messages(pushing)
        for queueing in filter(None, (chat, socket, slack)):
            turns.turns.grant_send_messages(queueing)
        if slack:
            state.grant_keeping_conversations(slack)

        in_order = self._work_on(turns.turns, worker, at_once=stage.turns_at_once)
        self._work_on(waiting.turns, worker, at_once=stage.waiting_turns_at_once)
        pacing = {}
        if isinstance(stage.generator, EndpointSize):
            pacing["pace"] = Pace(self, "Pacing", stage=stage, generator=stage.generator, turns=in_order).function
        gate = None
        if state.edge_key_arn is not None:
            gate = Gate(self, "Gate", stage=stage, state=state, key_arn=state.edge_key_arn)
        http = HttpDoor(
            self,
            "Http",
            stage=stage,
            chat=self._entry(chat),
            web=web,
            keys=keys,
            subscriptions=webhooks.subscriptions,
            slack=slack,
            local_aws=local_aws,
            authorizer=gate.of_http if gate else None,
        )
        live.lead_to(socket, authorizer=gate.of_socket if gate else None)
        address, socket_address = http.address, live.address
        of_the_edge = {}
        if front := self._front(state, http, live):
            of_the_edge = {"CloudFrontName": front.cloudfront_name, "EdgeKeySecret": state.edge_key_arn}
            address, socket_address = front.address, front.socket_address
            for told_of_it in filter(None, (chat, worker, socket, keys, slack, stream, web)):
                told_of_it.add_environment("SOCKET_ADDRESS", socket_address)
        worker.add_environment("DELIVERIES_QUEUE_URL", webhooks.deliveries.queue_url)
        webhooks.deliveries.grant_send_messages(worker)
        self._grant_callbacks(build, webhooks.deliver)
        if slack:
            worker.add_environment("DOCUMENTS_AT", address)
        for meeting_pages in (chat, socket):
            meeting_pages.add_environment("HTTP_ADDRESS", address)

        alarms = Alarms(self, "Watch", topic=state.alarms)
        alarms.on_dead_letters("Turns", turns.dead_letters, meaning=_UNANSWERED)
        alarms.on_dead_letters("Waiting", waiting.dead_letters, meaning=_UNANSWERED)
        alarms.on_waiting(turns.turns, seconds=_WAITING_TOO_LONG_SECONDS)
        for name, function in {
            "chat": chat,
            "worker": worker,
            "socket": socket,
            "keys": keys,
            **pacing,
            **({"slack": slack} if slack else {}),
            **({"edge": gate.function} if gate else {}),
            **({"stream": stream} if stream else {}),
        }.items():
            alarms.on_failures(name, function)
        webhooks.watch(alarms)
        alarms.on_wrong_replies(stage.name)
        alarms.on_server_errors(http.api)
        alarms.on_socket_errors(live.api)

        told = {
            "Address": address,  # the chat page, and the root of the HTTP API
            "HttpApi": http.api.api_endpoint,  # behind it: where there is an edge, nobody is let in here
            "HttpApiId": http.api.api_id,
            "SocketAddress": socket_address,
            **of_the_edge,
            "ChatFunction": chat.function_name,
            "WorkerFunction": worker.function_name,
            "SocketFunction": socket.function_name,
            "KeysFunction": keys.function_name,
            **({"SlackFunction": slack.function_name} if slack else {}),
            **({"StreamUrl": stream_url(stream)} if stream else {}),
            "NotifyFunction": webhooks.notify.function_name,
            "DeliverFunction": webhooks.deliver.function_name,
            "SubscriptionsFunction": webhooks.subscriptions.function_name,
            "SubscriptionsTable": state.subscriptions.table_name,
            "DeliveriesTable": state.deliveries.table_name,
            "DeliveriesQueue": webhooks.deliveries.queue_url,
            "DeliveriesDeadLettersQueue": webhooks.dead_letters.queue_url,
            "UnnotifiedQueue": webhooks.unnotified.queue_url,
            "OperatorKeySecret": state.operator_key_arn,
            "AnnouncementsBus": state.bus.event_bus_name,
            "UploadsBucket": state.name_of_uploads,
            "ConversationsTable": state.conversations.table_name,
            "RepliesTable": state.replies.table_name,
            "ConnectionsTable": state.connections.table_name,
            "KeysTable": state.keys.table_name,
            "TurnsQueue": turns.turns.queue_url,
            "DeadLettersQueue": turns.dead_letters.queue_url,
            "WaitingQueue": waiting.turns.queue_url,
            "WaitingDeadLettersQueue": waiting.dead_letters.queue_url,
        }
        for name, value in told.items():
            CfnOutput(self, name, value=value)

    def _front(self, state: StateStack, http: HttpDoor, live: SocketDoor) -> FrontDoor | None:
        """The address before both APIs, where the stage has one."""
        if self._stage.edge is None or state.edge_key_arn is None:
            return None
        # The web ACL is in us-east-1, from where CloudFormation passes nothing on: scripts/deploy.py does.
        web_acl = CfnParameter(
            self,
            "WebAcl",
            description="The ARN that the edge stack tells, in us-east-1",
            allowed_pattern=r"arn:[a-z-]+:wafv2:us-east-1:\d{12}:global/webacl/.+",
        )
        return FrontDoor(
            self,
            "Front",
            size=self._stage.edge,
            web_acl_arn=web_acl.value_as_string,
            key_arn=state.edge_key_arn,
            http=http,
            live=live,
        )

    def _stream(
        self, layers: Sequence[lambda_.ILayerVersion], settings: Mapping[str, str], network: Network | None
    ) -> lambda_.Function | None:
        """The function whose replies leave while they are made, where the stage has it. Its runtime is our own."""
        if self._stage.stream is None:
            return None
        own = {**settings, "AWS_LAMBDA_EXEC_WRAPPER": "/opt/bin/streaming-runtime"}
        return function_of(
            self, "Stream", self._stage.stream, stage=self._stage, layers=layers, environment=own, network=network
        )

    def _slack(
        self,
        layers: Sequence[lambda_.ILayerVersion],
        settings: Mapping[str, str],
        worker: lambda_.Function,
        state: StateStack,
    ) -> lambda_.Function | None:
        """The function that hears Slack, where the stage has it; and what lets the worker speak there.

        The secrets are made by hand, for Slack gives them: neither of the two functions reads the other's.
        """
        if not self._stage.has_slack:
            return None
        signing, token = f"{self._secrets_prefix}slack-signing-secret", f"{self._secrets_prefix}slack-bot-token"
        named = {**settings, "SLACK_SIGNING_SECRET": signing, **self._workspaces(state)}
        if self._stage.has_workspaces:
            client = f"{self._secrets_prefix}slack-client-secret"
            named |= {"SLACK_CLIENT_ID": self._stage.slack_client_id, "SLACK_CLIENT_SECRET": client}
        slack = function_of(self, "Slack", self._stage.slack, stage=self._stage, layers=layers, environment=named)
        self._grant_secrets([signing, *filter(None, [named.get("SLACK_CLIENT_SECRET")])], slack)
        for name, value in {"SLACK_TOKEN_SECRET": token, **self._workspaces(state)}.items():
            worker.add_environment(name, value)
        self._grant_secrets([token], worker)
        state.grant_installing(slack)
        state.grant_speaking(worker)
        return slack

    def _workspaces(self, state: StateStack) -> dict[str, str]:
        """Where the tokens of workspaces of Slack are, if several may install the app."""
        if state.workspaces is None or state.tokens_key is None:
            return {}
        return {"WORKSPACES_TABLE": state.workspaces.table_name, "SLACK_TOKENS_KEY": state.tokens_key.key_arn}

    def _settings_of_webhooks(self, settings: Mapping[str, str]) -> dict[str, str]:
        """Of all settings those that the functions of webhooks read."""
        names = (
            "PARLEY_STAGE",
            "ACCESS",
            "OPERATOR_KEY_SECRET",
            "ACTION_SECRETS",
            "SUBSCRIBERS_ON_LOOPBACK",
            "KEYS_TABLE",
            "ISSUERS",
        )
        return {name: settings[name] for name in names if name in settings}

    def _work_on(self, queue: sqs.Queue, worker: lambda_.Function, *, at_once: int) -> event_sources.SqsEventSource:
        source = event_sources.SqsEventSource(
            queue,
            batch_size=1,  # a turn is seconds of waiting: in a batch the second person would wait for the first
            report_batch_item_failures=True,
            # Where a stage has a generator, `pace` changes this one for the turns in order. CloudFormation compares
            # templates, not the account: a deployment that leaves this number alone leaves what pace has set alone,
            # too. One that changes the mapping sets this number, and pace the right one within a minute.
            max_concurrency=at_once,
        )
        worker.add_event_source(source)
        return source

    def _layers(self, build: Build) -> list[lambda_.ILayerVersion]:
        sources = {
            "Encoder": build.layer("encoder"),
            "Dependencies": build.layer("dependencies"),
            "Parley": package_layer(),
        }
        return [self._layer(name, code) for name, code in sources.items()]

    def _identity_layer(self, build: Build) -> list[lambda_.ILayerVersion]:
        """What reads the tokens of who is signed in, where anybody can be."""
        return [self._layer("Identity", build.layer("identity"))] if self._stage.issuers else []

    def _generator_layers(self, build: Build) -> list[lambda_.ILayerVersion]:
        """What speaks to the language model, where that is more than every function has."""
        layers = []
        if isinstance(server := self._stage.generator, Elsewhere):
            if server.backend == "tensorflow_serving":
                layers.append(self._layer("TensorFlowServing", build.layer("tensorflow_serving")))
            if server.has_template:
                layers.append(self._layer("ChatTemplate", build.layer("chat_template")))
        return layers

    def _layer(self, name: str, code: lambda_.Code) -> lambda_.ILayerVersion:
        return lambda_.LayerVersion(self, name, code=code, compatible_runtimes=[lambda_.Runtime.PYTHON_3_13])

    def _settings(
        self, state: StateStack, knowledge: KnowledgeStack, bundles: dict[str, s3_assets.Asset]
    ) -> dict[str, str]:
        return {
            "PARLEY_STAGE": self._stage.name,
            "CONVERSATIONS_TABLE": state.conversations.table_name,
            "REPLIES_TABLE": state.replies.table_name,
            "CONNECTIONS_TABLE": state.connections.table_name,
            "KEYS_TABLE": state.keys.table_name,
            "USAGE_TABLE": state.usage.table_name,
            "ISSUERS": as_json(self._stage.issuers),
            "QUOTAS": as_json(self._stage.quotas),
            "BOTS": json.dumps({name: bundle.s3_object_url for name, bundle in bundles.items()}),
            "ENCODER_DIR": "/opt/encoder",
            "GENERATOR_TOKENIZER": "/opt/tokenizer/tokenizer.json",
            **self._generator(),
            "CACHE_KEY_SECRET": state.cache_key_arn,
            "DOCUMENTS_BUCKET": knowledge.name_of_bucket,
            **knowledge.where_passages_are,
            "UPLOADS_BUCKET": state.name_of_uploads,
            "EVENT_BUS": state.bus.event_bus_name,
            "OPERATOR_KEY_SECRET": state.operator_key_arn,
            "ACTION_SECRETS": self._secrets_prefix,
            "EXPLAINS": str(self._stage.explains).lower(),
            "RETENTION_DAYS": str(self._stage.retention_days),
            "CACHE_TTL_SECONDS": str(self._stage.cache_ttl_seconds),
            "DOLLARS_PER_MILLION_TOKENS": str(self._stage.dollars_per_million_tokens),
            # One utterance is a dozen tokens: a second thread costs more than it brings, and Lambda has no core for it.
            "OMP_NUM_THREADS": "1",
        }

    def _generator(self) -> dict[str, str]:
        """How the functions reach the language model."""
        stage = self._stage
        settings: dict[str, str] = {}
        if isinstance(stage.generator, Elsewhere):
            settings |= stage.generator.settings
        elif self._cluster:
            settings |= {"GENERATOR_BACKEND": "openai", "GENERATOR_URL": self._cluster.url}
            settings |= {"GENERATOR_MODEL": self._cluster.model}
        else:
            settings |= {"GENERATOR_ENDPOINT": stage.generator_endpoint}
        if isinstance(stage.generator, EndpointSize | ClusterSize):
            settings |= {"GENERATOR_CONTEXT_TOKENS": str(stage.generator.model.context_tokens)}
        if isinstance(stage.generator, EndpointSize) and stage.generator.sleeps:
            settings |= {"GENERATOR_COMPONENT": stage.generator_endpoint}
        if stage.generator is not None:  # any but the bundled one, which is too small to be trusted with it
            settings |= {"GENERATOR_COMPOSES": "true"}
        if stage.second_generator:
            settings |= {"GENERATOR_SECOND_ENDPOINT": stage.second_endpoint}
        return settings

    def _addresses(self, turns: TurnQueue, waiting: TurnQueue, live: SocketDoor) -> dict[str, str]:
        return {
            "TURNS_QUEUE_URL": turns.turns.queue_url,
            "WAITING_QUEUE_URL": waiting.turns.queue_url,
            "SOCKET_ADDRESS": live.address,
            "SOCKET_URL": live.management_url,
        }

    def _entry(self, chat: lambda_.Function) -> lambda_.IFunction:
        """What API Gateway calls: the function itself, or with SnapStart the version that has a snapshot."""
        if not self._stage.snap_start:
            return chat
        accept(
            chat,
            "Annotation::@aws-cdk/aws-lambda:snapStartRequirePublish",
            "Only the version published here is called.",
        )
        return lambda_.Alias(self, "ChatLive", alias_name="live", version=chat.current_version)

    def _grant_reading(self, bundles: dict[str, s3_assets.Asset], grantee: lambda_.Function) -> None:
        for bundle in bundles.values():
            iam.Grant.add_to_principal(
                grantee=grantee,
                actions=["s3:GetObject"],
                resource_arns=[bundle.bucket.arn_for_objects(bundle.s3_object_key)],
            )

    def _grant_generating(self, grantee: lambda_.Function) -> None:
        """Call the stage's endpoints, of which a laptop has one, in name only; or show the key of one elsewhere."""
        stage = self._stage
        if isinstance(stage.generator, Elsewhere) and stage.generator.key_secret:
            self._grant_secrets([stage.generator.key_secret], grantee)
        names = [*stage.endpoints] if stage.generator else [stage.generator_endpoint]
        if not names:
            return  # AWS asks for no permission, not even for a cluster: who is in its network may
        kinds = [("endpoint", name) for name in names]
        kinds += [("inference-component", name) for name, size in stage.endpoints.items() if size.sleeps]
        arns = [self.format_arn(service="sagemaker", resource=kind, resource_name=name) for kind, name in kinds]
        iam.Grant.add_to_principal(
            grantee=grantee,
            actions=["sagemaker:InvokeEndpoint", "sagemaker:InvokeEndpointWithResponseStream"],
            resource_arns=arns,
        )

    @property
    def _secrets_prefix(self) -> str:
        """What the names of custom actions' secrets begin with in Secrets Manager."""
        return f"parley/{self._stage.name}/"

    def _grant_custom_actions(self, build: Build, grantee: lambda_.Function) -> None:
        """Read the secrets and call the functions that the bots' custom actions name, and no others."""
        needs = [needs_of(bundle) for bundle in build.bundles.values()]
        secrets = sorted({f"{self._secrets_prefix}{name}" for need in needs for name in need.secrets})
        functions = sorted({name for need in needs for name in need.functions})
        if secrets:
            self._grant_secrets(secrets, grantee)
        if functions:
            arns = [
                self.format_arn(
                    service="lambda",
                    resource="function",
                    resource_name=name,
                    arn_format=ArnFormat.COLON_RESOURCE_NAME,
                )
                for name in functions
            ]
            iam.Grant.add_to_principal(grantee=grantee, actions=["lambda:InvokeFunction"], resource_arns=arns)

    def _grant_callbacks(self, build: Build, grantee: lambda_.Function) -> None:
        """Read what the bots' callbacks are signed by, and no other secret."""
        named = {name for bundle in build.bundles.values() for name in needs_of(bundle).callback_secrets}
        if named:
            self._grant_secrets([f"{self._secrets_prefix}{name}" for name in sorted(named)], grantee)

    def _grant_secrets(self, names: Sequence[str], grantee: lambda_.Function) -> None:
        # Secrets Manager ends every ARN with six characters of its own.
        arns = [
            self.format_arn(
                service="secretsmanager",
                resource="secret",
                resource_name=f"{name}-??????",
                arn_format=ArnFormat.COLON_RESOURCE_NAME,
            )
            for name in names
        ]
        iam.Grant.add_to_principal(grantee=grantee, actions=["secretsmanager:GetSecretValue"], resource_arns=arns)
