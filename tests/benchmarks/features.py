"""How fast vectors are built: a whole table offline, micro-batches online."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from sentinel_core.datasets.events import to_events, to_labels
from sentinel_core.datasets.frames import canonical
from sentinel_core.features.build import Touches, build_offline, build_online
from sentinel_core.features.entities import TOUCHED
from sentinel_core.features.events import Events
from sentinel_core.features.risk import RiskHistory, RiskTable
from sentinel_core.synthetic.generate import generate
from tests.benchmarks import file_to_matrix

ROWS = 1_000_000
DELAY = timedelta(days=7)


def run() -> dict[str, Any]:
    """Return rows a second offline, and microseconds for batches of 1 and 100 users with 50 events each.

    Online, the device, the address and the merchant of each row have 20 events each. The least of the rounds stands
    beside their median: the first says what the code costs, the second what this machine made of it.
    """
    frame = canonical(generate(ROWS, 0.02, 1, end=datetime(2026, 6, 30, tzinfo=UTC)))
    events, labels = to_events(frame), to_labels(frame, DELAY)
    delay_us = DELAY // timedelta(microseconds=1)
    seconds = []
    for _ in range(3):
        begun = time.perf_counter()
        build_offline(events, RiskHistory(events, labels, delay_us), threads=os.cpu_count() or 1)
        seconds.append(time.perf_counter() - begun)
    return {
        "offline_rows_per_s": round(ROWS / statistics.median(seconds)),
        "offline_seconds": [round(value, 3) for value in seconds],
        "file_to_matrix": file_to_matrix.run(),
        **{f"online_{users}_users_us": _online(events, users) for users in (1, 100)},
    }


def _online(events: Events, users: int) -> dict[str, float]:
    """Score a micro-batch of the last rows, each with 50 earlier events of its user and 20 of each entity."""
    rows = events.take(slice(len(events) - users, len(events)))
    past = events.take(np.arange(len(events) - users - 50, len(events) - users))
    kinds = np.tile(np.arange(len(TOUCHED)), users)
    places = np.arange(users).repeat(len(TOUCHED))
    touched = past.take(slice(-20, None)).records(kind=TOUCHED[0])
    touches = Touches(places, kinds, rows.time[places], [touched] * len(kinds))
    history, table = past.records(), RiskTable.empty()
    return _microseconds(lambda: build_online(rows, [history] * users, table, touches=touches), 2000 // users + 100)


def _microseconds(call: Callable[[], object], times: int) -> dict[str, float]:
    rounds = []
    for _ in range(9):
        begun = time.perf_counter()
        for _ in range(times):
            call()
        rounds.append((time.perf_counter() - begun) / times * 1e6)
    return {"least": round(min(rounds), 1), "median": round(statistics.median(rounds), 1)}
