"""The table `drift_reports`: what each check of drift found, or why it found nothing; and its window of answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, insert, select, text

from sentinel_core.errors import StoreError
from sentinel_core.schema import CATEGORY_COLUMNS
from sentinel_core.stores.tables import drift_reports

Verdict = Literal["drift", "suspected", "no_drift", "not_enough_data", "not_judged"]
JUDGED: Final = ("drift", "suspected", "no_drift")

_BEGIN: Final = text(
    """
    SELECT count(*) AS rows, min(created_at) AS oldest FROM (
        SELECT created_at FROM prediction_logs
        WHERE model_version = :version AND NOT cache_hit AND NOT degraded
          AND created_at > :earliest AND created_at <= :now
        ORDER BY created_at DESC LIMIT :wanted
    ) AS newest
    """
)
# Microseconds of a stretch are taken evenly where there are too many rows: what happened together stays together.
_ROWS: Final = text(
    f"""
    SELECT CAST(extract(epoch FROM t.timestamp) * 1000000 AS bigint) AS time, t.user_id, t.merchant_id,
           p.fraud_score, p.prediction, CAST(t.features AS text) AS features, t.feature_set_id,
           {", ".join(f"t.{name}" for name in CATEGORY_COLUMNS)}
    FROM prediction_logs AS p JOIN transactions AS t ON t.transaction_id = p.transaction_id
    WHERE p.model_version = :version AND NOT p.cache_hit AND NOT p.degraded
      AND p.created_at > :start AND p.created_at <= :now AND t.features IS NOT NULL
      AND (:every = 1 OR CAST(floor(extract(epoch FROM p.created_at) / 10) AS bigint) % :every = 0)
    ORDER BY p.created_at, p.transaction_id LIMIT :most
    """  # noqa: S608 (names of our own columns)
)
_COUNT: Final = text(
    """
    SELECT count(*) FROM prediction_logs WHERE model_version = :version AND NOT cache_hit AND NOT degraded
       AND created_at > :start AND created_at <= :now
    """
)
_BEFORE: Final = text(
    """
    SELECT figures -> 'rejected' AS rejected FROM drift_reports
    WHERE model_version = :version AND verdict IN ('drift', 'suspected', 'no_drift')
      AND window_end <= :start AND window_end > :oldest
    ORDER BY window_end DESC, id DESC LIMIT 1
    """
)


@dataclass(frozen=True, slots=True)
class DriftReport:
    """One check: the window (start, end] of one model's answers, the verdict and its figures.

    `evidently_…` is what Evidently's preset says of the same window: the share of columns that drift, and each column.
    Where there is no such verdict, `evidently_reason` says why.
    """

    model_version: str | None
    window_start: datetime
    window_end: datetime
    sample_size: int
    verdict: Verdict
    reason: str
    created_at: datetime
    severity: str | None = None
    figures: Mapping[str, Any] = field(default_factory=dict)
    report_path: str | None = None
    evidently_verdict: Literal["drift", "no_drift"] | None = None
    evidently_share: float | None = None
    evidently_columns: Mapping[str, Any] | None = None
    evidently_reason: str | None = None


@dataclass(frozen=True, slots=True)
class Window:
    """The answers of a window (start, end]: columns of `rows` rows, `counted` of which there are in all.

    `columns` are time (int64 µs), user_id, merchant_id, fraud_score, prediction, features (JSON text), feature_set_id
    and the raw categories.
    """

    start: datetime
    end: datetime
    counted: int
    columns: Mapping[str, NDArray[Any]]

    @property
    def rows(self) -> int:
        """How many rows were read."""
        return len(self.columns["time"])


def read_window(
    conn: Connection, version: str, *, now: datetime, least: timedelta, most: timedelta, wanted: int, limit: int
) -> Window:
    """Read the answers of a model in the time `least` before `now`, more (at most `most`) until there are `wanted`.

    Degraded answers, which saw no history, and repeated ones are left out. Of more than `limit` rows about so many are
    read: whole stretches of ten seconds.
    """
    values = {"version": version, "now": now}
    newest = conn.execute(_BEGIN, {**values, "earliest": now - most, "wanted": wanted}).one()
    start = now - least
    if newest.rows < wanted:
        start = now - most
    elif newest.oldest <= start:
        start = newest.oldest - timedelta(microseconds=1)
    counted = int(conn.execute(_COUNT, {**values, "start": start}).scalar_one())
    found = conn.execute(_ROWS, {**values, "start": start, "every": -(-counted // limit) or 1, "most": limit})
    names, rows = list(found.keys()), found.all()
    columns = zip(*rows, strict=True) if rows else [()] * len(names)
    return Window(
        start, now, counted, {name: _column(name, column) for name, column in zip(names, columns, strict=True)}
    )


def rejected_before(conn: Connection, version: str, *, start: datetime, oldest: datetime) -> list[str] | None:
    """Return what the last judged window that ended by `start`, and after `oldest`, rejected; None without one."""
    row = conn.execute(_BEFORE, {"version": version, "start": start, "oldest": oldest}).one_or_none()
    return None if row is None else [str(name) for name in row.rejected or ()]


def record_report(conn: Connection, report: DriftReport) -> int:
    """Append one report, return its number."""
    return int(conn.execute(insert(drift_reports).values(asdict(report)).returning(drift_reports.c.id)).scalar_one())


def get_report(conn: Connection, number: int) -> dict[str, Any]:
    """Return one report; raises `StoreError` where there is none of that number."""
    row = conn.execute(select(drift_reports).where(drift_reports.c.id == number)).mappings().one_or_none()
    if row is None:
        raise StoreError(f"expected the drift report {number}, found none.", remedy="See sentinel drift --list.")
    return dict(row)


def list_reports(conn: Connection, *, limit: int = 100) -> list[dict[str, Any]]:
    """Return the newest reports, newest first."""
    rows = conn.execute(select(drift_reports).order_by(drift_reports.c.id.desc()).limit(limit))
    return [dict(row) for row in rows.mappings()]


def _column(name: str, values: Sequence[Any]) -> NDArray[Any]:
    types: Mapping[str, Any] = {"time": np.int64, "fraud_score": np.float64, "prediction": np.bool_}
    if name in types:
        return np.array(values, types[name])
    column = np.empty(len(values), object)
    column[:] = values
    return column
