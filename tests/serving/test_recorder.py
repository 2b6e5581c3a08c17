"""The recorder against the real PostgreSQL and Redis: once and only once, whatever is killed or away."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import redis
from sqlalchemy import Engine, text

from sentinel_core.errors import StoreError
from sentinel_core.settings import Settings
from sentinel_core.stores.keys import Keys
from sentinel_core.stores.streams import EventStreams
from serving.recorder import HEARTBEAT, make_recorder

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def accepted(number: int, **changes: Any) -> dict[str, str]:
    body = {
        "transaction_id": f"t{number}",
        "user_id": f"u{number % 7}",
        "amount": 12.5,
        "merchant_id": "m1",
        "merchant_category": "grocery",
        "transaction_type": "purchase",
        "timestamp": NOW.isoformat(),
        "arrived_at": NOW.isoformat(),
        "arrival": {"user": number + 1},
        "late": False,
        "payload_hash": f"{number:016x}",
        "source": "live",
        "currency": "EUR",
    }
    return entry("accepted", number, body | changes)


def answered(number: int, **changes: Any) -> dict[str, str]:
    body = {
        "event_id": f"e{number}",
        "transaction_id": f"t{number}",
        "fraud_score": 0.25,
        "prediction": False,
        "confidence": "medium",
        "model_version": "v20260101_000000",
        "variant": "champion",
        "features": [0.5, 1.0],
        "catalogue": "c1",
        "risk_as_of": None,
        "prediction_time_ms": 1.5,
        "degraded": False,
        "cache_hit": False,
        "answered_at": NOW.isoformat(),
        "payload_hash": f"{number:016x}",
    }
    return entry("answered", number, body | changes)


def entry(kind: str, number: int, body: dict[str, Any]) -> dict[str, str]:
    return {"kind": kind, "id": f"t{number}", "payload": f"{number:016x}", "body": json.dumps(body)}


def feed(client: redis.Redis, settings: Settings, first: int, last: int) -> None:
    keys = Keys.of(settings)
    pipe = client.pipeline(transaction=False)
    for number in range(first, last):
        stream = keys.stream(number % settings.redis_slots)
        pipe.xadd(stream, accepted(number))  # type: ignore[arg-type]
        pipe.xadd(stream, answered(number))  # type: ignore[arg-type]
    pipe.execute()


def counts(engine: Engine) -> tuple[int, int, int]:
    with engine.connect() as conn:
        rows = (
            conn.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()
            for table in ("transactions", "prediction_logs", "dead_letters")
        )
        first, second, third = rows
        return first, second, third


def backlog(client: redis.Redis, settings: Settings) -> int:
    return sum(int(client.xlen(stream)) for stream in Keys.of(settings).streams())


def until(what: str, condition: Any, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"expected within {seconds} s: {what}"
        time.sleep(0.02)


@contextmanager
def running(settings: Settings) -> Iterator[None]:
    recorder = make_recorder(settings, lambda: NOW)
    thread = threading.Thread(target=recorder.run)
    thread.start()
    try:
        yield
    finally:
        recorder.stop()
        thread.join(20)
        assert not thread.is_alive(), "expected the recorder to stop when told to"


def test_every_entry_becomes_its_row_and_leaves_the_stream(
    settings: Settings, engine: Engine, redis_client: redis.Redis
) -> None:
    feed(redis_client, settings, 0, 300)
    with running(settings):
        until("an empty stream", lambda: backlog(redis_client, settings) == 0)
    assert counts(engine) == (300, 300, 0)
    heartbeat = json.loads((settings.home / HEARTBEAT).read_text())
    assert heartbeat["healthy"] is True
    assert heartbeat["pid"] == os.getpid()


def test_a_refused_entry_is_kept_aside_and_blocks_nobody(
    settings: Settings, engine: Engine, redis_client: redis.Redis
) -> None:
    stream = Keys.of(settings).stream(0)
    redis_client.xadd(stream, accepted(1, amount=-5))  # type: ignore[arg-type]
    feed(redis_client, settings, 2, 20)
    with running(settings):
        until("an empty stream", lambda: backlog(redis_client, settings) == 0)
    assert counts(engine) == (18, 18, 1)


def test_postgresql_away_is_waited_for_and_nothing_is_lost(
    settings: Settings, engine: Engine, redis_client: redis.Redis
) -> None:
    name = engine.url.database
    away = settings.model_copy(
        update={"database_url_given": str(settings.database_url_given).replace(str(name), f"{name}_x")}
    )
    feed(redis_client, settings, 0, 50)
    with running(away):
        until("a heartbeat that says why", lambda: _says(settings.home, healthy=False))
    assert backlog(redis_client, settings) == 100
    with running(settings):
        until("an empty stream", lambda: backlog(redis_client, settings) == 0)
        until("a healthy heartbeat", lambda: _says(settings.home, healthy=True))
    assert counts(engine) == (50, 50, 0)


def _says(home: Path, *, healthy: bool) -> bool:
    path = home / HEARTBEAT
    return path.exists() and json.loads(path.read_text())["healthy"] is healthy


@pytest.fixture
def environment(settings: Settings) -> dict[str, str]:
    return os.environ | {
        "SENTINEL_HOME": str(settings.home),
        "DATABASE_URL": str(settings.database_url_given),
        "REDIS_URL": str(settings.redis_url_given),
        "SENTINEL_REDIS_NAMESPACE": settings.redis_namespace,
        "SENTINEL_RECORDER_BATCH": "10",
        "LOG_LEVEL": "INFO",
    }


def start(environment: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "serving.recorder"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def test_killed_at_any_moment_it_loses_and_doubles_nothing(
    settings: Settings, engine: Engine, redis_client: redis.Redis, environment: dict[str, str]
) -> None:
    feed(redis_client, settings, 0, 2000)
    for written in (0, 600):
        process = start(environment)
        until(f"more than {written} rows", lambda: counts(engine)[0] > written)  # noqa: B023 (called at once)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    feed(redis_client, settings, 2000, 2100)
    process = start(environment)
    until("an empty stream", lambda: backlog(redis_client, settings) == 0)
    process.terminate()
    out, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert counts(engine) == (2100, 2100, 0)
    lines = [json.loads(line) for line in out.splitlines()]
    assert {"recorder started", "recorder stopped"} <= {line["event"] for line in lines}


@pytest.mark.parametrize("name", ["read", "done"])
def test_a_call_whose_reply_is_lost_is_made_good_at_once(
    settings: Settings, engine: Engine, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    call, lost = getattr(EventStreams, name), iter((True,))

    def cut_off(*arguments: Any, **options: Any) -> Any:
        if name == "read" or not next(lost, False):
            reply = call(*arguments, **options)
            if name == "done" or not (reply and next(lost, False)):
                return reply
        raise StoreError("expected Redis, and got: the connection was cut.")

    monkeypatch.setattr(EventStreams, name, cut_off)
    feed(redis_client, settings, 0, 20)
    with running(settings):
        # Not after the half minute for which a consumer's entries are its own.
        until("an empty stream", lambda: backlog(redis_client, settings) == 0, seconds=10)
    assert counts(engine) == (20, 20, 0)
