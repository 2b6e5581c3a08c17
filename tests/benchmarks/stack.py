"""The whole platform in an empty folder: time to the first prediction, second start, memory at rest, disk, latency."""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from tests.e2e.stack import Checkout, until

ROWS = 100_000
REQUESTS = 3_000


def run() -> dict[str, Any]:
    """Return seconds of the first, the repeated and the resumed `make up`, MB in memory and on disk, and latencies."""
    with tempfile.TemporaryDirectory() as folder:
        checkout = Checkout.make(Path(folder))
        try:
            (arrival, passed), first = _timed(lambda: checkout.first_make_up(ROWS))
            _, again = _timed(lambda: checkout.make_up(ROWS))
            until(lambda: all(process["healthy"] for process in checkout.processes().values()), 120)
            time.sleep(20)
            memory = {name: process["memory_mb"] for name, process in checkout.processes().items()}
            latency = _latency(checkout.settings.serving_port)
            tasks = json.loads((checkout.settings.home / "state" / "last_training.json").read_text())
            checkout.sentinel("down")
            _, resumed = _timed(lambda: checkout.make_up(ROWS))
        finally:
            checkout.sentinel("down")
    return {
        "first_make_up_seconds": first,
        "gate_passed": passed,
        "model_version": arrival["model_version"],
        "training": tasks,
        "repeated_make_up_seconds": again,
        "resumed_make_up_seconds": resumed,
        "environment_mb": environment_mb(Path(sys.prefix)),
        "memory_mb": memory,
        "memory_mb_total": round(sum(memory.values()), 1),
        "latency_ms": latency,
    }


def environment_mb(environment: Path) -> int:
    """Return what an environment takes on disk; a file with several names counts once."""
    seen, total = set(), 0
    for folder, _, names in os.walk(environment):
        for name in names:
            held = (Path(folder) / name).lstat()
            if (held.st_dev, held.st_ino) not in seen:
                seen.add((held.st_dev, held.st_ino))
                total += held.st_blocks * 512
    return round(total / 1e6)


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    begun = time.perf_counter()
    result = work()
    return result, round(time.perf_counter() - begun, 1)


def _latency(port: int) -> dict[str, Any]:
    """Measure one keep-alive client on each route that has a bound."""
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as client:
        return {
            "health": _route(client, REQUESTS // 10, lambda i: client.get("/health")),
            "predict": _route(client, REQUESTS, lambda i: client.post("/api/v1/predict", json=_payload(i))),
            "predict_batch_of_100": _route(client, 50, lambda _: client.post("/api/v1/predict/batch", json=_batch())),
            "model_info": _route(client, REQUESTS // 10, lambda i: client.get("/api/v1/model/info")),
            "monitoring_metrics": _route(client, 100, lambda i: client.get("/api/v1/monitoring/metrics")),
        }


def _payload(i: int) -> dict[str, Any]:
    return {
        "user_id": f"user_{i % 1500:06d}",
        "amount": 5.0 + i % 200,
        "merchant_id": f"merchant_{i % 300:05d}",
        "merchant_category": "grocery",
        "transaction_type": "purchase",
        "timestamp": datetime.now(UTC).isoformat(),
        "transaction_id": f"bench-{time.time_ns()}-{i}",
    }


def _batch() -> dict[str, Any]:
    return {"transactions": [_payload(i) for i in range(100)]}


def _route(client: httpx.Client, times: int, call: Callable[[int], httpx.Response]) -> dict[str, float]:
    for i in range(20):
        call(i).raise_for_status()
    taken = []
    for i in range(times):
        begun = time.perf_counter()
        call(i).raise_for_status()
        taken.append((time.perf_counter() - begun) * 1000)
    cuts = statistics.quantiles(taken, n=1000)
    return {
        "requests": times,
        "p50": round(cuts[499], 3),
        "p99": round(cuts[989], 3),
        "p999": round(cuts[998], 3),
    }
