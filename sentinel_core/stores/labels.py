"""The table `labels`: what transactions turned out to be. The latest counts, none is ever overwritten."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection

from sentinel_core.schema import Label
from sentinel_core.stores.statements import RECORDED_BY, StatementResult, StatementTable

LATEST: Final = f"""
    SELECT DISTINCT ON (transaction_id) transaction_id, is_fraud, labelled_at, source
    FROM labels WHERE labelled_at <= :as_of AND {RECORDED_BY} ORDER BY transaction_id, labelled_at DESC, id DESC
"""  # noqa: S608 (a constant)
"""The latest label of each transaction as it was known at :as_of and recorded by :recorded_by (null: ever), as SQL.

Of simultaneous ones the last recorded counts.
"""

_LABELS: Final = StatementTable("labels", "labelled_at", {"is_fraud": "boolean"}, key="is_fraud")


def record_labels(conn: Connection, labels: Sequence[Label], *, now: datetime) -> list[StatementResult]:
    """Record labels and say, in their order, what became of each.

    The same label again changes nothing. A label without `labelled_at` became known at `now`, unless the
    latest label of that source already says the same. A transaction still on its way through the stream is unknown.
    """
    return _LABELS.record(conn, [dict(label) for label in labels], now=now)


def labels_of(conn: Connection, transaction_id: str) -> list[dict[str, Any]]:
    """Return every label of a transaction, the one that counts first."""
    return _LABELS.of(conn, transaction_id)
