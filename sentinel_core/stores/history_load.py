"""Bulk load of history into PostgreSQL by COPY: transactions of a file, and their labels."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, Final

import psycopg2
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from sentinel_core.errors import DataError, StoreError
from sentinel_core.features.entities import ENTITY_KINDS
from sentinel_core.schema import REQUEST_COLUMNS

TRANSACTION_COLUMNS: Final = (
    *REQUEST_COLUMNS,
    "currency",
    "outcome",
    "propensity",
    "arrived_at",
    *(f"{kind.name}_arrival" for kind in ENTITY_KINDS),
    "late",
)
"""The columns that a history may bring; those that are required must be among them."""

_REQUIRED: Final = ("transaction_id", "user_id", "amount", "merchant_id", "timestamp", "arrived_at")
_CHUNK: Final = 20_000
# Classes of SQLSTATE that speak of the data: values, constraints, limits.
_ROW_ERRORS: Final = ("22", "23", "54")


@dataclass(frozen=True, slots=True)
class Loaded:
    """How many rows were given and how many of them were new."""

    given: int
    inserted: int


def load_transactions(
    conn: Connection, columns: Sequence[str], rows: Iterable[Sequence[Any]], *, now: datetime
) -> Loaded:
    """Load transactions with source `ingested`; one that is there already, under the same id, stays as it is.

    They count as recorded at `now`. `columns` names the values of each row, out of `TRANSACTION_COLUMNS`; None and ''
    are null; times carry a zone.
    Raises `DataError` where a column is unknown or missing, or PostgreSQL refuses a row: then none is loaded.
    """
    unknown = sorted(set(columns) - set(TRANSACTION_COLUMNS))
    missing = sorted(set(_REQUIRED) - set(columns))
    if unknown or missing:
        raise DataError(
            f"expected the columns {', '.join(_REQUIRED)} and any of {', '.join(TRANSACTION_COLUMNS)}; "
            f"missing: {', '.join(missing) or 'none'}, unknown: {', '.join(unknown) or 'none'}.",
            remedy="Map them in the column map.",
        )
    names = ", ".join(columns)
    return _load(
        conn,
        "transactions",
        columns,
        rows,
        f"INSERT INTO transactions ({names}, source, created_at) "  # noqa: S608
        f"SELECT {names}, 'ingested', CAST(:now AS timestamptz) FROM incoming ON CONFLICT (transaction_id) DO NOTHING",
        now,
    )


def load_labels(conn: Connection, rows: Iterable[Sequence[Any]], *, now: datetime) -> Loaded:
    """Load labels, rows of (transaction_id, is_fraud, labelled_at, source); one that is there already changes nothing.

    They count as recorded at `now`. Raises `DataError` where PostgreSQL refuses a row, such as a label of an unknown
    transaction: then none is loaded.
    """
    columns = ("transaction_id", "is_fraud", "labelled_at", "source")
    names = ", ".join(columns)
    insert = (
        f"INSERT INTO labels ({names}, created_at) SELECT {names}, CAST(:now AS timestamptz) FROM incoming "  # noqa: S608
        "ON CONFLICT DO NOTHING"
    )
    return _load(conn, "labels", columns, rows, insert, now)


def _load(
    conn: Connection, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], insert: str, now: datetime
) -> Loaded:
    """COPY into a temporary table of the same types, then insert from it: COPY alone cannot pass over a known row."""
    names = ", ".join(columns)
    try:
        with conn.begin_nested():
            conn.execute(text(f"CREATE TEMP TABLE incoming ON COMMIT DROP AS SELECT {names} FROM {table} LIMIT 0"))  # noqa: S608
            given = _copy(conn, names, rows)
            inserted = conn.execute(text(insert), {"now": now}).rowcount
            conn.execute(text("DROP TABLE incoming"))
    except DBAPIError as error:
        raise _refused(table, error.orig) from error
    except psycopg2.DatabaseError as error:
        raise _refused(table, error) from error
    return Loaded(given, inserted)


def _copy(conn: Connection, names: str, rows: Iterable[Sequence[Any]]) -> int:
    given, source = 0, iter(rows)
    cursor = conn.connection.cursor()
    while chunk := list(islice(source, _CHUNK)):
        lines = io.StringIO()
        csv.writer(lines, lineterminator="\n").writerows(chunk)
        lines.seek(0)
        cursor.copy_expert(f"COPY incoming ({names}) FROM STDIN WITH (FORMAT csv)", lines)
        given += len(chunk)
    cursor.close()
    return given


def _refused(table: str, error: Any) -> Exception:
    """Tell a refused row from a server that is away: only the first is a fault of the data."""
    state = getattr(error, "pgcode", None) or ""
    reason = " ".join(str(error).split())
    if state[:2] in _ROW_ERRORS:
        return DataError(
            f"expected rows that the table {table} can hold, and PostgreSQL refused one: {reason}. None was loaded.",
            remedy="Clean and validate the data first: see `sentinel validate`.",
        )
    return StoreError(f"expected PostgreSQL to load {table}, and got: {reason}.", remedy="See `sentinel status`.")
