"""Bodies: what is refused, and what the refusal says."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import TypeAdapter

from sentinel_core.schema import Transaction
from serving.errors import HttpError
from serving.routes_predict import BatchRequest
from serving.wire import ERRORS_SHOWN, parse

ONE = TypeAdapter(Transaction)
MANY = TypeAdapter(BatchRequest)
GOOD: dict[str, Any] = {
    "user_id": "u1",
    "amount": 12.5,
    "merchant_id": "m1",
    "merchant_category": "grocery",
    "transaction_type": "purchase",
}


def refusal(adapter: TypeAdapter[Any], body: bytes, **kwargs: Any) -> list[dict[str, Any]]:
    with pytest.raises(HttpError) as caught:
        parse(adapter, body, **kwargs)
    assert (caught.value.status, caught.value.code) == (422, "validation_error")
    detail: list[dict[str, Any]] = caught.value.detail
    return detail


@pytest.mark.parametrize(
    ("change", "field", "message"),
    [
        ({"amount": -1}, "amount", "greater than or equal to 0"),
        ({"amount": 10_000_000}, "amount", "less than or equal to 9999999.99"),
        ({"amount": True}, "amount", "must be a number, not a boolean"),
        ({"amount": "twelve"}, "amount", "valid number"),
        ({"user_id": ""}, "user_id", "at least 1 character"),
        ({"user_id": "x" * 129}, "user_id", "at most 128 characters"),
        ({"user_id": "a\x00b"}, "user_id", "must not contain the character NUL"),
        ({"user_id": 7}, "user_id", "valid string"),
        ({"timestamp": "1969-01-01T00:00:00Z"}, "timestamp", "must lie between 1971-01-01 and 2099-12-31"),
        ({"latitude": 91}, "latitude", "less than or equal to 90"),
        ({"card_last_four": "12345"}, "card_last_four", "match pattern"),
        ({"amout": 3}, "amout", "not permitted"),
    ],
)
def test_a_refused_field_is_named_with_its_bound(change: dict[str, Any], field: str, message: str) -> None:
    (detail,) = refusal(ONE, json.dumps(GOOD | change).encode())
    assert detail["field"] == field
    assert message in detail["message"]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_an_amount_that_is_no_number_is_refused(number: str) -> None:
    (detail,) = refusal(ONE, json.dumps(GOOD).replace("12.5", number).encode())
    assert detail["field"] == "amount"


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b'{"user_id": "\\ud800"}'])
def test_what_is_not_json_is_refused_as_the_body(body: bytes) -> None:
    assert refusal(ONE, body)[0]["field"] == "body"


@pytest.mark.parametrize("body", [b"[]", b"3", b"null"])
def test_json_of_another_form_is_refused_as_the_body(body: bytes) -> None:
    assert refusal(ONE, body)[0]["field"] == "body"


def test_every_missing_field_is_named() -> None:
    assert [item["field"] for item in refusal(ONE, b"{}")] == [
        "user_id",
        "amount",
        "merchant_id",
        "merchant_category",
        "transaction_type",
    ]


def test_an_item_of_a_batch_is_named_by_its_index() -> None:
    batch = {"transactions": [GOOD, GOOD | {"amount": -1}, GOOD]}
    (detail,) = refusal(MANY, json.dumps(batch).encode(), list_field="transactions")
    assert (detail["index"], detail["field"]) == (1, "amount")


@pytest.mark.parametrize(("size", "message"), [(0, "at least 1 item"), (101, "at most 100 items")])
def test_a_batch_of_the_wrong_size_names_its_bound(size: int, message: str) -> None:
    (detail,) = refusal(MANY, json.dumps({"transactions": [GOOD] * size}).encode(), list_field="transactions")
    assert detail["field"] == "transactions"
    assert message in detail["message"]


def test_a_refusal_is_bounded_and_repeats_no_value() -> None:
    body = json.dumps({"transactions": [GOOD | {"card_last_four": "424242", "x" * 500: 1}] * 50}).encode()
    details = refusal(MANY, body, list_field="transactions")
    assert len(details) == ERRORS_SHOWN
    assert "424242" not in json.dumps(details)
    assert max(len(item["field"]) for item in details) <= 128
