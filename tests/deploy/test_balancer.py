"""deploy/haproxy.cfg before real replicas: it shares requests, follows `--scale`, and hides one that stops."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from dotenv import dotenv_values

from tests.deploy.composition import BALANCER
from tests.deploy.native import Native, balancer_is_installed
from tests.registry.bundles import tiny_bundle

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not balancer_is_installed(), reason="HAProxy is not installed: apt-get install haproxy"),
]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Native]:
    """Redis, one replica with a tiny model, and the balancer; scores need no PostgreSQL."""
    folder = tmp_path_factory.mktemp("balancer")
    tiny_bundle(folder / "bundle", model_version="v20260101_000000", weights={"amount_log": 0.8})
    native = Native.make(folder, {"SENTINEL_BUNDLE": str(folder / "bundle"), "API_WORKERS": "1"})
    try:
        for name in ("redis", "api", BALANCER):
            native.start(name)
        yield native
    finally:
        native.down()


def _url(stack: Native) -> str:
    return f"http://127.0.0.1:{stack.ports[BALANCER]}"


def _key(stack: Native) -> str:
    return str(dotenv_values(stack.folder / ".env")["SENTINEL_API_KEY"])


def _body(**fields: object) -> dict[str, object]:
    return {
        "user_id": "somebody",
        "amount": 12.5,
        "merchant_id": "m-1",
        "merchant_category": "grocery",
        "transaction_type": "purchase",
        **fields,
    }


def _predictions_of(stack: Native, number: int) -> float:
    """How many predictions a replica has answered with 200, by its own count."""
    url = f"http://127.0.0.{number + 1}:{stack.ports['api']}/metrics"
    answer = httpx.get(url, headers={"X-API-Key": _key(stack)}, timeout=30, trust_env=False)
    pattern = r'^sentinel_requests_total\{method="POST",route="/api/v1/predict",status="200"\} (\S+)$'
    found = re.search(pattern, answer.text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def test_the_balancer_passes_ids_and_refusals_and_compresses_what_is_large(stack: Native) -> None:
    with httpx.Client(base_url=_url(stack), timeout=30, trust_env=False) as http:
        refused = http.post("/api/v1/predict", json=_body())
        assert (refused.status_code, refused.json()["error"]) == (401, "unauthorized")
        assert re.fullmatch(r"[0-9a-f-]{36}", refused.headers["X-Request-ID"])
        http.headers["X-API-Key"] = _key(stack)
        answer = http.post("/api/v1/predict", json=_body(), headers={"X-Request-ID": "mine-1"})
        assert answer.status_code == 200, answer.text
        assert answer.headers["X-Request-ID"] == "mine-1"
        assert "Content-Encoding" not in answer.headers, "one score is too small"
        assert http.get("/openapi.json").headers["Content-Encoding"] == "gzip"
        assert "Content-Encoding" not in http.get("/openapi.json", headers={"Accept-Encoding": "identity"}).headers
        batch = http.post("/api/v1/predict/batch", json={"transactions": [_body() for _ in range(100)]})
        assert (batch.status_code, batch.headers["Content-Encoding"], batch.json()["count"]) == (200, "gzip", 100)
        too_large = http.post("/api/v1/predict", content=b" " * 1_000_001, headers={"Content-Type": "application/json"})
        assert too_large.status_code == 413


def test_more_replicas_share_the_requests_and_one_that_stops_costs_none(stack: Native) -> None:
    stack.scale(2)
    key = {"X-API-Key": _key(stack)}

    def ask(number: int) -> int:
        return httpx.post(
            f"{_url(stack)}/api/v1/predict",
            json=_body(amount=number % 90 + 1),
            headers=key,
            timeout=30,
            trust_env=False,
        ).status_code

    with ThreadPoolExecutor(8) as pool:
        deadline = time.monotonic() + 60
        while _predictions_of(stack, 2) < 20:
            assert time.monotonic() < deadline, "the second replica gets nothing"
            assert set(pool.map(ask, range(40))) == {200}
        first = _predictions_of(stack, 1)
        assert set(pool.map(ask, range(80))) == {200}
        assert _predictions_of(stack, 1) > first, "the first one gets nothing any more"
        stack.scale(1)
        assert set(pool.map(ask, range(80))) == {200}


def test_without_a_replica_the_balancer_says_so_and_recovers(stack: Native) -> None:
    stack.scale(0)
    with httpx.Client(base_url=_url(stack), timeout=30, trust_env=False) as http:
        deadline = time.monotonic() + 30
        while (answer := http.get("/health")).status_code != 503:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        assert (answer.json()["error"], answer.headers["Retry-After"]) == ("unavailable", "1")
        assert answer.headers["X-Request-ID"]
    stack.scale(1)
    stack.until_healthy(BALANCER)
