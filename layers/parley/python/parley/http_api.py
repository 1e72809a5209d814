"""The HTTP API: paths, methods, the contract of each, and what an error looks like.

`HttpApi` is called with API Gateway's event and gives API Gateway's response. What a
route does is `http_door`'s.
"""

import json
import logging
import uuid
from typing import Annotated, Any
from urllib.parse import unquote

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, CORSConfig, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError
from aws_lambda_powertools.event_handler.openapi.models import Server
from aws_lambda_powertools.event_handler.openapi.params import Header, Path, Query

from parley import __version__
from parley.channels import http, problems, rasa
from parley.errors import ParleyError, Rejected
from parley.http_door import HttpDoor
from parley.knowledge_door import KnowledgeDoor
from parley.rasa_door import RasaDoor

HISTORY_PAGE = 50
MAX_TURNS = 999_999  # of a conversation; the sort keys of DynamoDB have six digits

_REFUSALS = {
    status: {"description": what, "content": {http.PROBLEM_JSON: {"model": http.Problem}}}
    for status, what in (
        (400, "The body is not JSON."),
        (403, "The conversation's token is missing or wrong."),
        (404, "There is no such bot, conversation or turn."),
        (413, "The body is too large."),
        (422, "The request is not of the documented form."),
        (500, "Something broke on our side."),
        (503, "Try again a little later."),
    )
}

logger = logging.getLogger(__name__)

Authorization = Annotated[str | None, Header(alias="Authorization")]
Prefer = Annotated[str | None, Header(alias="Prefer")]
PathId = Annotated[http.Id, Path()]


class HttpApi:
    """The HTTP API of a deployment."""

    def __init__(self, door: HttpDoor, rasa_door: RasaDoor, knowledge_door: KnowledgeDoor) -> None:
        self._app = APIGatewayHttpResolver(
            enable_validation=True,
            cors=CORSConfig(
                allow_origin="*",  # a token opens a conversation, never a cookie, so any page may ask
                allow_headers=["Authorization", "Content-Type", "Prefer"],
                expose_headers=["Location"],
                max_age=3600,
            ),
        )
        self._app.configure_openapi(title="Parley", version=__version__, servers=[Server(url=".")])
        self._app.enable_swagger(path="/docs")
        _add_routes(self._app, door)
        _add_knowledge_routes(self._app, knowledge_door)
        _add_rasas_routes(self._app, rasa_door)
        _add_errors(self._app)

    def __call__(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        """API Gateway's response to API Gateway's event (payload format 2.0)."""
        if http.is_document(event):
            return self._app.resolve(event, context)
        try:
            body = http.read_body(event)
        except Rejected as error:
            return _refused(problems.status_of(error), str(error))
        return self._app.resolve(_as_json(event, body), context)


def _add_routes(app: APIGatewayHttpResolver, door: HttpDoor) -> None:
    @app.post("/v1/chat", summary="Say something", responses=_answers(http.ChatReply, more={202: http.Accepted}))
    def chat(
        request: http.ChatRequest,
        authorization: Authorization = None,
        prefer: Prefer = None,
    ) -> Response[Any]:
        return door.chat(request, authorization, prefer)

    @app.post("/v1/understand", summary="Understand an utterance", responses=_answers(http.FullUnderstandingBody))
    def understand(request: http.UnderstandRequest) -> Response[Any]:
        return door.understand(request)

    @app.get("/v1/conversations/<conversation_id>", summary="Read it back", responses=_answers(http.HistoryBody))
    def history(
        conversation_id: PathId,
        authorization: Authorization = None,
        limit: Annotated[int, Query(ge=1, le=HISTORY_PAGE)] = HISTORY_PAGE,
        before: Annotated[int | None, Query(ge=1, le=MAX_TURNS)] = None,
    ) -> Response[Any]:
        return door.history(conversation_id, authorization, limit, before)

    @app.delete("/v1/conversations/<conversation_id>", summary="Erase it", responses=_answers(None, status=204))
    def erase(conversation_id: PathId, authorization: Authorization = None) -> Response[Any]:
        return door.erase(conversation_id, authorization)

    @app.get(
        "/v1/conversations/<conversation_id>/turns/<turn_id>",
        summary="How far a message has come",
        responses=_answers(http.TurnStatusBody),
    )
    def progress(
        conversation_id: PathId,
        turn_id: PathId,
        authorization: Authorization = None,
    ) -> Response[Any]:
        return door.progress(conversation_id, turn_id, authorization)

    @app.post(
        "/v1/conversations/<conversation_id>/turns/<turn_id>/wait",
        summary="Wait for an answer that could not be generated",
        responses=_answers(http.Accepted, status=202),
    )
    def wait(conversation_id: PathId, turn_id: PathId, authorization: Authorization = None) -> Response[Any]:
        return door.wait(conversation_id, turn_id, authorization)

    @app.post(
        "/v1/conversations/<conversation_id>/person",
        summary="Say something as the person who has taken it over",
        responses=_answers(http.TurnBody, status=201),
    )
    def write(
        conversation_id: PathId, request: http.PersonMessage, authorization: Authorization = None
    ) -> Response[Any]:
        return door.write(conversation_id, request.message, authorization)

    @app.post(
        "/v1/conversations/<conversation_id>/handback",
        summary="Give it back to the bot",
        responses=_answers(http.TurnBody),
    )
    def hand_back(conversation_id: PathId, authorization: Authorization = None) -> Response[Any]:
        return door.hand_back(conversation_id, authorization)

    @app.get("/v1/health", summary="Is it up")
    def health(bot: Annotated[http.Id | None, Query()] = None) -> Response[Any]:
        return door.health(bot)

    @app.get("/openapi.json", include_in_schema=False)
    def openapi() -> Response[Any]:
        return Response(200, "application/json", app.get_openapi_json_schema())


def _add_knowledge_routes(app: APIGatewayHttpResolver, door: KnowledgeDoor) -> None:
    """A document's name may have folders, whose slashes are sent as %2F."""

    @app.put(
        "/v1/knowledge/<bot>/<name>", summary="Put a document in", responses=_answers(http.DocumentAccepted, status=202)
    )
    def put(bot: PathId, name: str, authorization: Authorization = None) -> Response[Any]:
        content = http.read_document_body(app.current_event.raw_event)
        return door.put(bot, unquote(name), content, authorization)

    @app.delete(
        "/v1/knowledge/<bot>/<name>",
        summary="Take a document away",
        responses=_answers(http.DocumentAccepted, status=202),
    )
    def delete(bot: PathId, name: str, authorization: Authorization = None) -> Response[Any]:
        return door.delete(bot, unquote(name), authorization)

    @app.get("/v1/knowledge/<bot>", summary="What became of the documents", responses=_answers(http.DocumentsBody))
    def documents(bot: PathId, authorization: Authorization = None) -> Response[Any]:
        return door.list(bot, authorization)

    @app.get("/v1/knowledge/<bot>/<name>", summary="Read what an answer was taken from")
    def read(bot: PathId, name: str) -> Response[Any]:
        return door.read(bot, unquote(name))


def _add_rasas_routes(app: APIGatewayHttpResolver, door: RasaDoor) -> None:
    """What clients of Rasa expect; 404 for a bot that has not switched it on."""

    @app.post("/webhooks/rest/webhook", summary="Rasa's REST channel", tags=["Rasa"])
    def webhook(request: rasa.RestMessage) -> Response[Any]:
        return door.webhook(request, uuid.uuid4().hex)

    @app.post("/model/parse", summary="Rasa's parse data of an utterance", tags=["Rasa"])
    def parse(request: rasa.ParseRequest) -> Response[Any]:
        return door.parse(request)

    @app.get("/conversations/<sender>/tracker", summary="Rasa's tracker of a sender", tags=["Rasa"])
    def tracker(
        sender: Annotated[str, Path(max_length=rasa.LONGEST_SENDER)],
        authorization: Authorization = None,
        token: Annotated[str | None, Query(description="The operator key.")] = None,
    ) -> Response[Any]:
        return door.tracker(unquote(sender), authorization, token)

    @app.get("/status", summary="Which bot it is", tags=["Rasa"])
    def status() -> Response[Any]:
        return door.status()

    @app.get("/version", summary="Whose protocol this is", tags=["Rasa"])
    def version() -> Response[Any]:
        return door.version()


def _add_errors(app: APIGatewayHttpResolver) -> None:
    def failed(error: ParleyError) -> Response[Any]:
        if not isinstance(error, Rejected):
            logger.error("request failed", exc_info=error)
        return _problem_response(problems.told(error))

    def broken(error: Exception) -> Response[Any]:
        logger.error("request failed", exc_info=error)
        return _problem_response(problems.told(error))

    def invalid(error: RequestValidationError) -> Response[Any]:
        return _problem_response(problems.problem(422, http.explain_validation(list(error.errors()))))

    def unknown_route(_: NotFoundError) -> Response[Any]:
        return _problem_response(problems.problem(404, "there is no such route; /openapi.json lists them"))

    handlers = {
        ParleyError: failed,
        RequestValidationError: invalid,
        NotFoundError: unknown_route,
        Exception: broken,
    }
    for kind, handler in handlers.items():
        app.exception_handler(kind)(handler)


def _answers(model: Any, *, status: int = 200, more: dict[int, Any] | None = None) -> dict[int, Any]:
    """The responses of a route, for the OpenAPI document."""
    good = {status: model, **(more or {})}
    described = {
        code: {"description": "Done.", "content": {"application/json": {"model": body}} if body else {}}
        for code, body in good.items()
    }
    return {**described, **_REFUSALS}


def _as_json(event: dict[str, Any], body: str | None) -> dict[str, Any]:
    """The event with its body declared as JSON: we read nothing else, and `curl -d` declares a form."""
    headers = {**(event.get("headers") or {}), "content-type": "application/json"}
    return {**event, "headers": headers, "body": body, "isBase64Encoded": False}


def _problem_response(problem: dict[str, Any]) -> Response[Any]:
    return Response(problem["status"], http.PROBLEM_JSON, json.dumps(problem))


def _refused(status: int, detail: str) -> dict[str, Any]:
    headers = {"Content-Type": http.PROBLEM_JSON, "Access-Control-Allow-Origin": "*"}
    return {"statusCode": status, "headers": headers, "body": json.dumps(problems.problem(status, detail))}
