"""The endpoints: each is there, is described, and answers as promised; any other path is a 404 in the error form."""

from __future__ import annotations

import secrets
from typing import Any

import pytest

from tests.seed.test_predict import MINIMAL, fresh
from tests.serving.conftest import VERSION, Service, until

ENDPOINTS = (
    ("GET", "/health"),
    ("POST", "/api/v1/predict"),
    ("POST", "/api/v1/predict/batch"),
    ("GET", "/api/v1/model/info"),
    ("GET", "/api/v1/monitoring/metrics"),
    ("POST", "/api/v1/labels"),
    ("POST", "/api/v1/outcomes"),
    ("GET", "/api/v1/predictions/{transaction_id}"),
    ("GET", "/api/v1/alerts"),
    ("POST", "/api/v1/alerts/{alert_id}/acknowledge"),
    ("GET", "/metrics"),
)


def refused(service: Service, method: str, path: str, status: int) -> Any:
    answer = service.http.request(method, path)
    assert answer.status_code == status, answer.text
    assert set(answer.json()) == {"error", "detail"}
    return answer.json()["detail"]


def get(service: Service, path: str) -> dict[str, Any]:
    answer = service.http.get(path)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def test_the_api_describes_these_endpoints_and_no_others(service: Service) -> None:
    paths = get(service, "/openapi.json")["paths"]
    assert {(method.upper(), path) for path, operations in paths.items() for method in operations} == set(ENDPOINTS)
    for operations in paths.values():
        assert all(operation["description"] for operation in operations.values())


def test_health_says_that_it_is_well_and_which_model_it_serves(service: Service) -> None:
    until("the service is well", lambda: get(service, "/health")["status"] == "healthy")
    health = get(service, "/health")
    assert (health["model_loaded"], health["model_version"]) == (True, VERSION)
    assert {"redis", "postgresql"} <= set(health["dependencies"])


def test_model_info_says_version_metrics_threshold_features_and_known_categories(service: Service) -> None:
    info = get(service, "/api/v1/model/info")
    assert info["model_version"] == VERSION
    assert 0 < info["threshold"] < 1
    assert info["metrics"]
    assert len(info["features"]) >= 24
    assert sorted(info["vocabularies"]) == sorted(info["categories"])
    assert "grocery" in info["vocabularies"]["merchant_category"]


def test_monitoring_metrics_say_how_much_how_fast_and_how_right(service: Service) -> None:
    service.predict(fresh(MINIMAL))
    metrics = get(service, "/api/v1/monitoring/metrics")
    assert metrics["total_predictions"] >= 0
    assert {"predictions", "fraud_rate", "mean_fraud_score"} <= set(metrics)
    assert {"p50", "p95", "p99"} <= set(metrics["latency_ms"])
    assert {"precision", "recall", "f1_score"} <= set(metrics["labelled"])


def test_a_label_and_an_outcome_are_taken_and_read_back_with_the_prediction(service: Service) -> None:
    name = service.predict(fresh(MINIMAL, transaction_id=secrets.token_hex(8))).json()["transaction_id"]
    assert service.http.post("/api/v1/labels", json={"transaction_id": name, "is_fraud": True}).status_code == 200
    outcome = {"transaction_id": name, "outcome": "approved"}
    assert service.http.post("/api/v1/outcomes", json=outcome).status_code == 200
    stored = service.stored(name)
    assert stored["label"]["is_fraud"] is True
    assert stored["outcome"] == "approved"
    assert stored["prediction"]["model_version"] == VERSION
    assert stored["features"]["amount"] == MINIMAL["amount"]


def test_alerts_are_listed(service: Service) -> None:
    assert set(get(service, "/api/v1/alerts")) == {"open", "newest"}


def test_prometheus_metrics_are_there(service: Service) -> None:
    answer = service.http.get("/metrics")
    assert answer.status_code == 200
    assert "sentinel_predictions_total" in answer.text


@pytest.mark.parametrize(("path", "title"), [("/docs", "swagger-ui"), ("/redoc", "redoc")])
def test_the_pages_of_the_api_are_there(service: Service, path: str, title: str) -> None:
    page = service.http.get(path)
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert title in page.text.lower()


@pytest.mark.parametrize("path", ["/api/v1/nothing", "/api/v2/predict", "/api/v1/predict/", "/api/v1/predictions/none"])
def test_what_is_not_there_is_a_404_in_the_error_form(service: Service, path: str) -> None:
    assert refused(service, "GET", path, 404)


@pytest.mark.parametrize(("method", "path"), [("GET", "/api/v1/predict"), ("POST", "/api/v1/model/info")])
def test_the_wrong_method_is_a_405_in_the_error_form(service: Service, method: str, path: str) -> None:
    assert path in refused(service, method, path, 405)


LABEL = {"transaction_id": "t", "is_fraud": True}
OUTCOME = {"transaction_id": "t", "outcome": "explored", "propensity": 0.1}
ACKNOWLEDGEMENT = {"reason": "a sale"}


@pytest.mark.parametrize(
    ("path", "body", "field", "value", "bound"),
    [
        ("labels", LABEL, "transaction_id", None, "string"),
        ("labels", LABEL, "transaction_id", "", "at least 1 character"),
        ("labels", LABEL, "is_fraud", None, "boolean"),
        ("labels", LABEL, "is_fraud", "perhaps", "boolean"),
        ("labels", LABEL, "labelled_at", "soon", "datetime"),
        ("labels", LABEL, "labelled_at", "2100-01-01T00:00:00Z", "between 1971-01-01 and 2099-12-31"),
        ("labels", LABEL, "source", "", "at least 1 character"),
        ("labels", LABEL, "source", "s" * 65, "at most 64 characters"),
        ("labels", LABEL, "colour", "red", "not permitted"),
        ("outcomes", OUTCOME, "transaction_id", "t" * 129, "at most 128 characters"),
        ("outcomes", OUTCOME, "outcome", "paid", "'approved', 'challenged', 'declined' or 'explored'"),
        ("outcomes", OUTCOME, "outcome", "approved", "propensity must come with the outcome explored"),
        ("outcomes", OUTCOME, "propensity", None, "propensity must come with the outcome explored"),
        ("outcomes", OUTCOME, "propensity", 0, "greater than 0"),
        ("outcomes", OUTCOME, "propensity", 1.1, "less than or equal to 1"),
        ("outcomes", OUTCOME, "propensity", True, "not a boolean"),
        ("outcomes", OUTCOME, "decided_at", 1.5e30, "datetime"),
        ("alerts/1/acknowledge", ACKNOWLEDGEMENT, "reason", None, "string"),
        ("alerts/1/acknowledge", ACKNOWLEDGEMENT, "reason", "", "at least 1 character"),
        ("alerts/1/acknowledge", ACKNOWLEDGEMENT, "reason", "r" * 501, "at most 500 characters"),
        ("alerts/1/acknowledge", ACKNOWLEDGEMENT, "actor", 5, "string"),
    ],
)
def test_one_wrong_field_of_a_label_an_outcome_or_an_acknowledgement_is_named(
    service: Service, path: str, body: dict[str, Any], field: str, value: Any, bound: str
) -> None:
    answer = service.http.post(f"/api/v1/{path}", json={**body, field: value})
    assert answer.status_code == 422, answer.text
    (one,) = answer.json()["detail"]
    # The two fields of an outcome that belong together are reported at the second.
    assert one["field"] == ("propensity" if "propensity must" in bound else field)
    assert bound in one["message"], one["message"]
    if path != "alerts/1/acknowledge":
        answer = service.http.post(f"/api/v1/{path}", json=[body, {**body, field: value}])
        assert answer.json()["detail"] == [{"index": 1, **one}]
