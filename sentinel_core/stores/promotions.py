"""The table `promotions`: every move of a model between stages, and why. Append-only."""

from __future__ import annotations

from collections.abc import Collection, Mapping
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


def list_promotions(conn: Connection, model_name: str, *, limit: int | None = None) -> list[dict[str, Any]]:
    """Return the moves of a model, newest first: all of them, or the newest `limit`."""
    rows = conn.execute(
        select(promotions).where(promotions.c.model_name == model_name).order_by(promotions.c.id.desc()).limit(limit)
    )
    return [dict(row) for row in rows.mappings()]


def moves_of(conn: Connection, model_name: str, model_version: str) -> list[dict[str, Any]]:
    """Return every move of a version, newest first."""
    query = select(promotions).where(promotions.c.model_name == model_name, promotions.c.model_version == model_version)
    return [dict(row) for row in conn.execute(query.order_by(promotions.c.id.desc())).mappings()]


def last_stages(conn: Connection, model_name: str) -> dict[tuple[str, str], str]:
    """Return the stage that each version of a model, (name, MLflow's number), was moved to last."""
    key = (promotions.c.model_version, promotions.c.registry_version)
    rows = conn.execute(
        select(*key, promotions.c.to_stage)
        .where(promotions.c.model_name == model_name)
        .ext(distinct_on(*key))
        .order_by(*key, promotions.c.id.desc())
    )
    return {(row.model_version, row.registry_version): row.to_stage for row in rows}


def previous_production(
    conn: Connection, model_name: str, current_version: str | None, *, among: Collection[str]
) -> str | None:
    """Return where a rollback from `current_version` goes: the version in Production before it, of those in `among`.

    What was itself rolled back from is left out: after v1, v2, v3 and a rollback to v2, the next one goes to v1.
    """
    rows = conn.execute(
        select(promotions.c.model_version, promotions.c.action)
        .where(promotions.c.model_name == model_name, promotions.c.to_stage == "Production")
        .order_by(promotions.c.id)
    )
    line: list[str] = []
    for version, action in rows:
        if action == "rollback" and version in line:
            del line[len(line) - line[::-1].index(version) :]
        elif not line or line[-1] != version:
            line.append(version)
    return next((name for name in reversed(line) if name != current_version and name in among), None)
