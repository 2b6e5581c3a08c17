"""Who may pass: keys, rates, room. Against the application over the real Redis, with the clock of the machine."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from sentinel_core.errors import SettingsError
from sentinel_core.local.api_keys import create_key, revoke_key
from sentinel_core.settings import Settings
from sentinel_core.stores.api_keys import keys_file
from sentinel_core.stores.key_hash import hash_of
from serving import api_keys
from serving.api import make_app
from serving.ledger import CALLS_MOST
from serving.runtime import Runtime
from tests.registry.bundles import tiny_bundle
from tests.serving.conftest import PAYLOAD

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LOCAL, REMOTE = "http://127.0.0.1", "http://192.0.2.7"
"""Where the client connected to: httpx hands the host on as the address of the server's own socket."""
Scene = Callable[[httpx.AsyncClient, Runtime], Awaitable[None]]


def play(settings: Settings, scene: Scene, base_url: str = LOCAL) -> None:
    """Run a scene against the application in this process."""

    async def run() -> None:
        app, runtime = make_app(), Runtime(settings, lambda: datetime.now(UTC))
        await runtime.start()
        app.state.runtime = runtime
        try:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=base_url) as http:
                await scene(http, runtime)
        finally:
            await runtime.stop()

    asyncio.run(asyncio.wait_for(run(), 60))


@pytest.fixture
def modelled(settings: Settings, tmp_path: Path) -> Settings:
    tiny_bundle(tmp_path / "bundle", model_version="v1")
    return settings.model_copy(update={"bundle": tmp_path / "bundle"})


@pytest.fixture
def exposed(modelled: Settings) -> Settings:
    return modelled.model_copy(update={"host": "0.0.0.0"})  # noqa: S104


async def predict(http: httpx.AsyncClient, key: str | None = None) -> httpx.Response:
    return await http.post("/api/v1/predict", json=PAYLOAD, headers={} if key is None else {"X-API-Key": key})


def refused(answer: httpx.Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["error"]) == (status, code), answer.text
    assert set(answer.json()) == {"error", "detail"}
    assert len(answer.headers["x-request-id"]) == 32


def counted(runtime: Runtime, reason: str) -> float:
    return float(runtime.metrics.refused.labels(reason)._value.get())


def test_beyond_loopback_every_route_but_the_open_ones_needs_a_key(exposed: Settings) -> None:
    key = create_key(exposed, "shop", NOW)

    async def scene(http: httpx.AsyncClient, runtime: Runtime) -> None:
        refused(await predict(http), 401, "unauthorized")
        assert (await predict(http, key)).status_code == 200
        for path in (
            "/metrics",
            "/api/v1/model/info",
            "/api/v1/monitoring/metrics",
            "/api/v1/predictions/x",
            "/api/v1/no",
        ):
            refused(await http.get(path), 401, "unauthorized")
            assert (await http.get(path, headers={"X-API-Key": key})).status_code in (200, 404), path
        for path in ("/health", "/docs", "/redoc", "/openapi.json", "/static-offline-docs/favicon.png"):
            assert (await http.get(path)).status_code == 200, path
        assert counted(runtime, "key") == 6

    play(exposed, scene)


@pytest.mark.parametrize("wrong", ["", "sml_wrong", "é", "x" * 10_000, "{hash}", "{key}x", " {key} {key}"])
def test_a_wrong_key_is_refused_and_neither_is_its_hash_a_key(exposed: Settings, wrong: str) -> None:
    key = create_key(exposed, "shop", NOW)
    given = wrong.format(key=key, hash=hash_of(key)).encode()

    async def scene(http: httpx.AsyncClient, _: Runtime) -> None:
        answer = await http.post("/api/v1/predict", json=PAYLOAD, headers={b"X-API-Key": given})
        refused(answer, 401, "unauthorized")
        assert answer.headers["www-authenticate"] == "X-API-Key"

    play(exposed, scene)


def test_a_refusal_comes_before_the_body_is_read(exposed: Settings) -> None:
    async def never() -> Any:
        yield b"{"
        raise AssertionError("the body was read")

    async def scene(http: httpx.AsyncClient, _: Runtime) -> None:
        refused(await http.post("/api/v1/predict", content=never()), 401, "unauthorized")

    play(exposed, scene)


def test_without_any_key_the_service_lives_and_refuses(exposed: Settings) -> None:
    async def scene(http: httpx.AsyncClient, _: Runtime) -> None:
        refused(await predict(http, ""), 401, "unauthorized")
        assert (await http.get("/health")).json()["status"] == "healthy"

    play(exposed, scene)


def test_keys_come_and_go_without_a_restart(exposed: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_keys, "LOOK_SECONDS", 0.05)
    given = exposed.model_copy(update={"api_keys": f"till:{hash_of('from-the-environment')}"})

    async def scene(http: httpx.AsyncClient, _: Runtime) -> None:
        assert (await predict(http, "from-the-environment")).status_code == 200
        key = create_key(given, "shop", NOW)
        assert (await predict(http, key)).status_code == 200, "a new key is known at once"
        good = keys_file(given).read_text()
        keys_file(given).write_text("{")
        await asyncio.sleep(0.06)
        assert (await predict(http, key)).status_code == 200, "a broken file takes nobody's key away"
        keys_file(given).write_text(good)
        revoke_key(given, "shop")
        await asyncio.sleep(0.06)
        refused(await predict(http, key), 401, "unauthorized")
        assert (await predict(http, "from-the-environment")).status_code == 200

    play(given, scene)


def test_over_loopback_no_key_is_needed_and_one_does_no_harm(modelled: Settings) -> None:
    async def scene(http: httpx.AsyncClient, _: Runtime) -> None:
        assert (await predict(http)).status_code == 200
        assert (await predict(http, "whatever")).status_code == 200

    play(modelled, scene)


def test_a_connection_from_elsewhere_needs_a_key_whatever_the_settings_believe(modelled: Settings) -> None:
    async def scene(http: httpx.AsyncClient, _: Runtime) -> None:
        refused(await predict(http), 401, "unauthorized")

    play(modelled, scene, REMOTE)


@pytest.mark.parametrize(("host", "required", "status"), [("0.0.0.0", False, 200), ("127.0.0.1", True, 401)])  # noqa: S104
def test_the_setting_wins_over_what_can_be_seen(modelled: Settings, host: str, required: bool, status: int) -> None:
    async def scene(http: httpx.AsyncClient, _: Runtime) -> None:
        assert (await predict(http)).status_code == status

    settings = modelled.model_copy(update={"host": host, "require_api_key": required})
    play(settings, scene, REMOTE if status == 200 else LOCAL)


def test_a_malformed_setting_stops_the_start(exposed: Settings) -> None:
    with pytest.raises(SettingsError, match="expected entry 1 of SENTINEL_API_KEYS"):
        Runtime(exposed.model_copy(update={"api_keys": "shop=abc"}), lambda: NOW)


def test_each_key_has_a_rate_of_its_own_and_is_told_when_to_come_again(exposed: Settings) -> None:
    limited = exposed.model_copy(update={"rate_limit_per_minute": 3})
    shop, till = create_key(limited, "shop", NOW), create_key(limited, "till", NOW)

    async def scene(http: httpx.AsyncClient, runtime: Runtime) -> None:
        answers = [await predict(http, shop) for _ in range(5)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
        refused(answers[3], 429, "rate_limited")
        assert 1 <= int(answers[3].headers["retry-after"]) <= 120
        assert (await predict(http, till)).status_code == 200
        assert (await http.get("/health")).status_code == 200
        assert counted(runtime, "rate") == 2

    play(limited, scene)


def test_without_keys_the_rate_is_that_of_an_address(modelled: Settings) -> None:
    async def scene(http: httpx.AsyncClient, _: Runtime) -> None:
        assert [(await predict(http)).status_code for _ in range(3)] == [200, 200, 429]

    play(modelled.model_copy(update={"rate_limit_per_minute": 2}), scene)


def test_requests_of_one_moment_are_counted_each(modelled: Settings) -> None:
    async def scene(http: httpx.AsyncClient, _: Runtime) -> None:
        answers = await asyncio.gather(*(http.get("/api/v1/model/info") for _ in range(50)))
        assert sorted(answer.status_code for answer in answers) == [200] * 20 + [429] * 30

    play(modelled.model_copy(update={"rate_limit_per_minute": 20}), scene)


def test_without_redis_nobody_is_counted_and_nobody_waits(modelled: Settings) -> None:
    away = modelled.model_copy(update={"redis_url_given": "redis://:hunter2@127.0.0.1:1/0", "rate_limit_per_minute": 1})

    async def scene(http: httpx.AsyncClient, runtime: Runtime) -> None:
        answers = [await http.get("/api/v1/model/info") for _ in range(5)]
        assert [answer.status_code for answer in answers] == [200] * 5
        assert runtime.metrics.store_errors.labels("redis")._value.get() == 1, (
            "asked once a second, not at each request"
        )

    play(away, scene)


def test_a_worker_takes_on_so_many_requests_and_refuses_more_at_once(modelled: Settings) -> None:
    async def scene(http: httpx.AsyncClient, runtime: Runtime) -> None:
        release = asyncio.Event()

        async def slow(*_: Any, **__: Any) -> Any:
            await release.wait()
            return [{"fraud_score": 0.5}]

        runtime.scorer.score = slow  # type: ignore[method-assign]
        under_way = [asyncio.create_task(predict(http)) for _ in range(2)]
        await asyncio.sleep(0.05)
        answer = await predict(http)
        refused(answer, 503, "overloaded")
        assert answer.headers["retry-after"] == "1"
        assert (await http.get("/health")).status_code == 200
        assert counted(runtime, "busy") == 1
        release.set()
        assert [one.status_code for one in await asyncio.gather(*under_way)] == [200, 200]
        assert (await predict(http)).status_code == 200

    play(modelled.model_copy(update={"max_requests": 2}), scene)


def test_a_full_queue_refuses_before_the_body_is_read(modelled: Settings) -> None:
    async def scene(http: httpx.AsyncClient, runtime: Runtime) -> None:
        runtime.gate.queue_is_full = lambda: True

        async def body() -> Any:
            raise AssertionError("expected nobody to read the body")
            yield b""

        answer = await http.post("/api/v1/predict", content=body(), headers={"Content-Type": "application/json"})
        refused(answer, 503, "overloaded")
        assert answer.headers["retry-after"] == "1"
        assert counted(runtime, "queue") == 1
        assert (await http.get("/api/v1/model/info")).status_code == 200

    play(modelled, scene)


def test_transactions_beyond_the_queue_are_refused_and_not_recorded(modelled: Settings) -> None:
    async def scene(http: httpx.AsyncClient, runtime: Runtime) -> None:
        answers = await asyncio.gather(
            *(http.post("/api/v1/predict", json=PAYLOAD | {"user_id": f"u{n}"}) for n in range(60))
        )
        statuses = [answer.status_code for answer in answers]
        assert set(statuses) == {200, 503}
        shed = [answer for answer in answers if answer.status_code == 503]
        for answer in shed:
            refused(answer, 503, "overloaded")
            assert answer.headers["retry-after"] == "1"
        assert counted(runtime, "queue") == len(shed)
        assert await runtime.store.backlog() - 1 == 2 * statuses.count(200), "one entry is the feature set"

    play(modelled.model_copy(update={"max_waiting": 4}), scene)


def test_a_read_that_hangs_is_given_up_in_the_form_of_every_error(modelled: Settings) -> None:
    async def scene(http: httpx.AsyncClient, runtime: Runtime) -> None:
        async def forever(_: str) -> Any:
            await asyncio.sleep(60)

        runtime.ledger.prediction = forever  # type: ignore[method-assign]
        answer = await http.get("/api/v1/predictions/x")
        refused(answer, 503, "deadline_exceeded")
        assert answer.headers["retry-after"] == "1"
        assert (await predict(http)).status_code == 200

    play(modelled.model_copy(update={"request_timeout_seconds": 0.2}), scene)


def test_a_database_that_hangs_gathers_no_more_than_so_many_questions(modelled: Settings) -> None:
    release = threading.Event()

    async def scene(http: httpx.AsyncClient, runtime: Runtime) -> None:
        def hang(_: Any) -> int:
            release.wait(30)
            return 1

        await asyncio.sleep(0.2)  # for the first probe of /health
        waiting = [asyncio.create_task(runtime.ledger.read(hang)) for _ in range(CALLS_MOST)]
        await asyncio.sleep(0.05)
        waiting[0].cancel()  # who hangs up frees no thread
        refused(await http.get("/api/v1/predictions/x"), 503, "overloaded")
        assert (await predict(http)).status_code == 200, "scoring does not ask the database"
        release.set()
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert results[1:] == [1] * (CALLS_MOST - 1)
        assert (await http.get("/api/v1/predictions/x")).status_code == 404

    try:
        play(modelled, scene)
    finally:
        release.set()
