"""Redis as the scorer reaches it: through a breaker, and with the spool on disk for what it does not take.

A transaction is never turned away because Redis is away. Its answer goes to the spool before the client gets it, and
the recorder brings it to Redis later (docs/decisions/0012). For a client that asks again this worker remembers it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from sentinel_core.errors import PayloadConflictError, StoreError
from sentinel_core.settings import Settings
from sentinel_core.stores.redis_store import CommitRequest, HotStore, RecordReply, RecordRequest, conflict_of
from sentinel_core.stores.spool import FOLDER, Spool, Spooled, SpoolSize, spool_size
from serving.health import Dependency
from serving.identity import Identified
from serving.logs import get_logger
from serving.metrics import Metrics

REMEMBERED_MOST: Final = 10_000
"""Answers that a worker remembers; one takes about a kilobyte."""
EMPTIED_TO: Final = 0.9
"""The part of their limit that full streams have to fall below."""
T = TypeVar("T")
log = get_logger(__name__)


class _Given(NamedTuple):
    payload_hash: int
    answer: Mapping[str, Any]
    until: datetime


class Fallback:
    """The way to Redis of one worker, and the way round it. `clock` gives aware UTC times."""

    def __init__(self, settings: Settings, redis: Dependency, metrics: Metrics, clock: Callable[[], datetime]) -> None:
        self._redis = redis
        self._metrics = metrics
        self._clock = clock
        self._folder: Path = settings.home / FOLDER
        self._spool = Spool(self._folder, sync=settings.redis_appendfsync == "always")
        self._stream_limit = settings.stream_max_mb * 1_000_000
        self._life = timedelta(seconds=settings.answer_ttl_seconds)
        self._given: dict[str, _Given] = {}
        self._full = False

    @property
    def streams_full(self) -> bool:
        """Whether the event streams are too long for more: PostgreSQL has been away for long."""
        return self._full

    @property
    def writing(self) -> bool:
        """Whether new transactions go to the spool."""
        return self._full or self._redis.down

    async def ask(self, call: Callable[[], Awaitable[T]], *, anew: bool = False) -> T | None:
        """Return what Redis says; None where it is away, or where it must not take what comes `anew`."""
        if self._redis.down or (anew and self._full):
            return None
        try:
            answer = await call()
        except StoreError as error:
            self._metrics.store_errors.labels("redis").inc()
            self._redis.failed()
            log.debug("redis did not answer", reason=str(error))
            return None
        self._redis.answered()
        return answer

    def earlier(self, item: Identified) -> Mapping[str, Any] | PayloadConflictError | None:
        """Return the answer that went to the spool, or None where there is none in this worker's memory."""
        given = self._given.get(item.transaction_id)
        if given is None:
            return None
        if given.until < self._clock():
            del self._given[item.transaction_id]
            return None
        if given.payload_hash != item.payload_hash:
            return conflict_of(item.transaction_id)
        return given.answer

    @property
    def remembers(self) -> bool:
        """Whether any answer went to the spool lately."""
        return bool(self._given)

    def keep(
        self, records: Sequence[RecordRequest], replies: Sequence[RecordReply] | None, commits: Sequence[CommitRequest]
    ) -> None:
        """Put answers into the spool; `replies` is what the store said of them, None where they had no history.

        Raises `StoreError` where the disk does not take them: then nobody may be told.
        """
        arrivals = [None] * len(records) if replies is None else [reply.arrival for reply in replies]
        self._spool.append([Spooled(*one) for one in zip(records, commits, arrivals, strict=True)])
        self._metrics.spooled.inc(len(commits))
        until = self._clock() + self._life
        for commit in commits:
            self._given[commit.transaction_id] = _Given(commit.payload_hash, commit.answer, until)
        while len(self._given) > REMEMBERED_MOST:
            del self._given[next(iter(self._given))]

    async def look_at_streams(self, store: HotStore) -> None:
        """See whether the streams take more; raises `StoreError` where Redis is away."""
        size = await store.stream_bytes()
        full = size > self._stream_limit * (EMPTIED_TO if self._full else 1)
        if full != self._full:
            log.warning("event streams", full=full, bytes=size, limit=self._stream_limit)
        self._full = full

    def hand_over(self) -> None:
        """Leave the spool to the recorder as soon as nothing more goes there."""
        if not self.writing:
            self._spool.let_go()

    def close(self) -> None:
        """Leave the spool to the recorder."""
        self._spool.let_go()

    def size(self) -> SpoolSize:
        """Return how much waits on this machine's disk, of all workers."""
        return spool_size(self._folder)
