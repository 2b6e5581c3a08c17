"""The stores: histories into Redis from a file and from PostgreSQL, and the recorder's writes, on real servers."""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from sentinel_core.flows.history import load_history, rebuild_history
from sentinel_core.flows.ingest import Request, make_snapshot
from sentinel_core.settings import Settings, load_settings
from sentinel_core.stores.postgres import connected, make_engine, migrate
from sentinel_core.stores.rebuild import rebuild_histories
from sentinel_core.stores.recording import write_batch
from sentinel_core.stores.redis_clients import make_client
from sentinel_core.stores.streams import StreamEvent
from tests.conftest import running_servers
from tests.stores.makers import accepted_event, answered_event

ROWS: Final = 1_000_000
BATCH: Final = 500
BATCHES: Final = 40
VECTOR: Final = [0.1 * place for place in range(56)]


def run() -> dict[str, Any]:
    """Return users a second that get their histories, by way, and rows a second that the recorder writes."""
    with tempfile.TemporaryDirectory() as folder, running_servers(Path(folder)) as servers:
        servers.execute("CREATE DATABASE bench")
        settings = load_settings(
            None,
            home=Path(folder) / "home",
            database_url_given=servers.database_url("bench"),
            redis_url_given=servers.redis_url,
        )
        migrate(settings)
        return {"histories": _histories(settings), "recorder": _recorder(settings)}


def _histories(settings: Settings) -> dict[str, Any]:
    now = datetime.now(UTC)
    snapshot = make_snapshot(settings, Request(rows=ROWS), now=now)
    loaded, seconds = _timed(lambda: load_history(settings, snapshot, now=now))
    engine = make_engine(settings)
    with make_client(settings) as client, connected(engine) as conn:
        client.flushdb()
        users, alone = _timed(lambda: rebuild_histories(conn, client, settings))
        client.flushdb()
        rebuilt, again = _timed(lambda: rebuild_history(settings))
        memory = client.info("memory")["used_memory"]
    engine.dispose()
    return {
        "rows": ROWS,
        "users": loaded["users"],
        "file_to_both_stores_seconds": round(seconds, 2),
        "postgresql_to_redis_seconds": round(again, 2),
        "histories": rebuilt,
        "users_alone_seconds": round(alone, 2),
        "users_per_s": round(users.entities / alone),
        "events_per_s": round(users.records / alone),
        "redis_mb": round(memory / 1e6),
    }


def _recorder(settings: Settings) -> dict[str, Any]:
    """Write batches of transactions with their answers, each in a transaction of its own that is flushed to disk."""
    engine = make_engine(settings)
    start = datetime.now(UTC)
    seconds = []
    for number in range(BATCHES):
        events = _batch(number)
        begun = time.perf_counter()
        with connected(engine) as conn:
            write_batch(conn, events, now=start + timedelta(seconds=number))
        seconds.append(time.perf_counter() - begun)
    engine.dispose()
    return {"batch": BATCH, "transactions_per_s": round(BATCH / statistics.median(seconds))}


def _batch(number: int) -> list[StreamEvent]:
    events = []
    for place in range(BATCH):
        name, user = f"t{number}-{place}", f"u{place % 97}"
        events.append(accepted_event(name, place, user))
        events.append(answered_event(name, place, user, answer={"features": VECTOR}))
    return events


def _timed(call: Callable[[], Any]) -> tuple[Any, float]:
    begun = time.perf_counter()
    found = call()
    return found, time.perf_counter() - begun


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
