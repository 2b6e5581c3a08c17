"""Bulk load of histories into Redis: from a file, or from PostgreSQL when Redis was lost.

A load leaves what scripts/record.lua would have left, event by event in arrival order: the same
records, limits and bookkeeping (docs/decisions/0006).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import numpy as np
import redis
from numpy.typing import NDArray
from redis.exceptions import ResponseError

from sentinel_core.errors import DataError, StoreError
from sentinel_core.features.entities import USER, EntityKind, unpack
from sentinel_core.settings import Settings
from sentinel_core.stores.history_rules import Arranged, HistoryLimits, arrange, finish
from sentinel_core.stores.keys import Keys
from sentinel_core.stores.redis_clients import script, set_aside, store_errors

_PIPELINE: Final = 1000
_ATTEMPTS: Final = 100


@dataclass(frozen=True, slots=True)
class HistoryLoad:
    """What a load did: entities and records given, and records left out as known, late, too old or beyond the cap."""

    entities: int = 0
    records: int = 0
    known: int = 0
    late: int = 0
    old: int = 0
    capped: int = 0

    def plus(self, other: HistoryLoad, *, continued: bool = False) -> HistoryLoad:
        """Add another load; `continued` where its first entity is the last of this one."""
        return HistoryLoad(
            self.entities + other.entities - int(continued),
            self.records + other.records,
            self.known + other.known,
            self.late + other.late,
            self.old + other.old,
            self.capped + other.capped,
        )


def load_histories(
    client: redis.Redis, settings: Settings, entities: Sequence[str], records: NDArray[Any], *, kind: EntityKind = USER
) -> HistoryLoad:
    """Load records into their entities' histories; loading them again changes nothing.

    `entities` holds the id of the entity of each of the `records` (of the kind, arrival numbers filled in, any order).
    Records merge with what is there by arrival number; one whose id is there is left out. Safe beside a running
    service. Raises `StoreError` where Redis is away or refuses: what was loaded until then stays, and a second call
    completes it.
    """
    loader = _Loader(client, settings, kind)
    names = list(dict.fromkeys(entities))
    number = dict(zip(names, range(len(names)), strict=True))
    codes = np.fromiter(map(number.__getitem__, entities), np.int64, len(records))
    arranged = arrange(codes, records)
    final = finish(arranged, loader.limits)
    owners = final.codes
    starts = np.flatnonzero(np.r_[True, owners[1:] != owners[:-1]]) if len(owners) else np.empty(0, np.int64)
    ends = np.r_[starts[1:], len(owners)] if len(owners) else starts
    spans = zip((names[code] for code in owners[starts]), starts.tolist(), ends.tolist(), strict=True)
    for chunk in _chunks(spans, _PIPELINE):
        loader.load([(name, final.records[start:end]) for name, start, end in chunk])
    repeated = len(records) - len(arranged.records)
    own = HistoryLoad(len(names), len(records), repeated, final.late, final.old, final.capped)
    return own.plus(loader.merged)


class _Loader:
    def __init__(self, client: redis.Redis, settings: Settings, kind: EntityKind) -> None:
        self._client = client
        self._kind = kind
        self._keys = Keys.of(settings)
        self._swap = script("swap")
        self.limits = HistoryLimits.of(kind, settings)
        self.merged = HistoryLoad()
        """What was left out in merging with histories that were there."""

    def load(self, histories: Sequence[tuple[str, NDArray[Any]]]) -> None:
        """Write the histories of one pipeline: new ones at once, the others by merging."""
        pipe = self._client.pipeline(transaction=False)
        for name, records in histories:
            pipe.set(self._keys.history(name, self._kind.name), records.tobytes(), nx=True, px=self.limits.life_ms)
        with store_errors("store histories"):
            written = pipe.execute()
        rest = {name: records for (name, records), done in zip(histories, written, strict=True) if not done}
        # Somebody may be writing these at this moment: what changed between reading and writing is done again.
        for _ in range(_ATTEMPTS):
            if not rest:
                return
            rest = self._merge(rest)
        raise StoreError(
            f"expected a quiet moment to merge the history of {self._kind.name} {next(iter(rest))!r}, "
            f"and found it changed {_ATTEMPTS} times.",
            remedy="Run the load again: what is there already stays.",
        )

    def _merge(self, wanted: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Merge into histories that are there; return those that changed meanwhile."""
        pipe = self._client.pipeline(transaction=False)
        tried: list[tuple[str, HistoryLoad]] = []
        for name, blob in self._read(list(wanted)).items():
            records, there = wanted[name], unpack(blob, self._kind.record)
            fresh = records[~np.isin(records["id_hash"], there["id_hash"])]
            known = HistoryLoad(known=len(records) - len(fresh))
            if not len(fresh):
                self.merged = self.merged.plus(known)
                continue
            both = np.concatenate([there, fresh])
            order = np.argsort(both["arrival"], kind="stable")
            rows = Arranged(np.zeros(len(both), np.int64), both[order])
            final = finish(rows, self.limits, trusted=order < len(there))
            packed = final.records.tobytes()
            pipe.eval(self._swap, 1, self._keys.history(name, self._kind.name), blob, packed, self.limits.life_ms)
            tried.append((name, known.plus(HistoryLoad(late=final.late, old=final.old, capped=final.capped))))
        with store_errors("merge histories"):
            swapped = pipe.execute()
        for (_, done), success in zip(tried, swapped, strict=True):
            self.merged = self.merged.plus(done) if success else self.merged
        return {name: wanted[name] for (name, _), success in zip(tried, swapped, strict=True) if not success}

    def _read(self, names: Sequence[str]) -> dict[str, bytes]:
        """Return readable histories; a foreign one is moved aside and counted, and is then empty."""
        pipe = self._client.pipeline(transaction=False)
        for name in names:
            pipe.get(self._keys.history(name, self._kind.name))
        with store_errors("return histories"):
            blobs = pipe.execute(raise_on_error=False)
            found = {name: b"" if blob is None else blob for name, blob in zip(names, blobs, strict=True)}
            for name, blob in found.items():
                try:
                    unpack(_bytes(blob), self._kind.record)
                except (DataError, ResponseError):
                    aside = self._client.pipeline(transaction=True)
                    set_aside(aside, self._keys, name, self._kind.name, self.limits.life_ms)
                    aside.execute(raise_on_error=False)
                    found[name] = b""
        return found


def _bytes(reply: Any) -> bytes:
    if isinstance(reply, Exception):
        raise reply
    return bytes(reply)


def _chunks(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    source = iter(items)
    while chunk := list(islice(source, size)):
        yield chunk
