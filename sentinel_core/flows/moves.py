"""Moves of model versions between stages by hand, and their record; MLflow keeps no history of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from sentinel_core.registry import promotion
from sentinel_core.settings import Settings
from sentinel_core.stores.model_metrics import latest_metrics
from sentinel_core.stores.postgres import connected, make_engine
from sentinel_core.stores.promotions import Promotion, list_promotions, previous_production, record_promotion

METRICS = ("precision", "recall", "f1_score", "roc_auc", "pr_auc")


@contextmanager
def recorder(settings: Settings, now: datetime) -> Iterator[promotion.Recorder]:
    """Yield a recorder that appends each move to the table `promotions`, in a transaction of its own."""
    engine = make_engine(settings)

    def record(move: promotion.Move) -> None:
        row = Promotion(
            model_name=settings.model_name,
            model_version=move.version.name,
            registry_version=move.version.number,
            action=move.action,
            from_stage=move.from_stage,
            to_stage=move.to_stage,
            actor=move.actor,
            reason=move.reason,
            verdict=move.verdict,
            bundle_hash=move.version.bundle_hash or None,
            run_id=move.version.run_id or None,
            created_at=now,
        )
        with connected(engine) as conn:
            record_promotion(conn, row)

    try:
        # MLflow is not asked for a move that could not be recorded.
        with connected(engine):
            yield record
    finally:
        engine.dispose()


def move_version(settings: Settings, name: str, stage: promotion.Stage, *, actor: str, now: datetime) -> dict[str, Any]:
    """Move a version, named by its name or MLflow's number, to a stage by hand; return it.

    Raises `RegistryError` where it does not exist or MLflow is away, `StoreError` where PostgreSQL is away.
    """
    with recorder(settings, now) as record:
        found = promotion.find_version(settings, name)
        moved = promotion.move(settings, found, stage, actor=actor, reason="moved by hand", record=record)
    return {"version": moved.name, "stage": moved.stage, "before": found.stage}


def rollback(settings: Settings, *, actor: str, now: datetime) -> dict[str, Any]:
    """Put the version that was in Production before the present one back there; return it.

    Raises `RegistryError` where there is none or MLflow is away, `StoreError` where PostgreSQL is away.
    """
    with recorder(settings, now) as record:
        present = next((v for v in promotion.list_versions(settings) if v.stage == "Production"), None)
        previous = _previous(settings, present.name) if present is not None else None
        restored = promotion.rollback(settings, previous, actor=actor, record=record)
    return {"version": restored.name, "stage": restored.stage, "before": present.name if present else None}


def list_models(settings: Settings) -> dict[str, Any]:
    """Return every version with stage, run and hold-out metrics, and every recorded move, the newest first."""
    versions = promotion.list_versions(settings)
    engine = make_engine(settings)
    try:
        with connected(engine) as conn:
            moves = list_promotions(conn, settings.model_name)
            rows = [_described(version, latest_metrics(conn, version.name)) for version in versions]
    finally:
        engine.dispose()
    return {"versions": rows, "moves": moves}


def _previous(settings: Settings, present: str) -> str | None:
    engine = make_engine(settings)
    try:
        with connected(engine) as conn:
            return previous_production(conn, settings.model_name, present)
    finally:
        engine.dispose()


def _described(version: promotion.Version, metrics: dict[str, dict[str, Any]]) -> dict[str, Any]:
    test = metrics.get("test", {})
    return {
        "version": version.name,
        "number": version.number,
        "stage": version.stage,
        "run_id": version.run_id,
        "bundle_hash": version.bundle_hash,
        "algorithm": test.get("details", {}).get("algorithm"),
        **{name: test.get(name) for name in METRICS},
    }
