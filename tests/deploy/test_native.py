"""`make env`, `docker compose up -d`, the documented request, `--scale api=2`: the file's commands, without Docker."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import orjson
import pytest
from dotenv import dotenv_values

from sentinel_core.local.paths import project_root
from tests.deploy.native import BALANCER, Native, balancer_is_installed

pytestmark = [
    pytest.mark.slow,
    pytest.mark.e2e,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not balancer_is_installed(), reason="HAProxy is not installed: apt-get install haproxy"),
]
ROWS = "20000"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Native]:
    """The whole file, up."""
    folder = tmp_path_factory.mktemp("compose")
    # As `make env` does it: a plain Python, nothing installed.
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(project_root())}
    subprocess.run([sys.executable, "-S", "-m", "sentinel_core.local.dotenv"], cwd=folder, env=environment, check=True)
    native = Native(folder, {"SENTINEL_FIRST_ROWS": ROWS, "API_WORKERS": "1"})
    try:
        native.up()
        native.until_healthy(BALANCER)
        yield native
    finally:
        native.down()


def _url(stack: Native) -> str:
    return f"http://127.0.0.1:{stack.ports[BALANCER]}"


def _key(stack: Native) -> str:
    return str(dotenv_values(stack.folder / ".env")["SENTINEL_API_KEY"])


def _documented_request() -> str:
    text = (project_root() / "docs" / "docker.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```bash\n(KEY=.*?)```", text, re.DOTALL)
    return str(block)


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
    answer = httpx.get(
        f"http://127.0.0.{number + 1}:{stack.ports['api']}/metrics",
        headers={"X-API-Key": _key(stack)},
        timeout=30,
        trust_env=False,
    )
    pattern = r'^sentinel_requests_total\{method="POST",route="/api/v1/predict",status="200"\} (\S+)$'
    found = re.search(pattern, answer.text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def test_the_documented_request_is_answered_with_the_key_of_env(stack: Native) -> None:
    command = _documented_request().replace("127.0.0.1:8000", f"127.0.0.1:{stack.ports[BALANCER]}")
    environment = {**os.environ, "no_proxy": "*"}
    done = subprocess.run(
        ["bash", "-euc", command], cwd=stack.folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    answer = orjson.loads(done.stdout)
    assert 0 <= answer["fraud_score"] <= 1
    assert answer["degraded"] is False
    assert re.fullmatch(r"v\d{8}_\d{6}", answer["model_version"])


def test_it_starts_in_the_order_of_the_file(stack: Native) -> None:
    place = {name: number for number, name in enumerate(stack.started)}
    assert place["postgres"] < place["migrations"] < place["mlflow"] < place["airflow-api-server"]
    assert place["airflow-dag-processor"] < place["first-model"] < place["api"] < place[BALANCER]
    assert "Trained and promoted: v" in stack.log("first-model")
    assert "The training history, into PostgreSQL and Redis" in stack.log("first-model")


def test_a_second_up_finds_the_model_and_ends_at_once(stack: Native) -> None:
    before = stack.log("first-model")
    begun = time.monotonic()
    stack.once("first-model")
    assert time.monotonic() - begun < 60
    assert re.search(r"^In Production already: v", stack.log("first-model").removeprefix(before), re.MULTILINE)


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
