"""Cohorts are measured once, as they were known at their age, whenever the runs happen to come."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine, text

from sentinel_core.errors import StoreError
from sentinel_core.flows.performance import MOST_DAYS, measure_drop, measure_performance, read_performance
from sentinel_core.settings import Settings
from sentinel_core.stores.live_metrics import newest_metrics
from sentinel_core.stores.model_metrics import ModelMetrics, known_versions, latest_metrics, record_metrics
from tests.monitoring.cohorts import Row, Told
from tests.stores.answers import write_rows

START = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)
DAYS = 6


@pytest.fixture
def short(settings: Settings) -> Settings:
    """Settings under which truth matures after three days and is looked at after one, too."""
    return settings.model_copy(update={"cohort_ages": "1,3", "label_window_days": 3.0})


def _traffic(days: int = DAYS, each: int = 60, seed: int = 0) -> list[Row]:
    """Return days of answers, all approved; frauds are reported half a day to five days later."""
    generator = np.random.default_rng(seed)
    rows = []
    for _ in range(days * each):
        fraud, time = bool(generator.random() < 0.3), generator.random() * days
        score = float(np.clip(generator.normal(0.6 if fraud else 0.3, 0.15), 0, 1))
        known = time + generator.uniform(0.5, 5)
        labels = [Told(True, known, known + generator.choice([0.0, 1.0]))] if fraud else []
        user = int(generator.integers(0, 40))
        rows.append(Row(score, score >= 0.5, time, None, user, labels=labels, outcome="approved"))
    return rows


def _stored(engine: Engine) -> list[dict[str, Any]]:
    with engine.connect() as conn:
        found = conn.execute(text("SELECT * FROM model_metrics WHERE split LIKE 'live%' ORDER BY id")).mappings()
        return [dict(row) for row in found]


def _figures(engine: Engine, *, pooled: bool = False) -> dict[tuple[str, str, str], Any]:
    """Return all that is said of each cohort but when it was written down."""
    rows = [row for row in _stored(engine) if row["split"].endswith("pooled") == pooled]
    found = {
        (row["split"], row["details"]["cohort_day"], row["model_version"]): {
            name: value for name, value in row.items() if name not in ("id", "created_at")
        }
        for row in rows
    }
    assert len(found) == len(rows)
    return found


def test_runs_every_night_and_one_run_long_after_say_the_same(short: Settings, engine: Engine) -> None:
    with engine.begin() as conn:
        write_rows(conn, _traffic(), start=START)
    once = measure_performance(short, now=START + 30 * DAY)
    late = _figures(engine)
    assert {split: sum(key[0] == split for key in late) for split in ("live_1d", "live_3d")} == {
        "live_1d": DAYS,
        "live_3d": DAYS,
    }
    with engine.begin() as conn:
        conn.execute(text("ALTER TABLE model_metrics DISABLE TRIGGER ALL"))
        conn.execute(text("DELETE FROM model_metrics"))
    measured = [measure_performance(short, now=START + day * DAY + timedelta(hours=1.5)) for day in range(1, 12)]
    assert _figures(engine) == late
    assert measured[-1]["newest"] == once["newest"]
    assert measured[0]["measured"] == 0
    # The first day and its pool, one day old; then two days of two ages.
    assert [run["measured"] for run in measured[1:4]] == [2, 2, 4]


def test_a_cohort_is_what_was_known_when_it_was_that_old(short: Settings, engine: Engine) -> None:
    alerts = [Row(0.9, True, 0.5, user=n, outcome="approved", labels=[Told(True, 1 + n / 10)]) for n in range(20)]
    missed = [Row(0.1, False, 0.5, user=20 + n, outcome="approved", labels=[Told(True, 2 + n / 10)]) for n in range(20)]
    backdated = Row(0.9, True, 0.5, user=50, outcome="approved", labels=[Told(True, 1, recorded=10)])
    passed = [Row(0.2, False, 0.5, user=60 + n, outcome="approved") for n in range(10)]
    with engine.begin() as conn:
        write_rows(conn, [*alerts, *missed, backdated, *passed], start=START)
    measure_performance(short, now=START + 30 * DAY)
    found = _figures(engine)
    early, mature = (found[split, "2026-03-01", "v1"] for split in ("live_1d", "live_3d"))
    # After two days, 11 alerts and one missed fraud were reported.
    assert early["precision"] == pytest.approx(11 / 21)
    assert early["recall"] == pytest.approx(11 / 12)
    assert (early["details"]["provisional"], early["details"]["errs"]) == (
        True,
        {"precision": "low", "recall": "high"},
    )
    assert mature["precision"] == pytest.approx(20 / 21)
    assert mature["recall"] == pytest.approx(20 / 40)
    assert mature["f1_score"] == pytest.approx(40 / 61)
    assert (mature["details"]["provisional"], mature["details"]["errs"]) == (False, {})
    assert mature["details"]["known_at"] == "2026-03-05T00:00:00+00:00"
    interval = mature["details"]["intervals"]["recall"]
    assert interval["low"] < 0.5 < interval["high"]
    assert mature["sample_size"] == 51


def test_what_was_declined_is_in_no_figure_and_the_figures_say_so(short: Settings, engine: Engine) -> None:
    rows = [Row(0.9, True, user=n) for n in range(20)] + [Row(0.1, False, user=n) for n in range(20)]
    rows += [Row(0.9, True, labels=[Told(True, 1)]), Row(0.1, False, labels=[Told(True, 1)])]
    with engine.begin() as conn:
        write_rows(conn, rows, start=START)
    measure_performance(short, now=START + 30 * DAY)
    found = _figures(engine)["live_3d", "2026-03-01", "v1"]
    assert (found["precision"], found["recall"], found["sample_size"]) == (1.0, 0.5, 22)
    assert found["details"]["on_approved_traffic"]
    assert found["details"]["counts"]["declined_left_out"] == 20
    assert found["details"]["intervals"]["precision"] == {"value": 1.0, "low": None, "high": None}


def test_each_model_has_its_own_figures(short: Settings, engine: Engine) -> None:
    with engine.begin() as conn:
        write_rows(conn, _traffic(3, seed=1), start=START)
        write_rows(conn, _traffic(2, seed=2), start=START + 2 * DAY, version="v2", prefix="other ")
        record_metrics(conn, ModelMetrics("v1", short.model_name, "test", 10, START, details={"snapshot": "s"}))
    measure_performance(short, now=START + 30 * DAY)
    days = {(version, day) for split, day, version in _figures(engine) if split == "live_3d"}
    assert days == {
        *(("v1", f"2026-03-0{day}") for day in (1, 2, 3)),
        *(("v2", f"2026-03-0{day}") for day in (3, 4)),
    }
    with engine.connect() as conn:
        newest = newest_metrics(conn, short.model_name)
        assert newest_metrics(conn, "another") == []
        assert known_versions(conn, short.model_name) == {"v1": "s"}
        assert set(latest_metrics(conn, "v2")) == {"live_1d", "live_1d_pooled", "live_3d", "live_3d_pooled"}
    pooled = {row["model_version"]: (row["first_day"], row["cohort_day"]) for row in newest if row["age_days"] == 3}
    assert {version: ends[1] for version, ends in pooled.items()} == {"v1": "2026-03-03", "v2": "2026-03-04"}


def test_days_are_pooled_until_there_are_alerts_enough(short: Settings, engine: Engine) -> None:
    with engine.begin() as conn:
        write_rows(conn, _traffic(20, each=100), start=START)
    measure_performance(short, now=START + 23 * DAY)
    (pooled,) = [row for key, row in _figures(engine, pooled=True).items() if key[0] == "live_3d_pooled"]
    counts = pooled["details"]["counts"]
    assert counts["alerts"] >= 300
    days = [row["details"]["counts"] for (split, day, _), row in _figures(engine).items() if split == "live_3d"]
    taken = (20 - datetime.fromisoformat(pooled["details"]["first_day"]).day) + 1
    assert counts["alerts"] == sum(day["alerts"] for day in days[-taken:])
    assert counts["alerts"] - days[-taken]["alerts"] < 300
    assert taken < MOST_DAYS


def test_another_run_adds_nothing_and_two_at_once_add_no_more_than_one(short: Settings, engine: Engine) -> None:
    with engine.begin() as conn:
        write_rows(conn, _traffic(), start=START)
    now = START + 30 * DAY
    with ThreadPoolExecutor(2) as pool:
        both = [run.result() for run in [pool.submit(measure_performance, short, now=now) for _ in range(2)]]
    assert sorted(run["measured"] for run in both) == [0, 2 * DAYS + 2]
    assert both[0]["newest"] == both[1]["newest"]
    assert len(_stored(engine)) == 2 * DAYS + 2
    assert measure_performance(short, now=now)["measured"] == 0


def test_a_run_that_was_killed_before_it_pooled_is_finished_by_the_next(short: Settings, engine: Engine) -> None:
    with engine.begin() as conn:
        write_rows(conn, _traffic(2), start=START)
    measure_performance(short, now=START + 30 * DAY)
    whole = _figures(engine, pooled=True)
    with engine.begin() as conn:
        conn.execute(text("ALTER TABLE model_metrics DISABLE TRIGGER ALL"))
        conn.execute(text("DELETE FROM model_metrics WHERE split LIKE '%pooled'"))
    assert measure_performance(short, now=START + 30 * DAY)["measured"] == 2
    assert _figures(engine, pooled=True) == whole


def test_days_without_traffic_are_no_cohorts(short: Settings, engine: Engine) -> None:
    assert measure_performance(short, now=START) == {"measured": 0, "newest": []}
    with engine.begin() as conn:
        write_rows(conn, [Row(time=0.5), Row(time=4.5)], start=START)
    measure_performance(short, now=START + 30 * DAY)
    assert sorted({day for _, day, _ in _figures(engine)}) == ["2026-03-01", "2026-03-05"]


def test_a_replayed_history_was_not_known_at_its_age(short: Settings, engine: Engine) -> None:
    """Answers that were given long after the events say nothing of what the model was worth then."""
    old = [replace(row, answered=300) for row in _traffic(3)]
    with engine.begin() as conn:
        write_rows(conn, old, start=START)
    assert measure_performance(short, now=START + 400 * DAY)["measured"] == 0


def _drift(engine: Engine, verdict: str, day: float, version: str = "v1") -> None:
    at = START + day * DAY
    with engine.begin() as conn:
        conn.execute(
            text(
                "INSERT INTO drift_reports (model_version, window_start, window_end, sample_size, verdict, reason, "
                "created_at) VALUES (:version, :at, :at, 500, :verdict, 'test', :at)"
            ),
            {"version": version, "verdict": verdict, "at": at},
        )


def test_estimates_are_marked_never_stored_and_void_while_drift_fires(short: Settings, engine: Engine) -> None:
    with engine.begin() as conn:
        write_rows(conn, [Row(0.8, True), Row(0.2, False), Row(0.9, True, time=1.5)], start=START)
    now = START + 2 * DAY + timedelta(hours=1)

    def estimates() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = read_performance(short, now=now)["estimates"]
        return found

    first, second = estimates()
    assert (first["day"], first["model_version"], first["estimated"]) == ("2026-03-01", "v1", True)
    assert first["expected_precision"] == pytest.approx(0.8)
    assert first["expected_recall"] == pytest.approx(0.8)
    assert second["expected_recall"] == pytest.approx(1.0)
    for verdict in ("suspected", "drift"):
        _drift(engine, verdict, 1)
        _drift(engine, "not_judged", 1.1)
        _drift(engine, "no_drift", 1.2, version="v2")
        (void, _) = estimates()
        assert (void["expected_precision"], void["expected_recall"], void["expected_f1"]) == (None, None, None)
        assert void["reason"] == f"the window that ended at 2026-03-02 00:00 UTC says {verdict}"
        _drift(engine, "no_drift", 1.3)
        assert estimates()[0]["expected_precision"] == pytest.approx(0.8)
    measure_performance(short, now=now)
    assert "expected" not in str(_stored(engine))
    # From the day on which the truth of its transactions is mature, a day has figures and no estimate.
    assert [row["day"] for row in read_performance(short, now=START + 4 * DAY)["estimates"]] == ["2026-03-02"]


def test_a_drop_is_that_of_the_newest_matured_cohorts_against_the_holdout(short: Settings, engine: Engine) -> None:
    holdout = {
        "precision": {"value": 0.9, "low": 0.88, "high": 0.92},
        "recall": {"value": 0.9, "low": 0.88, "high": 0.92},
    }
    rows = _traffic(3, each=200)
    with engine.begin() as conn:
        write_rows(conn, rows, start=START)
        details = {"intervals": {**holdout, "brier": {"value": 0.1, "low": None, "high": None}}}
        record_metrics(conn, ModelMetrics("v1", short.model_name, "test", 10, START, details=details))
    young = measure_drop(short, "v1", now=START + 2 * DAY)
    assert all(not found.counts and found.value is None for found in young.values())
    found = measure_drop(short, "v1", now=START + 6 * DAY)["precision"]
    alerts = [row for row in rows if row.flagged]
    known = sum(bool(row.labels and row.labels[0].recorded <= int(row.time) + 4) for row in alerts)  # type: ignore[operator]
    assert found.alerts == len(alerts)
    assert found.value == pytest.approx(known / len(alerts) / 0.9 - 1)
    assert found.counts
    assert not measure_drop(short, "unknown", now=START + 6 * DAY)["precision"].counts


def test_without_postgresql_a_run_says_so(settings: Settings) -> None:
    away = settings.model_copy(update={"database_url_given": "postgresql://u:p@127.0.0.1:1/x"})
    said = (
        r"expected PostgreSQL at postgresql.*127\.0\.0\.1:1/x.*; so the days that became old enough could not be judged"
    )
    with pytest.raises(StoreError, match=said):
        measure_performance(away, now=START)
    assert measure_performance(settings, now=START)["measured"] == 0
