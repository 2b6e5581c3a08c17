"""Trace: from a transaction to its request, vector, model, run, snapshot, commit and label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection

from sentinel_core.errors import DataError
from sentinel_core.schema import REQUEST_COLUMNS
from sentinel_core.settings import Settings
from sentinel_core.stores.labels import labels_of
from sentinel_core.stores.model_metrics import latest_metrics
from sentinel_core.stores.postgres import connected, make_engine
from sentinel_core.stores.reading import get_prediction

ANSWER: Final = ("fraud_score", "prediction", "confidence", "model_version", "degraded", "prediction_time_ms")
ORIGIN: Final = ("algorithm", "run_id", "bundle_hash", "snapshot", "content_hash", "git_commit")


def trace(settings: Settings, transaction_id: str) -> dict[str, Any]:
    """Return everything that is known about a transaction, by PostgreSQL alone.

    {"transaction_id", "request", "arrived_at", "source", "answer", "features" (name → value, as logged), "risk_as_of",
    "model" (version, run, snapshot, commit), "labels" (the one that counts first)}; a link that does not exist is None.
    Raises `DataError` for an unknown id, `StoreError` where PostgreSQL is away.
    """
    engine = make_engine(settings)
    try:
        with connected(engine) as conn:
            row = get_prediction(conn, transaction_id)
            if row is None:
                raise DataError(
                    f"expected a transaction with the id {transaction_id!r} in PostgreSQL, found none.",
                    remedy="Check the id; one that was just sent may still be on its way (see `sentinel status`).",
                )
            model = _model(conn, row["model_version"])
            labels = labels_of(conn, transaction_id)
    finally:
        engine.dispose()
    scored = row["fraud_score"] is not None
    return {
        "transaction_id": transaction_id,
        "request": {name: row[name] for name in REQUEST_COLUMNS if row[name] is not None},
        "arrived_at": row["arrived_at"],
        "source": row["source"],
        "late": row["late"],
        "answer": {name: row[name] for name in ANSWER} if scored else None,
        "features": _vector(row["features"], row["feature_set"]),
        "risk_as_of": row["risk_as_of"],
        "model": model,
        "labels": labels,
    }


def _model(conn: Connection, version: str | None) -> dict[str, Any] | None:
    if version is None:
        return None
    recorded = latest_metrics(conn, version)
    details: Mapping[str, Any] = next(iter(recorded.values()))["details"] if recorded else {}
    return {"version": version, **{name: details.get(name) for name in ORIGIN}}


def _vector(values: Sequence[float] | None, features: Sequence[Mapping[str, str]] | None) -> dict[str, float] | None:
    if values is None or features is None:
        return None
    return {feature["name"]: value for feature, value in zip(features, values, strict=True)}
