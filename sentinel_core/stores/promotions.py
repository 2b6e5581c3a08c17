"""The table `promotions`: every move of a model between stages, and why. Append-only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, insert, select
from sqlalchemy.dialects.postgresql import distinct_on

from sentinel_core.stores.tables import promotions

Action = Literal["register", "promote", "archive", "rollback", "observed"]
Stage = Literal["None", "Staging", "Production", "Archived"]


@dataclass(frozen=True, slots=True)
class Promotion:
    """One move: who moved which version from where to where, when, why, and the gate's verdict.

    `observed` is a move that somebody made elsewhere and that was noticed at `created_at`.
    """

    model_name: str
    model_version: str
    registry_version: str
    action: Action
    to_stage: Stage
    actor: str
    reason: str
    created_at: datetime
    from_stage: str | None = None
    verdict: Mapping[str, Any] = field(default_factory=dict)
    bundle_hash: str | None = None
    run_id: str | None = None


def record_promotion(conn: Connection, promotion: Promotion) -> int:
    """Append one move, return its number."""
    values = asdict(promotion)
    return int(conn.execute(insert(promotions).values(values).returning(promotions.c.id)).scalar_one())


def list_promotions(conn: Connection, model_name: str, *, limit: int = 100) -> list[dict[str, Any]]:
    """Return the newest moves of a model, newest first."""
    rows = conn.execute(
        select(promotions).where(promotions.c.model_name == model_name).order_by(promotions.c.id.desc()).limit(limit)
    )
    return [dict(row) for row in rows.mappings()]


def moves_of(conn: Connection, model_name: str, model_version: str) -> list[dict[str, Any]]:
    """Return every move of a version, newest first."""
    query = select(promotions).where(promotions.c.model_name == model_name, promotions.c.model_version == model_version)
    return [dict(row) for row in conn.execute(query.order_by(promotions.c.id.desc())).mappings()]


def last_stages(conn: Connection, model_name: str) -> dict[str, str]:
    """Return the stage that each version of a model was moved to last."""
    rows = conn.execute(
        select(promotions.c.model_version, promotions.c.to_stage)
        .where(promotions.c.model_name == model_name)
        .ext(distinct_on(promotions.c.model_version))
        .order_by(promotions.c.model_version, promotions.c.id.desc())
    )
    return {row.model_version: row.to_stage for row in rows}


def previous_production(conn: Connection, model_name: str, current_version: str) -> str | None:
    """Return the model version that was last in Production before `current_version`: where a rollback goes."""
    last = conn.execute(
        select(promotions.c.model_version)
        .where(
            promotions.c.model_name == model_name,
            promotions.c.to_stage == "Production",
            promotions.c.model_version != current_version,
        )
        .order_by(promotions.c.id.desc())
        .limit(1)
    )
    return last.scalar_one_or_none()
