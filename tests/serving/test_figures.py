"""The figures of /api/v1/monitoring/metrics: what is not known is null, and the shares are those of the matrix."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine

from sentinel_core.flows.performance import measure_performance
from sentinel_core.settings import Settings
from sentinel_core.stores.monitoring import Labelled
from serving.answers import LiveQuality
from serving.figures import MODELS, describe, live, quality, read_figures
from tests.monitoring.cohorts import Row, Told
from tests.stores.answers import write_rows

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_a_system_without_traffic_has_no_rates(engine: Engine) -> None:
    with engine.connect() as conn:
        found = describe(*read_figures(conn, NOW, "fraud_detector"))
    assert (found["total_predictions"], found["predictions"]) == (0, 0)
    for name in ("fraud_rate", "mean_fraud_score", "newest_prediction"):
        assert found[name] is None
    assert found["latency_ms"] == {"p50": None, "p95": None, "p99": None, "sampled": 0}
    assert found["labelled"]["sample_size"] == 0
    assert found["labelled"]["f1_score"] is None
    assert found["live"] == []


@pytest.mark.parametrize(
    ("matrix", "precision", "recall", "f1"),
    [
        ((8, 2, 4, 86), 8 / 10, 8 / 12, 16 / 22),
        ((0, 5, 0, 95), 0.0, None, 0.0),
        ((0, 0, 5, 95), None, 0.0, 0.0),
        ((0, 0, 0, 100), None, None, None),
    ],
)
def test_precision_recall_and_f1(
    matrix: tuple[int, int, int, int], precision: float | None, recall: float | None, f1: float | None
) -> None:
    found = quality(Labelled(*matrix))
    assert (found["precision"], found["recall"], found["f1_score"]) == (precision, recall, f1)
    assert found["sample_size"] == sum(matrix)


def _row(version: str, day: str, age: int, *, provisional: bool) -> dict[str, Any]:
    facts = {"model_version": version, "first_day": day, "cohort_day": day, "age_days": age, "provisional": provisional}
    figures = dict.fromkeys(("precision", "recall", "f1_score", "pr_auc", "roc_auc", "accuracy"))
    rest = {"errs": {}, "on_approved_traffic": False, "counts": {"rows": 9, "alerts": 2, "frauds": 1, "hits": 1}}
    return {**facts, **figures, **rest, "known_at": day}


def test_a_model_is_shown_by_its_newest_mature_figures_or_else_by_its_oldest_cohort() -> None:
    rows = [
        _row("v1", "2026-01-20", 7, provisional=True),
        _row("v1", "2025-12-01", 60, provisional=False),
        _row("v1", "2025-12-30", 30, provisional=True),
        _row("v2", "2026-01-21", 7, provisional=True),
        _row("v2", "2026-01-01", 30, provisional=True),
        _row("v3", "2026-01-22", 7, provisional=False),
        _row("v3", "2025-12-30", 30, provisional=False),
    ]
    for given in (rows, rows[::-1]):
        shown = [(row["model_version"], row["cohort_day"], row["age_days"]) for row in live(given)]
        assert shown == [("v3", "2026-01-22", 7), ("v2", "2026-01-01", 30), ("v1", "2025-12-01", 60)]
    many = [_row(f"v{n}", f"2026-01-{n:02}", 7, provisional=True) for n in range(1, 20)]
    assert [row["model_version"] for row in live(many)] == [f"v{n}" for n in range(19, 19 - MODELS, -1)]


def test_live_figures_have_the_form_of_the_contract(engine: Engine, settings: Settings) -> None:
    rows = [Row(0.9, True, user=n, outcome="approved", labels=[Told(n % 2 == 0, 1)]) for n in range(30)]
    with engine.begin() as conn:
        write_rows(conn, rows, start=NOW - timedelta(days=90.5))
    measure_performance(settings, now=NOW)
    with engine.connect() as conn:
        (found,) = describe(*read_figures(conn, NOW, settings.model_name))["live"]
    LiveQuality.model_validate(found, extra="forbid")
    assert (found["age_days"], found["provisional"], found["alerts"], found["frauds"]) == (60, False, 30, 15)
    assert found["precision"]["low"] < found["precision"]["value"] == 0.5 < found["precision"]["high"]
