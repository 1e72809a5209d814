"""The HTTP API: paths, methods, and the contract of each.

`HttpApi` is called with API Gateway's event and gives API Gateway's response. What a
route does is the doors'; what all routes share is `http_app`'s.
"""

import uuid
from typing import Annotated, Any, NoReturn
from urllib.parse import unquote

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.openapi.params import Header, Path, Query

from parley import keys_api, openai_api, subscriptions_api
from parley.channels import http, origins, rasa
from parley.channels.openai import LONGEST_NAME, LONGEST_USER
from parley.errors import NotFound
from parley.files import ENDINGS
from parley.http_app import NOT_TAKEN, REFUSALS, Authorization, PathId, PathTurnId, answers, new_app, resolve
from parley.http_door import HttpDoor
from parley.keys_door import KeysDoor
from parley.knowledge_door import KnowledgeDoor
from parley.openai_door import OpenAiDoor
from parley.rasa_door import RasaDoor
from parley.webhook_door import WebhookDoor

HISTORY_PAGE = 50
MAX_TURNS = 999_999  # of a conversation; the sort keys of DynamoDB have six digits

_OF_WEBHOOKS = (
    "JSON of whatever form the bot's author has described in `webhooks:`, signed as described there. Answers with the "
    "author's reply, with 202 where it is called back, and with `ignored` where the author wants to hear nothing of it."
)

ContentType = Annotated[str, Header(alias="Content-Type")]
Prefer = Annotated[str | None, Header(alias="Prefer")]


class HttpApi:
    """The HTTP API of a deployment."""

    def __init__(
        self,
        door: HttpDoor,
        rasa_door: RasaDoor,
        knowledge_door: KnowledgeDoor,
        *,
        openai_door: OpenAiDoor | None = None,  # None: without its routes
        keys_door: KeysDoor | None = None,
        webhook_door: WebhookDoor | None = None,
    ) -> None:
        self._app = new_app()
        self._app.enable_swagger(path="/docs")
        _add_routes(self._app, door)
        _add_knowledge_routes(self._app, knowledge_door)
        _add_rasas_routes(self._app, rasa_door)
        if openai_door:
            openai_api.add_routes(self._app, openai_door)
        if keys_door:
            keys_api.add_routes(self._app, keys_door)
        if webhook_door:
            _add_webhook_route(self._app, webhook_door)
        subscriptions_api.add_routes(self._app, _elsewhere)  # told of here, answered by `subscriptions`

    def __call__(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        """API Gateway's response to API Gateway's event (payload format 2.0)."""
        return resolve(self._app, event, context)


def _add_routes(app: APIGatewayHttpResolver, door: HttpDoor) -> None:
    @app.post("/v1/chat", summary="Say something", responses=answers(http.ChatReply, more={202: http.Accepted}))
    def chat(
        request: http.ChatRequest,
        authorization: Authorization = None,
        prefer: Prefer = None,
    ) -> Response[Any]:
        return door.chat(request, authorization, prefer, origins.page_of(app.current_event.headers))

    @app.post("/v1/understand", summary="Understand an utterance", responses=answers(http.FullUnderstandingBody))
    def understand(request: http.UnderstandRequest, authorization: Authorization = None) -> Response[Any]:
        return door.understand(request, authorization)

    @app.get("/v1/conversations", summary="List a user's conversations", responses=answers(http.ConversationsBody))
    def conversations(
        authorization: Authorization = None,
        user_id: Annotated[str | None, Query(min_length=1, max_length=LONGEST_USER)] = None,
        limit: Annotated[int, Query(ge=1, le=HISTORY_PAGE)] = HISTORY_PAGE,
        before: Annotated[float | None, Query(ge=0, allow_inf_nan=False)] = None,
    ) -> Response[Any]:
        return door.conversations(user_id, authorization, limit, before)

    @app.post("/v1/conversations", summary="Begin one without a message", responses=answers(http.BegunBody, status=201))
    def begin(request: http.BeginRequest, authorization: Authorization = None) -> Response[Any]:
        return door.begin(request, authorization, origins.page_of(app.current_event.headers))

    @app.delete("/v1/conversations", summary="Erase a user's conversations", responses=answers(http.ErasedBody))
    def erase_all(
        authorization: Authorization = None,
        user_id: Annotated[str | None, Query(min_length=1, max_length=LONGEST_USER)] = None,
    ) -> Response[Any]:
        return door.erase_all(user_id, authorization)

    @app.get("/v1/conversations/<conversation_id>", summary="Read it back", responses=answers(http.HistoryBody))
    def history(
        conversation_id: PathId,
        authorization: Authorization = None,
        limit: Annotated[int, Query(ge=1, le=HISTORY_PAGE)] = HISTORY_PAGE,
        before: Annotated[int | None, Query(ge=1, le=MAX_TURNS)] = None,
    ) -> Response[Any]:
        return door.history(conversation_id, authorization, limit, before)

    @app.delete("/v1/conversations/<conversation_id>", summary="Erase it", responses=answers(None, status=204))
    def erase(conversation_id: PathId, authorization: Authorization = None) -> Response[Any]:
        return door.erase(conversation_id, authorization)

    @app.get(
        "/v1/conversations/<conversation_id>/turns/<turn_id>",
        summary="How far a message has come",
        responses=answers(http.TurnStatusBody),
    )
    def progress(
        conversation_id: PathId,
        turn_id: PathTurnId,
        authorization: Authorization = None,
    ) -> Response[Any]:
        return door.progress(conversation_id, turn_id, authorization)

    @app.post(
        "/v1/conversations/<conversation_id>/turns/<turn_id>/wait",
        summary="Wait for an answer that could not be generated",
        responses=answers(http.Accepted, status=202),
    )
    def wait(conversation_id: PathId, turn_id: PathTurnId, authorization: Authorization = None) -> Response[Any]:
        return door.wait(conversation_id, turn_id, authorization)

    @app.post(
        "/v1/conversations/<conversation_id>/turns/<turn_id>/feedback",
        summary="Say what you think of a reply",
        responses=answers(None, status=204),
    )
    def rate(
        conversation_id: PathId,
        turn_id: PathTurnId,
        request: http.FeedbackRequest,
        authorization: Authorization = None,
    ) -> Response[Any]:
        return door.rate(conversation_id, turn_id, request, authorization)

    @app.post(
        "/v1/conversations/<conversation_id>/uploads",
        summary="Send a file into it",
        description="The body is the file. A message names it afterwards.",
        responses=answers(http.UploadedBody, status=201, refusals={**REFUSALS, **NOT_TAKEN}),
        openapi_extensions=http.DOCUMENT_AS_BODY,
    )
    def upload(
        conversation_id: PathId,
        authorization: Authorization = None,
        name: Annotated[str, Query(max_length=LONGEST_NAME)] = "",
        content_type: ContentType = "",
    ) -> Response[Any]:
        content = http.read_file(app.current_event.raw_event)
        page = origins.page_of(app.current_event.headers)
        return door.upload(conversation_id, name, content_type, content, authorization, page)

    @app.get(
        "/v1/conversations/<conversation_id>/uploads/<upload_id>",
        summary="Get a file back",
        responses=answers(None, texts=tuple(ENDINGS)),
    )
    def uploaded(conversation_id: PathId, upload_id: PathId, authorization: Authorization = None) -> Response[Any]:
        return door.uploaded(conversation_id, upload_id, authorization)

    @app.post(
        "/v1/conversations/<conversation_id>/person",
        summary="Say something as the person who has taken it over",
        responses=answers(http.TurnBody, status=201),
    )
    def write(
        conversation_id: PathId, request: http.PersonMessage, authorization: Authorization = None
    ) -> Response[Any]:
        return door.write(conversation_id, request.message, authorization)

    @app.post(
        "/v1/conversations/<conversation_id>/handback",
        summary="Give it back to the bot",
        responses=answers(http.TurnBody),
    )
    def hand_back(conversation_id: PathId, authorization: Authorization = None) -> Response[Any]:
        return door.hand_back(conversation_id, authorization)

    @app.get("/v1/health", summary="Is it up", responses=answers(http.HealthBody))
    def health(bot: Annotated[http.Id | None, Query()] = None, authorization: Authorization = None) -> Response[Any]:
        return door.health(bot, authorization)

    @app.get("/openapi.json", include_in_schema=False)
    def openapi() -> Response[Any]:
        return Response(200, "application/json", app.get_openapi_json_schema())


def _add_webhook_route(app: APIGatewayHttpResolver, door: WebhookDoor) -> None:
    @app.post(
        "/v1/webhooks/<name>",
        summary="What another server has to say",
        description=_OF_WEBHOOKS,
        responses=answers(dict[str, Any], more={202: http.WebhookTaken}),
    )
    def receive(name: PathId, bot: Annotated[http.Id | None, Query()] = None) -> Response[Any]:
        event = app.current_event
        return door.receive(bot, name, event.raw_event.get("body") or "", event.headers)


def _elsewhere() -> NoReturn:
    raise NotFound("this route is answered by a function of its own")


def _add_knowledge_routes(app: APIGatewayHttpResolver, door: KnowledgeDoor) -> None:
    """A document's name may have folders, whose slashes are sent as %2F."""

    @app.put(
        "/v1/knowledge/<bot>/<name>",
        summary="Put a document in",
        responses=answers(http.DocumentAccepted, status=202),
        openapi_extensions=http.DOCUMENT_AS_BODY,
    )
    def put(bot: PathId, name: str, authorization: Authorization = None) -> Response[Any]:
        content = http.read_file(app.current_event.raw_event)
        return door.put(bot, unquote(name), content, authorization)

    @app.delete(
        "/v1/knowledge/<bot>/<name>",
        summary="Take a document away",
        responses=answers(http.DocumentAccepted, status=202),
    )
    def delete(bot: PathId, name: str, authorization: Authorization = None) -> Response[Any]:
        return door.delete(bot, unquote(name), authorization)

    @app.get("/v1/knowledge/<bot>", summary="What became of the documents", responses=answers(http.DocumentsBody))
    def documents(bot: PathId, authorization: Authorization = None) -> Response[Any]:
        return door.list(bot, authorization)

    @app.get(
        "/v1/knowledge/<bot>/<name>",
        summary="Read what an answer was taken from",
        responses=answers(None, texts=("text/html",)),
    )
    def read(bot: PathId, name: str, authorization: Authorization = None) -> Response[Any]:
        return door.read(bot, unquote(name), authorization)


def _add_rasas_routes(app: APIGatewayHttpResolver, door: RasaDoor) -> None:
    """What clients of Rasa expect; 404 for a bot that has not switched it on."""

    @app.post(
        "/webhooks/rest/webhook", summary="Rasa's REST channel", tags=["Rasa"], responses=answers(list[rasa.BubbleBody])
    )
    def webhook(request: rasa.RestMessage) -> Response[Any]:
        return door.webhook(request, uuid.uuid4().hex, origins.page_of(app.current_event.headers))

    @app.post(
        "/model/parse",
        summary="Rasa's parse data of an utterance",
        tags=["Rasa"],
        responses=answers(rasa.ParseBody),
    )
    def parse(request: rasa.ParseRequest) -> Response[Any]:
        return door.parse(request)

    @app.get(
        "/conversations/<sender>/tracker",
        summary="Rasa's tracker of a sender",
        tags=["Rasa"],
        responses=answers(rasa.TrackerBody),
    )
    def tracker(
        sender: Annotated[str, Path(max_length=rasa.LONGEST_SENDER)],
        authorization: Authorization = None,
        token: Annotated[str | None, Query(description="The operator key.")] = None,
    ) -> Response[Any]:
        return door.tracker(unquote(sender), authorization, token)

    @app.get("/status", summary="Which bot it is", tags=["Rasa"], responses=answers(rasa.StatusBody))
    def status() -> Response[Any]:
        return door.status()

    @app.get("/version", summary="Whose protocol this is", tags=["Rasa"], responses=answers(rasa.VersionBody))
    def version() -> Response[Any]:
        return door.version()
