"""The JSON of /api/v1/monitoring/metrics: the traffic of a window and how right the answers were."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection

from sentinel_core.stores.live_metrics import newest_metrics
from sentinel_core.stores.monitoring import Labelled, Traffic, labelled, traffic

MODELS: Final = 5
_LIVE: Final = ("model_version", "first_day", "cohort_day", "age_days", "provisional", "errs", "on_approved_traffic")
_QUALITY: Final = ("precision", "recall", "f1_score", "pr_auc")
Live = list[dict[str, Any]]


def read_figures(conn: Connection, now: datetime, model_name: str) -> tuple[Traffic, Labelled, Live]:
    """Read the traffic of the last 24 hours, the labels that are known, and the newest stored live figures."""
    return traffic(conn, now=now), labelled(conn, now=now), newest_metrics(conn, model_name)


def describe(seen: Traffic, truth: Labelled, measured: Live) -> dict[str, Any]:
    """Arrange figures as the route's answer; a rate or percentile of nothing is null, never zero."""
    return {
        "total_predictions": seen.total,
        "window": {"start": seen.start, "end": seen.now},
        "predictions": seen.predictions,
        "fraud_rate": seen.fraud_rate,
        "mean_fraud_score": seen.mean_score,
        "degraded_rate": seen.degraded_rate,
        "latency_ms": {
            "p50": seen.latency_p50_ms,
            "p95": seen.latency_p95_ms,
            "p99": seen.latency_p99_ms,
            "sampled": seen.sampled,
        },
        "newest_prediction": seen.newest,
        "labelled": quality(truth),
        "live": live(measured),
    }


def live(measured: Live) -> Live:
    """Take one row of each model, of the newest day first: mature where it has such, else the oldest cohort's."""
    best: dict[str, dict[str, Any]] = {}
    for row in sorted(measured, key=lambda row: (not row["provisional"], row["cohort_day"], row["age_days"])):
        known = best.get(row["model_version"])
        if known is None or not row["provisional"] or row["age_days"] > known["age_days"]:
            best[row["model_version"]] = row
    rows = sorted(best.values(), key=lambda row: row["cohort_day"], reverse=True)[:MODELS]
    return [
        {
            **{name: row[name] for name in _LIVE},
            "sample_size": row["counts"]["rows"],
            "alerts": row["counts"]["alerts"],
            "frauds": row["counts"]["frauds"],
            **{name: row[name] for name in _QUALITY},
        }
        for row in rows
    ]


def quality(truth: Labelled) -> dict[str, Any]:
    """Compute precision, recall and F1 of a confusion matrix; null where nothing was predicted or nothing was fraud."""
    hits, false_alarms, missed = truth.true_positives, truth.false_positives, truth.false_negatives
    return {
        "sample_size": hits + false_alarms + missed + truth.true_negatives,
        "true_positives": hits,
        "false_positives": false_alarms,
        "false_negatives": missed,
        "true_negatives": truth.true_negatives,
        "precision": _share(hits, hits + false_alarms),
        "recall": _share(hits, hits + missed),
        "f1_score": _share(2 * hits, 2 * hits + false_alarms + missed),
    }


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
