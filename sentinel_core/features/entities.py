"""The entities that have a history, and the packed record that a history is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sentinel_core.errors import DataError

MICROS_PER_HOUR: Final = 3_600_000_000
MICROS_PER_DAY: Final = 24 * MICROS_PER_HOUR
RECORD_VERSION: Final = 1
ATTEMPT: Final = 0
_VERSION_FROM_END: Final = 7


def _record(*hashes: str) -> np.dtype[Any]:
    """Lay out one event of a history, little-endian; the store's scripts know the first four fields and the tail."""
    head = [("time", "<i8"), ("cents", "<i8"), ("arrival", "<i8"), ("id_hash", "<u8")]
    tail = [("kind", "u1"), ("version", "u1"), ("reserved", "V6")]
    return np.dtype([*head, *((name, "<u8") for name in hashes), *tail])


RECORD: Final = _record("payload_hash", "device", "country", "merchant")
"""One event of a user's history, 72 bytes: times in µs, hashes of 64 bits (0 is null), kind 0 an attempt.

The last six bytes belong to the store.
"""
TOUCH: Final = _record("user")
"""One event of the history of a device, an address or a merchant, 48 bytes; as `RECORD` otherwise."""


@dataclass(frozen=True, slots=True)
class EntityKind:
    """A kind of entity with histories.

    `name` is also that of its hashes in `Events`, `column` that of its id in the schema. Longest window W and tolerance
    for lateness L in µs, cap C in records. `seen` names what the kernel looks at in its records, all columns of
    `Events`.
    """

    name: str
    column: str
    longest_window_us: int
    lateness_us: int
    cap: int
    seen: tuple[str, ...] = ("cents", "device", "country", "merchant")

    @property
    def record(self) -> np.dtype[Any]:
        """The dtype of its records."""
        return RECORD if self.name == "user" else TOUCH


USER: Final = EntityKind("user", "user_id", 30 * MICROS_PER_DAY, MICROS_PER_DAY, 4096)
DEVICE: Final = EntityKind("device", "device_id", MICROS_PER_DAY, MICROS_PER_DAY, 512, ("cents", "user"))
ADDRESS: Final = EntityKind("address", "ip_address", MICROS_PER_DAY, MICROS_PER_DAY, 512, ("cents", "user"))
MERCHANT: Final = EntityKind("merchant", "merchant_id", MICROS_PER_HOUR, MICROS_PER_HOUR, 512, ("cents", "user"))
TOUCHED: Final = (DEVICE, ADDRESS, MERCHANT)
"""The entities that a user's transaction touches: each counts the attempts that it sees, whoever makes them."""
ENTITY_KINDS: Final = (USER, *TOUCHED)


def pack(records: NDArray[Any]) -> bytes:
    """Pack records, shape (n,), into n times the bytes of one."""
    return np.ascontiguousarray(records).tobytes()


def unpack(blob: bytes, record: np.dtype[Any] = RECORD) -> NDArray[Any]:
    """Read records, shape (n,), from the bytes of a history; the inverse of `pack`.

    Raises `DataError` where the length is no multiple of a record's or a record is of another version.
    """
    size = record.itemsize
    if len(blob) % size:
        raise DataError(
            f"expected a history of a multiple of {size} bytes, got {len(blob)}.",
            remedy="The value is foreign or torn: set it aside and rebuild the history with `sentinel ingest`.",
        )
    # A slice of bytes is looked through ten times as fast as a column of a structured array.
    versions = blob[size - _VERSION_FROM_END :: size]
    if versions.count(RECORD_VERSION) != len(versions):
        version = next(version for version in versions if version != RECORD_VERSION)
        raise DataError(
            f"expected history records of version {RECORD_VERSION}, got version {version}.",
            remedy="The value is foreign or of another release: set it aside and rebuild it with `sentinel ingest`.",
        )
    return np.frombuffer(blob, dtype=record)
