"""Live performance: each day's cohort is measured once at each age, from what PostgreSQL knew when it was that old."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Engine

from sentinel_core.evaluation.judge import Interval
from sentinel_core.flows import Progress, silent
from sentinel_core.flows.judging import judging
from sentinel_core.monitoring.answers import Record
from sentinel_core.monitoring.cohorts import Cohort, Seen, as_known, cohort, day_end, due, matured_age, newest_day
from sentinel_core.monitoring.drop import DROPS, FEWEST_ALERTS, LIMIT, Drop, drop
from sentinel_core.monitoring.performance import ERRS, estimate, measure
from sentinel_core.schema import to_micros
from sentinel_core.settings import Settings
from sentinel_core.stores.cohorts import read_day, read_sums
from sentinel_core.stores.live_metrics import (
    cohort_metrics,
    drifting,
    first_answer,
    last_measured,
    newest_metrics,
    split_of,
    unpooled,
)
from sentinel_core.stores.model_metrics import ModelMetrics, latest_metrics, record_metrics
from sentinel_core.stores.postgres import connected, make_engine, take_turns

ENOUGH_ALERTS: Final = 300
MOST_DAYS: Final = 14
MOST_ROWS: Final = 500_000
"""Days are pooled, the newest first, until they hold so many alerts of known truth, or so many rows, or are so many."""
ESTIMATED_DAYS: Final = 14
SHOWN_DAYS: Final = 90


def measure_performance(settings: Settings, *, now: datetime, progress: Progress = silent) -> dict[str, Any]:
    """Measure every cohort that reached an age by `now` and has no figures yet; return {"measured", "newest"}.

    `measured` counts the rows appended to `model_metrics`, one for each cohort day, age and model (split `live_7d`, …)
    and one for the days pooled up to the newest (`live_7d_pooled`); `newest` are the newest pooled figures by model and
    age. Whatever earlier runs missed is made up for; two at once take turns, and a cohort is measured once. Raises
    `StoreError` where PostgreSQL is away: the days measured by then stay, the next run goes on.
    """
    measured = 0
    due = judging("the days that became old enough", "the next run makes up for them")
    with due, _engine(settings) as engine, connected(engine) as waiting:
        take_turns(waiting, f"live performance of {settings.model_name}")
        for day, ages in _due(settings, engine, now).items():
            with connected(engine) as conn:
                rows = _measure_day(conn, settings, day, ages, now)
                for row in rows:
                    record_metrics(conn, row)
            measured += len(rows)
            if rows:
                progress(f"{day}: {len(rows)} cohorts measured")
        with connected(engine) as conn:
            for version, age, day in unpooled(conn, settings.model_name):
                first, seen = _pool(conn, settings, version, age, day)
                record_metrics(conn, _row(settings, cohort(seen), version, (first, day), age, now, pooled=True))
                measured += 1
            newest = newest_metrics(conn, settings.model_name)
    return {"measured": measured, "newest": newest}


def read_performance(settings: Settings, *, now: datetime, days: int = SHOWN_DAYS) -> dict[str, Any]:
    """Return {"cohorts", "newest", "estimates"}: the figures of the last `days` days, and what scores promise.

    Estimates are of the last `ESTIMATED_DAYS` days, as far as they have not matured, by day and model; they are void
    while the model's newest judged window says drift or suspected. Raises `StoreError` where PostgreSQL is away.
    """
    with _engine(settings) as engine, connected(engine) as conn:
        since = now.astimezone(UTC).date() - timedelta(days=days)
        return {
            "cohorts": cohort_metrics(conn, settings.model_name, since=since),
            "newest": newest_metrics(conn, settings.model_name),
            "estimates": _estimates(conn, settings, now),
        }


def measure_drop(
    settings: Settings, version: str, *, now: datetime, limit: float = LIMIT, fewest: int = FEWEST_ALERTS
) -> dict[str, Drop]:
    """Compare a model's newest matured cohorts, pooled, with its hold-out figures in `model_metrics` (split `test`).

    Returns a `Drop` for precision and one for recall; `limit` and `fewest` as for `drop`. Raises `StoreError` where
    PostgreSQL is away.
    """
    age = matured_age(settings.cohort_age_days, settings.label_window)
    with _engine(settings) as engine, connected(engine) as conn:
        test = latest_metrics(conn, version).get("test", {}).get("details", {}).get("intervals", {})
        _, seen = _pool(conn, settings, version, age, newest_day(age, now))
    reference = {name: Interval(**figure) for name, figure in test.items() if name in DROPS}
    return drop(reference, cohort(seen), limit=limit, fewest=fewest)


def _due(settings: Settings, engine: Engine, now: datetime) -> dict[date, list[int]]:
    """Return which ages each day has reached since it was last measured, in order of days."""
    with connected(engine) as conn:
        first, measured = first_answer(conn), last_measured(conn, settings.model_name)
    found: dict[date, list[int]] = {}
    if first is None:
        return found
    for age in settings.cohort_age_days:
        for day in due(age, first_answer=first, measured=measured.get(split_of(age)), now=now):
            found.setdefault(day, []).append(age)
    return dict(sorted(found.items()))


def _measure_day(conn: Connection, settings: Settings, day: date, ages: list[int], now: datetime) -> list[ModelMetrics]:
    read = read_day(conn, day)
    rows = []
    for version in read.versions:
        record = read.of(version)
        for age in ages:
            found = cohort([_known(settings, record, day, age)])
            if found.counts["scored"]:
                rows.append(_row(settings, found, version, (day, day), age, now))
    return rows


def _pool(conn: Connection, settings: Settings, version: str, age: int, last: date) -> tuple[date, list[Seen]]:
    """Return the first day of a pool that ends with `last`, and a model's answers of its days as they were known."""
    seen: list[Seen] = []
    for back in range(MOST_DAYS):
        first = last - timedelta(days=back)
        seen.append(_known(settings, read_day(conn, first).of(version), first, age))
        counts = cohort(seen).counts
        if counts["alerts"] >= ENOUGH_ALERTS or counts["scored"] >= MOST_ROWS:
            break
    return first, seen


def _known(settings: Settings, record: Record, day: date, age: int) -> Seen:
    window = int(settings.label_window / timedelta(microseconds=1))
    return as_known(record, known_at=to_micros(day_end(day) + timedelta(days=age)), label_window=window)


def _row(
    settings: Settings,
    found: Cohort,
    version: str,
    days: tuple[date, date],
    age: int,
    now: datetime,
    *,
    pooled: bool = False,
) -> ModelMetrics:
    figures = measure(found)
    value = {name: figure.value if figure else None for name, figure in figures.items()}
    return ModelMetrics(
        model_version=version,
        model_name=settings.model_name,
        split=split_of(age, pooled=pooled),
        sample_size=found.counts["rows"],
        created_at=now,
        accuracy=value["accuracy"],
        precision=value["precision"],
        recall=value["recall"],
        f1_score=value["f1"],
        roc_auc=value["roc_auc"],
        pr_auc=value["pr_auc"],
        details={
            "first_day": days[0].isoformat(),
            "cohort_day": days[1].isoformat(),
            "age_days": age,
            "known_at": (day_end(days[1]) + timedelta(days=age)).isoformat(),
            "label_window_days": settings.label_window_days,
            "provisional": found.provisional,
            "errs": ERRS if found.provisional else {},
            "on_approved_traffic": found.on_approved_traffic,
            "counts": dict(found.counts),
            "intervals": {name: asdict(figure) if figure else None for name, figure in figures.items()},
        },
    )


def _estimates(conn: Connection, settings: Settings, now: datetime) -> list[dict[str, Any]]:
    today = datetime.combine(now.astimezone(UTC).date(), time(), UTC)
    matured = day_end(newest_day(matured_age(settings.cohort_age_days, settings.label_window), now))
    sums = read_sums(conn, max(today - timedelta(days=ESTIMATED_DAYS), matured), today)
    void = {
        version: f"the window that ended at {end:%Y-%m-%d %H:%M} UTC says {verdict}"
        for version, (verdict, end) in drifting(conn, now=now).items()
    }
    return [
        {"model_version": version, "day": day.isoformat(), **asdict(estimate(found, void=void.get(version, "")))}
        for (version, day), found in sums.items()
    ]


@contextmanager
def _engine(settings: Settings) -> Iterator[Engine]:
    engine = make_engine(settings)
    try:
        yield engine
    finally:
        engine.dispose()
