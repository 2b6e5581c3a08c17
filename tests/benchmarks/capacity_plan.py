"""From what one worker costs to what 1,000 to 1,000,000 requests a minute need: arithmetic, no measuring."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tests.benchmarks.figures import written

PER_MINUTE: Final = (1_000, 10_000, 100_000, 1_000_000)
STATED: Final = ("1", "2 to 4", "8 to 16, a Redis cluster, a read replica", "20 or more, shards")
"""The growth path that the project was given, in instances."""
UTILISATION: Final = 0.5
"""The share of a core that is planned for: beyond it, waiting grows faster than the load."""
WORKERS_AN_INSTANCE: Final = 4
DAYS_KEPT: Final = 31
"""How long a payment stays in its user's history: the window of 30 days and the day for late ones."""
_DAY: Final = 86_400


@dataclass(frozen=True, slots=True)
class Need:
    """What one rate needs; memory and disk in GB, network in MB/s."""

    per_minute: int
    workers: int
    instances: int
    redis_cores: float
    redis_gb: float
    recorders: int
    postgres_cores: float
    postgres_gb_a_day: float
    wal_mb_per_s: float
    http_mb_per_s: float


def need(per_minute: int, figures: Mapping[str, Any]) -> Need:
    """Compute what a steady rate needs.

    Redis holds each payment of `DAYS_KEPT` days once, as one record of its user, each user with one payment a day;
    and each answer for an hour.
    """
    rate, cpu = per_minute / 60, figures["cpu"]["32_clients"]
    redis, postgres = figures["redis"], figures["postgres"]
    workers = math.ceil(rate * cpu["worker_ms"] / 1000 / UTILISATION)
    users = per_minute * 1440
    memory = users * redis["users_31_events_mb_per_million"] + rate * 3600 * redis["bytes_per_answer"]
    return Need(
        per_minute,
        workers,
        math.ceil(workers / WORKERS_AN_INSTANCE),
        rate * cpu["redis_ms"] / 1000,
        memory / 1e9,
        math.ceil(rate * cpu["recorder_ms"] / 1000 / UTILISATION),
        rate * cpu["postgres_ms"] / 1000,
        rate * _DAY * postgres["mb_per_million"] / 1e9,
        rate * postgres["wal_mb_per_million"] / 1e6,
        rate * figures["http"]["bytes_per_request"] / 1e6,
    )


def tables(figures: Mapping[str, Any]) -> str:
    """Return both tables of docs/capacity.md, Markdown: the measured costs, and what each rate needs."""
    return f"{_costs(figures)}\n{_needs(figures)}"


def _costs(figures: Mapping[str, Any]) -> str:
    cpu, redis, postgres = figures["cpu"]["32_clients"], figures["redis"], figures["postgres"]
    per_second = UTILISATION * 1000 / cpu["worker_ms"]
    rows = {
        "CPU of a worker for a request": f"{written(cpu['worker_ms'])} ms",
        f"so one worker at {UTILISATION:.0%} of a core does": f"{written(round(per_second))} requests/s",
        "CPU of Redis for a request": f"{written(cpu['redis_ms'])} ms",
        "CPU of the recorder for a transaction": f"{written(cpu['recorder_ms'])} ms",
        "CPU of PostgreSQL for a transaction": f"{written(cpu['postgres_ms'])} ms",
        "Redis for a million users with 31 payments": f"{written(redis['users_31_events_mb_per_million'])} MB",
        "Redis for an answer, kept for an hour": f"{written(redis['bytes_per_answer'])} bytes",
        "PostgreSQL for a million transactions": f"{written(postgres['mb_per_million'])} MB",
        "its write-ahead log, which a replica reads": f"{written(postgres['wal_mb_per_million'])} MB a million",
        "HTTP, both ways": f"{written(figures['http']['bytes_per_request'])} bytes a request",
    }
    lines = [f"| {label} | {value} |" for label, value in rows.items()]
    return "\n".join(["| one of | costs |", "|---|---|", *lines, ""])


def _needs(figures: Mapping[str, Any]) -> str:
    needs = [need(rate, figures) for rate in PER_MINUTE]
    rows = {
        "requests a second": [written(round(one.per_minute / 60)) for one in needs],
        "workers": [written(one.workers) for one in needs],
        f"instances of {WORKERS_AN_INSTANCE} workers": [written(one.instances) for one in needs],
        "instances, as planned before measuring": list(STATED),
        "cores that Redis uses": [written(one.redis_cores) for one in needs],
        "memory of Redis": [f"{written(one.redis_gb)} GB" for one in needs],
        "recorders": [written(one.recorders) for one in needs],
        "cores that PostgreSQL uses": [written(one.postgres_cores) for one in needs],
        "PostgreSQL grows by": [f"{written(one.postgres_gb_a_day)} GB a day" for one in needs],
        "write-ahead log": [f"{written(one.wal_mb_per_s)} MB/s" for one in needs],
        "HTTP": [f"{written(one.http_mb_per_s)} MB/s" for one in needs],
    }
    head = "| requests a minute | " + " | ".join(f"{rate:,}" for rate in PER_MINUTE) + " |"
    lines = [f"| {label} | {' | '.join(cells)} |" for label, cells in rows.items()]
    return "\n".join([head, "|---|" + "---|" * len(PER_MINUTE), *lines, ""])
