"""How fast vectors are built: a whole table offline, micro-batches online."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from sentinel_core.datasets.events import to_events, to_labels
from sentinel_core.datasets.frames import canonical
from sentinel_core.features.build import build_offline, build_online
from sentinel_core.features.risk import RiskHistory
from sentinel_core.synthetic.generate import generate

ROWS = 1_000_000
DELAY = timedelta(days=7)


def run() -> dict[str, Any]:
    """Return rows a second offline, and microseconds for batches of 1 and 100 users with 50 events each."""
    frame = canonical(generate(ROWS, 0.02, 1, end=datetime(2026, 6, 30, tzinfo=UTC)))
    events, labels = to_events(frame), to_labels(frame, DELAY)
    delay_us = DELAY // timedelta(microseconds=1)
    seconds = []
    for _ in range(3):
        begun = time.perf_counter()
        build_offline(events, RiskHistory(events, labels, delay_us))
        seconds.append(time.perf_counter() - begun)
    last = events.take(slice(len(events) - 100, len(events)))
    history = events.take(np.arange(len(events) - 150, len(events) - 100)).records()
    table = RiskHistory(events, labels, delay_us).at(int(events.time[-1]) // 86_400_000_000 * 86_400_000_000)
    one = last.take(slice(0, 1))
    return {
        "offline_rows_per_s": round(ROWS / statistics.median(seconds)),
        "offline_seconds": [round(value, 3) for value in seconds],
        "online_1_user_us": _microseconds(lambda: build_online(one, [history], table), 2000),
        "online_100_users_us": _microseconds(lambda: build_online(last, [history] * 100, table), 200),
    }


def _microseconds(call: Callable[[], object], times: int) -> float:
    rounds = []
    for _ in range(5):
        begun = time.perf_counter()
        for _ in range(times):
            call()
        rounds.append((time.perf_counter() - begun) / times * 1e6)
    return round(statistics.median(rounds), 1)
