"""The table `model_metrics`: what each model version reached on each split. Append-only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, Text, insert, literal_column, select

from sentinel_core.stores.tables import model_metrics

LIVE: Final = "live_"
"""How the splits of figures on live traffic begin (`stores.live_metrics`)."""


@dataclass(frozen=True, slots=True)
class ModelMetrics:
    """The metrics of one model version on one split (train, calibrate, test, live_7d, …); None where one is undefined.

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


# As the index has it: with a bound key PostgreSQL would read every row.
_snapshot: Final[ColumnElement[str]] = literal_column("details ->> 'snapshot'", Text)


def of_snapshot(model_name: str, snapshot: str) -> Select[Any]:
    """Select the metrics on the test part of the versions that were trained on a snapshot, in order of recording."""
    return (
        select(model_metrics)
        .where(model_metrics.c.model_name == model_name, model_metrics.c.split == "test", _snapshot == snapshot)
        .order_by(model_metrics.c.id)
    )


def models_of_snapshot(conn: Connection, model_name: str, snapshot: str) -> dict[str, dict[str, Any]]:
    """Return the newest metrics on the test part of every version that was trained on a snapshot, by version."""
    rows = conn.execute(of_snapshot(model_name, snapshot))
    return {row["model_version"]: dict(row) for row in rows.mappings()}


def known_versions(conn: Connection, model_name: str) -> dict[str, str]:
    """Return the snapshot of every version of a model that has metrics, by version, in order of their recording."""
    rows = conn.execute(
        select(model_metrics.c.model_version, _snapshot.label("snapshot"))
        .where(model_metrics.c.model_name == model_name, ~model_metrics.c.split.startswith(LIVE, autoescape=True))
        .order_by(model_metrics.c.id)
    )
    return {row.model_version: row.snapshot for row in rows}
