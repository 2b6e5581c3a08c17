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

RECORD: Final = np.dtype(
    [
        ("time", "<i8"),
        ("cents", "<i8"),
        ("arrival", "<i8"),
        ("id_hash", "<u8"),
        ("payload_hash", "<u8"),
        ("device", "<u8"),
        ("country", "<u8"),
        ("merchant", "<u8"),
        ("kind", "u1"),
        ("version", "u1"),
        ("reserved", "V6"),
    ]
)
"""One event of a history, 72 bytes, little-endian: times in µs, hashes of 64 bits (0 is null), kind 0 an attempt.

The last six bytes belong to the store.
"""


@dataclass(frozen=True, slots=True)
class EntityKind:
    """A kind of entity with histories.

    Its column, longest window W and tolerance for lateness L (µs), and cap C (records).
    """

    name: str
    column: str
    longest_window_us: int
    lateness_us: int
    cap: int


USER: Final = EntityKind("user", "user_id", 30 * MICROS_PER_DAY, MICROS_PER_DAY, 4096)
ENTITY_KINDS: Final = (USER,)


def pack(records: NDArray[Any]) -> bytes:
    """Pack records of dtype `RECORD`, shape (n,), into n × 72 bytes."""
    return np.ascontiguousarray(records, dtype=RECORD).tobytes()


def unpack(blob: bytes) -> NDArray[Any]:
    """Read records, shape (n,), dtype `RECORD`, from the bytes of a history; the inverse of `pack`.

    Raises `DataError` where the length is no multiple of 72 or a record is of another version.
    """
    if len(blob) % RECORD.itemsize:
        raise DataError(
            f"expected a history of a multiple of {RECORD.itemsize} bytes, got {len(blob)}.",
            remedy="The value is foreign or torn: set it aside and rebuild the history with `sentinel ingest`.",
        )
    records = np.frombuffer(blob, dtype=RECORD)
    if (foreign := records["version"] != RECORD_VERSION).any():
        version = int(records["version"][foreign][0])
        raise DataError(
            f"expected history records of version {RECORD_VERSION}, got version {version}.",
            remedy="The value is foreign or of another release: set it aside and rebuild it with `sentinel ingest`.",
        )
    return records
