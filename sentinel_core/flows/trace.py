"""Trace: from a transaction to its vector, model, run, snapshot, commit and label; from a model or snapshot back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection

from sentinel_core.datasets.snapshot import known_snapshots, load_snapshot
from sentinel_core.errors import DataError, did_you_mean
from sentinel_core.schema import REQUEST_COLUMNS
from sentinel_core.settings import Settings
from sentinel_core.stores.gate_attempts import attempt_of
from sentinel_core.stores.labels import labels_of
from sentinel_core.stores.model_metrics import known_versions, latest_metrics, models_of_snapshot
from sentinel_core.stores.outcomes import outcomes_of
from sentinel_core.stores.postgres import connected, make_engine
from sentinel_core.stores.prediction_logs import predictions_of
from sentinel_core.stores.promotions import last_stages, moves_of
from sentinel_core.stores.reading import get_prediction, near_ids

ANSWER: Final = (
    "fraud_score",
    "prediction",
    "confidence",
    "model_version",
    "degraded",
    "warning",
    "prediction_time_ms",
)
DATA: Final = (
    *("rows", "first_timestamp", "last_timestamp", "as_of", "recorded_by", "profile", "labels", "logged", "created_at"),
)
ORIGIN: Final = ("algorithm", "run_id", "bundle_hash", "snapshot", "content_hash", "git_commit")


def trace(settings: Settings, transaction_id: str) -> dict[str, Any]:
    """Return everything that is known about a transaction, by PostgreSQL alone.

    {"transaction_id", "request", "arrived_at", "source", "answer", "features" (name → value, as logged), "risk_as_of",
    "model" (version, run, snapshot, commit), "gate" (what it said of the model), "labels" (the one that counts first),
    "outcomes" (the newest first)}; a link that does not exist is None. Raises `DataError` for an unknown id,
    `StoreError` where PostgreSQL is away.
    """
    engine = make_engine(settings)
    try:
        with connected(engine) as conn:
            row = get_prediction(conn, transaction_id)
            if row is None:
                raise DataError(
                    f"expected a transaction with the id {transaction_id!r} in PostgreSQL, found none."
                    f"{did_you_mean(transaction_id, near_ids(conn, transaction_id))}",
                    remedy="Check the id; one that was just sent may still be on its way (see `sentinel status`).",
                )
            model = _model(conn, row["model_version"])
            gate = _gate(conn, settings, row["model_version"]) if row["model_version"] else None
            labels = labels_of(conn, transaction_id)
            outcomes = outcomes_of(conn, transaction_id)
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
        "gate": gate,
        "labels": labels,
        "outcomes": outcomes,
    }


def trace_model(settings: Settings, version: str, *, limit: int = 20) -> dict[str, Any]:
    """Return where a version came from, what the gate said, how it moved, and what it answered.

    {"version", "stage" (as it was written down last), "model" (run, snapshot, commit), "gate", "moves" (the newest
    first), "predictions" (counts, first, last, the newest `limit`)}. Raises `DataError` for an unknown version,
    `StoreError` where PostgreSQL is away.
    """
    engine = make_engine(settings)
    try:
        with connected(engine) as conn:
            moves = moves_of(conn, settings.model_name, version)
            predictions = predictions_of(conn, version, limit=limit)
            if not (moves or predictions["predictions"] or latest_metrics(conn, version)):
                known = {name for name, _ in last_stages(conn, settings.model_name)}
                known |= known_versions(conn, settings.model_name).keys()
                raise DataError(
                    f"expected a version of {settings.model_name}, got {version!r}.{did_you_mean(version, known)}",
                    remedy="See `sentinel models`.",
                )
            return {
                "version": version,
                "stage": moves[0]["to_stage"] if moves else None,
                "model": _model(conn, version),
                "gate": _gate(conn, settings, version),
                "moves": moves,
                "predictions": predictions,
            }
    finally:
        engine.dispose()


def trace_snapshot(settings: Settings, snapshot: str) -> dict[str, Any]:
    """Return a snapshot and the registered versions that were trained on it, the oldest first.

    {"snapshot", "data" (what its manifest says; None where it is no longer on disk), "models": [{"version", "stage" (as
    it was written down last), "gate", "pr_auc", …}]}. Raises `DataError` for a snapshot that nobody knows, `StoreError`
    where PostgreSQL is away.
    """
    on_disk = known_snapshots(settings.home)
    engine = make_engine(settings)
    try:
        with connected(engine) as conn:
            trained = models_of_snapshot(conn, settings.model_name, snapshot)
            if not trained and snapshot not in on_disk:
                fed = {one for one in known_versions(conn, settings.model_name).values() if one}
                raise DataError(
                    f"expected a snapshot, got {snapshot!r}: it is not in {settings.home / 'snapshots'} and fed no"
                    f" version of {settings.model_name}.{did_you_mean(snapshot, {*fed, *on_disk})}",
                    remedy="`sentinel trace --model VERSION` names the snapshot of a version.",
                )
            stages = {name: stage for (name, _), stage in last_stages(conn, settings.model_name).items()}
            models = [
                {
                    "version": version,
                    "stage": stages.get(version, "None"),
                    "gate": (_gate(conn, settings, version) or {}).get("outcome"),
                    "pr_auc": row["pr_auc"],
                    "created_at": row["created_at"],
                    **{name: row["details"].get(name) for name in ORIGIN},
                }
                for version, row in trained.items()
            ]
    finally:
        engine.dispose()
    return {"snapshot": snapshot, "data": _data(settings, snapshot) if snapshot in on_disk else None, "models": models}


def _data(settings: Settings, snapshot: str) -> dict[str, Any]:
    manifest = load_snapshot(settings.home, snapshot).manifest
    source = ", ".join(f"{name} {value}" for name, value in manifest["source"].items())
    return {"source": source, **{name: manifest.get(name) for name in DATA}}


def _gate(conn: Connection, settings: Settings, version: str) -> dict[str, Any] | None:
    attempt = attempt_of(conn, settings.model_name, version)
    if attempt is None:
        return None
    names = ("outcome", "champion_version", "number", "label_day", "created_at")
    return {**{name: attempt[name] for name in names}, "reason": attempt["verdict"]["reason"]}


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
