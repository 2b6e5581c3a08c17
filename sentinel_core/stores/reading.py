"""Reading transactions back: one prediction, the rows of a training, the histories of all users."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, text

from sentinel_core.features.entities import TOUCHED
from sentinel_core.schema import REQUEST_COLUMNS
from sentinel_core.stores import labels, outcomes, prediction_logs
from sentinel_core.stores.statements import RECORDED_BY

Columns = dict[str, NDArray[Any]]
"""Equally long arrays by column name; a null is None in object arrays and NaN or NaT elsewhere."""

_MICROS: Final = "CAST(extract(epoch FROM {column}) * 1000000 AS bigint)"
_TIMES: Final = ("timestamp", "arrived_at", "labelled_at", "risk_as_of")
_STAMPS: Final = tuple(f"{kind.name}_arrival" for kind in TOUCHED)
_NUMBERS: Final = ("latitude", "longitude", "propensity", "fraud_score")

_PREDICTION: Final = text(
    f"""
    SELECT t.*, p.event_id, p.prediction, p.confidence, p.prediction_time_ms, p.variant, p.degraded,
           p.created_at AS answered_at, s.features AS feature_set,
           (SELECT m.details ->> 'warning' FROM model_metrics AS m
            WHERE m.model_version = t.model_version AND m.split = 'test' ORDER BY m.id DESC LIMIT 1) AS warning,
           l.is_fraud, l.labelled_at, l.source AS label_source,
           {outcomes.OUTCOME} AS known_outcome, COALESCE(o.propensity, t.propensity) AS known_propensity,
           EXISTS (SELECT 1 FROM outcomes AS e
                   WHERE e.transaction_id = t.transaction_id AND e.source = '{outcomes.EXPLORATION}') AS explored
    FROM transactions AS t
    LEFT JOIN prediction_logs AS p ON p.transaction_id = t.transaction_id AND NOT p.cache_hit
    LEFT JOIN ({outcomes.LATEST}) AS o ON o.transaction_id = t.transaction_id
    LEFT JOIN feature_sets AS s ON s.id = t.feature_set_id
    LEFT JOIN LATERAL (SELECT * FROM labels WHERE labels.transaction_id = t.transaction_id
                       ORDER BY labels.labelled_at DESC, labels.id DESC LIMIT 1) AS l ON true
    WHERE t.transaction_id = :id
    """  # noqa: S608 (constants)
)
_EVER: Final = {"as_of": "infinity", "recorded_by": None}


_NEAR: Final = 5
_NEIGHBOURS: Final = text(
    """
    (SELECT transaction_id FROM transactions WHERE transaction_id > :id ORDER BY transaction_id LIMIT :limit)
    UNION ALL
    (SELECT transaction_id FROM transactions WHERE transaction_id < :id ORDER BY transaction_id DESC LIMIT :limit)
    """
)
_IDS: Final = 10_000
_ANSWERED: Final = text(
    "SELECT count(*) FROM prediction_logs WHERE NOT cache_hit AND transaction_id = ANY(CAST(:ids AS text[]))"
)


def get_prediction(conn: Connection, transaction_id: str) -> dict[str, Any] | None:
    """Return a transaction with its answer, its vector, its label and what became of it, or None where it is not known.

    `features` is the vector as a list in the order of `feature_set`, [{"name": …, "hash": …}, …]; the fields of the
    answer are None where it was never scored, those of the label where none is known. `known_outcome` is the outcome
    that counts (`outcomes.OUTCOME`), `explored` says whether the answer let it through by chance,
    `warning` that its model is below its floor, where it was registered here.
    """
    row = conn.execute(_PREDICTION, {"id": transaction_id, **_EVER}).mappings().one_or_none()
    return None if row is None else dict(row)


def near_ids(conn: Connection, transaction_id: str) -> list[str]:
    """Return the ids next to one that is not there, in the order of the index: those that begin alike."""
    return [str(row[0]) for row in conn.execute(_NEIGHBOURS, {"id": transaction_id, "limit": _NEAR})]


def count_answers(conn: Connection, transaction_ids: Sequence[str]) -> int:
    """Return how many of these transactions have an answer in the log."""
    counted = 0
    for start in range(0, len(transaction_ids), _IDS):
        ids = list(transaction_ids[start : start + _IDS])
        counted += int(conn.execute(_ANSWERED, {"ids": ids}).scalar_one())
    return counted


def read_training_rows(
    conn: Connection,
    *,
    as_of: datetime,
    recorded_by: datetime | None = None,
    since: datetime | None = None,
    prefix: str = "",
    vectors: bool = False,
    chunk_rows: int = 50_000,
) -> Iterator[Columns]:
    """Yield transactions that had arrived by `as_of`, in arrival order, as chunks of columns.

    Rows are those with `timestamp` in (since, as_of] whose id begins with `prefix`; `is_fraud` and `labelled_at` are
    the latest label known then, `outcome` and `propensity` what had become of the payment by then (`outcomes.OUTCOME`).
    With `recorded_by`, what was recorded later is not there: both times together give what a reader saw then. An answer
    that was given later than `as_of` does not count.

    Text and ids are object arrays, times datetime64[us] in UTC, `amount` float64; `is_fraud`, `prediction` and
    `degraded` are int8, -1 where unknown. With `vectors`, `features` holds what was logged, a list or None,
    `feature_set_id`, `risk_as_of` say under which definitions and risk table, and `device_arrival`, `address_arrival`,
    `merchant_arrival` (int64, -1 where nothing was noted) and `noted_us` (a dict or None) what its entities noted.
    """
    # Guessing few rows, the planner would compare each with every label: minutes instead of a second.
    conn.execute(text("SET LOCAL enable_nestloop = off"))
    values = {"as_of": as_of, "recorded_by": recorded_by, "since": since} | ({"prefix": prefix} if prefix else {})
    yield from _chunks(conn, _training_query(vectors=vectors, prefixed=bool(prefix)), values, chunk_rows)


def read_labels(
    conn: Connection, *, as_of: datetime, recorded_by: datetime | None = None, chunk_rows: int = 50_000
) -> Iterator[Columns]:
    """Yield every label known by `as_of`, superseded ones too, as chunks of columns, in the order of recording.

    With `recorded_by`, those that were recorded later are left out.

    Columns: transaction_id and source (object), is_fraud (int8), labelled_at (datetime64[us], UTC).
    """
    query = text(
        f"SELECT transaction_id, is_fraud, {_MICROS.format(column='labelled_at')} AS labelled_at, source "  # noqa: S608
        f"FROM labels WHERE labelled_at <= :as_of AND {RECORDED_BY} ORDER BY id"
    )
    yield from _chunks(conn, query, {"as_of": as_of, "recorded_by": recorded_by}, chunk_rows)


def _chunks(conn: Connection, query: Any, values: dict[str, Any], chunk_rows: int) -> Iterator[Columns]:
    options = {"stream_results": True, "max_row_buffer": chunk_rows}
    result = conn.execute(query, values, execution_options=options)
    names = list(result.keys())
    for rows in result.partitions(chunk_rows):
        yield {name: _column(name, column) for name, column in zip(names, zip(*rows, strict=True), strict=True)}


def _training_query(*, vectors: bool, prefixed: bool) -> Any:
    plain = [*REQUEST_COLUMNS, "currency", "arrived_at", "user_arrival", "late", "source"]
    plain += [*_STAMPS, "noted_us"] if vectors else []
    answered = ["fraud_score", "model_version", *(("features", "feature_set_id", "risk_as_of") if vectors else ())]
    columns = [f"{_selected(f't.{name}')} AS {name}" for name in plain]
    # Of an answer that was not given yet nothing is known, though the row holds it by now.
    columns += [f"CASE WHEN p.event_id IS NOT NULL THEN {_selected(f't.{name}')} END AS {name}" for name in answered]
    return text(
        f"""
        SELECT {", ".join(columns)}, p.prediction, p.degraded,
               {outcomes.OUTCOME} AS outcome,
               CASE {outcomes.OUTCOME} WHEN 'explored' THEN COALESCE(o.propensity, t.propensity) END AS propensity,
               l.is_fraud, {_MICROS.format(column="l.labelled_at")} AS labelled_at, l.source AS label_source
        FROM transactions AS t
        LEFT JOIN prediction_logs AS p
            ON p.transaction_id = t.transaction_id AND {prediction_logs.KNOWN}
        LEFT JOIN ({labels.LATEST}) AS l ON l.transaction_id = t.transaction_id
        LEFT JOIN ({outcomes.LATEST}) AS o ON o.transaction_id = t.transaction_id
        WHERE t.arrived_at <= :as_of AND t.timestamp <= :as_of AND t.{RECORDED_BY}
          AND (CAST(:since AS timestamptz) IS NULL OR t.timestamp > :since)
          {"AND starts_with(t.transaction_id, :prefix)" if prefixed else ""}
        ORDER BY COALESCE(t.user_arrival, {_MICROS.format(column="t.arrived_at")}), t.transaction_id
        """  # noqa: S608 (names of our own columns)
    )


def _selected(column: str) -> str:
    name = column.rpartition(".")[2]
    if name in _TIMES:
        return _MICROS.format(column=column)
    return f"CAST({column} AS double precision)" if name == "amount" else column


def _column(name: str, values: tuple[Any, ...]) -> NDArray[Any]:
    if name in _TIMES:
        return np.array([None if value is None else int(value) for value in values], "datetime64[us]")
    if name in _NUMBERS or name == "amount":
        return np.array([np.nan if value is None else value for value in values], np.float64)
    if name in ("is_fraud", "prediction", "degraded"):
        return np.array([-1 if value is None else int(value) for value in values], np.int8)
    if name == "late":
        return np.array(values, np.bool_)
    if name in ("user_arrival", *_STAMPS):
        return np.array([-1 if value is None else value for value in values], np.int64)
    column = np.empty(len(values), object)
    column[:] = values
    return column
