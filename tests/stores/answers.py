"""Scored transactions with labels and outcomes in PostgreSQL, from the rows that the pure tests use."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text

from tests.monitoring.cohorts import Row

_TABLES = {
    "transactions": "transaction_id, user_id, amount, merchant_id, timestamp, arrived_at, source, outcome, propensity, "
    "fraud_score, model_version",
    "prediction_logs": "event_id, transaction_id, prediction_time_ms, fraud_score, prediction, confidence, "
    "model_version, degraded, created_at",
    "labels": "transaction_id, is_fraud, labelled_at, source, created_at",
    "outcomes": "transaction_id, outcome, propensity, decided_at, source, created_at",
}


def write_rows(
    conn: Connection, rows: Sequence[Row], *, start: datetime, version: str = "v1", prefix: str = "t"
) -> list[str]:
    """Insert answers of a model, their times in days after `start`; return the ids."""

    def at(days: float | None, default: float = 0.0) -> str:
        return (start + timedelta(days=default if days is None else days)).isoformat()

    ids = [f"{prefix}{n}" for n in range(len(rows))]
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in _TABLES}
    for key, row in zip(ids, rows, strict=True):
        shared = {"transaction_id": key, "fraud_score": row.score, "model_version": version, "source": "live"}
        own = {"user_id": f"user {row.user}", "amount": 1.0, "merchant_id": "m", "timestamp": at(row.time)}
        fate = {"arrived_at": at(row.time), "outcome": row.outcome, "propensity": row.propensity}
        found["transactions"].append({**shared, **own, **fate})
        answer = {"event_id": f"event {key}", "prediction_time_ms": 1.0, "prediction": row.flagged, "confidence": "low"}
        answered = {"degraded": row.degraded, "created_at": at(row.answered, row.time)}
        found["prediction_logs"].append({**shared, **answer, **answered})
        for told in row.labels:
            label = {"is_fraud": told.value, "labelled_at": at(told.said), "created_at": at(told.recorded, told.said)}
            found["labels"].append({**shared, **label, "source": "chargeback"})
        for told in row.outcomes:
            outcome = {"outcome": told.value, "propensity": told.propensity, "decided_at": at(told.said)}
            found["outcomes"].append({**shared, **outcome, "created_at": at(told.recorded, told.said)})
    for name, columns in _TABLES.items():
        given = f"SELECT {columns} FROM json_populate_recordset(CAST(NULL AS {name}), CAST(:rows AS json))"
        conn.execute(text(f"INSERT INTO {name} ({columns}) {given}"), {"rows": json.dumps(found[name])})
    return ids
