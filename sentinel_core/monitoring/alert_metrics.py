"""The metrics that an alert rule may name: what each is, in which unit, and how much it takes to say anything.

How each is read from PostgreSQL is in `stores/alert_metrics.py`, under the same names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from sentinel_core.monitoring.drift_reliability import EVIDENTLY_ERRS

Unit = Literal["share", "times", "ms", "count", "score", "verdict"]
FEW: Final = 100
"""Below so many observations a share or a percentile says nothing, unless a rule says otherwise."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A figure that a rule may name, and what to do where it is out of bounds.

    A reading over fewer than `at_least` observations (`counted` says of what) has no value; 0 where nothing is counted.
    """

    name: str
    description: str
    unit: Unit
    what_to_do: str
    counted: str = ""
    at_least: int = 0


_SLOW: Final = "See what is slow (GET /health, sentinel logs serving), and whether another worker is needed."
_ALERTS: Final = "Look at the flagged transactions and at drift; if the model is at fault: sentinel rollback."
_LABELS: Final = "Look at the latest labels by source and at drift; if they are right, retrain or move the threshold."
_WORLD: Final = "Look at the report of drift; if the change is real, see that labels come in, and retrain."
_SECOND: Final = f"Compare with SentinelML's verdict (sentinel drift --list). {EVIDENTLY_ERRS}"
_STORES: Final = "Redis is away or slow: see GET /health and sentinel logs redis."
_CLIENTS: Final = "Look at which client sends the same transactions again."
_SILENCE: Final = "See that clients reach the service (GET /health), and that the recorder runs."
_REFUSED: Final = "Read the reasons in the table dead_letters."

METRICS: Final[Mapping[str, Metric]] = {
    metric.name: metric
    for metric in (
        Metric("fraud_rate", "Share of answers that are alerts", "share", _ALERTS, "predictions", FEW),
        Metric("alert_share_ratio", "Alerts against the baseline of the hour", "times", _ALERTS, "predictions", FEW),
        Metric("mean_score", "Mean fraud score", "score", _WORLD, "predictions", FEW),
        Metric("degraded_rate", "Share of answers without a history", "share", _STORES, "predictions", FEW),
        Metric("cache_hit_rate", "Share of repeated requests", "share", _CLIENTS, "predictions", FEW),
        Metric("predictions", "Number of answers", "count", _SILENCE),
        Metric("latency_p50_ms", "Latency in the service, median", "ms", _SLOW, "predictions", FEW),
        Metric("latency_p95_ms", "Latency in the service, 95th percentile", "ms", _SLOW, "predictions", FEW),
        Metric("latency_p99_ms", "Latency in the service, 99th percentile", "ms", _SLOW, "predictions", FEW),
        Metric("precision", "Precision over labelled answers", "share", _LABELS, "labelled alerts", FEW),
        Metric("recall", "Recall over labelled answers", "share", _LABELS, "labelled frauds", FEW),
        Metric("f1", "F1 over labelled answers", "share", _LABELS, "labelled alerts and frauds", FEW),
        Metric("live_precision", "Precision of the newest mature days", "share", _LABELS, "alerts", FEW),
        Metric("live_recall", "Recall of the newest mature days", "share", _LABELS, "frauds", FEW),
        Metric("live_f1", "F1 of the newest mature days", "share", _LABELS, "frauds", FEW),
        Metric("live_pr_auc", "PR-AUC of the newest mature days", "share", _LABELS, "frauds", FEW),
        Metric("drift", "Verdict of the newest check of drift", "verdict", _WORLD),
        Metric("drift_evidently", "Verdict of Evidently's preset in the newest check of drift", "verdict", _SECOND),
        Metric("dead_letters", "Events that PostgreSQL refused", "count", _REFUSED),
    )
}
"""The known metrics by name."""
