"""Alarms, and the topic that tells people about them.

Knows what is worth waking somebody for. Whom it wakes is not code: subscribe an
address to the topic, once, in the account.
"""

from aws_cdk import Duration
from aws_cdk import aws_apigatewayv2 as apigw
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

_FIVE_MINUTES = Duration.minutes(5)
_AT_LEAST = cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD


class Alarms(Construct):
    """The alarms of one stack, all told to one topic."""

    def __init__(self, scope: Construct, id: str, *, topic: sns.ITopic) -> None:
        super().__init__(scope, id)
        self._topic = topic

    def on_dead_letters(self, name: str, dead_letters: sqs.IQueue, *, meaning: str) -> None:
        """Something was given up."""
        self.when(
            f"{name}DeadLetters",
            dead_letters.metric_approximate_number_of_messages_visible(period=Duration.minutes(1), statistic="max"),
            at_least=1,
            meaning=meaning,
        )

    def on_waiting(self, queue: sqs.IQueue, *, seconds: int) -> None:
        """Turns come in faster than they are answered."""
        self.when(
            "TurnsWait",
            queue.metric_approximate_age_of_oldest_message(period=Duration.minutes(1), statistic="max"),
            at_least=seconds,
            meaning="A queued turn has waited too long: the worker is failing, throttled or too slow.",
        )

    def on_failures(self, name: str, function: lambda_.IFunction) -> None:
        """A function crashed, timed out, or was refused a place to run."""
        self.when(
            f"{name}Errors",
            function.metric_errors(period=_FIVE_MINUTES),
            at_least=5,
            meaning=f"The function {name} crashes or times out.",
        )
        self.when(
            f"{name}Throttles",
            function.metric_throttles(period=_FIVE_MINUTES),
            at_least=1,
            meaning=f"The account's limit of functions running at once, or a limit of its own, holds {name} back.",
        )

    def on_server_errors(self, api: apigw.HttpApi) -> None:
        """The HTTP API answered 5xx."""
        self.when(
            "ServerErrors",
            api.metric_server_error(period=_FIVE_MINUTES, statistic="sum"),
            at_least=5,
            meaning="The HTTP API answers with 5xx.",
        )

    def on_socket_errors(self, api: apigw.WebSocketApi) -> None:
        """What a client sent over its WebSocket did not reach the function behind it."""
        self.when(
            "SocketErrors",
            api.metric("ExecutionError", period=_FIVE_MINUTES, statistic="sum"),
            at_least=5,
            meaning="The WebSocket API cannot hand on what clients send.",
        )

    def on_wrong_replies(self, stage: str) -> None:
        """The reply cache gave people the reply to another question, too often, and has turned that off."""
        metric = cloudwatch.Metric(
            namespace="Parley",
            metric_name="CacheSemanticOff",
            dimensions_map={"stage": stage},
            statistic="sum",
            period=_FIVE_MINUTES,
        )
        self.when(
            "WrongReplies",
            metric,
            at_least=1,
            meaning="Replies shared with other wordings of a question were wrong too often when made afresh; a bot's "
            "semantic cache has turned itself off for two days. Its name is in the log of chat or worker.",
        )

    def on_undelivered(self, stage: str) -> None:
        """Somebody who wants to be told what happens could not be."""
        metric = cloudwatch.Metric(
            namespace="Parley",
            metric_name="WebhookDead",
            dimensions_map={"stage": stage},
            statistic="sum",
            period=_FIVE_MINUTES,
        )
        self.when(
            "Undelivered",
            metric,
            at_least=1,
            meaning="A webhook was given up after a day of tries, or its subscription is disabled. "
            "`GET /v1/subscriptions/{id}` says why, the log of deliver to whom; `.../replay` sends it again.",
        )

    def on_falling_behind(self, name: str, function: lambda_.IFunction, *, seconds: int) -> None:
        """What a stream shows is looked at too late."""
        self.when(
            f"{name}Behind",
            function.metric("IteratorAge", period=Duration.minutes(1), statistic="max"),
            at_least=1000 * seconds,
            meaning=f"{name} does not keep up with the stream of conversations, or meets a record that it cannot read.",
        )

    def on_machine(self, name: str, machine: ec2.Instance) -> None:
        """A machine that a model is spread over fails AWS's own checks of it."""
        metric = cloudwatch.Metric(
            namespace="AWS/EC2",
            metric_name="StatusCheckFailed",
            dimensions_map={"InstanceId": machine.instance_id},
            statistic="max",
            period=Duration.minutes(1),
        )
        self.when(
            f"{name}Fails", metric, at_least=1, meaning=f"The machine {name} fails, and the model with it.", periods=2
        )

    def when(
        self, id: str, metric: cloudwatch.IMetric, *, at_least: float, meaning: str, periods: int = 1
    ) -> cloudwatch.Alarm:
        """An alarm that rings when `metric` has been at `at_least` so many times in a row; silence is no alarm."""
        alarm = cloudwatch.Alarm(
            self,
            id,
            metric=metric,
            threshold=at_least,
            evaluation_periods=periods,
            comparison_operator=_AT_LEAST,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
            alarm_description=meaning,
        )
        alarm.add_alarm_action(actions.SnsAction(self._topic))
        return alarm
