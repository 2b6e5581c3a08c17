"""The answers to one day's events, with everything that was ever said of them: three queries, arrays out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, text

from sentinel_core.monitoring.answers import OUTCOMES, Answers, Record, Statements
from sentinel_core.monitoring.cohorts import day_end
from sentinel_core.monitoring.performance import Expected

CHUNK_ROWS: Final = 50_000
_DTYPES: Final[Mapping[str, Any]] = {
    "user": np.int64,
    "time": np.int64,
    "answered": np.int64,
    "cents": np.int64,
    "score": np.float64,
    "flagged": np.bool_,
    "degraded": np.bool_,
    "outcome": np.int8,
    "propensity": np.float64,
    "value": np.int8,
    "said": np.int64,
    "recorded": np.int64,
}
_OUTCOME: Final = "COALESCE(array_position(CAST(:outcomes AS text[]), {column}) - 1, -1)"
_MICROS: Final = "CAST(extract(epoch FROM {column}) * 1000000 AS bigint)"
# What was written down later was not known: a cohort measured late has the figures of one on time.
_ANSWERED: Final = "GREATEST(p.created_at, p.recorded_at)"
_SCORED: Final = """
    FROM transactions AS t JOIN prediction_logs AS p ON p.transaction_id = t.transaction_id AND NOT p.cache_hit
    WHERE t.timestamp >= :start AND t.timestamp < :end
"""
# Users as numbers: an id of 64 bits sorts several times faster than a text, and nobody here asks for names.
_ANSWERS: Final = text(
    f"""
    SELECT t.transaction_id, p.model_version, hashtextextended(t.user_id, 0) AS "user",
           {_MICROS.format(column="t.timestamp")} AS time, {_MICROS.format(column=_ANSWERED)} AS answered,
           CAST(t.amount * 100 AS bigint) AS cents, p.fraud_score AS score, p.prediction AS flagged, p.degraded,
           {_OUTCOME.format(column="t.outcome")} AS outcome, t.propensity
    {_SCORED}
    """
)
_SAID: Final = {
    name: text(
        f"""
        SELECT s.transaction_id, {value} AS value, {_MICROS.format(column=f"s.{said}")} AS said,
               {_MICROS.format(column="s.created_at")} AS recorded, {propensity} AS propensity
        FROM {name} AS s JOIN transactions AS t ON t.transaction_id = s.transaction_id
        WHERE t.timestamp >= :start AND t.timestamp < :end
        ORDER BY s.id
        """  # noqa: S608
    )
    for name, value, said, propensity in (
        ("labels", "CAST(s.is_fraud AS integer)", "labelled_at", "CAST(NULL AS double precision)"),
        ("outcomes", _OUTCOME.format(column="s.outcome"), "decided_at", "s.propensity"),
    )
}
_SUMS: Final = text(
    f"""
    SELECT p.model_version AS version, CAST(t.timestamp AT TIME ZONE 'UTC' AS date) AS day, count(*) AS rows,
           count(*) FILTER (WHERE p.prediction) AS alerts,
           COALESCE(sum(p.fraud_score) FILTER (WHERE p.prediction), 0) AS hits, sum(p.fraud_score) AS frauds
    {_SCORED} AND NOT p.degraded
    GROUP BY 1, 2 ORDER BY 2, 1
    """
)


@dataclass(frozen=True, slots=True)
class Day:
    """The answers to a day's events, of every model that gave some: `model` is a position in `versions`, int [n]."""

    versions: tuple[str, ...]
    model: NDArray[np.intp]
    record: Record

    def of(self, version: str) -> Record:
        """Return the answers of one model."""
        place = self.versions.index(version) if version in self.versions else -1
        return self.record.take(self.model == place)


def read_day(conn: Connection, day: date) -> Day:
    """Read the first answer to each transaction whose event lies in a day (UTC), and what was said of it, ever.

    It counts as answered from when the answer had been given and recorded.
    """
    values = {"start": day_end(day - timedelta(days=1)), "end": day_end(day), "outcomes": list(OUTCOMES)}
    said = {name: list(_chunks(conn, query, values)) for name, query in _SAID.items()}
    place: dict[Any, int] = {key: -1 for chunks in said.values() for chunk in chunks for key in chunk["transaction_id"]}
    versions: dict[Any, int] = {}
    models, parts, rows = [], [], 0
    for chunk in _chunks(conn, _ANSWERS, values):
        for row, key in enumerate(chunk["transaction_id"], start=rows):
            if key in place:
                place[key] = row
        rows += len(chunk["transaction_id"])
        models.append([versions.setdefault(version, len(versions)) for version in chunk["model_version"]])
        parts.append(chunk)
    answers = Answers(*(_joined(field.name, parts) for field in fields(Answers)))
    record = Record(answers, _statements(said["labels"], place), _statements(said["outcomes"], place))
    model = np.concatenate([np.empty(0, np.intp), *(np.array(part, np.intp) for part in models)])
    return Day(tuple(versions), model, record)


def read_sums(conn: Connection, start: datetime, end: datetime) -> dict[tuple[str, date], Expected]:
    """Return by model version and event day in [start, end), in order of days, what the scores sum to."""
    return {
        (row.version, row.day): Expected(row.rows, row.alerts, row.hits, row.frauds)
        for row in conn.execute(_SUMS, {"start": start, "end": end})
    }


def _statements(chunks: list[dict[str, Any]], place: Mapping[Any, int]) -> Statements:
    """Say of which answer each statement is; those of transactions that were never scored are left out."""
    row = np.array([place[key] for chunk in chunks for key in chunk["transaction_id"]], np.intp)
    return Statements(row[row >= 0], *(_joined(field.name, chunks)[row >= 0] for field in fields(Statements)[1:]))


def _joined(name: str, chunks: list[dict[str, Any]]) -> NDArray[Any]:
    return np.concatenate([np.empty(0, _DTYPES[name]), *(chunk[name] for chunk in chunks)])


def _chunks(conn: Connection, query: Any, values: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    options = {"stream_results": True, "max_row_buffer": CHUNK_ROWS}
    result = conn.execute(query, values, execution_options=options)
    names = list(result.keys())
    for rows in result.partitions(CHUNK_ROWS):
        columns = dict(zip(names, zip(*rows, strict=True), strict=True))
        yield {
            name: np.array(column, dtype=_DTYPES[name]) if name in _DTYPES else column
            for name, column in columns.items()
        }
