"""The table `labels`: what transactions turned out to be. The latest counts, none is ever overwritten."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from sqlalchemy import Connection, text

from sentinel_core.schema import Label

LabelStatus = Literal["recorded", "known", "unknown_transaction"]

LATEST: Final = """
    SELECT DISTINCT ON (transaction_id) transaction_id, is_fraud, labelled_at, source
    FROM labels WHERE labelled_at <= :as_of ORDER BY transaction_id, labelled_at DESC, id DESC
"""
"""The latest label of each transaction as it was known at :as_of, as SQL; of simultaneous ones the last recorded."""

_GIVEN: Final = """
    SELECT * FROM unnest(CAST(:ids AS text[]), CAST(:frauds AS boolean[]), CAST(:times AS timestamptz[]),
                         CAST(:sources AS text[])) WITH ORDINALITY
             AS g (transaction_id, is_fraud, labelled_at, source, position)
"""
_RECORD: Final = text(
    f"""
    WITH given AS ({_GIVEN}),
    judged AS (
        SELECT g.*, t.transaction_id IS NOT NULL AS there,
               g.labelled_at IS NULL AND last.is_fraud IS NOT DISTINCT FROM g.is_fraud AS repeated
        FROM given AS g
        LEFT JOIN transactions AS t ON t.transaction_id = g.transaction_id
        LEFT JOIN LATERAL (SELECT l.is_fraud FROM labels AS l
                           WHERE l.transaction_id = g.transaction_id AND l.source = g.source
                           ORDER BY l.labelled_at DESC, l.id DESC LIMIT 1) AS last ON true
    ),
    fresh AS (
        INSERT INTO labels (transaction_id, is_fraud, labelled_at, source)
        SELECT transaction_id, is_fraud, COALESCE(labelled_at, :now), source FROM judged
        WHERE there AND NOT repeated ORDER BY position
        ON CONFLICT DO NOTHING
        RETURNING transaction_id, is_fraud, labelled_at, source
    )
    SELECT j.position, j.there, f.transaction_id IS NOT NULL AS fresh
    FROM judged AS j
    LEFT JOIN fresh AS f ON (f.transaction_id, f.is_fraud, f.labelled_at, f.source)
                          = (j.transaction_id, j.is_fraud, COALESCE(j.labelled_at, :now), j.source) AND NOT j.repeated
    ORDER BY j.position
    """  # noqa: S608 (no value is part of the text)
)


@dataclass(frozen=True, slots=True)
class LabelResult:
    """What became of one label: recorded, known before (nothing changed), or of a transaction that is not known."""

    transaction_id: str
    status: LabelStatus


def record_labels(conn: Connection, labels: Sequence[Label], *, now: datetime) -> list[LabelResult]:
    """Record labels and say, in their order, what became of each.

    The same label again changes nothing. A label without `labelled_at` became known at `now`, unless the
    latest label of that source already says the same. A transaction still on its way through the stream is unknown.
    """
    if not labels:
        return []
    rows = conn.execute(
        _RECORD,
        {
            "ids": [label.transaction_id for label in labels],
            "frauds": [label.is_fraud for label in labels],
            "times": [label.labelled_at for label in labels],
            "sources": [label.source for label in labels],
            "now": now,
        },
    )
    return [
        LabelResult(label.transaction_id, "unknown_transaction" if not there else "recorded" if fresh else "known")
        for label, (_, there, fresh) in zip(labels, rows, strict=True)
    ]


def labels_of(conn: Connection, transaction_id: str) -> list[dict[str, Any]]:
    """Return every label of a transaction, the one that counts first."""
    rows = conn.execute(
        text(
            "SELECT is_fraud, labelled_at, source, created_at FROM labels WHERE transaction_id = :id "
            "ORDER BY labelled_at DESC, id DESC"
        ),
        {"id": transaction_id},
    )
    return [dict(row) for row in rows.mappings()]
