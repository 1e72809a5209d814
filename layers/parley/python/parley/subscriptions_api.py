"""The routes of subscriptions, and the API of the function that has them: it alone may change subscriptions."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.openapi.params import Path, Query

from parley.channels import subscriptions as shapes
from parley.http_app import Authorization, answers, new_app, resolve
from parley.subscriptions_door import SubscriptionsDoor

SubscriptionId = Annotated[str, Path(pattern=r"^[0-9a-f]{16}$")]
_ROOT = "/v1/subscriptions"
_ONE = f"{_ROOT}/<subscription_id>"


class SubscriptionsApi:
    """The part of the HTTP API that changes subscriptions."""

    def __init__(self, door: SubscriptionsDoor) -> None:
        self._app = new_app()
        add_routes(self._app, lambda: door)

    def __call__(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        """API Gateway's response to API Gateway's event (payload format 2.0)."""
        return resolve(self._app, event, context)


def add_routes(app: APIGatewayHttpResolver, door: Callable[[], SubscriptionsDoor]) -> None:
    """Adds the routes, each of which is for operators."""
    _add_keeping(app, door)
    _add_delivering(app, door)


def _add_keeping(app: APIGatewayHttpResolver, door: Callable[[], SubscriptionsDoor]) -> None:
    tags = ["Subscriptions"]

    @app.post(
        _ROOT, summary="Subscribe to what happens", tags=tags, responses=answers(shapes.SubscriptionBody, status=201)
    )
    def create(request: shapes.NewSubscription, authorization: Authorization = None) -> Response[Any]:
        return door().create(request, authorization)

    @app.get(_ROOT, summary="Who is told", tags=tags, responses=answers(shapes.SubscriptionsBody))
    def list_all(authorization: Authorization = None) -> Response[Any]:
        return door().list(authorization)

    @app.get(_ONE, summary="How it goes", tags=tags, responses=answers(shapes.SubscriptionWithStateBody))
    def show(subscription_id: SubscriptionId, authorization: Authorization = None) -> Response[Any]:
        return door().show(subscription_id, authorization)

    @app.patch(_ONE, summary="Change what is told, or where", tags=tags, responses=answers(shapes.SubscriptionBody))
    def change(
        subscription_id: SubscriptionId, request: shapes.SubscriptionChange, authorization: Authorization = None
    ) -> Response[Any]:
        return door().change(subscription_id, request, authorization)

    @app.delete(_ONE, summary="Unsubscribe", tags=tags, responses=answers(None, status=204))
    def delete(subscription_id: SubscriptionId, authorization: Authorization = None) -> Response[Any]:
        return door().delete(subscription_id, authorization)

    @app.post(
        f"{_ONE}/rotate",
        summary="Give it a new secret",
        tags=tags,
        responses=answers(shapes.SubscriptionBody),
    )
    def rotate(
        subscription_id: SubscriptionId, request: shapes.SecretRotation, authorization: Authorization = None
    ) -> Response[Any]:
        return door().rotate(subscription_id, request, authorization)


def _add_delivering(app: APIGatewayHttpResolver, door: Callable[[], SubscriptionsDoor]) -> None:
    tags = ["Subscriptions"]

    @app.post(
        f"{_ONE}/enable",
        summary="Try it again",
        tags=tags,
        responses=answers(shapes.SubscriptionWithStateBody),
    )
    def enable(subscription_id: SubscriptionId, authorization: Authorization = None) -> Response[Any]:
        return door().enable(subscription_id, authorization)

    @app.post(f"{_ONE}/test", summary="Send a ping now", tags=tags, responses=answers(shapes.TestBody))
    def test(subscription_id: SubscriptionId, authorization: Authorization = None) -> Response[Any]:
        return door().test(subscription_id, authorization)

    @app.get(
        f"{_ONE}/deliveries",
        summary="What could not be delivered",
        tags=tags,
        responses=answers(shapes.DeadOnesBody),
    )
    def dead(
        subscription_id: SubscriptionId,
        authorization: Authorization = None,
        status: Annotated[Literal["dead"], Query()] = "dead",
    ) -> Response[Any]:
        del status  # there is no other yet
        return door().dead(subscription_id, authorization)

    @app.post(
        f"{_ONE}/replay",
        summary="Send again what could not be delivered",
        tags=tags,
        responses=answers(shapes.ReplayedBody, status=202),
    )
    def replay(
        subscription_id: SubscriptionId, request: shapes.Replay, authorization: Authorization = None
    ) -> Response[Any]:
        return door().replay(subscription_id, request, authorization)
