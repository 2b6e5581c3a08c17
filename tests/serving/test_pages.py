"""What the service says about itself: metrics, pages, paths that are not there, logs, and what its workers carry."""

from __future__ import annotations

import re
import secrets
import sys

import httpx
import pytest

from tests.serving.conftest import Service, payload
from tests.serving.test_http import error


def test_prometheus_sums_over_the_workers(service: Service) -> None:
    def predicted() -> float:
        text = service.http.get("/metrics").text
        found = re.findall(
            r'sentinel_predictions_total\{model_version="v20260101_000000",prediction="\w+"\} (\S+)', text
        )
        return sum(float(value) for value in found)

    before = predicted()
    for _ in range(20):
        with httpx.Client(base_url=service.url) as fresh:  # a new connection may reach either worker
            fresh.post("/api/v1/predict", json=payload())
    assert predicted() == before + 20
    answer = service.http.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    for name in (
        'sentinel_requests_total{method="POST",route="/api/v1/predict",status="200"}',
        'sentinel_request_seconds_bucket{le="0.005",route="/api/v1/predict"}',
        'sentinel_model_info{version="v20260101_000000"} 1.0',
        "sentinel_cache_hits_total",
        "sentinel_batch_size_bucket",
        "sentinel_stream_entries",
        "sentinel_history_events",
        'sentinel_dependency_up{dependency="redis"} 1.0',
    ):
        assert name in answer.text


@pytest.mark.parametrize("page", ["/docs", "/redoc"])
def test_the_pages_of_the_api_need_no_other_host(service: Service, page: str) -> None:
    text = service.http.get(page).text
    sources = re.findall(r'(?:src|href)="([^"]+)"', text)
    assert sources
    for source in sources:
        assert source.startswith("/"), f"expected a local asset, got {source}"
        assert service.http.get(source).status_code == 200, source


def test_the_description_covers_the_routes_and_the_bodies(service: Service) -> None:
    document = service.http.get("/openapi.json").json()
    assert set(document["paths"]) == {
        "/health",
        "/metrics",
        "/api/v1/predict",
        "/api/v1/predict/batch",
        "/api/v1/labels",
        "/api/v1/outcomes",
        "/api/v1/predictions/{transaction_id}",
        "/api/v1/model/info",
        "/api/v1/monitoring/metrics",
        "/api/v1/alerts",
        "/api/v1/alerts/{alert_id}/acknowledge",
    }
    schemas = document["components"]["schemas"]
    assert schemas["Transaction"]["properties"]["amount"]["maximum"] == 9_999_999.99
    references = set(re.findall(r"#/components/schemas/(\w+)", str(document)))
    assert references <= set(schemas), "expected every reference to lead to a schema"
    assert {"409", "413", "422", "503"} <= set(document["paths"]["/api/v1/predict"]["post"]["responses"])


def test_what_is_not_there_has_the_form_of_every_error(service: Service) -> None:
    error(service.http.get("/api/v1/nothing"), 404, "not_found")
    error(service.http.post("/api/v2/predict"), 404, "not_found")
    answer = service.http.delete("/api/v1/predict")
    error(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "POST"


def test_a_request_id_comes_back_unless_it_could_not_stand_in_a_log(service: Service) -> None:
    given = service.http.get("/health", headers={"X-Request-ID": "abc-1.2"})
    assert given.headers["x-request-id"] == "abc-1.2"
    refused = service.http.get("/health", headers={"X-Request-ID": 'a" b'})
    assert re.fullmatch(r"[0-9a-f]{32}", refused.headers["x-request-id"])


def test_nothing_that_must_not_be_read_is_in_the_log(service: Service) -> None:
    body = payload(transaction_id=secrets.token_hex(8), card_last_four="7391", ip_address="203.0.113.77")
    service.predict(body)
    service.predict(body | {"amount": 99})
    service.predict(body | {"amount": -1})
    text = service.log.read_text()
    assert "7391" not in text
    assert "203.0.113.77" not in text


def test_nothing_heavy_is_in_the_running_workers(service: Service) -> None:
    assert len(service.workers()) == 2
    if sys.platform != "linux":
        return  # only there do maps name the files of extension modules
    for worker in service.workers():
        files = {entry.path for entry in worker.memory_maps()}
        assert any("/onnxruntime/" in path for path in files), "expected to see the extension modules of a worker"
        for heavy in ("pandas", "sklearn", "pyarrow", "scipy", "onnx", "matplotlib"):
            assert not any(f"/site-packages/{heavy}/" in path for path in files), heavy
