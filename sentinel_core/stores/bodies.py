"""What the event stream carries: the contract between the service, which writes it, and the recorder, which reads it.

Bodies are JSON objects. Their names are those of the columns that they fill, so that PostgreSQL
itself unpacks them (`sentinel_core.stores.recording`).
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal, NotRequired, TypedDict

import numpy as np
import orjson
from numpy.typing import NDArray

from sentinel_core.schema import Confidence, Transaction, to_cents

Kind = Literal["accepted", "answered", "feature_set"]
_NAMESPACE: Final = uuid.UUID("6f0f6d8e-0d54-5d0a-9c0b-7b1f6a3f5d21")


class Answered(TypedDict):
    """Body of an `answered` entry: the decision, and the vector that it was made from.

    `features` are the float32 values in the order of the feature set whose id is `catalogue`; times are
    ISO 8601 with a zone; `answered_at` becomes `prediction_logs.created_at`. `arrival` holds the arrival number at each
    entity that noted the transaction, by kind, `noted_us` the times (µs) that differ from the transaction's own.
    `propensity` is there where the transaction was explored.
    """

    event_id: str
    transaction_id: str
    fraud_score: float
    prediction: bool
    confidence: Confidence
    model_version: str
    variant: str
    features: Sequence[float] | NDArray[np.float32]
    catalogue: str
    risk_as_of: str | None
    prediction_time_ms: float
    degraded: bool
    cache_hit: bool
    answered_at: str
    arrival: Mapping[str, int]
    noted_us: NotRequired[Mapping[str, int]]
    payload_hash: NotRequired[str]
    propensity: NotRequired[float]


def canonical(transaction: Transaction) -> bytes:
    """Return the canonical JSON of what a client sent, without its transaction_id: equal payloads give equal bytes.

    Amounts are integer cents, times UTC, absent fields left out, names sorted.
    """
    fields = _given(transaction)
    fields.pop("transaction_id", None)
    fields["amount"] = to_cents(transaction.amount)
    return orjson.dumps(fields, option=orjson.OPT_SORT_KEYS | orjson.OPT_UTC_Z)


def payload_hash(transaction: Transaction) -> int:
    """Hash a payload to 64 bits by BLAKE2b, never 0, which means that no payload is known (RFC 7693)."""
    return int.from_bytes(hashlib.blake2b(canonical(transaction), digest_size=8).digest(), "little") or 1


def derived_id(transaction: Transaction) -> str | None:
    """Return the id under which a retry finds itself: the client's, else a UUIDv5 of payload and timestamp.

    None where the payload has neither: two such payloads are two purchases.
    """
    if transaction.transaction_id is not None:
        return transaction.transaction_id
    if transaction.timestamp is None:
        return None
    return str(uuid.uuid5(_NAMESPACE, canonical(transaction).decode()))


def accepted(
    transaction: Transaction, *, transaction_id: str, timestamp: datetime, arrived_at: datetime, currency: str
) -> dict[str, Any]:
    """Return the body of an `accepted` entry for `orjson`; arrival, lateness and payload hash are added later.

    `timestamp` is the effective one: the client's, else the time of arrival. The amount is rounded to cents
    as the kernel rounds it, so that a history rebuilt from PostgreSQL holds the same integers.
    """
    return _given(transaction) | {
        "transaction_id": transaction_id,
        "amount": to_cents(transaction.amount) / 100,
        "timestamp": timestamp,
        "arrived_at": arrived_at,
        "currency": currency,
        "source": "live",
    }


def _given(transaction: Transaction) -> dict[str, Any]:
    # Every field is text, a number or a time: what model_dump does more is for models within models.
    return {name: value for name, value in transaction.__dict__.items() if value is not None}


def hexadecimal(number: int) -> str:
    """Write a 64-bit hash as 16 hexadecimal digits: JSON numbers would lose its last bits."""
    return f"{number:016x}"
