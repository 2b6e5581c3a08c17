"""Statements about transactions, such as labels and outcomes: the latest counts, none is ever overwritten.

Each has two times: when it became true or known, which whoever makes it may give, and `created_at`, when it was
recorded here. What was known at a past moment is what had become true and had been recorded by then
(docs/decisions/0018).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from sqlalchemy import Connection, text

StatementStatus = Literal["recorded", "known", "unknown_transaction"]
RECORDED_BY: Final = "created_at <= COALESCE(CAST(:recorded_by AS timestamptz), 'infinity')"
"""A row that had been recorded by :recorded_by, as SQL; null is no bound."""


@dataclass(frozen=True, slots=True)
class StatementResult:
    """What became of one statement: recorded, known before (nothing changed), or of a transaction that is not known."""

    transaction_id: str
    status: StatementStatus


@dataclass(frozen=True, slots=True)
class StatementTable:
    """A table of statements: its `time` column, and the columns of what is said with their SQL types.

    `key` are those that tell statements of one time and source apart.
    """

    name: str
    time: str
    values: Mapping[str, str]
    key: str

    def record(self, conn: Connection, given: Sequence[Mapping[str, Any]], *, now: datetime) -> list[StatementResult]:
        """Record statements at `now` and say, in their order, what became of each.

        Each has transaction_id, source, the time and the values. The same one again changes nothing. One without a
        time became known at `now`, unless the latest of its source already says the same.
        """
        if not given:
            return []
        columns = ("transaction_id", "source", self.time, *self.values)
        arrays = {name: [one[name] for one in given] for name in columns}
        rows = conn.execute(text(self._query()), {**arrays, "now": now})
        return [
            StatementResult(one["transaction_id"], _status(there=there, fresh=fresh))
            for one, (_, there, fresh) in zip(given, rows, strict=True)
        ]

    def of(self, conn: Connection, transaction_id: str) -> list[dict[str, Any]]:
        """Return every statement about a transaction, the latest first."""
        names = ", ".join((*self.values, self.time, "source", "created_at"))
        rows = conn.execute(
            text(f"SELECT {names} FROM {self.name} WHERE transaction_id = :id ORDER BY {self.time} DESC, id DESC"),  # noqa: S608
            {"id": transaction_id},
        )
        return [dict(row) for row in rows.mappings()]

    def _query(self) -> str:
        types = {"transaction_id": "text", **self.values, self.time: "timestamptz", "source": "text"}
        names = ", ".join(types)
        arrays = ", ".join(f"CAST(:{name} AS {kind}[])" for name, kind in types.items())
        same = " AND ".join(f"last.{name} IS NOT DISTINCT FROM g.{name}" for name in self.values)
        at = "COALESCE({}, CAST(:now AS timestamptz))".format
        # In the order of their transactions, so that two calls at once wait for each other in one order.
        return f"""
            WITH given AS (SELECT * FROM unnest({arrays}) WITH ORDINALITY AS g ({names}, position)),
            judged AS (
                SELECT g.*, t.transaction_id IS NOT NULL AS there,
                       g.{self.time} IS NULL AND last.id IS NOT NULL AND {same} AS repeated
                FROM given AS g
                LEFT JOIN transactions AS t ON t.transaction_id = g.transaction_id
                LEFT JOIN LATERAL (SELECT * FROM {self.name} AS l
                                   WHERE l.transaction_id = g.transaction_id AND l.source = g.source
                                   ORDER BY l.{self.time} DESC, l.id DESC LIMIT 1) AS last ON true
            ),
            fresh AS (
                INSERT INTO {self.name} ({names}, created_at)
                SELECT {names.replace(self.time, at(self.time))}, CAST(:now AS timestamptz) FROM judged
                WHERE there AND NOT repeated ORDER BY transaction_id, position
                ON CONFLICT DO NOTHING
                RETURNING transaction_id, {self.key}, {self.time}, source
            )
            SELECT j.position, j.there, f.transaction_id IS NOT NULL AS fresh
            FROM judged AS j
            LEFT JOIN fresh AS f ON NOT j.repeated AND f.transaction_id = j.transaction_id AND f.source = j.source
                                AND f.{self.key} = j.{self.key}
                                AND f.{self.time} = {at(f"j.{self.time}")}
            ORDER BY j.position
        """  # noqa: S608 (names of our own columns)


def _status(*, there: bool, fresh: bool) -> StatementStatus:
    if not there:
        return "unknown_transaction"
    return "recorded" if fresh else "known"
