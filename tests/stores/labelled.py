"""Transactions and labels in PostgreSQL with both of their times, for what is counted over them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import Connection, text


@dataclass(frozen=True)
class Payment:
    """A transaction: when it happened, and when it was recorded (then too, where None)."""

    transaction_id: str
    timestamp: datetime
    created_at: datetime | None = None


@dataclass(frozen=True)
class Said:
    """A label: of what, when it became known, and when it was recorded (then too, where None)."""

    transaction_id: str
    is_fraud: bool
    labelled_at: datetime
    created_at: datetime | None = None


def write(conn: Connection, payments: Sequence[Payment], labels: Sequence[Said]) -> None:
    """Insert them, the labels in the order given."""
    shared = {"user_id": "u", "amount": 1, "merchant_id": "m", "source": "live"}
    rows = [{**asdict(one), **shared, "arrived_at": one.timestamp} for one in payments]
    said = [{**asdict(one), "source": "chargeback"} for one in labels]
    for row, at in [(row, "timestamp") for row in rows] + [(row, "labelled_at") for row in said]:
        row["created_at"] = row["created_at"] or row[at]
    columns = {
        "transactions": "transaction_id, user_id, amount, merchant_id, timestamp, arrived_at, source, created_at",
        "labels": "transaction_id, is_fraud, labelled_at, source, created_at",
    }
    for (name, listed), given in zip(columns.items(), (rows, said), strict=True):
        picked = f"SELECT {listed} FROM json_populate_recordset(CAST(NULL AS {name}), CAST(:rows AS json))"
        conn.execute(text(f"INSERT INTO {name} ({listed}) {picked}"), {"rows": json.dumps(given, default=str)})
