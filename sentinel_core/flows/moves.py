"""Moves of model versions between stages by hand, and their record; MLflow keeps no history of them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Engine

from sentinel_core.flows import Progress, silent
from sentinel_core.registry import promotion
from sentinel_core.settings import Settings
from sentinel_core.stores.audit import record_act
from sentinel_core.stores.gate_attempts import attempt_of
from sentinel_core.stores.model_metrics import latest_metrics
from sentinel_core.stores.postgres import connected, make_engine, take_turns
from sentinel_core.stores.promotions import (
    Promotion,
    last_stages,
    list_promotions,
    previous_production,
    record_promotion,
)

BY_HAND: Final = "somebody in MLflow"
METRICS: Final = ("precision", "recall", "f1_score", "roc_auc", "pr_auc")
_log: Final = logging.getLogger(__name__)


@contextmanager
def recorder(settings: Settings, now: datetime) -> Iterator[promotion.Recorder]:
    """Yield a recorder that appends each move to the table `promotions`, in a transaction of its own.

    Nobody else records meanwhile, and what was moved elsewhere is written down first: so a move that is under way is
    not taken for somebody's. Raises `StoreError` or `RegistryError` where PostgreSQL or MLflow is away.
    """
    engine = make_engine(settings)
    try:
        # MLflow is not asked for a move that could not be recorded.
        with connected(engine) as waiting:
            take_turns(waiting, f"moves of {settings.model_name}")
            _observe(settings, engine, now)
            yield lambda move: _append(settings, engine, move, now)
    finally:
        engine.dispose()


def observe_moves(settings: Settings, *, now: datetime, progress: Progress = silent) -> list[dict[str, Any]]:
    """Write down the moves that people made in MLflow since the last look, and bring aliases and stages together.

    Returns what was written. Raises `StoreError` or `RegistryError` where PostgreSQL or MLflow is away.
    """
    engine = make_engine(settings)
    try:
        with connected(engine) as waiting:
            take_turns(waiting, f"moves of {settings.model_name}")
            found = _observe(settings, engine, now)
    finally:
        engine.dispose()
    for move in found:
        progress(f"{move['model_version']}: {move['from_stage']} → {move['to_stage']}, {move['reason']}")
    return found


def _observe(settings: Settings, engine: Engine, now: datetime) -> list[dict[str, Any]]:
    with connected(engine) as conn:
        recorded = last_stages(conn, settings.model_name)
    noticed = promotion.follow_stages(settings, recorded)
    return [_append(settings, engine, _judged(settings, engine, move, now), now) for move in noticed]


def _judged(settings: Settings, engine: Engine, move: promotion.Move, now: datetime) -> promotion.Move:
    """Say what the gate had said of a version that somebody put into Production."""
    name = move.version.name
    reason = f"{move.reason}; noticed at {now:%Y-%m-%d %H:%M:%S} UTC"
    with connected(engine) as conn:
        attempt = attempt_of(conn, settings.model_name, name)
        verdict = attempt["verdict"] if attempt else {}
        if move.to_stage == "Production" and attempt and attempt["outcome"] != "promote":
            reason = f"AGAINST THE GATE, which said {attempt['outcome']} ({verdict['reason']}); {reason}"
            _log.warning("%s is in Production %s", name, reason)
            record_act(conn, actor=BY_HAND, action="override", subject=name, reason=reason, at=now, details=verdict)
    return replace(move, actor=BY_HAND, reason=reason, verdict=verdict)


def _append(settings: Settings, engine: Engine, move: promotion.Move, now: datetime) -> dict[str, Any]:
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
    return asdict(row)


def move_version(settings: Settings, name: str, stage: promotion.Stage, *, actor: str, now: datetime) -> dict[str, Any]:
    """Move a version, named by its name or MLflow's number, to a stage by hand; return it.

    Raises `RegistryError` where it does not exist or MLflow is away, `StoreError` where PostgreSQL is away.
    """
    with recorder(settings, now) as record:
        found = promotion.find_version(settings, name)
        moved = promotion.move(settings, found, stage, actor=actor, reason="moved by hand", record=record)
    return {"version": moved.name, "stage": moved.stage, "before": found.stage}


def rollback(
    settings: Settings, *, actor: str, now: datetime, to: str | None = None, reason: str = "rolled back"
) -> dict[str, Any]:
    """Put the version that was in Production before the present one, or the version `to`, back there; return it.

    Raises `RegistryError` where there is none or MLflow is away, `StoreError` where PostgreSQL is away.
    """
    with recorder(settings, now) as record:
        present = next((v for v in promotion.list_versions(settings) if v.stage == "Production"), None)
        previous = to or (_previous(settings, present.name) if present is not None else None)
        restored = promotion.rollback(settings, previous, actor=actor, reason=reason, record=record)
    return {"version": restored.name, "stage": restored.stage, "before": present.name if present else None}


def list_models(settings: Settings, *, now: datetime) -> dict[str, Any]:
    """Return every version with stage, run, gate and hold-out metrics, and every recorded move, the newest first.

    What was moved elsewhere is written down first.
    """
    observe_moves(settings, now=now)
    versions = promotion.list_versions(settings)
    engine = make_engine(settings)
    try:
        with connected(engine) as conn:
            moves = list_promotions(conn, settings.model_name)
            rows = [
                _described(
                    version,
                    latest_metrics(conn, version.name),
                    attempt_of(conn, settings.model_name, version.name),
                )
                for version in versions
            ]
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


def _described(
    version: promotion.Version, metrics: dict[str, dict[str, Any]], attempt: dict[str, Any] | None
) -> dict[str, Any]:
    test = metrics.get("test", {})
    return {
        "version": version.name,
        "number": version.number,
        "stage": version.stage,
        "gate": attempt["outcome"] if attempt else None,
        "run_id": version.run_id,
        "bundle_hash": version.bundle_hash,
        "algorithm": test.get("details", {}).get("algorithm"),
        **{name: test.get(name) for name in METRICS},
    }
