"""The hot path's two round trips to Redis: record a micro-batch, commit a micro-batch.

Each transaction is one atomic script; a micro-batch is one pipeline of them, in order. Doing
either twice gives the same, so callers retry freely (docs/decisions/0006).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray
from redis.exceptions import NoScriptError, RedisError

from sentinel_core.errors import DataError, PayloadConflictError
from sentinel_core.features.entities import RECORD, TOUCHED, USER, unpack
from sentinel_core.settings import Settings
from sentinel_core.stores.bodies import hexadecimal
from sentinel_core.stores.history_rules import HistoryLimits
from sentinel_core.stores.keys import Keys
from sentinel_core.stores.redis_clients import bounded, check_eviction_policy, refused, script, set_aside, store_errors
from sentinel_core.stores.risk import RISK_AS_OF, RISK_TABLE
from sentinel_core.stores.touches import Touch, TouchRequest, touch_of
from sentinel_core.stores.wire import Wire

_SEEN, _ANSWERED, _CONFLICT = 1, 2, 3
_PAYLOAD: Final = slice(32, 40)
_ID: Final = slice(24, 32)
_NO_RECORDS: Final = np.empty(0, RECORD)
CLOCK_US: Final = 60_000_000
"""By how much the clocks of two workers may differ."""
CALL_SECONDS: Final = 1e-4
"""How much longer a pipeline may take for each script in it; a busy server needs a fifth of that."""


class RecordRequest(NamedTuple):
    """One transaction to record: its 72-byte record with arrival 0, and the body of its `accepted` entry.

    `touches` names the other entities that are to note it. `clocked` says that its time was given by us. It is then
    moved, by at most `CLOCK_US`, to that of the newest event that arrived before it, so that it sees that event; the
    reply has the time.
    """

    transaction_id: str
    user_id: str
    record: bytes
    accepted: Mapping[str, Any]
    clocked: bool = False
    touches: Sequence[TouchRequest] = ()


class RecordReply(NamedTuple):
    """What the store says to a recorded transaction.

    `history` are the records that arrived before it (none where it is `late`), `arrival` its own number in
    its user's history, `time` (µs) the time that it is recorded with. `seen` means that an earlier attempt recorded
    it, at that time: PostgreSQL may know the answer. `touches` holds what other entities noted, by kind.
    Where `answer` is set it is the stored one, and where `conflict` is set the id was used before with another
    payload; the other fields are then empty.
    """

    arrival: int = 0
    time: int = 0
    late: bool = False
    seen: bool = False
    history: NDArray[Any] | None = None
    touches: Mapping[str, Touch] = MappingProxyType({})
    answer: dict[str, Any] | None = None
    conflict: PayloadConflictError | None = None


class CommitRequest(NamedTuple):
    """One answer to store: the client's form of it, and the body of its `answered` entry."""

    transaction_id: str
    user_id: str
    payload_hash: int
    answer: Mapping[str, Any]
    answered: Mapping[str, Any]


class CommitReply(NamedTuple):
    """The answer that counts; `first` is false where another one was stored before."""

    answer: dict[str, Any]
    first: bool


class _Script:
    def __init__(self, *names: str) -> None:
        self.text = script(*names)
        self.sha = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()


_Call = tuple[_Script, tuple[Any, ...]]


class HotStore:
    """Histories, answers and event streams of one deployment, over an asyncio client of bytes.

    Every method raises `StoreError` where Redis is away, loading, out of memory, refuses, or needs too long: a call
    that was given up may have been done, and doing it again is safe. `deadline_seconds` bounds `record` and `commit`
    (SENTINEL_REDIS_DEADLINE_MS, unless it is given), `timeout_seconds` the rest.
    """

    def __init__(
        self, client: Any, settings: Settings, *, deadline_seconds: float | None = None, timeout_seconds: float = 1.0
    ) -> None:
        self._client = client
        self._wire = Wire(client)
        self._deadline = settings.redis_deadline_ms / 1000 if deadline_seconds is None else deadline_seconds
        self._seconds = timeout_seconds
        self._keys = Keys.of(settings)
        self._record = _Script("history", "record")
        self._touch = _Script("history", "touch")
        self._withdraw = _Script("withdraw")
        self._commit = _Script("commit")
        self._limits = {kind.name: HistoryLimits.of(kind, settings) for kind in (USER, *TOUCHED)}
        # As text, which is what they are on the wire: by kind, and by whether our clock gave the time.
        self._arguments = {
            (kind, clocked): tuple(str(one).encode() for one in limits.arguments(movable_us=CLOCK_US if clocked else 0))
            for kind, limits in self._limits.items()
            for clocked in (False, True)
        }
        self._answer_ms = settings.answer_ttl_seconds * 1000

    async def record(self, requests: Sequence[RecordRequest]) -> list[RecordReply]:
        """Record transactions in order, in one round trip; each sees what came before it at its user and its entities.

        What was refused or answered before leaves nothing new at an entity: a second round trip takes that back.
        """
        calls = [call for request in requests for call in self._calls_of(request)]
        raw = iter(await self._run(calls, "record transactions"))
        replies = [await self._reply(request, raw) for request in requests]
        await self._withdraw_refused(requests, replies)
        return replies

    async def commit(self, requests: Sequence[CommitRequest]) -> list[CommitReply]:
        """Store answers, in one round trip; an answer that is there already wins and is returned."""
        raw = await self._run([(self._commit, self._commit_call(request)) for request in requests], "commit answers")
        return [
            CommitReply(dict(request.answer), first=True)
            if stored is None
            else CommitReply(_without_hash(orjson.loads(stored)), first=False)
            for request, stored in zip(requests, raw, strict=True)
        ]

    async def report_conflicts(self, requests: Sequence[RecordRequest]) -> None:
        """Put transactions, which were answered though their id had another payload, into the stream.

        The recorder keeps the first payload and writes these to `dead_letters`.
        """
        if not requests:
            return
        pipe = self._client.pipeline(transaction=False)
        for request in requests:
            payload = _payload_of(request)
            body = _json({**request.accepted, "payload_hash": payload})
            stream = self._keys.for_commit(request.user_id, request.transaction_id)[1]
            pipe.xadd(stream, {"kind": "accepted", "id": request.transaction_id, "payload": payload, "body": body})
        async with bounded("take note of conflicts", self._seconds):
            await pipe.execute()

    async def publish_feature_set(self, set_id: str, features: Sequence[Mapping[str, str]]) -> None:
        """Put a catalogue's names and hashes, [{"name": …, "hash": …}, …], into the stream: vectors refer to its id."""
        body = _json({"id": set_id, "features": list(features)})
        async with bounded("accept a feature set", self._seconds):
            await self._client.xadd(self._keys.stream(0), {"kind": "feature_set", "id": set_id, "body": body})

    async def backlog(self) -> int:
        """Return how many events wait in the streams for the recorder."""
        pipe = self._client.pipeline(transaction=False)
        for stream in self._keys.streams():
            pipe.xlen(stream)
        async with bounded("report the length of its streams", self._seconds):
            return sum(await pipe.execute())

    async def stream_bytes(self) -> int:
        """Return about how much memory the streams take."""
        pipe = self._client.pipeline(transaction=False)
        for stream in self._keys.streams():
            pipe.memory_usage(stream)
        async with bounded("report the size of its streams", self._seconds):
            return sum(size or 0 for size in await pipe.execute())

    async def counts(self) -> dict[str, int]:
        """Return what the scripts counted since the beginning: late, late_touches, capped and quarantined."""
        pipe = self._client.pipeline(transaction=False)
        for number in range(self._keys.slots):
            pipe.hgetall(self._keys.counts(number))
        totals = {"late": 0, "late_touches": 0, "capped": 0, "quarantined": 0}
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

    def _calls_of(self, request: RecordRequest) -> list[_Call]:
        return [self._record_call(request), *(self._touch_call(request, touch) for touch in request.touches)]

    def _record_call(self, request: RecordRequest) -> _Call:
        payload = _payload_of(request)
        body = _json({**request.accepted, "payload_hash": payload})[:-1]
        keys = self._keys.for_record(request.user_id, request.transaction_id)
        limits = self._arguments[USER.name, request.clocked]
        return self._record, (len(keys), *keys, request.record, *limits, request.transaction_id, payload, body)

    def _touch_call(self, request: RecordRequest, touch: TouchRequest) -> _Call:
        keys = self._keys.for_history(touch.entity_id, touch.kind)
        return self._touch, (len(keys), *keys, touch.record, *self._arguments[touch.kind, request.clocked])

    async def _reply(self, request: RecordRequest, raw: Iterator[Any]) -> RecordReply:
        own, answers = next(raw), [next(raw) for _ in request.touches]
        noted = {}
        for touch, answer in zip(request.touches, answers, strict=True):
            try:
                found = touch_of(touch, answer)
            except DataError:
                await self._set_aside(touch.entity_id, touch.kind)
                found = touch_of(touch, (await self._run([self._touch_call(request, touch)], "note a transaction"))[0])
            if found is not None:
                noted[touch.kind] = found
        try:
            return _reply(request, own, noted)
        except DataError:
            await self._set_aside(request.user_id, USER.name)
            (own,) = await self._run([self._record_call(request)], "record a transaction")
            return _reply(request, own, noted)

    async def _withdraw_refused(self, requests: Sequence[RecordRequest], replies: Sequence[RecordReply]) -> None:
        """Take back what entities noted of transactions that were in conflict, or answered before they were trimmed."""
        calls: list[_Call] = []
        for request, reply in zip(requests, replies, strict=True):
            if reply.answer is None and reply.conflict is None:
                continue
            for touch in request.touches:
                noted = reply.touches.get(touch.kind)
                if noted is not None and noted.fresh:
                    key = self._keys.history(touch.entity_id, touch.kind)
                    calls.append((self._withdraw, (1, key, touch.record[_ID], noted.arrival, len(touch.record))))
        await self._run(calls, "take back what was noted of refused transactions")

    def _commit_call(self, request: CommitRequest) -> tuple[Any, ...]:
        payload = hexadecimal(request.payload_hash)
        answer = _json({"payload_hash": payload, **request.answer})
        body = _json({**request.answered, "payload_hash": payload})
        keys = self._keys.for_commit(request.user_id, request.transaction_id)
        return (len(keys), *keys, answer, self._answer_ms, request.transaction_id, payload, body)

    async def _run(self, calls: Sequence[_Call], what: str) -> list[Any]:
        if not calls:
            return []
        seconds = self._deadline + len(calls) * CALL_SECONDS
        with store_errors(what):
            replies = await self._wire.exchange(
                [("EVALSHA", which.sha, *arguments) for which, arguments in calls], seconds
            )
            missing = [index for index, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
            if missing:
                # The server was restarted: its script cache is empty.
                texts = {calls[index][0].text for index in missing}
                await self._wire.exchange([("SCRIPT", "LOAD", text) for text in texts], seconds)
                again = [("EVALSHA", calls[index][0].sha, *calls[index][1]) for index in missing]
                for index, reply in zip(missing, await self._wire.exchange(again, seconds), strict=True):
                    replies[index] = reply
        for reply in replies:
            if isinstance(reply, RedisError):
                raise refused(what, reply) from reply
        return replies

    async def _set_aside(self, entity_id: str, kind: str) -> None:
        """Move a history that the script let pass and the kernel cannot read."""
        pipe = self._client.pipeline(transaction=True)
        set_aside(pipe, self._keys, entity_id, kind, self._limits[kind].life_ms)
        async with bounded("set a foreign history aside", self._seconds):
            # RENAME fails where another worker was faster.
            await pipe.execute(raise_on_error=False)


def _reply(request: RecordRequest, raw: Sequence[Any], touches: Mapping[str, Touch]) -> RecordReply:
    status, arrival, value, late, time = raw
    if status == _CONFLICT:
        return RecordReply(touches=touches, conflict=conflict_of(request.transaction_id))
    if status == _ANSWERED:
        answer = orjson.loads(value)
        if answer.get("payload_hash") != _payload_of(request):
            return RecordReply(touches=touches, conflict=conflict_of(request.transaction_id))
        return RecordReply(seen=True, touches=touches, answer=_without_hash(answer))
    history = unpack(value) if value else _NO_RECORDS
    return RecordReply(arrival, time, bool(late), status == _SEEN, history, touches)


def _payload_of(request: RecordRequest) -> str:
    """Return the payload's hash as `hexadecimal` writes it; the record holds it little-endian."""
    return request.record[_PAYLOAD][::-1].hex()


def conflict_of(transaction_id: str) -> PayloadConflictError:
    """Say that an id was used before with another payload."""
    return PayloadConflictError(
        f"expected the payload that transaction_id {transaction_id!r} came with before, got another one.",
        remedy="Send a retry unchanged, and a new transaction under a new id.",
    )


def _without_hash(answer: dict[str, Any]) -> dict[str, Any]:
    answer.pop("payload_hash", None)
    return answer


def _json(value: Mapping[str, Any]) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)
