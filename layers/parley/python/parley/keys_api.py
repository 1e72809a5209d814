"""The routes of API keys, and the API of the function that has them: it alone may change keys."""

from typing import Annotated, Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.openapi.params import Path

from parley.channels import keys
from parley.http_app import Authorization, answers, new_app, resolve
from parley.keys_door import KeysDoor

KeyId = Annotated[str, Path(pattern=r"^[0-9a-f]{16}$")]


class KeysApi:
    """The part of the HTTP API that changes API keys."""

    def __init__(self, door: KeysDoor) -> None:
        self._app = new_app()
        add_routes(self._app, door)

    def __call__(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        """API Gateway's response to API Gateway's event (payload format 2.0)."""
        return resolve(self._app, event, context)


def add_routes(app: APIGatewayHttpResolver, door: KeysDoor) -> None:
    """Adds the routes, each of which is for operators."""

    @app.post("/v1/keys", summary="Make an API key", tags=["Keys"], responses=answers(keys.KeyBody, status=201))
    def create(request: keys.NewKey, authorization: Authorization = None) -> Response[Any]:
        return door.create(request, authorization)

    @app.get("/v1/keys", summary="What keys there are", tags=["Keys"], responses=answers(keys.KeysBody))
    def list_all(authorization: Authorization = None) -> Response[Any]:
        return door.list(authorization)

    @app.post(
        "/v1/keys/<key_id>/rotate",
        summary="Give a key a new secret, or end the one before",
        tags=["Keys"],
        responses=answers(keys.KeyBody),
    )
    def rotate(key_id: KeyId, request: keys.Rotation, authorization: Authorization = None) -> Response[Any]:
        return door.rotate(key_id, request, authorization)

    @app.delete("/v1/keys/<key_id>", summary="Revoke a key", tags=["Keys"], responses=answers(None, status=204))
    def revoke(key_id: KeyId, authorization: Authorization = None) -> Response[Any]:
        return door.revoke(key_id, authorization)
