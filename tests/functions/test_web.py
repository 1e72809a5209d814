"""The function behind the chat page and the widget, over a small built page of its own."""

import base64
import gzip
import importlib.util
import json
import shutil
from pathlib import Path

import pytest

FUNCTION = Path(__file__).parents[2] / "functions" / "web" / "handler.py"
EVENTS = Path(__file__).parent / "events"

BUILT = {
    "index.html": "<!doctype html><title>Page</title>",
    "widget.html": "<!doctype html><title>Widget</title>",
    "widget.js": "import('assets/panel-0123456789ab.js')",
    "assets/panel-0123456789ab.js": "export const style = ''",
    "assets/main-0123.js": "console.log('hello')",
    "assets/style-4567.css": "body { margin: 0 }",
    "assets/mark-89ab.svg": "<svg xmlns='http://www.w3.org/2000/svg'/>",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("web")
    shutil.copy(FUNCTION, folder)
    for name, content in BUILT.items():
        file = folder / "static" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
        file.with_name(f"{file.name}.gz").write_bytes(gzip.compress(content.encode()))
    return folder


@pytest.fixture(scope="module")
def handler(folder):
    return started(folder)


def started(folder):
    """The handler, as its process begins."""
    spec = importlib.util.spec_from_file_location("web_handler", folder / "handler.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.handler


def event(*, path="/", asset=None, encoding=None):
    """An HTTP API event as API Gateway sends it (payload format 2.0)."""
    event = json.loads((EVENTS / "http_api_get.json").read_text())
    event["rawPath"] = event["requestContext"]["http"]["path"] = path
    if asset is not None:
        event["routeKey"] = event["requestContext"]["routeKey"] = "GET /assets/{proxy+}"
        event["pathParameters"] = {"proxy": asset}
    if encoding is not None:
        event["headers"]["accept-encoding"] = encoding
    return event


def test_the_page_is_checked_each_time_and_an_asset_is_kept_for_ever(handler):
    page = handler(event(path="/"), None)
    asset = handler(event(path="/assets/main-0123.js", asset="main-0123.js"), None)

    assert page["statusCode"] == asset["statusCode"] == 200
    assert page["body"] == BUILT["index.html"]
    assert page["headers"]["Cache-Control"] == "no-cache"
    assert asset["body"] == BUILT["assets/main-0123.js"]
    assert "immutable" in asset["headers"]["Cache-Control"]


@pytest.mark.parametrize(
    ("asset", "media_type"),
    [
        ("main-0123.js", "text/javascript; charset=utf-8"),
        ("style-4567.css", "text/css; charset=utf-8"),
        ("mark-89ab.svg", "image/svg+xml; charset=utf-8"),
    ],
)
def test_an_asset_says_what_it_is(handler, asset, media_type):
    response = handler(event(asset=asset), None)

    assert response["headers"]["Content-Type"] == media_type
    assert response["headers"]["X-Content-Type-Options"] == "nosniff"


def test_who_takes_gzip_gets_what_was_compressed_at_build(handler):
    response = handler(event(asset="main-0123.js", encoding="br, gzip;q=0.8"), None)

    assert response["isBase64Encoded"] is True
    assert response["headers"]["Content-Encoding"] == "gzip"
    assert response["headers"]["Vary"] == "Accept-Encoding"
    assert gzip.decompress(base64.b64decode(response["body"])).decode() == BUILT["assets/main-0123.js"]


def test_who_does_not_take_gzip_gets_it_plain(handler):
    response = handler(event(asset="main-0123.js", encoding="identity"), None)

    assert "Content-Encoding" not in response["headers"]
    assert response["body"] == BUILT["assets/main-0123.js"]


def test_a_page_under_a_stage_is_the_same_page(handler):
    response = handler(event(path="/prod/"), None)

    assert response["body"] == BUILT["index.html"]


def test_a_stage_without_its_slash_leads_to_the_page(handler):
    response = handler(event(path="/prod"), None)

    assert response["statusCode"] == 308
    assert response["headers"]["Location"] == "prod/"


def test_the_script_that_other_pages_name_is_kept_for_minutes_and_then_asked_about(handler):
    script = handler(event(path="/widget.js"), None)
    asked = event(path="/prod/widget.js")
    asked["headers"]["if-none-match"] = script["headers"]["ETag"]

    again = handler(asked, None)

    assert script["body"] == BUILT["widget.js"]
    assert script["headers"]["Cache-Control"] == "public, max-age=300"
    assert (again["statusCode"], again["body"]) == (304, "")
    asked["headers"]["if-none-match"] = 'W/"another"'
    assert handler(asked, None)["statusCode"] == 200


@pytest.mark.parametrize("request_of", [{"path": "/widget.js"}, {"asset": "panel-0123456789ab.js"}])
def test_pages_of_other_origins_may_load_what_the_widget_is_made_of(handler, request_of):
    headers = handler(event(**request_of), None)["headers"]

    assert headers["Access-Control-Allow-Origin"] == "*"
    assert headers["Cross-Origin-Resource-Policy"] == "cross-origin"


def test_a_panel_of_a_deployment_before_leads_to_the_one_of_today(handler):
    response = handler(event(path="/assets/panel-ba9876543210.js", asset="panel-ba9876543210.js"), None)

    assert response["statusCode"] == 307
    assert response["headers"]["Location"] == "panel-0123456789ab.js"
    assert response["headers"]["Access-Control-Allow-Origin"] == "*"
    assert "immutable" not in response["headers"]["Cache-Control"]


def test_a_page_shows_the_widget(handler):
    assert handler(event(path="/widget"), None)["body"] == BUILT["widget.html"]


@pytest.mark.parametrize(
    "asset",
    [
        "../handler.py",
        "..%2Fhandler.py",
        "/etc/passwd",
        "index.html",
        "widget.js",
        "panel-0123456789zz.js",
        "main-0123.js.gz",
        "main-0123.js/",
        "",
        "\0",
        "é",
    ],
)
def test_what_the_build_did_not_publish_is_not_found(handler, asset):
    response = handler(event(path=f"/assets/{asset}", asset=asset), None)

    assert response["statusCode"] == 404
    assert response["headers"]["Content-Type"] == "application/problem+json"
    assert json.loads(response["body"])["status"] == 404
    assert "immutable" not in response["headers"]["Cache-Control"]


@pytest.mark.parametrize("response_to", [{"path": "/"}, {"path": "/prod"}, {"asset": "main-0123.js"}, {"asset": "x"}])
def test_every_response_forbids_what_the_page_does_not_need(handler, response_to):
    headers = handler(event(**response_to), None)["headers"]

    policy = dict(directive.split(" ", 1) for directive in headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == "'none'"
    assert not any("unsafe" in sources or "*" in sources or "http" in sources for sources in policy.values())
    assert headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize(
    ("address", "reached"),
    [
        ("wss://abc123.execute-api.eu-west-1.amazonaws.com/live", "wss://abc123.execute-api.eu-west-1.amazonaws.com"),
        ("ws://127.0.0.1:4566/_aws/execute-api/abc123/live", "ws://127.0.0.1:4566"),
    ],
)
def test_the_page_may_reach_the_socket_api_and_nothing_wider(folder, monkeypatch, address, reached):
    monkeypatch.setenv("SOCKET_ADDRESS", address)

    policy = started(folder)(event(path="/"), None)["headers"]["Content-Security-Policy"]

    assert f"connect-src 'self' {reached};" in policy
    assert policy.count("://") == 1


@pytest.mark.parametrize("address", ["", "https://elsewhere.example", "wss://*", "wss://; script-src *"])
def test_what_is_no_address_of_a_socket_api_opens_nothing(folder, monkeypatch, address):
    monkeypatch.setenv("SOCKET_ADDRESS", address)

    policy = started(folder)(event(path="/"), None)["headers"]["Content-Security-Policy"]

    assert "connect-src 'self';" in policy
    assert "*" not in policy
