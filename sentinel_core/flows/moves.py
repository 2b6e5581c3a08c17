"""Moves of model versions between stages by hand, and their record; MLflow keeps no history of them."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Engine

from sentinel_core.flows import Progress, silent
from sentinel_core.registry import following, promotion
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

    Returns what was written; safe when several look at once. Raises `StoreError` or `RegistryError` where PostgreSQL or
    MLflow is away: what was moved is noticed by the next look.
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
    noticed = f"noticed at {now:%Y-%m-%d %H:%M:%S} UTC"
    moves = [
        replace(move, actor=BY_HAND, reason=f"{move.reason}; {noticed}")
        for move in following.follow(settings, recorded)
    ]
    for move in moves:
        _log.info("%s: %s → %s, %s", move.version.name, move.from_stage, move.to_stage, move.reason)
    return [_append(settings, engine, move, now) for move in moves]


def _append(settings: Settings, engine: Engine, move: promotion.Move, now: datetime) -> dict[str, Any]:
    with connected(engine) as conn:
        judged = _judged(conn, settings, move, now)
        row = Promotion(
            model_name=settings.model_name,
            model_version=judged.version.name,
            registry_version=judged.version.number,
            action=judged.action,
            from_stage=judged.from_stage,
            to_stage=judged.to_stage,
            actor=judged.actor,
            reason=judged.reason,
            verdict=judged.verdict,
            bundle_hash=judged.version.bundle_hash or None,
            run_id=judged.version.run_id or None,
            created_at=now,
        )
        record_promotion(conn, row)
    return asdict(row)


def _judged(conn: Connection, settings: Settings, move: promotion.Move, now: datetime) -> promotion.Move:
    """Say what the gate had said of a version that somebody, here or in MLflow, put into Production."""
    if move.verdict or move.to_stage != "Production":
        return move
    name = move.version.name
    attempt = attempt_of(conn, settings.model_name, name)
    if attempt is None:
        return move
    verdict = attempt["verdict"]
    if attempt["outcome"] == "promote":
        return replace(move, verdict=verdict)
    reason = f"AGAINST THE GATE, which said {attempt['outcome']} ({verdict['reason']}); {move.reason}"
    _log.warning("%s is in Production %s", name, reason)
    record_act(conn, actor=move.actor, action="override", subject=name, reason=reason, at=now, details=verdict)
    return replace(move, reason=reason, verdict=verdict)


def move_version(
    settings: Settings,
    name: str,
    stage: promotion.Stage,
    *,
    actor: str,
    now: datetime,
    reason: str = "moved by hand",
) -> dict[str, Any]:
    """Move a version, named by its name or MLflow's number, to a stage by hand; return it.

    Raises `RegistryError` where it does not exist or MLflow is away, `StoreError` where PostgreSQL is away.
    """
    with recorder(settings, now) as record:
        found = promotion.find_version(settings, name)
        moved = promotion.move(settings, found, stage, actor=actor, reason=reason, record=record)
    return {"version": moved.name, "stage": moved.stage, "before": found.stage}


def rollback(
    settings: Settings, *, actor: str, now: datetime, to: str | None = None, reason: str = "rolled back"
) -> dict[str, Any]:
    """Put the version that was in Production before the present one, or the version `to`, back there; return it.

    Where nothing is in Production, the last one that was comes back. Raises `RegistryError` where there is none or
    MLflow is away, `StoreError` where PostgreSQL is away.
    """
    with recorder(settings, now) as record:
        versions = promotion.list_versions(settings)
        present = next((one.name for one in versions if one.stage == "Production"), None)
        previous = to or _previous(settings, present, [one.name for one in versions])
        restored = promotion.rollback(settings, previous, actor=actor, reason=reason, record=record)
    return {"version": restored.name, "stage": restored.stage, "before": present}


def list_models(settings: Settings, *, now: datetime) -> dict[str, Any]:
    """Return {"versions": stage, run, gate and hold-out metrics of each; "moves": all, newest first; "warnings"}.

    What was moved elsewhere is written down first. Raises `RegistryError` or `StoreError` where MLflow or PostgreSQL is
    away.
    """
    observe_moves(settings, now=now)
    versions = promotion.list_versions(settings)
    engine = make_engine(settings)
    try:
        with connected(engine) as conn:
            moves = list_promotions(conn, settings.model_name)
            attempts = {one.name: attempt_of(conn, settings.model_name, one.name) for one in versions}
            rows = [_described(one, latest_metrics(conn, one.name), attempts[one.name]) for one in versions]
    finally:
        engine.dispose()
    return {"versions": rows, "moves": moves, "warnings": _warnings(versions, attempts, rows)}


def _warnings(
    versions: Sequence[promotion.Version],
    attempts: Mapping[str, Mapping[str, Any] | None],
    rows: Sequence[Mapping[str, Any]],
) -> list[str]:
    """Say what needs a look: Production below its floor, against the gate, unjudged, shared or empty."""
    found = [f"{one['version']}: {one['warning']}" for one in rows if one["stage"] == "Production" and one["warning"]]
    for one in (one for one in versions if one.stage == "Production"):
        attempt = attempts[one.name]
        if attempt is None:
            found.append(f"{one.name} is in Production, and the gate never judged it.")
        elif attempt["outcome"] != "promote":
            said = f"{attempt['outcome']} ({attempt['verdict']['reason']})"
            found.append(f"{one.name} is in Production against the gate, which said {said}.")
    for stage in promotion.ALIAS:
        together = following.several_in(stage, versions)
        if together:
            names = ", ".join(one.name for one in together)
            found.append(f"{names} are in {stage} together: {together[0].name}, the highest number, counts.")
    if versions and not any(one.stage == "Production" for one in versions):
        found.append("Nothing is in Production: a service that runs keeps its model, a new one has only that on disk.")
    return found


def warning_of(settings: Settings, version: str) -> str | None:
    """Return what is said of a version that is below its floor, else None; raises `StoreError` without PostgreSQL."""
    engine = make_engine(settings)
    try:
        with connected(engine) as conn:
            test = latest_metrics(conn, version).get("test", {})
    finally:
        engine.dispose()
    warning: str | None = test.get("details", {}).get("warning")
    return warning


def _previous(settings: Settings, present: str | None, registered: Sequence[str]) -> str | None:
    engine = make_engine(settings)
    try:
        with connected(engine) as conn:
            return previous_production(conn, settings.model_name, present, among=registered)
    finally:
        engine.dispose()


def _described(
    version: promotion.Version, metrics: Mapping[str, Mapping[str, Any]], attempt: Mapping[str, Any] | None
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
        "warning": test.get("details", {}).get("warning"),
        **{name: test.get(name) for name in METRICS},
    }
