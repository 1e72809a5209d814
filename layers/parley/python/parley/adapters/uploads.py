"""The files that people sent, in a bucket of their own in S3: `BOT/CONVERSATION/UPLOAD`.

What is known of a file lies with it, as the object's metadata, so that there is nothing to keep in step. The bucket
keeps no old versions, so that what is erased is gone.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, unquote

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from parley.adapters.patience import PATIENCE
from parley.conversation import Upload
from parley.errors import NotFound, Unavailable

_NAME = "name"  # metadata travels in headers, which are ASCII: the name is quoted as in a URL
_MISSING = frozenset({"NoSuchKey", "404"})


class S3Uploads:
    """`ports.Uploads` in a bucket."""

    def __init__(self, bucket: str) -> None:
        self._bucket = bucket
        self._client = boto3.client("s3", config=PATIENCE)

    def put(self, bot: str, conversation_id: str, upload: Upload, content: bytes) -> None:
        """See `ports.Uploads.put`."""
        with _translated("the file could not be kept"):
            self._client.put_object(
                Bucket=self._bucket,
                Key=_key(bot, conversation_id, upload.id),
                Body=content,
                ContentType=upload.type,
                Metadata={_NAME: quote(upload.name)},
            )

    def find(self, bot: str, conversation_id: str, upload_id: str) -> Upload | None:
        """See `ports.Uploads.find`."""
        try:
            with _translated("the file could not be looked up"):
                found = self._client.head_object(Bucket=self._bucket, Key=_key(bot, conversation_id, upload_id))
        except NotFound:
            return None
        return _upload(upload_id, found)

    def read(self, bot: str, conversation_id: str, upload_id: str) -> tuple[Upload, bytes]:
        """See `ports.Uploads.read`."""
        with _translated("the file could not be read"):
            found = self._client.get_object(Bucket=self._bucket, Key=_key(bot, conversation_id, upload_id))
            return _upload(upload_id, found), found["Body"].read()

    def erase(self, bot: str, conversation_id: str) -> None:
        """See `ports.Uploads.erase`."""
        with _translated("the files could not be erased"):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=_key(bot, conversation_id, "")
            )
            for page in pages:
                if keys := [{"Key": found["Key"]} for found in page.get("Contents", ())]:
                    self._erase(keys)

    def _erase(self, keys: list[Any]) -> None:
        left = self._client.delete_objects(Bucket=self._bucket, Delete={"Objects": keys, "Quiet": True}).get("Errors")
        if left:
            raise Unavailable("some files could not be erased")


def _key(bot: str, conversation_id: str, upload_id: str) -> str:
    return f"{bot}/{conversation_id}/{upload_id}"


def _upload(upload_id: str, found: Mapping[str, Any]) -> Upload:
    return Upload(upload_id, unquote(found["Metadata"][_NAME]), found["ContentType"], found["ContentLength"])


@contextmanager
def _translated(failure: str) -> Iterator[None]:
    """S3's errors as ours, the cause kept."""
    try:
        yield
    except ClientError as error:
        if str(error.response.get("Error", {}).get("Code", "")) in _MISSING:
            raise NotFound("there is no such upload in this conversation") from error
        raise Unavailable(failure) from error
    except BotoCoreError as error:
        raise Unavailable(failure) from error
