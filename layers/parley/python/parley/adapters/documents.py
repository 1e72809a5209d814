"""Documents and what was made of them, in S3.

One bucket has both: `documents/BOT/NAME`, as people put them in, and `libraries/BOT/FILE` with `libraries/BOT/current`,
the catalogue, which is written last. S3 reads what it has written, so the next to look sees the new one.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from parley.adapters.patience import PATIENCE
from parley.errors import NotFound, TooLarge, Unavailable
from parley.ports import Catalogue, StoredDocument

MAX_DOCUMENT_BYTES = 10_000_000  # as parley.documents reads
DOCUMENTS = "documents"
_LIBRARIES = "libraries"
_CURRENT = "current"
_MISSING = frozenset({"NoSuchKey", "404"})


class S3Documents:
    """`ports.Documents` in a bucket."""

    def __init__(self, bucket: str) -> None:
        self._bucket = bucket
        self._client = boto3.client("s3", config=PATIENCE)

    def list(self, bot: str) -> tuple[StoredDocument, ...]:
        """See `ports.Documents.list`."""
        prefix = f"{DOCUMENTS}/{bot}/"
        with _translated("the documents could not be listed"):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
            return tuple(
                StoredDocument(name, found["ETag"].strip('"'))
                for page in pages
                for found in page.get("Contents", ())
                if (name := found["Key"].removeprefix(prefix)) and not name.endswith("/")
            )

    def read(self, bot: str, name: str) -> bytes:
        """See `ports.Documents.read`."""
        with _translated(f"the document {name!r} could not be read"):
            found = self._client.get_object(Bucket=self._bucket, Key=_document(bot, name))
            if found["ContentLength"] > MAX_DOCUMENT_BYTES:
                raise TooLarge(f"{name}: more than {MAX_DOCUMENT_BYTES // 1_000_000} MB; cut it into several documents")
            return found["Body"].read()

    def write(self, bot: str, name: str, content: bytes) -> None:
        """See `ports.Documents.write`."""
        with _translated(f"the document {name!r} could not be kept"):
            self._client.put_object(Bucket=self._bucket, Key=_document(bot, name), Body=content)

    def delete(self, bot: str, name: str) -> None:
        """See `ports.Documents.delete`."""
        with _translated(f"the document {name!r} could not be deleted"):
            self._client.delete_object(Bucket=self._bucket, Key=_document(bot, name))


class S3Libraries:
    """`ports.Libraries` in the same bucket."""

    def __init__(self, bucket: str) -> None:
        self._bucket = bucket
        self._client = boto3.client("s3", config=PATIENCE)

    def catalogue(self, bot: str) -> Catalogue:
        """See `ports.Libraries.catalogue`."""
        try:
            return msgspec.json.decode(self.read(bot, _CURRENT), type=Catalogue)
        except NotFound:
            return Catalogue()

    def read(self, bot: str, file: str) -> bytes:
        """See `ports.Libraries.read`."""
        with _translated("the library could not be read"):
            return self._client.get_object(Bucket=self._bucket, Key=f"{_LIBRARIES}/{bot}/{file}")["Body"].read()

    def publish(self, bot: str, catalogue: Catalogue, content: bytes) -> None:
        """See `ports.Libraries.publish`."""
        with _translated("the library could not be published"):
            for file, body in ((catalogue.file, content), (_CURRENT, msgspec.json.encode(catalogue))):
                self._client.put_object(Bucket=self._bucket, Key=f"{_LIBRARIES}/{bot}/{file}", Body=body)


def _document(bot: str, name: str) -> str:
    return f"{DOCUMENTS}/{bot}/{name}"


@contextmanager
def _translated(failure: str) -> Iterator[None]:
    """S3's errors as ours, the cause kept."""
    try:
        yield
    except ClientError as error:
        if _code(error.response) in _MISSING:
            raise NotFound("there is no such document") from error
        raise Unavailable(failure) from error
    except BotoCoreError as error:
        raise Unavailable(failure) from error


def _code(response: Any) -> str:
    return str(response.get("Error", {}).get("Code", ""))
