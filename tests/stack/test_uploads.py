"""In the deployed stack: a photo is sent, named in a message, read back, and gone with its conversation."""

import os
from typing import Any

import pytest

from tests.builders import PNG
from tests.stack.person import Answer, Person, ask

LARGE = PNG + os.urandom(4 * 1024 * 1024 - len(PNG))  # as large as the bot takes; every byte there is occurs in it


@pytest.fixture
def person(deployed_stack: Any) -> Person:
    begun = ask(f"{deployed_stack.http}/v1/conversations", method="POST", body={"bot": "support"})
    assert begun.status == 201, begun
    person = Person(deployed_stack.http)
    person.resume(**begun.body)
    return person


def send(person: Person, content: bytes, name: str = "photo.png", kind: str = "image/png") -> Answer:
    return person.own(f"/uploads?name={name}", method="POST", raw=content, Content_Type=kind)


@pytest.mark.parametrize("prefer", ["", "respond-async"])
def test_a_photo_is_sent_named_read_back_and_erased(deployed_stack: Any, person: Person, prefer: str) -> None:
    bucket = deployed_stack.outputs["Parley-local-Chat"]["UploadsBucket"]
    sent = send(person, LARGE)
    assert sent.status == 201, sent
    said = person.say("my secateurs arrived broken", uploads=[sent.body["upload_id"]], prefer=prefer)
    assert said.status in (200, 202), said
    person.follow(said.body["turn_id"])

    back = person.own(f"/uploads/{sent.body['upload_id']}")
    (turn,) = person.own().body["turns"]
    erased = person.own(method="DELETE")

    assert (back.status, back.headers["Content-Type"], back.body) == (200, "image/png", LARGE)
    assert back.headers["Content-Disposition"].startswith('attachment; filename="photo.png"')
    assert turn["uploads"] == [
        {"id": sent.body["upload_id"], "name": "photo.png", "type": "image/png", "bytes": len(LARGE)}
    ]
    assert erased.status == 204
    left = deployed_stack.client("s3").list_objects_v2(Bucket=bucket, Prefix=f"support/{person.conversation_id}/")
    assert left["KeyCount"] == 0
    assert person.own(f"/uploads/{sent.body['upload_id']}").status == 404


def test_what_is_no_photo_is_refused(person: Person) -> None:
    assert send(person, b"#!/bin/sh\nrm -rf /", "script.png").status == 415
    assert send(person, LARGE + b"x").status == 413
    assert person.say("look", uploads=["never"]).status == 404
