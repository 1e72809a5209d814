"""The contract of `ports.PassageStore`, kept by the fake and by DynamoDB's vector index alike."""

import uuid

import boto3
import numpy as np
import pytest
from botocore.stub import Stubber

from parley.adapters import passages as adapter
from parley.adapters.memory import MemoryPassages
from parley.adapters.passages import INDEX, DynamoPassages
from parley.errors import Unavailable
from parley.ports import MOST_NEAREST, PassageStore, StoredPassage

SHELF = "shop e1"


@pytest.fixture
def table(aws: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> str:
    """A table as `infra/knowledge_stack.py` declares it, but for the length of vectors."""
    for name, value in aws.items():
        monkeypatch.setenv(name, value)
    name = f"passages-{uuid.uuid4().hex[:8]}"
    boto3.client("dynamodb").create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in ("pk", "sk")],
        BillingMode="PAY_PER_REQUEST",
        VectorIndexes=[
            {
                "IndexName": INDEX,
                "VectorAttribute": {"AttributeName": "vector"},
                "Dimensions": 3,
                "DistanceFunction": "COSINE",
                "SearchSchema": [{"AttributeName": "pk", "SearchSchemaElementType": "HASH"}],
                "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["content"]},
            }
        ],
    )
    return name


@pytest.fixture(params=["memory", "dynamodb"])
def store(request: pytest.FixtureRequest) -> PassageStore:
    return MemoryPassages() if request.param == "memory" else DynamoPassages(request.getfixturevalue("table"))


def towards(*direction: float) -> np.ndarray:
    vector = np.array(direction, np.float32)
    return vector / np.linalg.norm(vector)


def passage(id_: str, *direction: float, content: bytes = b"") -> StoredPassage:
    return StoredPassage(id_, towards(*direction), content or id_.encode())


def test_an_empty_shelf_has_nothing(store: PassageStore) -> None:
    assert store.nearest(SHELF, towards(1, 0, 0), limit=5) == ()
    assert store.beginning(SHELF, "a") == ()


def test_the_nearest_come_first(store: PassageStore) -> None:
    store.put(SHELF, [passage("far", -1, 0.2, 0), passage("near", 1, 0.1, 0), passage("between", 1, 1, 0)])

    assert store.nearest(SHELF, towards(1, 0, 0), limit=5) == (b"near", b"between", b"far")
    assert store.nearest(SHELF, towards(1, 0, 0), limit=2) == (b"near", b"between")


def test_another_shelf_is_not_seen(store: PassageStore) -> None:
    store.put(SHELF, [passage("mine", 1, 0, 0)])
    store.put("shop e2", [passage("of another encoder", 1, 0, 0)])

    assert store.nearest(SHELF, towards(1, 0, 0), limit=5) == (b"mine",)
    assert store.beginning(SHELF, "of") == ()


def test_what_is_put_again_takes_the_place_of_what_was_there(store: PassageStore) -> None:
    store.put(SHELF, [passage("a", 1, 0, 0, content=b"old")])
    store.put(SHELF, [passage("a", 0, 1, 0, content=b"new")])

    assert store.nearest(SHELF, towards(1, 0, 0), limit=5) == (b"new",)


def test_what_is_deleted_is_not_found(store: PassageStore) -> None:
    store.put(SHELF, [passage("a", 1, 0, 0), passage("b", 1, 0, 0)])
    store.delete(SHELF, ["a", "never there"])

    assert store.nearest(SHELF, towards(1, 0, 0), limit=5) == (b"b",)
    assert store.beginning(SHELF, "a") == ()


def test_those_that_begin_alike_come_in_the_order_of_their_ids(store: PassageStore) -> None:
    store.put(SHELF, [passage(id_, 1, 0, 0) for id_ in ("doc 2", "doc 1", "document 1", "do")])

    assert store.beginning(SHELF, "doc ") == (b"doc 1", b"doc 2")


def test_more_than_one_batch_is_kept_and_no_more_than_the_most_is_given(store: PassageStore) -> None:
    store.put(SHELF, (passage(f"{number:03}", 1, number / 100, 0) for number in range(MOST_NEAREST + 10)))

    found = store.nearest(SHELF, towards(1, 0, 0), limit=1000)

    assert found == tuple(f"{number:03}".encode() for number in range(MOST_NEAREST))


@pytest.fixture
def stubbed(monkeypatch: pytest.MonkeyPatch) -> tuple[DynamoPassages, Stubber]:
    """The real one before answers that the emulator never gives; requests are held to AWS's own description of them."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setattr(adapter.time, "sleep", lambda _: None)
    store = DynamoPassages("passages")
    return store, Stubber(store._client)


def test_what_the_table_has_no_room_for_is_sent_again(stubbed: tuple[DynamoPassages, Stubber]) -> None:
    store, aws = stubbed
    one, two = ({"DeleteRequest": {"Key": {"pk": {"S": SHELF}, "sk": {"S": each}}}} for each in ("1", "2"))
    aws.add_response(
        "batch_write_item", {"UnprocessedItems": {"passages": [two]}}, {"RequestItems": {"passages": [one, two]}}
    )
    aws.add_response("batch_write_item", {}, {"RequestItems": {"passages": [two]}})

    with aws:
        store.delete(SHELF, ["1", "2"])

    aws.assert_no_pending_responses()


def test_a_table_that_stays_full_is_unavailable(stubbed: tuple[DynamoPassages, Stubber]) -> None:
    store, aws = stubbed
    left = {"UnprocessedItems": {"passages": [{"DeleteRequest": {"Key": {"pk": {"S": SHELF}, "sk": {"S": "1"}}}}]}}
    for _ in range(adapter.TRIES + 2):
        aws.add_response("batch_write_item", left)

    with aws, pytest.raises(Unavailable):
        store.delete(SHELF, ["1"])


def test_an_index_that_cannot_be_searched_is_unavailable(stubbed: tuple[DynamoPassages, Stubber]) -> None:
    store, aws = stubbed
    aws.add_client_error("search_vectors", "ValidationException", "Cannot search backfilling vector index: by_meaning")

    with aws, pytest.raises(Unavailable):
        store.nearest(SHELF, towards(1, 0, 0), limit=5)
