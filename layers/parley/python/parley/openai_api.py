"""The routes of OpenAI's API."""

from typing import Annotated, Any
from urllib.parse import unquote

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.openapi.params import Header

from parley.channels import openai
from parley.http_app import Authorization, answers
from parley.openai_door import OpenAiDoor

RESPONSE = "response"  # in the app's context: a `ports.ResponseStream`, where the function has one
IdempotencyKey = Annotated[str | None, Header(alias="Idempotency-Key", min_length=1, max_length=255)]


def add_routes(app: APIGatewayHttpResolver, door: OpenAiDoor) -> None:
    """Adds the routes, each of which is for bearers of an API key."""
    refusals = openai.REFUSALS

    @app.post(
        openai.COMPLETIONS_PATH,
        summary="A chat completion",
        tags=["OpenAI"],
        responses=answers(openai.Completion, refusals=refusals, texts=("text/event-stream",)),
    )
    def complete(
        request: openai.CompletionRequest,
        authorization: Authorization = None,
        idempotency_key: IdempotencyKey = None,
    ) -> Response[Any]:
        return door.complete(request, authorization, idempotency_key, app.context.get(RESPONSE))

    @app.get(
        openai.MODELS_PATH,
        summary="The bots that the key opens",
        tags=["OpenAI"],
        responses=answers(openai.ModelsBody, refusals=refusals),
    )
    def models(authorization: Authorization = None) -> Response[Any]:
        return door.models(authorization)

    @app.get(
        f"{openai.MODELS_PATH}/<name>",
        summary="One of them",
        tags=["OpenAI"],
        responses=answers(openai.ModelBody, refusals=refusals),
    )
    def model(name: str, authorization: Authorization = None) -> Response[Any]:
        return door.model(unquote(name), authorization)
