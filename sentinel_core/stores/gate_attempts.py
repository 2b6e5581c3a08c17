"""The table `gate_attempts`: every verdict of the gate, whatever it was, and on which rows. Append-only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any, Literal

from sqlalchemy import Connection, insert, select

from sentinel_core.stores.tables import gate_attempts


@dataclass(frozen=True, slots=True)
class GateAttempt:
    """One attempt: `lineage` names the history that the hold-out [start, end) was cut from.

    `label_day` is the newest day whose labels were mature; `number` counts the attempts on rows of this hold-out.
    """

    model_name: str
    model_version: str
    champion_version: str | None
    lineage: str
    holdout_start: datetime
    holdout_end: datetime
    label_day: date
    number: int
    error_rate: float
    outcome: Literal["promote", "reject", "hold"]
    verdict: Mapping[str, Any]
    created_at: datetime


def record_attempt(conn: Connection, attempt: GateAttempt) -> int:
    """Append one attempt, return its number in the table."""
    return int(conn.execute(insert(gate_attempts).values(asdict(attempt)).returning(gate_attempts.c.id)).scalar_one())


def attempt_of(conn: Connection, model_name: str, model_version: str) -> dict[str, Any] | None:
    """Return the attempt that a version made, None where it was not judged."""
    query = select(gate_attempts).where(
        gate_attempts.c.model_name == model_name, gate_attempts.c.model_version == model_version
    )
    row = conn.execute(query).mappings().one_or_none()
    return None if row is None else dict(row)


def attempts_on(
    conn: Connection, model_name: str, lineage: str, start: datetime, end: datetime
) -> list[dict[str, Any]]:
    """Return the attempts, the oldest first, whose hold-outs share time with [start, end) of a lineage.

    Those that were held are not among them: nobody learned anything from the rows.
    """
    query = (
        select(gate_attempts)
        .where(
            gate_attempts.c.model_name == model_name,
            gate_attempts.c.lineage == lineage,
            gate_attempts.c.holdout_start < end,
            gate_attempts.c.holdout_end > start,
            gate_attempts.c.outcome != "hold",
        )
        .order_by(gate_attempts.c.id)
    )
    return [dict(row) for row in conn.execute(query).mappings()]
