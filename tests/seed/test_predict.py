"""The example requests of a prediction and of a batch, the seven fields of the answer, and one field wrong."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from sentinel_core.datasets.events import categories
from sentinel_core.features.encoding import fit_encoder
from sentinel_core.schema import FULL_EXAMPLE, MINIMAL_EXAMPLE, REQUEST_COLUMNS
from sentinel_core.synthetic import simulate
from sentinel_core.synthetic.frame import to_frame
from tests.seed.wrong import WRONG_FIELDS
from tests.serving.conftest import Service

FULL = {
    "transaction_id": "txn_0000000001",
    "user_id": "user_000042",
    "amount": 1250.00,
    "merchant_id": "merchant_00789",
    "merchant_category": "online_shopping",
    "transaction_type": "purchase",
    "timestamp": "2026-01-15T14:30:00Z",
    "device_id": "device_00123",
    "device_type": "mobile",
    "ip_address": "192.0.2.17",
    "location_country": "DE",
    "location_city": "Berlin",
    "latitude": 52.52,
    "longitude": 13.405,
    "card_type": "visa",
    "card_last_four": "4242",
}
REQUIRED = ("user_id", "amount", "merchant_id", "merchant_category", "transaction_type")
MINIMAL = {name: FULL[name] for name in REQUIRED}


def fresh(example: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """The example for a user, and under an id, that no other test has."""
    ids = {"user_id": f"user-{secrets.token_hex(8)}", "transaction_id": f"txn-{secrets.token_hex(8)}"}
    return {**example, **{name: text for name, text in ids.items() if name in example}, **fields}


def check_answer(answer: dict[str, Any]) -> None:
    """The seven fields with their types and bounds; others may stand beside them."""
    assert isinstance(answer["transaction_id"], str) and 1 <= len(answer["transaction_id"]) <= 128
    assert isinstance(answer["fraud_score"], float) and 0 <= answer["fraud_score"] <= 1
    assert isinstance(answer["prediction"], bool)
    assert answer["confidence"] in ("low", "medium", "high")
    assert isinstance(answer["model_version"], str) and answer["model_version"]
    assert isinstance(answer["inference_time_ms"], float) and answer["inference_time_ms"] > 0
    assert isinstance(answer["cached"], bool)


def test_a_full_request_has_sixteen_fields_and_its_answer_the_seven(service: Service) -> None:
    assert len(FULL) == 16
    body = fresh(FULL)
    answer = service.predict(body)
    assert answer.status_code == 200, answer.text
    check_answer(answer.json())
    assert answer.json()["transaction_id"] == body["transaction_id"]
    assert answer.json()["cached"] is False
    assert service.predict(body).json() == answer.json() | {"cached": True}


def test_a_minimal_request_has_the_five_required_fields(service: Service) -> None:
    answer = service.predict(fresh(MINIMAL))
    assert answer.status_code == 200, answer.text
    check_answer(answer.json())


@pytest.mark.parametrize("name", sorted(set(FULL) - set(REQUIRED)))
def test_each_optional_field_may_be_left_out_or_null(service: Service, name: str) -> None:
    body = fresh(FULL)
    assert service.predict({key: value for key, value in body.items() if key != name}).status_code == 200
    assert service.predict(fresh(FULL, **{name: None})).status_code == 200


def test_a_batch_is_answered_in_its_order(service: Service) -> None:
    for count in (1, 2, 100):
        items = [fresh(FULL, amount=1.0 + place) for place in range(count)]
        answer = service.http.post("/api/v1/predict/batch", json={"transactions": items})
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert [one["transaction_id"] for one in body["predictions"]] == [one["transaction_id"] for one in items]
        assert body["count"] == count
        for one in body["predictions"]:
            check_answer(one)


@pytest.mark.parametrize("count", [0, 101])
def test_a_batch_has_1_to_100_transactions(service: Service, count: int) -> None:
    answer = service.http.post("/api/v1/predict/batch", json={"transactions": [fresh(MINIMAL)] * count})
    assert answer.status_code == 422
    (one,) = answer.json()["detail"]
    assert one["field"] == "transactions"
    assert ("at least 1" if count == 0 else "at most 100") in one["message"]


def test_the_examples_are_those_of_the_api_pages(service: Service) -> None:
    assert (MINIMAL, FULL) == (MINIMAL_EXAMPLE, FULL_EXAMPLE)
    assert sorted(FULL) == sorted(REQUEST_COLUMNS)
    schemas = service.http.get("/openapi.json").json()["components"]["schemas"]
    assert schemas["Transaction"]["examples"] == [MINIMAL, FULL]
    assert sorted(schemas["Transaction"]["required"]) == sorted(REQUIRED)


def test_a_model_trained_on_generated_data_knows_the_examples_category_and_type() -> None:
    frame = to_frame(simulate(2_000, end=datetime(2026, 1, 1, tzinfo=UTC)))
    amounts = frame[["amount"]].to_numpy(np.float32)
    encoder = fit_encoder(("amount",), amounts, categories(frame), category_kind="label", scaling="none")
    known = {one.column: one.vocabulary for one in encoder.categories}
    assert "online_shopping" in known["merchant_category"]
    assert "purchase" in known["transaction_type"]


@pytest.fixture(scope="module")
def user(service: Service) -> Iterator[str]:
    """A user of whom only wrong requests come; after all of them nothing of it is known."""
    name = f"user-{secrets.token_hex(8)}"
    yield name
    answer = service.predict({**MINIMAL, "user_id": name})
    assert service.stored(answer.json()["transaction_id"])["features"]["user_txn_count_24h"] == 1


@pytest.mark.parametrize(("field", "value", "bound"), WRONG_FIELDS)
def test_one_wrong_field_is_named_with_its_bound_and_nothing_is_recorded(
    service: Service, user: str, field: str, value: Any, bound: str
) -> None:
    body = {**fresh(FULL, user_id=user), field: value}
    if value is ...:
        del body[field]
    answer = service.predict(body)
    assert answer.status_code == 422, answer.text
    assert set(answer.json()) == {"error", "detail"}
    assert answer.json()["error"] == "validation_error"
    (one,) = answer.json()["detail"]
    assert set(one) == {"field", "message"}
    assert one["field"] == field
    assert bound in one["message"], one["message"]

    batch = service.http.post("/api/v1/predict/batch", json={"transactions": [fresh(FULL, user_id=user), body]})
    assert batch.status_code == 422
    assert batch.json()["detail"] == [{"index": 1, **one}]


def test_a_time_in_the_future_and_an_unknown_field_are_wrong_too(service: Service, user: str) -> None:
    ahead = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    for field, value, bound in (("timestamp", ahead, "must not lie in the future"), ("colour", "red", "not permitted")):
        answer = service.predict(fresh(FULL, user_id=user, **{field: value}))
        assert answer.status_code == 422
        (one,) = answer.json()["detail"]
        assert one["field"] == field
        assert bound in one["message"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"7", b'"text"', b"\xff"])
def test_a_body_that_is_no_transaction_is_refused_in_the_same_form(service: Service, body: bytes) -> None:
    for path in ("/api/v1/predict", "/api/v1/predict/batch", "/api/v1/labels", "/api/v1/outcomes"):
        answer = service.http.post(path, content=body)
        assert answer.status_code == 422, (path, answer.text)
        assert [one["field"] for one in answer.json()["detail"]] == ["body"], path
        assert all(one["message"] for one in answer.json()["detail"])
