"""Webhooks out: who is told what happens, and how that reaches servers of other people.

    conversations' stream ─▶ notify ─▶ deliveries ─▶ deliver ─▶ somebody's server
                               └▶ unnotified            └▶ dead letters, both with an alarm
    /v1/subscriptions ─────▶ subscriptions      for operators; sends again what was given up

What a server does not take goes back into the queue, and after a day into the table of deliveries: in the dead letters
is only what our own function could not cope with.
"""

from collections.abc import Mapping, Sequence

from aws_cdk import Duration
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as event_sources
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.functions import function_of
from infra.nag import NO_TLS, accept
from infra.observability import Alarms
from infra.stage import Stage
from infra.state_stack import StateStack

_TRIES = 5  # of a message that deliver fails on, which is our mistake and not a server's
_GATHERED, _GATHERING_SECONDS = 100, 1
_GIVEN_UP_HOURS = (
    1  # a record that notify cannot read holds up those behind it in its shard so long, and an alarm rings
)
_BEHIND_SECONDS = 300


class Webhooks(Construct):
    """Three functions, and the queue between two of them.

    Attributes:
        notify, deliver, subscriptions: the functions
        deliveries: the queue of what is to be posted
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        stage: Stage,
        state: StateStack,
        layers: Sequence[lambda_.ILayerVersion],
        identity: Sequence[lambda_.ILayerVersion],  # what reads the tokens of who is signed in, if anybody can be
        settings: Mapping[str, str],
    ) -> None:
        super().__init__(scope, id)
        self._stage = stage
        self.dead_letters = self._queue("Dead", days=14)
        self.unnotified = self._queue("Unnotified", days=14)
        redrive = sqs.DeadLetterQueue(queue=self.dead_letters, max_receive_count=_TRIES)
        self.deliveries = self._queue("Deliveries", days=4, redrive=redrive)
        accept(
            self.unnotified,
            "AwsSolutions-SQS3",
            "Where the stream puts what notify could not cope with: it is the dead letters of that.",
        )
        named = {
            **settings,
            "SUBSCRIPTIONS_TABLE": state.subscriptions.table_name,
            "DELIVERIES_TABLE": state.deliveries.table_name,
            "DELIVERIES_QUEUE_URL": self.deliveries.queue_url,
            "SIGNING_KEY": state.signing_key.key_arn,
        }
        sizes = {"Notify": stage.notify, "Deliver": stage.deliver, "Subscriptions": stage.subscriptions}
        self.notify, self.deliver, self.subscriptions = (
            function_of(
                self,
                name,
                size,
                stage=stage,
                layers=[*layers, *(identity if name == "Subscriptions" else ())],
                environment=named,
            )
            for name, size in sizes.items()
        )
        self._grant(state)
        self._follow(state)
        self._work_on()

    def watch(self, alarms: Alarms) -> None:
        """Alarms for what is lost, what fails and what falls behind."""
        alarms.on_dead_letters(
            "Deliveries",
            self.dead_letters,
            meaning="deliver itself failed on a webhook, as often as it may; that server has not been told. The log of "
            "deliver says why; once that is mended, SQS's redrive sends it again.",
        )
        alarms.on_dead_letters(
            "Unnotified",
            self.unnotified,
            meaning="notify gave up records of the conversations' stream: people have been answered, subscribers have "
            "not been told. The log of notify says why. The queue only has where the records are in the stream, which "
            "forgets them a day after they were written: until then they can be read there.",
        )
        alarms.on_undelivered(self._stage.name)
        alarms.on_falling_behind("notify", self.notify, seconds=_BEHIND_SECONDS)
        for name, function in self.functions.items():
            alarms.on_failures(name, function)

    @property
    def functions(self) -> dict[str, lambda_.Function]:
        """Each by the name of its folder."""
        return {"notify": self.notify, "deliver": self.deliver, "subscriptions": self.subscriptions}

    def _grant(self, state: StateStack) -> None:
        state.grant_following_conversations(self.notify)
        state.grant_knowing_subscribers(self.notify)
        state.grant_signing(self.deliver)
        state.grant_noting_deliveries(self.deliver)
        state.grant_keeping_subscriptions(self.subscriptions)
        state.grant_signing(self.subscriptions)
        state.grant_looking_after_deliveries(self.subscriptions)
        state.grant_knowing_operators(self.subscriptions)
        state.grant_knowing_keys(self.subscriptions)
        for sending in self.functions.values():
            self.deliveries.grant_send_messages(sending)

    def _follow(self, state: StateStack) -> None:
        """Let `notify` see turns, and nothing else of what is kept."""
        lambda_.EventSourceMapping(
            self,
            "Turns",
            target=self.notify,
            event_source_arn=state.stream_arn,
            starting_position=lambda_.StartingPosition.LATEST,
            batch_size=_GATHERED,
            max_batching_window=Duration.seconds(_GATHERING_SECONDS),
            bisect_batch_on_error=True,
            max_record_age=Duration.hours(_GIVEN_UP_HOURS),
            on_failure=event_sources.SqsDlq(self.unnotified),
            filters=[
                lambda_.FilterCriteria.filter(
                    {
                        "eventName": lambda_.FilterRule.or_("INSERT", "MODIFY"),
                        "dynamodb": {"Keys": {"sk": {"S": lambda_.FilterRule.begins_with("turn#")}}},
                    }
                )
            ],
        )

    def _work_on(self) -> None:
        self.deliver.add_event_source(
            event_sources.SqsEventSource(
                self.deliveries,
                batch_size=1,  # in a batch a message would wait for the server before it
                report_batch_item_failures=True,
                max_concurrency=self._stage.deliveries_at_once,
            )
        )

    def _queue(self, id: str, *, days: int, redrive: sqs.DeadLetterQueue | None = None) -> sqs.Queue:
        queue = sqs.Queue(
            self,
            id,
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=self._stage.tls,
            visibility_timeout=Duration.seconds(2 * self._stage.deliver.timeout_seconds),
            retention_period=Duration.days(days),
            dead_letter_queue=redrive,
        )
        if not self._stage.tls:
            accept(queue, "AwsSolutions-SQS4", NO_TLS)
        return queue
