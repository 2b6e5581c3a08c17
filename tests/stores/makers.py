"""Small builders of transactions, requests and stream events for the tests of the stores."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from sentinel_core.features.entities import RECORD, RECORD_VERSION, TOUCH, TOUCHED
from sentinel_core.schema import Transaction, hash_text, to_cents, to_micros
from sentinel_core.settings import Settings, load_settings
from sentinel_core.stores import bodies
from sentinel_core.stores.redis_store import CommitRequest, RecordRequest
from sentinel_core.stores.streams import StreamEvent
from sentinel_core.stores.touches import TouchRequest

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def redis_settings(servers: Any) -> Settings:
    """Return settings with a Redis namespace of their own and no database, which costs most of a test's start."""
    namespace = f"test_{secrets.token_hex(6)}"
    # On a machine that does much else at the time, Redis is slow rather than away.
    return load_settings(None, redis_url_given=servers.redis_url, redis_namespace=namespace, redis_deadline_ms=2000)


def transaction(user: str = "u", amount: float = 12.34, at: datetime = NOW, **fields: Any) -> Transaction:
    """Return a transaction with every field filled."""
    given = {
        "merchant_id": "m1",
        "merchant_category": "grocery",
        "transaction_type": "purchase",
        "device_id": "d1",
        "device_type": "mobile",
        "ip_address": "10.1.2.3",
        "location_country": "DE",
        "location_city": "Köln",
        "latitude": 50.9,
        "longitude": 6.9,
        "card_type": "credit",
        "card_last_four": "1234",
    }
    return Transaction(user_id=user, amount=amount, timestamp=at, **(given | fields))


def record(name: str, sent: Transaction, arrival: int = 0) -> NDArray[Any]:
    """Return one packed record."""
    row = np.zeros(1, RECORD)
    row["time"] = to_micros(sent.timestamp or NOW)
    row["cents"] = to_cents(sent.amount)
    row["arrival"] = arrival
    row["id_hash"] = hash_text(name)
    row["payload_hash"] = bodies.payload_hash(sent)
    row["device"] = hash_text(sent.device_id)
    row["country"] = hash_text(sent.location_country)
    row["merchant"] = hash_text(sent.merchant_id)
    row["version"] = RECORD_VERSION
    return row


def accepted_body(name: str, sent: Transaction) -> dict[str, Any]:
    """Return the body of an accepted entry, before it is recorded."""
    at = sent.timestamp or NOW
    return bodies.accepted(sent, transaction_id=name, timestamp=at, arrived_at=at, currency="EUR")


def record_request(name: str, user: str = "u", **fields: Any) -> RecordRequest:
    """Return a request to record a transaction named `name`."""
    sent = transaction(user, **fields)
    return RecordRequest(
        name, user, record(name, sent).tobytes(), accepted_body(name, sent), touches=touch_requests(name, sent)
    )


def touch_requests(name: str, sent: Transaction) -> list[TouchRequest]:
    """Return what the entities of a transaction are asked to note."""
    row = np.zeros(1, TOUCH)
    row["time"], row["cents"] = to_micros(sent.timestamp or NOW), to_cents(sent.amount)
    row["id_hash"], row["user"], row["version"] = hash_text(name), hash_text(sent.user_id), RECORD_VERSION
    entities = [(kind.name, getattr(sent, kind.column)) for kind in TOUCHED]
    return [TouchRequest(kind, entity_id, row.tobytes()) for kind, entity_id in entities if entity_id is not None]


def answered_body(name: str, **fields: Any) -> dict[str, Any]:
    """Return the body of an answered entry."""
    return {
        "event_id": f"event-{name}",
        "transaction_id": name,
        "fraud_score": 0.25,
        "prediction": False,
        "confidence": "medium",
        "model_version": "v20260301_000000",
        "variant": "champion",
        "features": [float(np.float32(0.1)), 2.0],
        "catalogue": "set-1",
        "risk_as_of": NOW.isoformat(),
        "prediction_time_ms": 1.5,
        "degraded": False,
        "cache_hit": False,
        "answered_at": NOW.isoformat(),
    } | fields


def commit_request(name: str, user: str = "u", score: float = 0.25, **fields: Any) -> CommitRequest:
    """Return a request to commit the answer to the transaction that `record_request` makes."""
    payload = bodies.payload_hash(transaction(user, **fields))
    return CommitRequest(name, user, payload, {"fraud_score": score}, answered_body(name, fraud_score=score))


def accepted_event(name: str, number: int = 0, user: str = "u", **fields: Any) -> StreamEvent:
    """Return the stream entry of an accepted transaction."""
    sent = transaction(user, **fields)
    payload = bodies.hexadecimal(bodies.payload_hash(sent))
    body = accepted_body(name, sent) | {"arrival": {"user": 1000 + number}, "late": False, "payload_hash": payload}
    return StreamEvent("events", f"{number}-0", "accepted", name, payload, orjson.dumps(body))


def answered_event(name: str, number: int = 0, user: str = "u", answer: Any = None, **fields: Any) -> StreamEvent:
    """Return the stream entry of an answer to it."""
    payload = bodies.hexadecimal(bodies.payload_hash(transaction(user, **fields)))
    body = answered_body(name, **(answer or {})) | {"payload_hash": payload}
    return StreamEvent("events", f"{number}-1", "answered", name, payload, orjson.dumps(body))
