"""Labels: a file of chargebacks, reviews or outcomes goes to PostgreSQL; what could not be recorded is kept aside."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection

from sentinel_core.datasets.columns import ColumnMap
from sentinel_core.datasets.statements import BadRow, Stated, read_statements
from sentinel_core.flows import Progress, silent
from sentinel_core.flows.whole_file import whole_file
from sentinel_core.schema import STATEMENT_COLUMN
from sentinel_core.settings import Settings
from sentinel_core.stores.labels import record_labels
from sentinel_core.stores.outcomes import record_outcomes
from sentinel_core.stores.postgres import connected, make_engine
from sentinel_core.stores.statements import StatementResult

UNKNOWN: Final = ".unknown"
REJECTED: Final = ".rejected"


def ingest_labels(
    settings: Settings, file: Path, column_map: ColumnMap, *, now: datetime, progress: Progress = silent
) -> dict[str, Any]:
    """Record what a CSV or Parquet file says of known transactions; recording it again changes nothing.

    `column_map` has the columns `STATEMENT_COLUMN`. Statements without a time hold from `now`. Rows of transactions
    that are not known are written to FILE.unknown.csv, to be sent again, those that cannot be read to FILE.rejected.csv
    with what is wrong: both beside the file. Returns {"file", "rows", "labels", "outcomes" (each
    {"recorded", "known"}), "unknown", "unknown_file", "rejected", "rejected_file", "problem" (the first one)}; a file
    is None where it holds no row. Raises `DataError` for a file that cannot be read, `StoreError` where PostgreSQL is
    away: what was recorded by then stays, and the same file may be sent again.
    """
    told = {"labels": Counter[str](), "outcomes": Counter[str]()}
    rows, problem = 0, None
    engine = make_engine(settings)
    try:
        with ExitStack() as stack:
            unknown, rejected = _Aside(file, UNKNOWN, stack), _Aside(file, REJECTED, stack)
            for stated, bad in read_statements(file, column_map):
                with connected(engine) as conn:
                    missing = _record(conn, stated, told, now)
                unknown.write(_again(row, now) for row in missing)
                rejected.write(_with_problem(row) for row in bad)
                problem = problem or (bad[0].problem if bad else None)
                rows += len(stated) + len(bad)
                progress(f"{rows:,} rows")
    finally:
        engine.dispose()
    return {
        "file": str(file),
        "rows": rows,
        **{name: {how: counts[how] for how in ("recorded", "known")} for name, counts in told.items()},
        "unknown": unknown.count,
        "unknown_file": unknown.settled(),
        "rejected": rejected.count,
        "rejected_file": rejected.settled(),
        "problem": str(problem) if problem else None,
    }


def _record(
    conn: Connection, stated: Sequence[Stated], told: Mapping[str, Counter[str]], now: datetime
) -> list[Stated]:
    """Record what rows say, count what became of it, and return those whose transaction is not known."""
    missing: dict[int, Stated] = {}

    def count(name: str, rows: Sequence[Stated], results: Iterable[StatementResult]) -> None:
        for row, result in zip(rows, results, strict=True):
            told[name][result.status] += 1
            if result.status == "unknown_transaction":
                missing[row.number] = row

    labelled = [(row, row.label) for row in stated if row.label is not None]
    count("labels", [row for row, _ in labelled], record_labels(conn, [label for _, label in labelled], now=now))
    decided = [(row, row.outcome) for row in stated if row.outcome is not None]
    count("outcomes", [row for row, _ in decided], record_outcomes(conn, [outcome for _, outcome in decided], now=now))
    return [missing[number] for number in sorted(missing)]


def _again(row: Stated, now: datetime) -> dict[str, Any]:
    """Write a row as it can be sent again: what it said without a time, it said now."""
    values: dict[str, Any] = {**dict.fromkeys(STATEMENT_COLUMN), **row.values}
    for name, said in (("labelled_at", row.label), ("decided_at", row.outcome)):
        if said is not None:
            values[name] = values.get(name) or now
    return values


def _with_problem(row: BadRow) -> dict[str, Any]:
    return {**row.values, "row": row.number, "problem": row.problem.message}


class _Aside:
    """A CSV file beside another one for the rows of it that were not recorded; made with its first row."""

    def __init__(self, file: Path, suffix: str, stack: ExitStack) -> None:
        # What was kept aside and is sent again is kept aside under the same name.
        stem = file.stem
        for known in (UNKNOWN, REJECTED):
            stem = stem.removesuffix(known)
        self.count = 0
        self._file = file
        self._path = file.with_name(f"{stem}{suffix}.csv")
        self._stack = stack
        self._writer: csv.DictWriter[str] | None = None

    def write(self, rows: Iterable[Mapping[str, Any]]) -> None:
        for row in rows:
            if self._writer is None:
                made = self._stack.enter_context(whole_file(self._path))
                out = self._stack.enter_context(made.open("w", encoding="utf-8", newline=""))
                self._writer = csv.DictWriter(out, tuple(row))
                self._writer.writeheader()
            self._writer.writerow({name: _text(value) for name, value in row.items()})
            self.count += 1

    def settled(self) -> str | None:
        """Return the file's path, or None where it holds no row: then what an earlier run left there is gone."""
        if self.count:
            return str(self._path)
        if self._path != self._file:
            self._path.unlink(missing_ok=True)
        return None


def _text(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
