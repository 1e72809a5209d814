"""What every HTTP API of ours shares: how a body is read, what an error looks like, how a route is described.

Knows no route. `http_api` has all of them, `keys_api` those of a function of its own.
"""

import base64
import json
import logging
from collections.abc import Callable
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, CORSConfig, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError
from aws_lambda_powertools.event_handler.openapi.models import HTTPBearer, OpenAPI, Server
from aws_lambda_powertools.event_handler.openapi.params import Header, Path

from parley import __version__
from parley.channels import http, openai, problems
from parley.errors import NoBot, ParleyError, Rejected

REFUSALS = {
    status: {"description": what, "content": {http.PROBLEM_JSON: {"model": http.Problem}}}
    for status, what in (
        (400, "The body is not JSON."),
        (401, "The API key or token is wrong, expired or revoked."),
        (403, "The conversation is somebody else's, or you may not do this."),
        (404, "There is no such bot, conversation or turn."),
        (413, "The body is too large."),
        (422, "The request is not of the documented form."),
        (429, "All that may be asked in a while has been asked."),
        (500, "Something broke on our side."),
        (503, "Try again a little later."),
    )
}

_ERRORS_OF_POWERTOOLS = ("HTTPValidationError", "ValidationError", "ResponseValidationError")
NOT_TAKEN = {415: {**REFUSALS[400], "description": "The bot does not take such a file."}}

# Told of as `_BEARER`: tools pass over a parameter of this name.
Authorization = Annotated[str | None, Header(alias="Authorization", include_in_schema=False)]
_BEARER = HTTPBearer(description="A conversation's token, who is signed in, an API key or the operator key.")
PathId = Annotated[http.Id, Path()]
PathTurnId = Annotated[http.TurnId, Path()]

logger = logging.getLogger(__name__)


class _App(APIGatewayHttpResolver):
    """An app whose OpenAPI document says nothing that does not happen."""

    def get_openapi_schema(self, **about: Any) -> OpenAPI:
        """The document, without what Powertools notes of errors by itself: ours look otherwise.

        OpenAI's clients are told 400 where others get 422.
        """
        document = super().get_openapi_schema(**about)
        for name in _ERRORS_OF_POWERTOOLS:
            if document.components and document.components.schemas:
                document.components.schemas.pop(name, None)
        for path, item in (document.paths or {}).items():
            if openai.is_ours(path):
                for operation in (item.get, item.post):
                    if operation is not None and operation.responses:
                        operation.responses.pop(422, None)
        return document


def new_app() -> APIGatewayHttpResolver:
    """An app without routes, whose errors look as they should."""
    app = _App(
        enable_validation=True,
        cors=CORSConfig(
            allow_origin="*",  # a token opens a conversation, never a cookie, so any page may ask
            allow_headers=["Authorization", "Content-Type", "Prefer"],
            expose_headers=["Location", "Retry-After"],
            max_age=3600,
        ),
    )
    app.configure_openapi(
        title="Parley",
        version=__version__,
        servers=[Server(url=".")],
        security_schemes={"bearer": _BEARER},
        security=[{"bearer": []}, {}],  # or nothing: many routes are for visitors too
    )
    _add_errors(app)
    return app


def resolve(app: APIGatewayHttpResolver, event: dict[str, Any], context: Any) -> dict[str, Any]:
    """API Gateway's response to API Gateway's event (payload format 2.0)."""
    try:
        http.check_query(event)
        read = event if http.is_file(event) else _with_json(event)
    except Rejected as error:
        return _refused(event, error)
    return app.resolve(read, context)


def answers(
    model: Any,
    *,
    status: int = 200,
    more: dict[int, Any] | None = None,
    refusals: dict[int, Any] | None = None,
    texts: tuple[str, ...] = (),
) -> dict[int, Any]:
    """The responses of a route, for the OpenAPI document; `texts` are media types in which it may be a text too."""
    good = {status: model, **(more or {})}
    as_text = {media_type: {"schema": {"type": "string"}} for media_type in texts}
    described = {
        code: {"description": "Done.", "content": ({"application/json": {"model": body}} if body else {}) | as_text}
        for code, body in good.items()
    }
    return {**described, **(REFUSALS if refusals is None else refusals)}


def json_response(status: int, body: Any, *, headers: dict[str, str] | None = None) -> Response[Any]:
    """A response with a JSON body."""
    return Response(status, "application/json", body, headers=headers)


def file_response(media_type: str, content: bytes, *, headers: dict[str, str]) -> Response[Any]:
    """A response with a file."""
    response: Response[Any] = Response(200, media_type, base64.b64encode(content).decode(), headers=headers)
    response.base64_encoded = True  # by hand: on its way through the validation, pydantic would read bytes as UTF-8
    return response


def _add_errors(app: APIGatewayHttpResolver) -> None:
    def failed(error: ParleyError) -> Response[Any]:
        if not isinstance(error, Rejected):
            logger.error("request failed", exc_info=error)
        return _told(app, problems.told(error), param="model" if isinstance(error, NoBot) else None)

    def broken(error: Exception) -> Response[Any]:
        logger.error("request failed", exc_info=error)
        return _told(app, problems.told(error))

    def invalid(error: RequestValidationError) -> Response[Any]:
        found = list(error.errors())
        return _told(app, problems.problem(422, http.explain_validation(found)), param=openai.param_of(found))

    def unknown_route(_: NotFoundError) -> Response[Any]:
        return _told(app, problems.problem(404, "there is no such route; /openapi.json lists them"))

    handlers: dict[type[Exception], Callable[[Any], Response[Any]]] = {
        ParleyError: failed,
        RequestValidationError: invalid,
        NotFoundError: unknown_route,
        Exception: broken,
    }
    for kind, handler in handlers.items():
        app.exception_handler(kind)(handler)


def _told(app: APIGatewayHttpResolver, problem: dict[str, Any], *, param: str | None = None) -> Response[Any]:
    """An error as the route's own clients expect it."""
    if not openai.is_ours(app.current_event.path):
        wait = problem.get("retry_after_seconds")
        headers = {} if wait is None else {"Retry-After": str(wait)}
        return Response(problem["status"], http.PROBLEM_JSON, json.dumps(problem), headers=headers)
    status, body, headers = openai.render_error(problem, param=param)
    return Response(status, "application/json", json.dumps(body), headers=headers)


def _refused(event: dict[str, Any], error: Rejected) -> dict[str, Any]:
    """The response to a body that cannot be read, which no route has seen."""
    problem: dict[str, Any] = problems.told(error)
    status, body, more = problem["status"], problem, {"Content-Type": http.PROBLEM_JSON}
    if openai.is_ours(str(event.get("rawPath", ""))):
        status, body, more = openai.render_error(problem)
        more = {**more, "Content-Type": "application/json"}
    return {"statusCode": status, "headers": {**more, "Access-Control-Allow-Origin": "*"}, "body": json.dumps(body)}


def _with_json(event: dict[str, Any]) -> dict[str, Any]:
    """The event with its body as JSON. Raises: TooLarge; MalformedRequest: it is none."""
    takes_images = event.get("rawPath") == openai.COMPLETIONS_PATH
    return _as_json(event, http.read_body(event, size=openai.size_without_images if takes_images else len))


def _as_json(event: dict[str, Any], body: str | None) -> dict[str, Any]:
    """The event with its body declared as JSON: we read nothing else, and `curl -d` declares a form."""
    told = (event.get("headers") or {}).items()
    headers = {name: value for name, value in told if name.lower() != "content-type"}
    headers["content-type"] = "application/json"
    return {**event, "headers": headers, "body": body, "isBase64Encoded": False}
