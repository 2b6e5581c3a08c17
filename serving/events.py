"""From requests to what the kernel, the store and the stream take, and from decisions to answers and log entries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sentinel_core.features.build import Touches
from sentinel_core.features.entities import TOUCHED
from sentinel_core.features.events import Events
from sentinel_core.schema import (
    BANK_TRANSFER,
    CATEGORY_COLUMNS,
    hash_text,
    to_cents,
    to_micros,
)
from sentinel_core.stores.bodies import Answered, accepted
from sentinel_core.stores.redis_store import CommitRequest, RecordReply, RecordRequest
from sentinel_core.stores.touches import TouchRequest, noted_by
from serving.identity import Identified, event_id


def to_events(items: Sequence[Identified]) -> Events:
    """Arrange identified transactions as kernel input, one row each; `arrival` is 0 until the store gives it."""
    given = [item.transaction for item in items]
    return Events(
        id_hash=_hashes([item.transaction_id for item in items]),
        user=_hashes([t.user_id for t in given]),
        merchant=_hashes([t.merchant_id for t in given]),
        device=_hashes([t.device_id for t in given]),
        address=_hashes([t.ip_address for t in given]),
        country=_hashes([t.location_country for t in given]),
        time=np.array([to_micros(item.timestamp) for item in items], np.int64),
        cents=np.array([to_cents(t.amount) for t in given], np.int64),
        arrival=np.zeros(len(items), np.int64),
        is_bank_transfer=np.array([t.transaction_type == BANK_TRANSFER for t in given], np.bool_),
    )


def categories(items: Sequence[Identified]) -> dict[str, list[str | None]]:
    """Return the raw categories that accompany the vectors, by column."""
    return {name: [getattr(item.transaction, name) for item in items] for name in CATEGORY_COLUMNS}


def record_requests(items: Sequence[Identified], events: Events, currency: str) -> list[RecordRequest]:
    """Return what `HotStore.record` takes: the packed record and the body of the `accepted` entry of each."""
    hashes = np.array([item.payload_hash for item in items], np.uint64)
    packed = _split(events.records(hashes))
    touched = _split(events.records(kind=TOUCHED[0]))
    return [
        RecordRequest(
            transaction_id=item.transaction_id,
            user_id=item.transaction.user_id,
            record=packed[place],
            accepted=accepted(
                item.transaction,
                transaction_id=item.transaction_id,
                timestamp=item.timestamp,
                arrived_at=item.arrived_at,
                currency=currency,
            ),
            clocked=item.transaction.timestamp is None,
            touches=[
                TouchRequest(kind.name, entity_id, touched[place])
                for kind in TOUCHED
                if (entity_id := getattr(item.transaction, kind.column)) is not None
            ],
        )
        for place, item in enumerate(items)
    ]


def commit_request(
    item: Identified,
    answer: Mapping[str, Any],
    *,
    vector: NDArray[np.float32],
    catalogue: str,
    risk_as_of: str | None,
    answered_at: str,
    recorded: RecordReply,
    share: float,
) -> CommitRequest:
    """Return what `HotStore.commit` takes: the client's answer and the body of the `answered` entry.

    `answer` holds the fields of a `Prediction`, `vector` is one row in catalogue order, `risk_as_of` the midnight of
    its risk table, `recorded` what the store noted of the transaction, `share` the propensity of explored ones; times
    are ISO 8601.
    """
    answered: Answered = {
        "event_id": event_id(item.transaction_id),
        "transaction_id": item.transaction_id,
        "fraud_score": answer["fraud_score"],
        "prediction": answer["prediction"],
        "confidence": answer["confidence"],
        "model_version": answer["model_version"],
        "variant": "champion",
        "features": vector,
        "catalogue": catalogue,
        "risk_as_of": risk_as_of,
        "prediction_time_ms": answer["inference_time_ms"],
        "degraded": answer["degraded"],
        "cache_hit": False,
        "answered_at": answered_at,
        **noted_by(recorded.touches, recorded.time),  # type: ignore[typeddict-item]
    }
    if answer.get("explored"):
        answered["propensity"] = share
    return CommitRequest(item.transaction_id, item.transaction.user_id, item.payload_hash, answer, answered)


def touches_of(replies: Sequence[RecordReply]) -> Touches:
    """Arrange what entities knew of recorded transactions as kernel input."""
    noted = [
        (row, number, reply.touches[kind.name])
        for row, reply in enumerate(replies)
        for number, kind in enumerate(TOUCHED)
        if kind.name in reply.touches
    ]
    return Touches(
        np.array([row for row, _, _ in noted], np.int64),
        np.array([number for _, number, _ in noted], np.int64),
        np.array([touch.time for _, _, touch in noted], np.int64),
        [touch.history for _, _, touch in noted],
    )


def _split(records: NDArray[Any]) -> list[bytes]:
    blob, size = records.tobytes(), records.dtype.itemsize
    return [blob[start : start + size] for start in range(0, len(blob), size)]


def _hashes(texts: Sequence[str | None]) -> NDArray[np.uint64]:
    return np.array([hash_text(text) for text in texts], np.uint64)
