"""The table `transactions`: what happened, and what was answered to it.

Rows that come from the stream are handed over as their JSON bodies (`sentinel_core.stores.bodies`):
PostgreSQL unpacks a whole batch in one statement, which is several times faster than binding columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Dialect, text
from sqlalchemy.dialects import postgresql

from sentinel_core.features.entities import TOUCHED
from sentinel_core.stores.tables import transactions

_DIALECT: Final[Dialect] = postgresql.dialect()  # type: ignore[no-untyped-call]
# Filled by the answer, all together and only while there is none.
_ANSWER: Final = ("fraud_score", "model_version", "features", "feature_set_id", "risk_as_of")
# What entities noted comes with the answer too; a row of a file may know it already.
_NOTED: Final = (*(f"{kind.name}_arrival" for kind in TOUCHED), "noted_us")
_LATER: Final = {*_ANSWER, *_NOTED, "user_arrival", "created_at"}
_ACCEPTED: Final = tuple(column.name for column in transactions.columns if column.name not in _LATER)


def _types(names: Sequence[str], table: Any) -> str:
    return ", ".join(f"{name} {table.c[name].type.compile(_DIALECT)}" for name in names)


_ACCEPTED_ROW: Final = f"{_types(_ACCEPTED, transactions)}, arrival jsonb, timestamp_us bigint"
_ACCEPTED_VALUES: Final = {
    "late": "COALESCE(a.late, false)",
    # Where the record script moved the time, it says where to.
    "timestamp": "COALESCE(timestamptz 'epoch' + a.timestamp_us * interval '1 microsecond', a.timestamp)",
}
_ANSWERED_ROW: Final = (
    "transaction_id text, fraud_score double precision, model_version text, features jsonb, catalogue text, "
    "risk_as_of timestamptz, payload_hash text, arrival jsonb, noted_us jsonb"
)
_ANSWER_VALUES: Final = "p.fraud_score, p.model_version, p.features, p.catalogue, p.risk_as_of"
_NOTED_VALUES: Final = (*(f"CAST(p.arrival ->> '{kind.name}' AS bigint)" for kind in TOUCHED), "p.noted_us")
_SAME_PAYLOAD: Final = "(t.payload_hash IS NULL OR t.payload_hash = {other}.payload_hash)"

_INSERT: Final = text(
    f"""
    INSERT INTO transactions AS t ({", ".join(_ACCEPTED)}, user_arrival, created_at, {", ".join((*_ANSWER, *_NOTED))})
    SELECT {", ".join(_ACCEPTED_VALUES.get(n, f"a.{n}") for n in _ACCEPTED)},
           CAST(a.arrival ->> 'user' AS bigint), CAST(:now AS timestamptz), {_ANSWER_VALUES}, {", ".join(_NOTED_VALUES)}
    FROM json_to_recordset(CAST(:accepted AS json)) AS a ({_ACCEPTED_ROW})
    LEFT JOIN json_to_recordset(CAST(:answered AS json)) AS p ({_ANSWERED_ROW})
        ON p.transaction_id = a.transaction_id AND p.payload_hash IS NOT DISTINCT FROM a.payload_hash
    ORDER BY a.transaction_id
    ON CONFLICT (transaction_id) DO UPDATE SET
        payload_hash = COALESCE(t.payload_hash, excluded.payload_hash),
        user_arrival = COALESCE(t.user_arrival, excluded.user_arrival),
        {", ".join(f"{n} = CASE WHEN t.fraud_score IS NULL THEN excluded.{n} ELSE t.{n} END" for n in _ANSWER)},
        {", ".join(f"{n} = COALESCE(excluded.{n}, t.{n})" for n in _NOTED)}
    WHERE {_SAME_PAYLOAD.format(other="excluded")}
      AND (t.payload_hash IS NULL OR (t.fraud_score IS NULL AND excluded.fraud_score IS NOT NULL))
    """  # noqa: S608 (names of our own columns)
)
_FILL: Final = text(
    f"""
    UPDATE transactions AS t SET ({", ".join(_ANSWER)}) = ROW ({_ANSWER_VALUES}),
        {", ".join(f"{n} = COALESCE({value}, t.{n})" for n, value in zip(_NOTED, _NOTED_VALUES, strict=True))}
    FROM (SELECT * FROM json_to_recordset(CAST(:answered AS json)) AS r ({_ANSWERED_ROW}) ORDER BY transaction_id) AS p
    WHERE t.transaction_id = p.transaction_id AND t.fraud_score IS NULL AND {_SAME_PAYLOAD.format(other="p")}
    """  # noqa: S608
)


def insert_accepted(
    conn: Connection, accepted: Sequence[bytes], answered: Sequence[bytes] = (), *, now: datetime
) -> None:
    """Insert transactions from the bodies of `accepted` entries, with the answers that came along; recorded at `now`.

    Each transaction_id may occur once in `accepted` and once in `answered`. A row that is there keeps what it
    says: only a missing payload hash, arrival number and answer are filled in, and only under the same payload. Answers
    without a row among `accepted` are left alone: `fill_answers` is for them.
    """
    conn.execute(_INSERT, {"accepted": _array(accepted), "answered": _array(answered), "now": now})


def fill_answers(conn: Connection, answered: Sequence[bytes]) -> None:
    """Fill the prediction columns of transactions that have none yet, from the bodies of `answered` entries.

    Each transaction_id may occur once. An answer that is there stays, as does the row of another payload.
    """
    conn.execute(_FILL, {"answered": _array(answered)})


def _array(bodies: Sequence[bytes]) -> str:
    return (b"[" + b",".join(bodies) + b"]").decode()
