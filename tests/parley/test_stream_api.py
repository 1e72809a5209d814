"""OpenAI's routes, streamed: its own client reads a function URL whose runtime is ours, on loopback.

The generator says what a test gives it, when the test gives it: what a client has by then has left before the end.
"""

import itertools
import json
import queue
import re
import threading
import time
from collections.abc import Callable, Iterator
from collections.abc import Generator as Yields
from contextlib import ExitStack, suppress
from dataclasses import replace
from typing import Any

import openai
import pytest

from parley.access import OWN_TENANT, Access
from parley.adapters.lambda_runtime import serve
from parley.adapters.memory import MemoryConversations, MemoryKeys
from parley.callers import Callers
from parley.channels import api_key
from parley.errors import GenerationFailed, SessionConflict, Unavailable
from parley.loaded import LoadedBot
from parley.openai_door import OpenAiDoor
from parley.ports import Patience, Prompt
from parley.services import Services
from parley.stream_api import StreamApi
from tests.contracts.loopback_lambda import WITHIN_SECONDS, LoopbackLambda
from tests.parley.test_turn import ruled_by
from tests.stack.person import ask

SMALL_TALK = "how are you today?"  # which the generator answers
QUESTION = "how long do I have to return something?"
ONCE = {"Idempotency-Key": "once"}


class Dictated:
    """`ports.Generator` that says what a test dictates, piece by piece."""

    model = "dictated"

    def __init__(self) -> None:
        self.prompts: list[Prompt] = []
        self._coming: queue.Queue[str | Exception | None] = queue.Queue()

    def says(self, *pieces: str) -> None:
        for piece in pieces:
            self._coming.put(piece)

    def ends(self) -> None:
        self._coming.put(None)

    def breaks(self) -> None:
        self._coming.put(GenerationFailed("broke off"))

    def stream(self, prompt: Prompt, *, patience: Patience) -> Yields[str]:
        self.prompts.append(prompt)
        while (piece := self._coming.get(timeout=WITHIN_SECONDS)) is not None:
            if isinstance(piece, Exception):
                raise piece
            yield piece


class Deployed:
    """A function with a URL, and somebody's server that has a key."""

    def __init__(self, services: Services, generator: Dictated, stack: ExitStack, *, cuts_off: bool = False) -> None:
        self.services, self.generator, self.stack = services, generator, stack
        self.keys = MemoryKeys()
        key, self.key = api_key.new_key("a server", ["chat"], [], tenant=OWN_TENANT, now=0.0, expires_at=None)
        self.keys.save(key)
        callers = Callers({bot: Access() for bot in ("support", "tutor")}, services.clock, keys=self.keys)
        api = StreamApi(OpenAiDoor(services, callers))
        self.lambda_ = stack.enter_context(LoopbackLambda(cuts_off=cuts_off))

        def run() -> None:
            with suppress(RuntimeError, OSError):  # at the end of the test there is no next event
                serve(self.lambda_.runtime_api, api)

        threading.Thread(target=run, daemon=True).start()
        self.client = self.connect(self.key)

    def connect(self, key: str) -> openai.OpenAI:
        client = openai.OpenAI(base_url=f"{self.lambda_.url}/v1", api_key=key, max_retries=0, timeout=WITHIN_SECONDS)
        self.stack.callback(client.close)
        return client

    def stream(self, text: str, **more: Any) -> Iterator[Any]:
        """The chunks of a reply, as they come."""
        messages: Any = [{"role": "user", "content": text}]
        stream: Any = self.client.chat.completions.create(model="support", messages=messages, stream=True, **more)
        self.stack.callback(stream.close)
        return iter(stream)

    def deltas(self, text: str, **more: Any) -> Iterator[str]:
        """What the reply's text goes on with, as it comes."""
        for chunk in self.stream(text, **more):
            if chunk.choices and chunk.choices[0].delta.content:
                yield chunk.choices[0].delta.content

    def whole(self, text: str, **more: Any) -> Any:
        """The reply as one text, not streamed."""
        messages: Any = [{"role": "user", "content": text}]
        return self.client.chat.completions.create(model="support", messages=messages, **more)

    def recorded(self) -> list[Any]:
        """The replies that were kept, of conversations that somebody had."""
        assert isinstance(self.services.conversations, MemoryConversations)
        return [turn.reply for kept in self.services.conversations._stored.values() for turn in kept.turns]


Deploy = Callable[..., Deployed]


@pytest.fixture
def deploy(make_services: Callable[..., Services]) -> Iterator[Deploy]:
    """Deploys the function."""
    with ExitStack() as stack:

        def build(*, cuts_off: bool = False, **changes: Any) -> Deployed:
            generator = Dictated()
            return Deployed(replace(make_services(generator), **changes), generator, stack, cuts_off=cuts_off)

        yield build


@pytest.fixture
def deployed(deploy: Deploy) -> Deployed:
    return deploy()


def test_each_word_leaves_before_the_generator_has_said_the_next_but_one(deployed: Deployed) -> None:
    said = "Very well, thank you. And you are welcome. So long, friend."
    first, *words = said.split(" ")
    deployed.generator.says(first)
    deltas = deployed.deltas(SMALL_TALK)

    for before, word in itertools.pairwise([first, *words]):
        deployed.generator.says(f" {word}")
        assert next(deltas).strip() == before
        assert not deployed.lambda_.last.is_over.is_set()

    deployed.generator.ends()
    assert [*deltas] == [" friend."]
    assert deployed.recorded()[0].messages[0].text == said


def test_a_stream_is_in_openais_form(deployed: Deployed) -> None:
    deployed.generator.says("Very well. ", "Thank you.")
    deployed.generator.ends()

    *told, last = deployed.stream(SMALL_TALK, stream_options={"include_usage": True})

    assert {each.object for each in (*told, last)} == {"chat.completion.chunk"}
    assert len({each.id for each in (*told, last)}) == 1
    assert (told[0].choices[0].delta.role, told[0].choices[0].delta.content) == ("assistant", "")
    assert [each.choices[0].finish_reason for each in told] == [None] * (len(told) - 1) + ["stop"]
    assert told[-1].parley["source"] == "generated"
    assert [each.usage for each in told] == [None] * len(told)
    assert last.choices == []
    count = deployed.services.window.count
    assert last.usage.completion_tokens == count("Very well. Thank you.")
    assert last.usage.prompt_tokens == sum(count(text) for _, text in deployed.generator.prompts[0].messages)


def test_on_the_wire_it_is_an_event_stream_that_ends_with_done(deployed: Deployed) -> None:
    body = {"model": "support", "messages": [{"role": "user", "content": "hello"}], "stream": True}
    url = f"{deployed.lambda_.url}/v1/chat/completions"

    answered = ask(url, method="POST", body=body, Authorization=f"Bearer {deployed.key}", Origin="https://x.example")

    assert answered.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert answered.body.endswith("data: [DONE]\n\n")
    assert not [name for name in answered.headers if name.lower().startswith("access-control")]
    sent = deployed.lambda_.last.headers
    assert sent["Lambda-Runtime-Function-Response-Mode"] == "streaming"
    assert sent["Content-Type"] == "application/vnd.awslambda.http-integration-response"


@pytest.mark.parametrize("text", ["hello", QUESTION, "where is my order?"])
def test_a_reply_that_is_not_generated_is_streamed_as_it_is_told(deployed: Deployed, text: str) -> None:
    streamed = "".join(deployed.deltas(text, extra_headers=ONCE))

    assert streamed == deployed.whole(text, extra_headers=ONCE).choices[0].message.content
    if text == "hello":
        assert "\n- " in streamed
    if text == QUESTION:
        assert "\n\nSources:\n[1] " in streamed


def test_a_cached_reply_is_streamed_as_it_was_told(deployed: Deployed) -> None:
    told = []
    for _ in range(3):
        deployed.generator.says("Very well. ", "Thank you.")
        deployed.generator.ends()
        told.append([*deployed.stream(SMALL_TALK)])

    sources = [each[-1].parley["source"] for each in told]
    texts = set(map(text_of, told))
    assert sources == ["generated", "generated", "cached"]
    assert texts == {"Very well. Thank you."}


def test_a_sentence_that_is_never_finished_is_kept_as_it_left_and_shared_with_nobody(deployed: Deployed) -> None:
    for _ in range(3):
        deployed.generator.says("Very well. ", "And then the ", "gardener said")
        deployed.generator.ends()

        *_, last = chunks = [*deployed.stream(SMALL_TALK)]

        assert text_of(chunks) == "Very well. And then the gardener said"
        assert last.parley["source"] == "generated"
    assert {reply.messages[0].text for reply in deployed.recorded()} == {"Very well. And then the gardener said"}


def test_who_does_not_stream_gets_whole_sentences(deployed: Deployed) -> None:
    deployed.generator.says("Very well. ", "And then the ", "gardener said")
    deployed.generator.ends()

    assert deployed.whole(SMALL_TALK).choices[0].message.content == "Very well."


def test_a_request_that_is_sent_twice_gets_the_same_stream(deployed: Deployed) -> None:
    deployed.generator.says("Very well. ", "Thank you.")
    deployed.generator.ends()

    first, again = ("".join(deployed.deltas(SMALL_TALK, extra_headers=ONCE)) for _ in range(2))

    assert first == again == "Very well. Thank you."
    assert len(deployed.generator.prompts) == 1
    with pytest.raises(openai.BadRequestError):
        deployed.stream("hello", extra_headers=ONCE)


def test_a_conversation_goes_on_by_its_name(deployed: Deployed) -> None:
    named = {"metadata": {"conversation_id": "order-1"}}

    asked = "".join(deployed.deltas("where is my order?", **named))
    told = "".join(deployed.deltas("WB-204518", **named))

    assert "WB-" in asked
    assert "WB-204518" in told


def test_a_conversation_goes_on_by_its_messages(deployed: Deployed) -> None:
    asked = "".join(deployed.deltas("where is my order?"))
    messages: Any = [
        {"role": "user", "content": "where is my order?"},
        {"role": "assistant", "content": asked},
        {"role": "user", "content": "WB-204518"},
    ]

    told = deployed.client.chat.completions.create(model="support", messages=messages)

    assert "WB-204518" in str(told.choices[0].message.content)


def test_the_models_and_whole_completions_are_served_too(deployed: Deployed) -> None:
    assert [model.id for model in deployed.client.models.list()] == ["support", "tutor"]
    assert deployed.client.models.retrieve("tutor").id == "tutor"
    assert deployed.whole("hello").usage.total_tokens > 0


def test_there_is_no_other_route(deployed: Deployed) -> None:
    bearer = {"Authorization": f"Bearer {deployed.key}"}

    for method, path in (("POST", "/v1/chat"), ("GET", "/v1/health"), ("GET", "/openapi.json"), ("GET", "/v1/keys")):
        assert ask(f"{deployed.lambda_.url}{path}", method=method, **bearer).status == 404


def test_errors_before_the_first_byte_have_their_status_and_openais_shape(deployed: Deployed) -> None:
    with pytest.raises(openai.AuthenticationError) as refused:
        deployed.connect("parley_wrong").models.list()
    assert refused.value.code == "invalid_api_key"
    messages: Any = [{"role": "user", "content": "hello"}]
    with pytest.raises(openai.NotFoundError) as unknown:
        deployed.client.chat.completions.create(model="gpt-4", messages=messages, stream=True)
    assert unknown.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError):
        deployed.client.chat.completions.create(model="support", messages=[], stream=True)
    answered = ask(f"{deployed.lambda_.url}/v1/chat/completions", method="POST", raw=b"{")
    assert (answered.status, answered.headers["Content-Type"]) == (400, "application/json")
    assert set(answered.body["error"]) == {"message", "type", "param", "code"}


def test_a_table_that_is_away_is_a_503_while_nothing_has_left(
    deployed: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MemoryConversations, "record", _away)

    with pytest.raises(openai.InternalServerError) as refused:
        deployed.stream("hello")

    assert refused.value.status_code == 503
    assert refused.value.response.headers["Retry-After"] == "2"


def test_a_table_that_is_away_after_something_has_left_is_an_error_at_the_end_of_the_stream(
    deployed: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MemoryConversations, "record", _away)
    deployed.generator.says("Very well. ", "Thank you ", "for asking.")
    deployed.generator.ends()
    deltas = deployed.deltas(SMALL_TALK)

    assert next(deltas) == "Very"
    with pytest.raises(openai.APIError, match="did not take it") as broken:
        "".join(deltas)

    assert broken.value.code == "service_unavailable"
    assert deployed.lambda_.last.trailers == {}  # the handler has told its client itself
    assert b"[DONE]" not in deployed.lambda_.last.chunks[-1]


def test_what_breaks_inside_stays_inside(deployed: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(MemoryConversations, "record", explode)
    deployed.generator.says("Very well. ", "Thank you ", "for asking.")
    deployed.generator.ends()

    with pytest.raises(openai.APIError) as broken:
        [*deployed.deltas(SMALL_TALK)]

    assert "secret" not in str(broken.value.body)


def text_of(chunks: list[Any]) -> str:
    """What the deltas of a stream make together."""
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def _away(*_: Any, **__: Any) -> None:
    raise Unavailable("the database did not take it")


def test_a_guard_that_refuses_at_once_leaves_the_fallback(deployed: Deployed) -> None:
    deployed.generator.says("555 123 4567 ", "or not. ", "Fine.")
    deployed.generator.ends()

    *_, last = chunks = [*deployed.stream(SMALL_TALK)]

    assert last.parley["source"] == "fallback"
    assert len(last.parley["replies"]) == 1
    assert "555" not in str(chunks)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("Very well, thank you. Call us at 555 123 4567 or not. Fine.", "Very well, thank you. Call us at …"),
        ("Very well, thank you. <|end|> Fine.", "Very well, thank you."),
        ("Do this:\n```\nmake all\n555 123 4567 \n```\nFine. It is.", "Do this:\n```\nmake all\n```"),
    ],
)
def test_where_a_guard_refuses_later_the_bot_goes_on_in_its_authors_words(
    deployed: Deployed, said: str, told: str
) -> None:
    deployed.generator.says(*re.findall(r"\S+\s*", said))
    deployed.generator.ends()

    *_, last = chunks = [*deployed.stream(SMALL_TALK, extra_headers=ONCE)]

    begun, fallback = last.parley["replies"]
    assert (begun["text"], last.parley["source"]) == (told, "fallback")
    assert text_of(chunks).startswith(f"{told}\n\n{fallback['text']}")
    assert deployed.whole(SMALL_TALK, extra_headers=ONCE).choices[0].message.content == text_of(chunks)
    assert "555" not in str(chunks)


def test_a_conversation_goes_on_by_the_messages_of_a_reply_that_broke_off(deployed: Deployed) -> None:
    messages: Any = []
    for text in ("where is my order?", SMALL_TALK):
        deployed.generator.says("Very well. ", "Call 555 123 4567 ", "or not. ", "Fine.")
        deployed.generator.ends()
        messages.append({"role": "user", "content": text})
        stream = deployed.client.chat.completions.create(model="support", messages=messages, stream=True)
        messages.append({"role": "assistant", "content": text_of([*stream])})
    assert "Call …" in messages[-1]["content"]

    messages.append({"role": "user", "content": "WB-204518"})
    told = deployed.client.chat.completions.create(model="support", messages=messages)

    assert "WB-204518" in str(told.choices[0].message.content)


def test_a_generator_that_dies_and_says_the_same_again_is_not_noticed(deployed: Deployed) -> None:
    deployed.generator.says("Very well. ", "And ", "so ")
    deltas = deployed.deltas(SMALL_TALK)
    assert [next(deltas) for _ in range(3)] == ["Very", " well.", " And"]
    deployed.generator.breaks()

    deployed.generator.says("Very well. ", "And ", "that is ", "it.")
    deployed.generator.ends()

    assert "".join(deltas) == " that is it."
    assert deployed.recorded()[0].messages[0].text == "Very well. And that is it."


@pytest.mark.parametrize("second", [["Not bad. ", "Thank you."], ["Very well. ", "Thank you."], ["Very well."]])
def test_a_generator_that_dies_and_says_something_else_gives_way_to_the_bots_own_words(
    deployed: Deployed, second: list[str]
) -> None:
    deployed.generator.says("Very well. ", "And ", "so ")
    deltas = deployed.deltas(SMALL_TALK, extra_headers=ONCE)
    left = "".join(next(deltas) for _ in range(3))
    deployed.generator.breaks()

    deployed.generator.says(*second)
    deployed.generator.ends()

    left += "".join(deltas)
    assert left.startswith("Very well. And …\n\n")
    kept = deployed.whole(SMALL_TALK, extra_headers=ONCE)
    assert kept.choices[0].message.content == left
    assert kept.parley["source"] == "fallback"


def test_a_generator_that_dies_twice_gives_way_to_the_bots_own_words(deployed: Deployed) -> None:
    for _ in range(2):
        deployed.generator.says("Very well. ", "And ", "so ")
        deployed.generator.breaks()

    *_, last = chunks = [*deployed.stream(SMALL_TALK)]

    assert text_of(chunks).startswith("Very well. And …\n\n")
    assert last.parley["source"] == "fallback"


def test_a_turn_that_loses_a_race_when_something_has_left_ends_the_stream_with_an_error(
    deployed: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, lost = MemoryConversations.record, []

    def slower(self: Any, *arguments: Any, **more: Any) -> None:
        if not lost:
            lost.append(True)
            raise SessionConflict("somebody else's was saved first")
        record(self, *arguments, **more)

    named = {"metadata": {"conversation_id": "race"}}
    "".join(deployed.deltas("hello", **named))
    monkeypatch.setattr(MemoryConversations, "record", slower)
    for said in ("Very well. Thank you for asking.", "Not bad. Thank you."):
        deployed.generator.says(said)
        deployed.generator.ends()

    with pytest.raises(openai.APIError):
        [*deployed.deltas(SMALL_TALK, **named)]


@pytest.mark.parametrize("cuts_off", [False, True])
def test_a_client_that_leaves_does_not_lose_the_turn(deploy: Deploy, cuts_off: bool) -> None:
    deployed = deploy(cuts_off=cuts_off)
    deployed.generator.says("Very well. ", "And ", "so ")
    deltas = deployed.deltas(SMALL_TALK)
    assert next(deltas) == "Very"

    deployed.stack.close()  # the client's connection, and with it everything of the loopback but the function
    deployed.lambda_.last.client_left.set()
    deployed.generator.says(*[f"{number} is a number. " for number in range(50)], "So long.")
    deployed.generator.ends()

    deadline = time.monotonic() + WITHIN_SECONDS
    while not deployed.recorded():
        assert time.monotonic() < deadline, "it was not recorded"
        time.sleep(0.01)
    assert deployed.recorded()[0].messages[0].text.endswith("49 is a number. So long.")


def test_a_composed_answer_leaves_when_it_has_cited(deploy: Deploy) -> None:
    deployed = deploy(composes=True)
    deployed.generator.says("We wish you luck. ", "You have 30 days [2]. ", "It ", "is ")
    deltas = deployed.deltas(QUESTION)

    assert next(deltas) == "We wish you luck. You have 30 days [1]."
    deployed.generator.says("so [1].")
    deployed.generator.ends()

    assert "".join(deltas).startswith(" It is so [2].\n\nSources:\n[1] ")


def test_a_composed_answer_that_breaks_off_when_it_has_cited_is_followed_by_the_passage(deploy: Deploy) -> None:
    deployed = deploy(composes=True)
    deployed.generator.says("You have 30 days [2]. ", "Call 555 123 4567 ", "or not. ", "Fine.")
    deployed.generator.ends()

    *_, last = chunks = [*deployed.stream(QUESTION, extra_headers=ONCE)]

    begun, passage = last.parley["replies"]
    assert begun["text"] == "You have 30 days [1]. Call …"
    assert passage["citations"]
    assert text_of(chunks) == deployed.whole(QUESTION, extra_headers=ONCE).choices[0].message.content


def test_a_composed_answer_that_cites_nothing_has_not_left_when_the_passage_is_given_instead(deploy: Deploy) -> None:
    deployed = deploy(composes=True)
    deployed.generator.says("We wish you luck. ", "You have 30 days. ", "It is so.")
    deployed.generator.ends()

    *_, last = chunks = [*deployed.stream(QUESTION)]

    assert last.parley["source"] == "knowledge"
    assert "luck" not in str(chunks)


def test_what_a_turn_says_before_it_generates_stands_before(deploy: Deploy, support: LoadedBot) -> None:
    rule = {"steps": [{"intent": "greet"}, {"action": "utter_greet"}, {"action": "action_generate"}]}
    deployed = deploy(bots=lambda _: ruled_by(support, rule))
    deployed.generator.says("Very well. ", "Thank ", "you ")
    deltas = deployed.deltas("hello", extra_headers=ONCE)
    left = next(deltas)  # what is said is sure at once
    left += next(deltas)

    assert left.endswith("\n\nVery")
    deployed.generator.says("all.")
    deployed.generator.ends()

    left += "".join(deltas)
    assert left == deployed.whole("hello", extra_headers=ONCE).choices[0].message.content


def test_the_log_names_the_invocation_and_nothing_that_was_said(deployed: Deployed, caplog: Any) -> None:
    with caplog.at_level("DEBUG", "parley"):
        "".join(deployed.deltas(QUESTION))

    logged = json.dumps([str(record.__dict__) for record in caplog.records])
    assert "turn answered" in logged
    assert QUESTION not in logged
