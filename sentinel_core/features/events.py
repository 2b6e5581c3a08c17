"""Transactions as the kernel takes them: integers and 64-bit hashes, one row each, in order of arrival."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from hashlib import blake2b
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sentinel_core.features.entities import RECORD_VERSION, USER, EntityKind

Int = NDArray[np.int64]
Hash = NDArray[np.uint64]
Bool = NDArray[np.bool_]

NEVER: Final = np.iinfo(np.int64).max
"""A time that does not come (µs)."""


@dataclass(frozen=True, slots=True)
class Events:
    """Transactions in order of arrival: ten arrays of one length.

    Hashes are those of `schema.hash_text` (0 is null), `time` is in µs since 1970 UTC, `arrival` grows
    strictly within a user, `cents` lie in 0 to 100 × `schema.AMOUNT_MAX`.
    """

    id_hash: Hash
    user: Hash
    merchant: Hash
    device: Hash
    address: Hash
    country: Hash
    time: Int
    cents: Int
    arrival: Int
    is_bank_transfer: Bool

    def __len__(self) -> int:
        return len(self.time)

    def entity(self, kind: EntityKind) -> Hash:
        """Return the hash of the entity of a kind that each row belongs to."""
        entities: Hash = getattr(self, kind.name)
        return entities

    def take(self, rows: NDArray[Any] | slice) -> Events:
        """Return the rows that an index array, a mask or a slice selects, in its order."""
        return Events(*(getattr(self, field.name)[rows] for field in fields(self)))

    def records(self, payload_hash: Hash | None = None, *, kind: EntityKind = USER) -> NDArray[Any]:
        """Return the history records of these events, shape (n,), as an entity of a kind keeps them."""
        records = np.zeros(len(self), dtype=kind.record)
        for name in kind.record.names or ():
            if name in _RECORDED:
                records[name] = getattr(self, name)
        if payload_hash is not None:
            records["payload_hash"] = payload_hash
        records["version"] = RECORD_VERSION
        return records


_RECORDED: Final = frozenset(field.name for field in fields(Events))


@dataclass(frozen=True, slots=True)
class Stamps:
    """What entities of one kind noted about events: time (µs) and arrival number, shape (n,); arrival -1 if nothing.

    An entity notes nothing of an event that came too late for it. Times differ from the events' own only where two of
    our clocks differed.
    """

    time: Int
    arrival: Int


@dataclass(frozen=True, slots=True)
class Labels:
    """What became known about events, and when: one entry a label, several for a row that was corrected.

    `row` indexes the events, `known_at` (µs) is when the entry became known and `superseded_at` (µs, `NEVER`
    where it stands) when a later entry for the same row replaced it.
    """

    row: Int
    is_fraud: Bool
    known_at: Int
    superseded_at: Int

    @classmethod
    def of(cls, row: Int, is_fraud: Bool, known_at: Int) -> Labels:
        """Order entries by row and time of knowledge; of entries of one row, each ends where the next begins."""
        order = np.lexsort((known_at, row))
        row, is_fraud, known_at = row[order], is_fraud[order], known_at[order]
        superseded = np.full(len(row), NEVER, dtype=np.int64)
        if len(row):
            same = row[1:] == row[:-1]
            superseded[:-1][same] = known_at[1:][same]
        return cls(row, is_fraud, known_at, superseded)

    @classmethod
    def of_rows(cls, is_fraud: NDArray[np.int8], known_at: Int) -> Labels:
        """Take one label a row: is_fraud int8, shape (n,), 1, 0 or -1 for a row without a label."""
        row = np.flatnonzero(is_fraud >= 0)
        return cls.of(row, is_fraud[row] > 0, known_at[row])


def hash_texts(texts: Iterable[str | None]) -> Hash:
    """Hash texts to 64 bits as `schema.hash_text` does, shape (n,); each distinct text is hashed once, null is 0."""
    texts = texts if isinstance(texts, Sequence) else list(texts)
    distinct = [text for text in set(texts) if text is not None]
    known: dict[str | None, int] = dict(zip(distinct, hash_distinct(distinct).tolist(), strict=True))
    known[None] = 0
    return np.fromiter((known[text] for text in texts), dtype=np.uint64, count=len(texts))


def hash_distinct(texts: Iterable[str]) -> Hash:
    """Hash each text to 64 bits as `schema.hash_text` does, shape (n,)."""
    digests = [blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest() for text in texts]
    hashes = np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)
    hashes[hashes == 0] = 1
    return hashes
