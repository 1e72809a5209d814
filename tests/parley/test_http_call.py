"""Declared HTTP calls: what may be declared, how slots come into the request, and how the answer becomes slots."""

import json
from typing import Any

import msgspec
import pytest

from parley.actions import ActionServer, CustomActions, HttpCall, LambdaCall
from parley.actions.checks import check_http_call, check_lambda_call, check_server, slots_used
from parley.actions.http_call import read_slots, render
from parley.errors import ActionFailed, Unavailable


def a_call(url: str = "https://api.example/forecast?city={city}", method: str = "GET", **more: Any) -> HttpCall:
    return HttpCall(method, url, **more)


def no_secret(name: str) -> str:
    raise Unavailable(f"nobody has a secret {name}")


def url_with(template: str, **slots: Any) -> str:
    return render(a_call(template), slots, no_secret).url


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        ("Wien", "Wien"),
        ("Bad Ischl", "Bad%20Ischl"),
        ("a&admin=true#x?y/z", "a%26admin%3Dtrue%23x%3Fy%2Fz"),
        ("Köln", "K%C3%B6ln"),
        ("{secret:key}", "%7Bsecret%3Akey%7D"),
        ("line\r\nbreak", "line%0D%0Abreak"),
        ("half \ud800 a character", "half%20%3F%20a%20character"),
        ("", ""),
        (3, "3"),
        (2.5, "2.5"),
        (True, "true"),
        (["a", 1], "%5B%22a%22%2C%201%5D"),
    ],
)
def test_a_slot_in_the_query_is_one_value_whatever_it_holds(value: Any, sent: str) -> None:
    assert (
        url_with("https://api.example/forecast?city={city}", city=value) == f"https://api.example/forecast?city={sent}"
    )


def test_a_slot_in_the_path_cannot_add_to_it() -> None:
    url = url_with("https://api.example/orders/{order}/state", order="1/../../admin?x=")

    assert url == "https://api.example/orders/1%2F..%2F..%2Fadmin%3Fx%3D/state"


@pytest.mark.parametrize("value", ["..", ".", "", None])
def test_a_slot_cannot_lead_to_another_path(value: str | None) -> None:
    with pytest.raises(ActionFailed):
        url_with("https://api.example/orders/{order}/state", order=value)


def test_a_slot_without_a_value_fails_the_call_by_name() -> None:
    with pytest.raises(ActionFailed, match="city has no value"):
        url_with("https://api.example/forecast?city={city}")


def test_a_whole_string_of_the_body_takes_the_type_of_its_slot_and_a_part_becomes_text() -> None:
    body = {"size": "{size}", "label": "{size} pieces", "tags": ["{tags}", "fixed", 1, None], "unset": "{unset}"}

    prepared = render(
        a_call(method="POST", url="https://api.example", body=body), {"size": 3, "tags": ["a"]}, no_secret
    )

    assert json.loads(prepared.body or b"") == {
        "size": 3,
        "label": "3 pieces",
        "tags": [["a"], "fixed", 1, None],
        "unset": None,
    }
    assert prepared.headers["Content-Type"] == "application/json"


def test_words_in_the_body_stay_words() -> None:
    said = '", "admin": true, "x": "{secret:key}'

    prepared = render(a_call(method="POST", body={"note": "said: {note}"}), {"city": "x", "note": said}, no_secret)

    assert json.loads(prepared.body or b"") == {"note": f"said: {said}"}


def test_braces_that_are_meant_are_written_twice() -> None:
    body = {"query": "query {{ weather {{ sky }} }}"}

    prepared = render(a_call("https://api.example", "POST", body=body), {}, no_secret)

    assert json.loads(prepared.body or b"") == {"query": "query { weather { sky } }"}


def test_a_header_takes_secrets_and_slots() -> None:
    call = a_call("https://api.example", headers={"X-Api-Key": "{secret:weather-key}", "X-City": "in {city}"})

    prepared = render(call, {"city": "Wien"}, {"weather-key": "s3cret"}.__getitem__)

    assert prepared.headers == {"X-Api-Key": "s3cret", "X-City": "in Wien"}
    assert prepared.body is None


@pytest.mark.parametrize("value", ["Wien\r\nX-Admin: yes", "Wien\nx", "Wien\x00", "Köln"])
def test_a_header_that_would_not_stay_one_is_refused_without_telling_its_value(value: str) -> None:
    call = a_call("https://api.example", headers={"X-City": "{city}", "X-Api-Key": "{secret:key}"})

    with pytest.raises(ActionFailed, match="the header X-City") as of_slot:
        render(call, {"city": value}, lambda _: "fine")
    with pytest.raises(ActionFailed, match="the header X-Api-Key") as of_secret:
        render(call, {"city": "Wien"}, lambda _: value)

    assert value not in str(of_slot.value) + str(of_secret.value)


def test_a_number_that_json_has_not_fails_the_call() -> None:
    with pytest.raises(ActionFailed, match="JSON"):
        render(a_call("https://api.example", "POST", body="{n}"), {"n": float("nan")}, no_secret)


def test_values_are_read_along_paths_with_their_types() -> None:
    call = a_call(slots={"temperature": "current.temperature", "sky": "current.conditions.0.text", "whole": "current"})
    current = {"temperature": -2.5, "conditions": [{"text": "snow"}]}

    assert read_slots(call, {"current": current}) == {"temperature": -2.5, "sky": "snow", "whole": current}


def test_null_is_a_value() -> None:
    assert read_slots(a_call(slots={"sky": "sky"}), {"sky": None}) == {"sky": None}


@pytest.mark.parametrize("path", ["missing", "list.1", "list.-1", "list.x", "list.²", "text.0", "null.x", "list.0.x"])
def test_a_path_that_leads_nowhere_is_named(path: str) -> None:
    with pytest.raises(ActionFailed, match=path):
        read_slots(a_call(slots={"slot": path}), {"list": [1], "text": "abc", "null": None})


@pytest.mark.parametrize(
    "call",
    [
        a_call(),
        a_call("http://127.0.0.1:8000/x"),
        a_call("http://localhost/x"),
        a_call("http://[::1]:8000/x?{a}"),
        a_call("https://api.example:8443"),
        a_call("https://api.example?x={a}{b}", "DELETE", headers={"X-Key": "{secret:key}"}, body=[1, {"a": "{b}"}]),
        a_call(slots={"a": "b.0.c", "d": "e"}, timeout_seconds=10),
    ],
)
def test_a_call_that_can_be_made_has_no_faults(call: HttpCall) -> None:
    assert list(check_http_call(call)) == []


@pytest.mark.parametrize(
    ("call", "fault"),
    [
        (a_call(method="get"), "no method"),
        (a_call("http://api.example/x"), "not https"),
        (a_call("http://localhost.example/x"), "not https"),
        (a_call("http://127.0.0.1@api.example/x"), "user and password"),
        (a_call("https://me:word@api.example/x"), "user and password"),
        (a_call("ftp://api.example/x"), "neither https nor http"),
        (a_call("//api.example/x"), "neither https nor http"),
        (a_call("api.example/x"), "no absolute url"),
        (a_call("https:///x"), "names no host"),
        (a_call("https://api.example:port/x"), "names no host"),
        (a_call("https://[::1/x"), "names no host"),
        (a_call("https://api.example/a b"), "no absolute url"),
        (a_call("https://api.example/ä"), "no absolute url"),
        (a_call("https://api.example/x#y"), "no absolute url"),
        (a_call("https://api.example/a/../b"), "in its path"),
        (a_call("{scheme}://api.example/x"), "never in what decides who is called"),
        (a_call("https://{host}/x"), "never in what decides who is called"),
        (a_call("https://api.example{port}"), "never in what decides who is called"),
        (a_call("https://{user}@api.example/x"), "never in what decides who is called"),
        (a_call("https://api.example/{x"), "the url:"),
        (a_call("https://api.example/{x?y}"), "the url:"),
        (a_call("https://api.example/x}"), "the url:"),
        (a_call("https://api.example/{}"), "the url:"),
        (a_call("https://api.example/{x!r}"), "the url:"),
        (a_call("https://api.example/{x:>9}"), "the url:"),
        (a_call("https://api.example/?k={secret:key}"), "a header only"),
        (a_call(body={"a": ["{secret:key}"]}), "a header only"),
        (a_call(body={"a": ["{b"]}), "the body:"),
        (a_call(headers={"X-Key": "{secret:{x}}"}), "the header X-Key:"),
        (a_call(headers={"X-Key": "a\nb"}), "line break"),
        (a_call(headers={"X Key": "a"}), "no name of a header"),
        (a_call(headers={"host": "other.example"}), "not for a bot to set"),
        (a_call(slots={"a": ""}), "no path"),
        (a_call(slots={"a": "b..c"}), "no path"),
        (a_call(timeout_seconds=0), "timeout_seconds"),
        (a_call(timeout_seconds=10.5), "timeout_seconds"),
        (a_call(timeout_seconds=float("nan")), "timeout_seconds"),
    ],
)
def test_a_call_that_cannot_or_must_not_be_made_has_a_fault_that_says_why(call: HttpCall, fault: str) -> None:
    assert fault in next(check_http_call(call), "")


def test_a_server_may_be_spoken_to_in_the_clear_but_not_with_a_secret() -> None:
    assert list(check_server(ActionServer("http://actions:5055/webhook"))) == []
    assert list(check_server(ActionServer("http://localhost:5055/webhook", "key"))) == []
    assert "not https" in "".join(check_server(ActionServer("http://actions:5055/webhook", "key")))
    assert "timeout_seconds" in "".join(check_server(ActionServer("https://actions.example", timeout_seconds=60)))


def test_a_lambda_call_needs_a_name_and_a_time_out() -> None:
    assert list(check_lambda_call(LambdaCall("payments"))) == []
    assert len(list(check_lambda_call(LambdaCall(" ", timeout_seconds=-1)))) == 2


def test_all_slots_and_secrets_in_use_are_known() -> None:
    call = a_call("https://api.example/{a}?b={b}", headers={"X": "{c}{secret:one}"}, body={"d": ["{d}"]})
    custom = CustomActions(ActionServer("https://actions.example", "two"), {"action_x": call})

    assert slots_used(call) == {"a", "b", "c", "d"}
    assert custom.secrets() == {"one", "two"}


def test_an_action_is_served_by_its_declaration_or_else_by_a_server() -> None:
    declared = CustomActions(calls={"action_a": a_call()}, lambdas={"action_b": LambdaCall("b", failed="utter_sorry")})

    assert declared.serves("action_a")
    assert declared.serves("action_b")
    assert not declared.serves("action_c")
    assert CustomActions(ActionServer("https://actions.example")).serves("action_c")
    assert [declared.said_when_failed(f"action_{name}") for name in "abc"] == [None, "utter_sorry", None]


def test_custom_actions_travel_in_a_bundle() -> None:
    custom = CustomActions(
        ActionServer("https://actions.example", "two"),
        {"action_a": a_call(body={"a": [1, "{b}", None]}, slots={"a": "b"}, say="utter_a")},
        {"action_b": LambdaCall("b")},
    )

    assert msgspec.json.decode(msgspec.json.encode(custom), type=CustomActions) == custom
