"""Which transaction is this? Names that make a retry find itself.

A client's transaction_id names the transaction. Without one, a payload that carries its own timestamp is
named by its content, so that a retry finds the first try. A payload with neither gets a new id each
time: two equal ones are two purchases, and treating the second as a repeat would hide the very
bursts that card testing makes.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from hashlib import sha1
from typing import Final, NamedTuple
from uuid import UUID, uuid4

from sentinel_core.schema import Transaction
from sentinel_core.stores.bodies import derived_id, payload_hash

EVENT_NAMESPACE: Final = UUID("0b8ff6f1-6b7d-5d0f-8a5c-6d0f3f0f5c3d")
"""The namespace of scoring events (RFC 9562, version 5)."""


class Identified(NamedTuple):
    """A transaction with its name, its time and the hash of what was sent.

    `timestamp` is the client's, else the time of arrival. `payload_hash` leaves the id out, so that the same id with
    other content is recognised.
    """

    transaction: Transaction
    transaction_id: str
    timestamp: datetime
    arrived_at: datetime
    payload_hash: int


def identify(transaction: Transaction, now: datetime, *, new_id: Callable[[], UUID] = uuid4) -> Identified:
    """Name a transaction that arrived at `now`."""
    name = derived_id(transaction) or str(new_id())
    return Identified(transaction, name, transaction.timestamp or now, now, payload_hash(transaction))


def event_id(transaction_id: str) -> str:
    """Name the one scoring of a transaction: scored twice after a crash, it is still one event."""
    # uuid.uuid5, without the object between.
    digest = sha1(EVENT_NAMESPACE.bytes + transaction_id.encode(), usedforsecurity=False).hexdigest()
    variant = "89ab"[int(digest[16], 16) & 3]
    return f"{digest[:8]}-{digest[8:12]}-5{digest[13:16]}-{variant}{digest[17:20]}-{digest[20:32]}"
