"""The table `dead_letters`: stream entries that PostgreSQL refused, kept byte for byte with the reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select
from sqlalchemy.dialects.postgresql import insert

from sentinel_core.schema import ID_MAX_LENGTH
from sentinel_core.stores.tables import dead_letters


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One refused entry; `transaction_id` as the entry says it, whatever that is."""

    stream: str
    entry_id: str
    kind: str
    transaction_id: str
    body: bytes
    reason: str


def add_dead_letters(conn: Connection, letters: Sequence[DeadLetter]) -> None:
    """Keep refused entries; the same entry again changes nothing."""
    if not letters:
        return
    rows = [
        {
            "stream": letter.stream,
            "entry_id": letter.entry_id,
            "kind": _storable(letter.kind) or "?",
            "transaction_id": _storable(letter.transaction_id),
            "body": letter.body,
            "reason": _storable(letter.reason, limit=1000) or "?",
        }
        for letter in letters
    ]
    conn.execute(insert(dead_letters).on_conflict_do_nothing(), rows)


def dead_transactions(conn: Connection, transaction_ids: Sequence[str]) -> set[str]:
    """Return those of the ids whose `accepted` entry was refused."""
    wanted = [storable for one in transaction_ids if (storable := _storable(one)) is not None]
    rows = conn.execute(
        select(dead_letters.c.transaction_id).where(
            dead_letters.c.transaction_id.in_(wanted), dead_letters.c.kind == "accepted"
        )
    )
    return {row[0] for row in rows}


def count_dead_letters(conn: Connection) -> int:
    """Return how many entries were refused since the beginning."""
    return int(conn.execute(select(func.count()).select_from(dead_letters)).scalar_one())


def list_dead_letters(conn: Connection, *, limit: int = 100) -> list[dict[str, Any]]:
    """Return the newest refused entries as rows, newest first."""
    rows = conn.execute(select(dead_letters).order_by(dead_letters.c.id.desc()).limit(limit))
    return [dict(row) | {"body": bytes(row["body"])} for row in rows.mappings()]


def _storable(value: str, *, limit: int = ID_MAX_LENGTH) -> str | None:
    """Return the text as PostgreSQL can hold it, or None where nothing is left of it."""
    return value.encode("utf-8", "backslashreplace").decode().replace("\x00", "\\x00")[:limit] or None
