"""The HTTP contract, on a running service with two workers."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.serving.conftest import VERSION, Service, payload

FIELDS = [
    "transaction_id",
    "fraud_score",
    "prediction",
    "confidence",
    "model_version",
    "inference_time_ms",
    "cached",
    "degraded",
]


def error(answer: httpx.Response, status: int, code: str) -> Any:
    """The detail of an error that must have this status and code, and exactly the two fields."""
    assert (answer.status_code, answer.json()["error"]) == (status, code), answer.text
    assert set(answer.json()) == {"error", "detail"}
    return answer.json()["detail"]


def test_health_says_which_model_serves_and_how_each_dependency_is(service: Service) -> None:
    answer = service.http.get("/health")
    assert answer.status_code == 200
    body = answer.json()
    assert (body["status"], body["model_loaded"], body["model_version"]) == ("healthy", True, VERSION)
    assert {name: state["status"] for name, state in body["dependencies"].items()} == {
        "redis": "up",
        "postgresql": "up",
    }


def test_a_prediction_has_exactly_the_fields_of_the_contract(service: Service) -> None:
    answer = service.predict(payload(transaction_id="contract-1"))
    assert answer.status_code == 200
    body = answer.json()
    assert sorted(body) == sorted(FIELDS)
    assert body["transaction_id"] == "contract-1"
    assert 0 <= body["fraud_score"] <= 1
    assert body["prediction"] is (body["fraud_score"] >= 0.5)
    assert body["confidence"] in ("low", "medium", "high")
    assert body["model_version"] == VERSION
    assert body["inference_time_ms"] > 0
    assert (body["cached"], body["degraded"]) == (False, False)


def test_every_field_may_be_given(service: Service) -> None:
    full = payload(
        transaction_id=secrets.token_hex(8),
        timestamp="2026-03-01T10:00:00+01:00",
        device_id="d1",
        device_type="mobile",
        ip_address="2001:db8::1",
        location_country="DE",
        location_city="Köln",
        latitude=50.9,
        longitude=6.9,
        card_type="credit",
        card_last_four="0042",
    )
    assert service.predict(full).status_code == 200
    stored = service.stored(full["transaction_id"])["transaction"]
    assert stored["timestamp"] == "2026-03-01T09:00:00+00:00"
    assert stored["location_city"] == "Köln"
    assert {"ip_address", "card_last_four"}.isdisjoint(stored)


def test_the_same_id_again_is_the_same_answer_marked_as_cached(service: Service) -> None:
    body = payload(transaction_id=secrets.token_hex(8))
    first, *others = (service.predict(body).json() for _ in range(6))
    assert first["cached"] is False
    assert others == [first | {"cached": True}] * 5


def test_a_payload_with_its_own_time_finds_itself_without_an_id(service: Service) -> None:
    body = payload(timestamp="2026-03-01T10:00:00Z")
    first, again = service.predict(body).json(), service.predict(body).json()
    assert again == first | {"cached": True}


def test_two_equal_payloads_with_neither_id_nor_time_are_two_purchases(service: Service) -> None:
    body = payload()
    first, second = service.predict(body).json(), service.predict(body).json()
    assert first["transaction_id"] != second["transaction_id"]
    assert (first["cached"], second["cached"]) == (False, False)
    assert service.stored(second["transaction_id"])["features"]["user_txn_count_1h"] == 2


def test_an_id_with_another_payload_is_a_conflict(service: Service) -> None:
    body = payload(transaction_id=secrets.token_hex(8))
    assert service.predict(body).status_code == 200
    detail = error(service.predict(body | {"amount": 13}), 409, "payload_conflict")
    assert body["transaction_id"] in detail
    assert service.predict(body).json()["cached"] is True


def test_an_invalid_field_is_named_with_its_bound(service: Service) -> None:
    detail = error(service.predict(payload(amount=-1, latitude=91)), 422, "validation_error")
    assert detail == [
        {"field": "amount", "message": "Input should be greater than or equal to 0"},
        {"field": "latitude", "message": "Input should be less than or equal to 90"},
    ]
    (one,) = error(service.http.post("/api/v1/predict", content=b"{"), 422, "validation_error")
    assert one["field"] == "body"


def test_a_body_beyond_the_limit_is_refused_with_and_without_its_length(service: Service) -> None:
    long = b" " * 200_001
    assert "200000 bytes" in error(service.http.post("/api/v1/predict", content=long), 413, "body_too_large")
    chunks = (long[start : start + 50_000] for start in range(0, len(long), 50_000))
    error(service.http.post("/api/v1/predict", content=chunks), 413, "body_too_large")


def test_a_batch_is_answered_in_its_order_and_each_sees_the_ones_before(service: Service) -> None:
    body = payload()
    items = [body | {"transaction_id": f"b-{secrets.token_hex(6)}"} for _ in range(100)]
    answer = service.http.post("/api/v1/predict/batch", json={"transactions": items})
    assert answer.status_code == 200
    found = answer.json()
    assert found["count"] == 100
    assert found["inference_time_ms"] > 0
    assert [one["transaction_id"] for one in found["predictions"]] == [one["transaction_id"] for one in items]
    assert all(sorted(one) == sorted(FIELDS) for one in found["predictions"])
    for place in (0, 1, 99):
        features = service.stored(items[place]["transaction_id"])["features"]
        assert features["user_txn_count_1h"] == place + 1


def test_one_invalid_item_refuses_the_batch_and_nothing_is_recorded(service: Service) -> None:
    body = payload()
    items = [body | {"transaction_id": f"b-{secrets.token_hex(6)}"} for _ in range(3)]
    items[1]["amount"] = -1
    answer = service.http.post("/api/v1/predict/batch", json={"transactions": items})
    (detail,) = error(answer, 422, "validation_error")
    assert (detail["index"], detail["field"]) == (1, "amount")
    probe = body | {"transaction_id": f"b-{secrets.token_hex(6)}"}
    assert service.predict(probe).status_code == 200
    assert service.stored(probe["transaction_id"])["features"]["user_txn_count_1h"] == 1
    error(service.http.get(f"/api/v1/predictions/{items[0]['transaction_id']}"), 404, "not_found")


@pytest.mark.parametrize("count", [0, 101])
def test_a_batch_holds_1_to_100(service: Service, count: int) -> None:
    answer = service.http.post("/api/v1/predict/batch", json={"transactions": [payload()] * count})
    (detail,) = error(answer, 422, "validation_error")
    assert detail["field"] == "transactions"


def test_a_conflict_inside_a_batch_names_its_item(service: Service) -> None:
    body = payload(transaction_id=secrets.token_hex(8))
    items = [payload(transaction_id=secrets.token_hex(8)), body, body | {"amount": 99}]
    detail = error(service.http.post("/api/v1/predict/batch", json={"transactions": items}), 409, "payload_conflict")
    assert detail.startswith("transactions[2]: ")
    assert service.predict(items[0]).json()["cached"] is True


def test_a_stored_prediction_has_transaction_vector_model_and_label(service: Service) -> None:
    body = payload(transaction_id=f"weird/id {secrets.token_hex(4)}?ü", amount=250.0)
    predicted = service.predict(body).json()
    quoted = quote(body["transaction_id"], safe="")
    stored = service.stored(quoted)
    assert stored["transaction_id"] == body["transaction_id"]
    assert stored["transaction"]["amount"] == 250.0
    assert stored["transaction"]["user_id"] == body["user_id"]
    assert stored["features"]["amount"] == 250.0
    assert stored["features"]["is_round_amount"] == 1.0
    for name in ("fraud_score", "prediction", "confidence", "model_version", "inference_time_ms"):
        assert stored["prediction"][name] == predicted[name]
    assert stored["label"] is None
    service.http.post("/api/v1/labels", json={"transaction_id": body["transaction_id"], "is_fraud": True})
    assert service.stored(quoted)["label"]["is_fraud"] is True


def test_labels_come_one_by_one_or_in_lists_and_say_what_became_of_each(service: Service) -> None:
    body = payload(transaction_id=secrets.token_hex(8))
    service.predict(body)
    known = {"transaction_id": body["transaction_id"], "is_fraud": True, "source": "review"}
    unknown = {"transaction_id": secrets.token_hex(8), "is_fraud": False}
    one = service.http.post("/api/v1/labels", json=known)
    assert one.status_code == 200
    assert one.json() == {
        "results": [{"transaction_id": body["transaction_id"], "status": 201, "result": "recorded"}],
        "recorded": 1,
    }
    many = service.http.post("/api/v1/labels", json=[unknown, known]).json()
    assert [item["status"] for item in many["results"]] == [404, 200]
    assert many["results"][0]["result"] == "unknown_transaction"
    assert many["recorded"] == 0
    error(service.http.post("/api/v1/labels", json=unknown), 404, "unknown_transaction")
    (detail,) = error(service.http.post("/api/v1/labels", json=[known, {"is_fraud": 1}]), 422, "validation_error")
    assert (detail["index"], detail["field"]) == (1, "transaction_id")


def test_outcomes_come_one_by_one_or_in_lists_and_say_what_became_of_each(service: Service) -> None:
    name = secrets.token_hex(8)
    service.predict(payload(transaction_id=name))
    known = {"transaction_id": name, "outcome": "explored", "propensity": 0.1}
    unknown = {"transaction_id": secrets.token_hex(8), "outcome": "declined"}
    one = service.http.post("/api/v1/outcomes", json=known)
    assert one.status_code == 200
    assert one.json() == {"results": [{"transaction_id": name, "status": 201, "result": "recorded"}], "recorded": 1}
    many = service.http.post("/api/v1/outcomes", json=[unknown, known]).json()
    assert [item["status"] for item in many["results"]] == [404, 200]
    error(service.http.post("/api/v1/outcomes", json=unknown), 404, "unknown_transaction")
    wrong = [{**known, "propensity": None}, {**unknown, "propensity": 0.1}, {**known, "propensity": 0}]
    details = error(service.http.post("/api/v1/outcomes", json=wrong), 422, "validation_error")
    assert [detail["index"] for detail in details] == [0, 1, 2]
    assert "propensity must come with the outcome explored" in details[0]["message"]


def test_model_info_describes_the_model(service: Service) -> None:
    info = service.http.get("/api/v1/model/info").json()
    assert info["model_version"] == VERSION
    assert info["metrics"] == {"roc_auc": 0.9}
    assert info["threshold"] == 0.5
    assert "user_txn_count_1h" in info["features"]
    assert info["stage"] == "None"
    assert info["refused"] is None


def test_monitoring_counts_what_was_predicted_and_how_right_it_was(service: Service) -> None:
    body = payload(transaction_id=secrets.token_hex(8), amount=5000)
    assert service.predict(body).json()["prediction"] is True
    service.http.post("/api/v1/labels", json={"transaction_id": body["transaction_id"], "is_fraud": True})
    found = service.http.get("/api/v1/monitoring/metrics").json()
    assert found["model_version"] == VERSION
    assert found["total_predictions"] >= found["predictions"] >= 1
    assert 0 < found["fraud_rate"] <= 1
    assert 0 < found["mean_fraud_score"] < 1
    latency = found["latency_ms"]
    assert 0 < latency["p50"] <= latency["p95"] <= latency["p99"]
    assert found["labelled"]["true_positives"] >= 1
    assert set(found["labelled"]) >= {"precision", "recall", "f1_score", "sample_size"}


@pytest.mark.parametrize("path", ["/predict%0A", "/api/v1/predict%0A", "/api/v1/alerts/%0A1/acknowledge", "/%00"])
def test_a_control_character_leads_past_no_door(service: Service, path: str) -> None:
    answer = service.http.post(path, json=payload())
    assert answer.status_code == 404
    assert answer.json()["error"] == "not_found"


def test_bentos_own_clients_reach_the_same_scorer(service: Service) -> None:
    body = payload(transaction_id=secrets.token_hex(8))
    public = service.predict(body).json()
    native = service.http.post("/predict", json=body)
    assert native.status_code == 200
    assert native.json() == public | {"cached": True}
    assert service.http.post("/predict", json=body | {"amount": 1}).status_code == 409
    assert service.http.post("/predict", json={"amount": 1}).status_code == 400
    for path in ("/livez", "/readyz", "/healthz"):
        assert service.http.get(path).status_code == 200


def test_a_time_that_lies_ahead_is_refused_and_nothing_is_recorded(service: Service) -> None:
    """One event from the future would make everything that really happens late for its user."""
    ahead = (datetime.now(UTC) + timedelta(minutes=10)).isoformat()
    (one,) = error(service.predict(payload(timestamp=ahead)), 422, "validation_error")
    assert (one["field"], one["message"][:28]) == ("timestamp", "must not lie in the future: ")
    items = [payload(user_id="from-now"), payload(user_id="from-now", timestamp=ahead)]
    answer = service.http.post("/api/v1/predict/batch", json={"transactions": items})
    (one,) = error(answer, 422, "validation_error")
    assert (one["index"], one["field"]) == (1, "timestamp")
    soon = (datetime.now(UTC) + timedelta(minutes=4)).isoformat()
    first = service.predict(payload(user_id="from-now", timestamp=soon))
    assert first.status_code == 200
    assert service.stored(first.json()["transaction_id"])["features"]["user_txn_count_24h"] == 1
