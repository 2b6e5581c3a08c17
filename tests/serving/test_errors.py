"""What a client reads when something is away or broken: the form of every error, and nothing from inside."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from sentinel_core.errors import BundleError, PayloadConflictError, StoreError
from sentinel_core.settings import Settings
from sentinel_core.stores.spool import FOLDER
from serving.api import make_app
from serving.errors import DeadlineError, NoModelError, to_problem
from serving.runtime import Runtime
from tests.registry.bundles import tiny_bundle
from tests.serving.conftest import PAYLOAD

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
Scene = Callable[[httpx.AsyncClient, Runtime], Awaitable[None]]


def play(settings: Settings, scene: Scene) -> None:
    """Run a scene against the application in this process."""

    async def run() -> None:
        app, runtime = make_app(), Runtime(settings, lambda: NOW)
        await runtime.start()
        app.state.runtime = runtime
        transport = httpx.ASGITransport(app)
        try:
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
                await scene(http, runtime)
        finally:
            await runtime.stop()

    asyncio.run(asyncio.wait_for(run(), 60))


@pytest.fixture
def modelled(settings: Settings, tmp_path: Path) -> Settings:
    tiny_bundle(tmp_path / "bundle", model_version="v1")
    return settings.model_copy(update={"bundle": tmp_path / "bundle"})


def test_without_redis_a_prediction_is_degraded_and_says_so(modelled: Settings) -> None:
    away = modelled.model_copy(update={"redis_url_given": "redis://:hunter2@127.0.0.1:1/0"})

    async def scene(http: httpx.AsyncClient, _: Runtime) -> None:
        answer = await http.post("/api/v1/predict", json=PAYLOAD)
        assert (answer.status_code, answer.json()["degraded"]) == (200, True)
        health = (await http.get("/health")).json()
        assert health["status"] == "degraded"
        assert health["dependencies"]["redis"]["status"] == "down"
        assert health["spool"]["writing"] is True
        metrics = (await http.get("/metrics")).text
        assert 'sentinel_dependency_up{dependency="redis"} 0.0' in metrics
        assert "sentinel_degraded_predictions_total 1.0" in metrics
        assert "hunter2" not in answer.text + str(health) + metrics

    play(away, scene)


def test_without_redis_and_disk_a_prediction_is_refused_clearly(modelled: Settings) -> None:
    away = modelled.model_copy(update={"redis_url_given": "redis://:hunter2@127.0.0.1:1/0"})
    spool = away.home / FOLDER
    spool.parent.mkdir(parents=True, exist_ok=True)
    spool.write_text("a file stands in its place")

    async def scene(http: httpx.AsyncClient, _: Runtime) -> None:
        answer = await http.post("/api/v1/predict", json=PAYLOAD)
        assert (answer.status_code, answer.json()["error"]) == (503, "store_unavailable")
        assert "Send the same request again" in answer.json()["detail"]
        assert answer.headers["retry-after"] == "1"
        assert "hunter2" not in answer.text and "127.0.0.1" not in answer.text

    play(away, scene)


def test_without_postgresql_predictions_go_on_and_reads_are_refused(modelled: Settings) -> None:
    away = modelled.model_copy(update={"database_url_given": "postgresql://me:hunter2@127.0.0.1:1/none"})

    async def scene(http: httpx.AsyncClient, _: Runtime) -> None:
        assert (await http.post("/api/v1/predict", json=PAYLOAD)).status_code == 200
        reads = [
            await http.get("/api/v1/predictions/x"),
            await http.get("/api/v1/monitoring/metrics"),
            await http.post("/api/v1/labels", json={"transaction_id": "x", "is_fraud": True}),
        ]
        for answer in reads:
            assert (answer.status_code, answer.json()["error"]) == (503, "store_unavailable")
            assert "hunter2" not in answer.text

    play(away, scene)


def test_a_bug_is_a_500_without_its_text(modelled: Settings) -> None:
    async def scene(http: httpx.AsyncClient, runtime: Runtime) -> None:
        async def broken(_: Any) -> Any:
            raise ZeroDivisionError("card 4242 of 203.0.113.7")

        runtime.scorer.score = broken  # type: ignore[method-assign]
        answer = await http.post("/api/v1/predict", json=PAYLOAD)
        assert answer.status_code == 500
        assert answer.json() == {
            "error": "internal_error",
            "detail": "The request failed for a reason that is in the service's log.",
        }
        assert len(answer.headers["x-request-id"]) == 32

    play(modelled, scene)


def test_a_body_that_does_not_come_is_not_waited_for(modelled: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.wire.BODY_SECONDS", 0.1)

    async def half() -> AsyncIterator[bytes]:
        yield b'{"user_id": '
        await asyncio.sleep(1)

    async def scene(http: httpx.AsyncClient, _: Runtime) -> None:
        answer = await http.post("/api/v1/predict", content=half())
        assert (answer.status_code, answer.json()["error"]) == (408, "body_timeout")

    play(modelled, scene)


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (PayloadConflictError("used before"), 409, "payload_conflict"),
        (NoModelError("none"), 503, "no_model"),
        (DeadlineError("late"), 503, "deadline_exceeded"),
        (StoreError("redis://host is away"), 503, "store_unavailable"),
        (BundleError("/srv/models is broken"), 500, "internal_error"),
    ],
)
def test_each_error_has_its_status_and_code(error: Any, status: int, code: str) -> None:
    found = to_problem(error)
    assert (found.status, found.code) == (status, code)
    assert ("Retry-After" in found.headers) is (status == 503)
