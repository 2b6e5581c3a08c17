"""The JSON of /api/v1/monitoring/metrics: the traffic of a window and how right the answers were."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from sentinel_core.stores.monitoring import Labelled, Traffic, labelled, traffic


def read_figures(conn: Connection, now: datetime) -> tuple[Traffic, Labelled]:
    """Read the traffic of the last 24 hours and the labels that are known."""
    return traffic(conn, now=now), labelled(conn, now=now)


def describe(seen: Traffic, truth: Labelled) -> dict[str, Any]:
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
    }


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
