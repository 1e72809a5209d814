"""Passages in a DynamoDB table with a vector index, for bots that have more of them than fit in memory.

`pk` is the shelf, `sk` the passage's id; the index `by_meaning` has a partition for each shelf. A condition on a search
looks at attributes that the index declares, and a bot's filters are its author's, so that what narrows a search is left
to whoever ranks what was found.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import Any

import boto3
import numpy as np
from botocore.exceptions import BotoCoreError, ClientError
from numpy.typing import NDArray

from parley.adapters.patience import PATIENCE, TRIES
from parley.errors import Unavailable
from parley.ports import MOST_NEAREST, StoredPassage

INDEX = "by_meaning"
BATCH = 25  # the most that DynamoDB writes at once
LANES = 4  # batches under way together, so that a library of 200,000 is there within a run of ingest
PAUSE_SECONDS = 0.5  # twice as long each time, for a table that grows by itself


class DynamoPassages:
    """`ports.PassageStore` in a table with a vector index."""

    def __init__(self, table: str) -> None:
        self._table = table
        self._client = boto3.client("dynamodb", config=PATIENCE)

    def put(self, shelf: str, passages: Iterable[StoredPassage]) -> None:
        """See `ports.PassageStore.put`."""
        self._write(
            {
                "PutRequest": {
                    "Item": {
                        **_key(shelf, each.id),
                        "vector": {"L": _numbers(each.vector)},
                        "content": {"B": each.content},
                    }
                }
            }
            for each in passages
        )

    def delete(self, shelf: str, ids: Iterable[str]) -> None:
        """See `ports.PassageStore.delete`."""
        self._write({"DeleteRequest": {"Key": _key(shelf, each)}} for each in ids)

    def nearest(self, shelf: str, vector: NDArray[np.float32], *, limit: int) -> tuple[bytes, ...]:
        """See `ports.PassageStore.nearest`."""
        with _translated("the passages could not be searched"):
            found = self._client.search_vectors(
                TableName=self._table,
                IndexName=INDEX,
                SearchVector=_numbers(vector),
                SearchConditionExpression="pk = :shelf",
                ExpressionAttributeValues={":shelf": {"S": shelf}},
                ProjectionExpression="content",
                TopK=min(limit, MOST_NEAREST),
            )
        return tuple(each["Item"]["content"]["B"] for each in found["SearchResults"])

    def beginning(self, shelf: str, prefix: str) -> tuple[bytes, ...]:
        """See `ports.PassageStore.beginning`."""
        with _translated("the passages could not be read"):
            pages = self._client.get_paginator("query").paginate(
                TableName=self._table,
                KeyConditionExpression="pk = :shelf AND begins_with(sk, :prefix)",
                ExpressionAttributeValues={":shelf": {"S": shelf}, ":prefix": {"S": prefix}},
                ProjectionExpression="content",
            )
            return tuple(item["content"]["B"] for page in pages for item in page["Items"])

    def _write(self, requests: Iterable[Any]) -> None:
        left = iter(requests)
        with ThreadPoolExecutor(LANES) as pool:
            while some := list(islice(left, BATCH * LANES)):  # all of them at once would not fit in memory
                list(pool.map(self._write_batch, (some[at : at + BATCH] for at in range(0, len(some), BATCH))))

    def _write_batch(self, batch: Sequence[Any]) -> None:
        """Writes a batch; what the table has no room for at the moment is sent again."""
        for attempt in range(TRIES + 2):
            with _translated("the passages could not be kept"):
                answer = self._client.batch_write_item(RequestItems={self._table: batch})
            batch = answer.get("UnprocessedItems", {}).get(self._table, [])
            if not batch:
                return
            time.sleep(PAUSE_SECONDS * 2**attempt)
        raise Unavailable("the table took not all of the passages")


def _key(shelf: str, id_: str) -> dict[str, Any]:
    return {"pk": {"S": shelf}, "sk": {"S": id_}}


def _numbers(vector: NDArray[np.float32]) -> list[Any]:
    # Six digits are as much as half of a float's precision has twice over, and half as long as all of them.
    return [{"N": f"{number:.6g}"} for number in vector.tolist()]


@contextmanager
def _translated(failure: str) -> Iterator[None]:
    """DynamoDB's errors as ours, the cause kept."""
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise Unavailable(failure) from error
