"""The table `model_metrics`: what each model version reached on each split. Append-only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select

from sentinel_core.stores.tables import model_metrics


@dataclass(frozen=True, slots=True)
class ModelMetrics:
    """The metrics of one model version on one split (train, calibrate, test, …); None where one is not defined.

    `details` holds what goes with them: intervals, threshold, which labels they were judged against.
    """

    model_version: str
    model_name: str
    split: str
    sample_size: int
    created_at: datetime
    accuracy: float | None = None
    precision: float | None = None
    recall: float | None = None
    f1_score: float | None = None
    roc_auc: float | None = None
    pr_auc: float | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


def record_metrics(conn: Connection, metrics: ModelMetrics) -> int:
    """Append one row, return its number."""
    return int(conn.execute(insert(model_metrics).values(asdict(metrics)).returning(model_metrics.c.id)).scalar_one())


def latest_metrics(conn: Connection, model_version: str) -> dict[str, dict[str, Any]]:
    """Return the newest row of each split of a model version, by split."""
    rows = conn.execute(
        select(model_metrics).where(model_metrics.c.model_version == model_version).order_by(model_metrics.c.id)
    )
    return {row["split"]: dict(row) for row in rows.mappings()}
