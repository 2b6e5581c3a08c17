"""Reading the event streams as one consumer of the recorder's group."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import redis
from redis.exceptions import RedisError, ResponseError

from sentinel_core.settings import Settings
from sentinel_core.stores.keys import Keys
from sentinel_core.stores.redis_clients import refused, store_errors

GROUP: Final = "recorder"


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """One entry of a stream; `waiting_since` is set while it waits for the entry that it depends on."""

    stream: str
    entry_id: str
    kind: str
    transaction_id: str
    payload: str
    body: bytes
    waiting_since: datetime | None = None


class EventStreams:
    """The streams of all slots, read by `consumer`: a stable name, so that a restarted recorder finds what it held.

    Entries stay pending until `done`; every method raises `StoreError` where Redis is away or refuses.
    On a Redis Cluster one reader a shard is needed: one call names the streams of all slots.
    """

    def __init__(self, client: redis.Redis, settings: Settings, consumer: str) -> None:
        self._client = client
        self._streams = Keys.of(settings).streams()
        self._consumer = consumer
        self._batch = settings.recorder_batch

    def ensure_groups(self) -> None:
        """Create the consumer group on every stream, reading from the first entry; those that exist stay."""
        pipe = self._client.pipeline(transaction=False)
        for stream in self._streams:
            pipe.xgroup_create(stream, GROUP, id="0", mkstream=True)
        with store_errors("create the consumer groups"):
            replies = pipe.execute(raise_on_error=False)
        for reply in replies:
            if isinstance(reply, RedisError) and "BUSYGROUP" not in str(reply):
                raise refused("create the consumer groups", reply)

    def read(self, *, block_ms: int = 1000) -> list[StreamEvent]:
        """Return entries that nobody has read, at most a batch for each stream; waits `block_ms` for the first."""
        replies = self._read(dict.fromkeys(self._streams, ">"), block_ms)
        return [event for stream, entries in replies for event in _events(stream.decode(), entries)]

    def held(self) -> list[StreamEvent]:
        """Return every entry that this consumer read and never finished: what a killed recorder left."""
        events: list[StreamEvent] = []
        positions = dict.fromkeys(self._streams, "0")
        while positions:
            replies = self._read(positions, None)
            positions = {stream.decode(): entries[-1][0].decode() for stream, entries in replies if entries}
            events += [event for stream, entries in replies for event in _events(stream.decode(), entries)]
        return events

    def claim(self, *, idle_ms: int = 30_000) -> list[StreamEvent]:
        """Take over entries that another consumer has held for `idle_ms`, at most a batch for each stream."""
        pipe = self._client.pipeline(transaction=False)
        for stream in self._streams:
            pipe.xautoclaim(stream, GROUP, self._consumer, idle_ms, count=self._batch)
        with store_errors("hand over idle entries"):
            replies = pipe.execute(raise_on_error=False)
        if any(_no_group(reply) for reply in replies):
            self.ensure_groups()
            return []
        for reply in replies:
            if isinstance(reply, RedisError):
                raise refused("hand over idle entries", reply)
        pairs = zip(self._streams, replies, strict=True)
        return [event for stream, reply in pairs for event in _events(stream, reply[1])]

    def done(self, events: Iterable[StreamEvent]) -> None:
        """Acknowledge and delete entries, in one atomic step for each stream. Call it after the commit."""
        by_stream: dict[str, list[str]] = {}
        for event in events:
            by_stream.setdefault(event.stream, []).append(event.entry_id)
        with store_errors("acknowledge entries"):
            for stream, ids in by_stream.items():
                pipe = self._client.pipeline(transaction=True)
                pipe.xack(stream, GROUP, *ids)
                pipe.xdel(stream, *ids)
                pipe.execute()

    def backlog(self) -> int:
        """Return how many entries are in the streams, read or not."""
        pipe = self._client.pipeline(transaction=False)
        for stream in self._streams:
            pipe.xlen(stream)
        with store_errors("report the length of its streams"):
            return int(sum(pipe.execute()))

    def _read(self, positions: Mapping[str, str], block_ms: int | None) -> list[Any]:
        wanted: dict[Any, Any] = dict(positions)
        with store_errors("read the streams"):
            try:
                return list(
                    self._client.xreadgroup(GROUP, self._consumer, wanted, count=self._batch, block=block_ms) or []
                )
            except ResponseError as error:
                if not _no_group(error):
                    raise
        # The server lost its data: begin anew.
        self.ensure_groups()
        return []


def _no_group(reply: Any) -> bool:
    return isinstance(reply, ResponseError) and "NOGROUP" in str(reply)


def _events(stream: str, entries: Sequence[tuple[bytes, dict[bytes, bytes] | None]]) -> list[StreamEvent]:
    # A pending entry that somebody deleted has no fields.
    return [
        StreamEvent(
            stream=stream,
            entry_id=entry_id.decode(),
            kind=fields.get(b"kind", b"").decode("utf-8", "backslashreplace"),
            transaction_id=fields.get(b"id", b"").decode("utf-8", "backslashreplace"),
            payload=fields.get(b"payload", b"").decode("utf-8", "backslashreplace"),
            body=fields.get(b"body", b""),
        )
        for entry_id, fields in entries
        if fields
    ]
