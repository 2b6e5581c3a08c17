"""The table `outcomes`: what became of payments. The latest counts, none is ever overwritten."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection

from sentinel_core.schema import OutcomeReport
from sentinel_core.stores.statements import RECORDED_BY, StatementResult, StatementTable

EXPLORATION: Final = "exploration"
"""The source of outcomes that the service itself brought about: it let a declined transaction through."""

LATEST: Final = f"""
    SELECT transaction_id, (array_agg(outcome ORDER BY decided_at DESC, id DESC))[1] AS outcome,
           bool_or(outcome = 'explored') AS explored,
           (array_agg(propensity ORDER BY decided_at DESC, id DESC) FILTER (WHERE outcome = 'explored'))[1]
               AS propensity
    FROM outcomes WHERE decided_at <= :as_of AND {RECORDED_BY} GROUP BY transaction_id
"""  # noqa: S608 (a constant)
"""The latest outcome of each transaction as it was known at :as_of and recorded by :recorded_by (null: ever), as SQL.

`explored` says whether any of them was, `propensity` is that of the latest such.
"""

OUTCOME: Final = """
    COALESCE(CASE WHEN o.outcome = 'approved' AND (o.explored OR t.outcome = 'explored') THEN 'explored'
                  ELSE o.outcome END,
             t.outcome, CASE WHEN p.prediction THEN 'declined' WHEN NOT p.prediction THEN 'approved' END)
"""
"""What became of the transaction t, given its latest outcome o and the answer p to it, as SQL.

What was said of it counts; else what its file said; else the decision that we gave; null where there is none of them. A
payment that was explored and then reported as approved is explored still: it was let through by that chance.
"""

_OUTCOMES: Final = StatementTable(
    "outcomes", "decided_at", {"outcome": "text", "propensity": "double precision"}, key="outcome"
)


def record_outcomes(conn: Connection, outcomes: Sequence[OutcomeReport], *, now: datetime) -> list[StatementResult]:
    """Record outcomes and say, in their order, what became of each.

    The same outcome again, of one transaction, time and source, changes nothing, also where it comes with another
    propensity. One without `decided_at` holds from `now`, unless the latest of that source already says the same. A
    transaction still on its way through the stream is unknown.
    """
    return _OUTCOMES.record(conn, [dict(outcome) for outcome in outcomes], now=now)


def outcomes_of(conn: Connection, transaction_id: str) -> list[dict[str, Any]]:
    """Return every outcome of a transaction, the latest first."""
    return _OUTCOMES.of(conn, transaction_id)
