"""The hot path's two round trips to Redis: record a micro-batch, commit a micro-batch.

Each transaction is one atomic script; a micro-batch is one pipeline of them, in order. Doing
either twice gives the same, so callers retry freely (docs/decisions/0006).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from redis.exceptions import NoScriptError, RedisError

from sentinel_core.errors import DataError, PayloadConflictError
from sentinel_core.features.entities import RECORD, USER, unpack
from sentinel_core.settings import Settings
from sentinel_core.stores.bodies import hexadecimal
from sentinel_core.stores.history_rules import HistoryLimits
from sentinel_core.stores.keys import Keys
from sentinel_core.stores.redis_clients import bounded, check_eviction_policy, refused, script, set_aside
from sentinel_core.stores.risk import RISK_AS_OF, RISK_TABLE
from sentinel_core.stores.wire import Wire

_NEW, _SEEN, _ANSWERED, _CONFLICT = range(4)
_PAYLOAD: Final = slice(32, 40)
CLOCK_US: Final = 60_000_000
"""By how much the clocks of two workers may differ."""


@dataclass(frozen=True, slots=True)
class RecordRequest:
    """One transaction to record: its 72-byte record with arrival 0, and the body of its `accepted` entry.

    `clocked` says that its time was given by us. It is then moved, by at most `CLOCK_US`, to that of the newest event
    that arrived before it, so that it sees that event; the reply has the time.
    """

    transaction_id: str
    user_id: str
    record: bytes
    accepted: Mapping[str, Any]
    clocked: bool = False


@dataclass(frozen=True, slots=True)
class RecordReply:
    """What the store says to a recorded transaction.

    `history` are the records that arrived before it (none where it is `late`), `arrival` its own number in
    its user's history, `time` (µs) the time that it is recorded with. `seen` means that an earlier attempt recorded
    it, at that time: PostgreSQL may know the answer.
    Where `answer` is set it is the stored one, and where `conflict` is set the id was used before with another
    payload; the other fields are then empty.
    """

    arrival: int = 0
    time: int = 0
    late: bool = False
    seen: bool = False
    history: NDArray[Any] | None = None
    answer: dict[str, Any] | None = None
    conflict: PayloadConflictError | None = None


@dataclass(frozen=True, slots=True)
class CommitRequest:
    """One answer to store: the client's form of it, and the body of its `answered` entry."""

    transaction_id: str
    user_id: str
    payload_hash: int
    answer: Mapping[str, Any]
    answered: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CommitReply:
    """The answer that counts; `first` is false where another one was stored before."""

    answer: dict[str, Any]
    first: bool


class _Script:
    def __init__(self, name: str) -> None:
        self.text = script(name)
        self.sha = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()


class HotStore:
    """Histories, answers and event streams of one deployment, over an asyncio client of bytes.

    Every method raises `StoreError` where Redis is away, loading, out of memory, refuses, or needs longer
    than `timeout_seconds`: a call that was given up may have been done, and doing it again is safe.
    """

    def __init__(self, client: Any, settings: Settings, *, timeout_seconds: float = 1.0) -> None:
        self._client = client
        self._wire = Wire(client)
        self._seconds = timeout_seconds
        self._keys = Keys.of(settings)
        self._record = _Script("record")
        self._commit = _Script("commit")
        self._limits = HistoryLimits.of(USER, settings)
        self._answer_ms = settings.answer_ttl_seconds * 1000

    async def record(self, requests: Sequence[RecordRequest]) -> list[RecordReply]:
        """Record transactions in order, in one round trip; each sees those of its user that came before it."""
        calls = [self._record_call(request) for request in requests]
        raw = await self._run(self._record, calls, "record transactions")
        replies: list[RecordReply] = []
        for request, call, answer in zip(requests, calls, raw, strict=True):
            try:
                replies.append(_reply(request, answer))
            except DataError:
                await self._set_aside(request.user_id)
                again = await self._run(self._record, [call], "record a transaction")
                replies.append(_reply(request, again[0]))
        return replies

    async def commit(self, requests: Sequence[CommitRequest]) -> list[CommitReply]:
        """Store answers, in one round trip; an answer that is there already wins and is returned."""
        raw = await self._run(self._commit, [self._commit_call(request) for request in requests], "commit answers")
        return [
            CommitReply(dict(request.answer), first=True)
            if stored is None
            else CommitReply(_without_hash(json.loads(stored)), first=False)
            for request, stored in zip(requests, raw, strict=True)
        ]

    async def publish_feature_set(self, set_id: str, features: Sequence[Mapping[str, str]]) -> None:
        """Put a catalogue's names and hashes, [{"name": …, "hash": …}, …], into the stream: vectors refer to its id."""
        body = json.dumps({"id": set_id, "features": list(features)}, separators=(",", ":"))
        async with bounded("accept a feature set", self._seconds):
            await self._client.xadd(self._keys.stream(0), {"kind": "feature_set", "id": set_id, "body": body})

    async def backlog(self) -> int:
        """Return how many events wait in the streams for the recorder."""
        pipe = self._client.pipeline(transaction=False)
        for stream in self._keys.streams():
            pipe.xlen(stream)
        async with bounded("report the length of its streams", self._seconds):
            return sum(await pipe.execute())

    async def counts(self) -> dict[str, int]:
        """Return what the scripts counted since the beginning: late, capped and quarantined, over all slots."""
        pipe = self._client.pipeline(transaction=False)
        for number in range(self._keys.slots):
            pipe.hgetall(self._keys.counts(number))
        totals = {"late": 0, "capped": 0, "quarantined": 0}
        async with bounded("report its counters", self._seconds):
            for slot_counts in await pipe.execute():
                for name, value in slot_counts.items():
                    totals[name.decode()] = totals.get(name.decode(), 0) + int(value)
        return totals

    async def ping(self) -> None:
        """Return if Redis answers."""
        async with bounded("answer PING", self._seconds):
            await self._client.ping()

    async def refuse_eviction_policy(self) -> None:
        """Raise `StoreError` unless the server's maxmemory-policy is noeviction."""
        async with bounded("report its maxmemory-policy", self._seconds):
            memory = await self._client.info("memory")
        check_eviction_policy(memory)

    async def risk_as_of(self) -> int | None:
        """Return the midnight (µs) of the published risk table, or None where there is none."""
        async with bounded("tell the time of its risk table", self._seconds):
            as_of = await self._client.hget(self._keys.risk, RISK_AS_OF)
        return None if as_of is None else int(as_of)

    async def load_risk(self) -> bytes | None:
        """Return the published risk table as `RiskTable.to_bytes` wrote it, or None where there is none."""
        async with bounded("return its risk table", self._seconds):
            table = await self._client.hget(self._keys.risk, RISK_TABLE)
        return None if table is None else bytes(table)

    def _record_call(self, request: RecordRequest) -> tuple[Any, ...]:
        payload = hexadecimal(int.from_bytes(request.record[_PAYLOAD], "little"))
        body = _json({**request.accepted, "payload_hash": payload})[:-1]
        keys = self._keys.for_record(request.user_id, request.transaction_id)
        limits = self._limits
        movable_us = CLOCK_US if request.clocked else 0
        arguments = (limits.retention_us, limits.lateness_us, limits.cap, limits.life_ms, movable_us)
        return (len(keys), *keys, request.record, request.transaction_id, payload, body, *arguments)

    def _commit_call(self, request: CommitRequest) -> tuple[Any, ...]:
        payload = hexadecimal(request.payload_hash)
        answer = _json({"payload_hash": payload, **request.answer})
        body = _json({**request.answered, "payload_hash": payload})
        keys = self._keys.for_commit(request.user_id, request.transaction_id)
        return (len(keys), *keys, answer, self._answer_ms, request.transaction_id, payload, body)

    async def _run(self, which: _Script, calls: Sequence[tuple[Any, ...]], what: str) -> list[Any]:
        if not calls:
            return []
        async with bounded(what, self._seconds):
            replies = await self._wire.exchange([("EVALSHA", which.sha, *call) for call in calls])
            missing = [index for index, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
            if missing:
                # The server was restarted: its script cache is empty.
                await self._client.script_load(which.text)
                again = await self._wire.exchange([("EVALSHA", which.sha, *calls[index]) for index in missing])
                for index, reply in zip(missing, again, strict=True):
                    replies[index] = reply
        for reply in replies:
            if isinstance(reply, RedisError):
                raise refused(what, reply) from reply
        return replies

    async def _set_aside(self, user_id: str) -> None:
        """Move a history that the script let pass and the kernel cannot read."""
        pipe = set_aside(self._client.pipeline(transaction=True), self._keys, user_id, self._limits.life_ms)
        async with bounded("set a foreign history aside", self._seconds):
            # RENAME fails where another worker was faster.
            await pipe.execute(raise_on_error=False)


def _reply(request: RecordRequest, raw: Sequence[Any]) -> RecordReply:
    status, arrival, value, late, time = raw
    if status == _CONFLICT:
        return RecordReply(conflict=_conflict(request.transaction_id))
    if status == _ANSWERED:
        answer = json.loads(value)
        stored = answer.get("payload_hash")
        if stored != hexadecimal(int.from_bytes(request.record[_PAYLOAD], "little")):
            return RecordReply(conflict=_conflict(request.transaction_id))
        return RecordReply(seen=True, answer=_without_hash(answer))
    history = unpack(value) if value else np.empty(0, RECORD)
    return RecordReply(arrival, time, bool(late), status == _SEEN, history)


def _conflict(transaction_id: str) -> PayloadConflictError:
    return PayloadConflictError(
        f"expected the payload that transaction_id {transaction_id!r} came with before, got another one.",
        remedy="Send a retry unchanged, and a new transaction under a new id.",
    )


def _without_hash(answer: dict[str, Any]) -> dict[str, Any]:
    answer.pop("payload_hash", None)
    return answer


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)
