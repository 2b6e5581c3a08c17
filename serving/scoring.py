"""The hot path: validated transactions in, answers out.

    identify → record (Redis, one round trip) → kernel → ONNX → decide → commit (Redis, one round trip)

Everything is keyed by transaction_id and deterministic, so that doing it twice gives the same; nothing here locks or
waits. A micro-batch pins one model and one risk table. A caller that hangs up stops waiting, while its transaction
goes on to its commit. Without Redis a transaction is scored from the request alone, and its answer is spooled.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sentinel_core.errors import SentinelError, StoreError
from sentinel_core.exploration import Exploration
from sentinel_core.features.build import build_online
from sentinel_core.features.catalog import catalogue_hash
from sentinel_core.features.entities import RECORD, USER
from sentinel_core.features.events import Events
from sentinel_core.features.risk import RiskTable
from sentinel_core.schema import Transaction, from_micros
from sentinel_core.settings import Settings
from sentinel_core.stores.redis_store import (
    CommitReply,
    CommitRequest,
    HotStore,
    RecordReply,
    RecordRequest,
    conflict_of,
)
from serving.batcher import MicroBatcher
from serving.errors import DeadlineError, FutureEventsError
from serving.events import categories, commit_request, record_requests, to_events, touches_of
from serving.fallback import Fallback
from serving.identity import Identified, identify
from serving.logs import get_logger
from serving.metrics import Metrics
from serving.model_slot import InService, ModelSlot

MAX_BATCH: Final = 256
PART: Final = 25
"""Transactions that are recorded and scored at a time within a long micro-batch."""
Scored = dict[str, Any] | SentinelError
"""The fields of a `Prediction`, or why there is none."""
Vectors = dict[str, NDArray[np.float32]]
"""Vectors in catalogue order, by transaction_id."""
_NONE: Final = np.empty(0, RECORD)
log = get_logger(__name__)


class Item(NamedTuple):
    """One transaction on its way: its identity, the `time.perf_counter` of its arrival, and who wants its vector."""

    identified: Identified
    started: float
    vectors: Vectors | None = None


class Recorded(NamedTuple):
    """A transaction, what the store was asked for it, and what it said."""

    item: Item
    request: RecordRequest
    reply: RecordReply


class Scorer:
    """Score transactions by way of micro-batches.

    `risk` gives the risk table to use beside a model, `past` looks an answer up by transaction_id where the stored
    one has passed its life, `clock` gives aware UTC times.
    """

    def __init__(
        self,
        settings: Settings,
        store: HotStore,
        models: ModelSlot,
        metrics: Metrics,
        fallback: Fallback,
        *,
        risk: Callable[[InService], RiskTable],
        past: Callable[[str], Awaitable[dict[str, Any] | None]],
        clock: Callable[[], datetime],
    ) -> None:
        self._settings = settings
        self._store = store
        self._models = models
        self._metrics = metrics
        self._fallback = fallback
        self._exploration = Exploration.of(settings)
        self._risk = risk
        self._past = past
        self._clock = clock
        self._catalogue = catalogue_hash()
        self._kind = replace(USER, cap=settings.user_history_cap)
        self._batcher: MicroBatcher[Item, Scored | asyncio.Task[Scored]] = MicroBatcher(
            self._run, max_items=MAX_BATCH, max_waiting=settings.max_waiting
        )
        self._resumed: set[asyncio.Task[Scored]] = set()

    async def score(self, transactions: Sequence[Transaction], vectors: Vectors | None = None) -> list[Scored]:
        """Score transactions in order, each seeing the ones before it; return an answer or an error for each.

        The vectors of those that are scored by this call, and not answered from what was stored, go into `vectors`.
        Raises `NoModelError` and `FutureEventsError` before anything is recorded, `StoreError` where neither Redis nor
        the disk takes the answers, and `DeadlineError` where the time is up: what was recorded by then is still scored.
        """
        self._models.require()
        now, started = self._clock(), time.perf_counter()
        self._refuse_future(transactions, now)
        items = [Item(identify(transaction, now), started, vectors) for transaction in transactions]
        limit = self._settings.request_timeout_seconds
        try:
            async with asyncio.timeout(limit):
                results = await self._batcher.submit(items)
                return [await asyncio.shield(one) if isinstance(one, asyncio.Task) else one for one in results]
        except TimeoutError:
            raise DeadlineError(
                f"expected an answer within {limit:g} s, and it took longer.",
                remedy="Send the same request again: one with a transaction_id or a timestamp is counted once.",
            ) from None

    def _refuse_future(self, transactions: Sequence[Transaction], now: datetime) -> None:
        latest = now + timedelta(seconds=self._settings.future_tolerance_seconds)
        places = [
            place for place, one in enumerate(transactions) if one.timestamp is not None and one.timestamp > latest
        ]
        if places:
            raise FutureEventsError(places, latest)

    @property
    def full(self) -> bool:
        """Whether no transaction would be taken on now."""
        return self._batcher.full

    def warm_up(self) -> None:
        """Run the model and the kernel once on a made-up row, so that the first request pays for nothing."""
        model = self._models.current
        if model is None:
            return
        made_up = Transaction(user_id="-", amount=1.0, merchant_id="-", merchant_category="-", transaction_type="-")
        identified = [identify(made_up, self._clock())]
        events = to_events(identified)
        vectors = build_online(events, [events.records()], self._risk(model), kind=self._kind)
        model.score(vectors.values, categories(identified))

    async def drain(self) -> None:
        """Wait until everything that was begun is committed."""
        await self._batcher.drain()
        await asyncio.gather(*self._resumed, return_exceptions=True)

    async def _run(self, items: list[Item]) -> list[Scored | asyncio.Task[Scored]]:
        """Run a micro-batch, a long one in parts: while Redis records one, this process scores the one before."""
        self._metrics.batch_size.observe(len(items))
        if len(items) < 2 * PART:
            return await self._run_part(items)
        parts = [items[start : start + PART] for start in range(0, len(items), PART)]
        # They are recorded in this order: each task goes as far as to send before the next begins.
        done = await asyncio.gather(*(self._run_part(part) for part in parts), return_exceptions=True)
        results: list[Scored | asyncio.Task[Scored]] = []
        for one in done:
            if isinstance(one, BaseException):
                raise one
            results += one
        return results

    async def _run_part(self, items: list[Item]) -> list[Scored | asyncio.Task[Scored]]:
        if not self._fallback.remembers:
            return await self._score_anew(items)
        # What went to the spool and is perhaps not in Redis yet.
        results: list[Scored | asyncio.Task[Scored] | None] = [self._earlier(item) for item in items]
        rest = [place for place, one in enumerate(results) if one is None]
        if rest:
            for place, one in zip(rest, await self._score_anew([items[place] for place in rest]), strict=True):
                results[place] = one
        return [one for one in results if one is not None]

    async def _score_anew(self, items: list[Item]) -> list[Scored | asyncio.Task[Scored]]:
        model = self._models.require()
        identified = [item.identified for item in items]
        events = to_events(identified)
        requests = record_requests(identified, events, self._settings.currency)
        replies = await self._fallback.ask(lambda: self._store.record(requests), anew=True)
        if replies is None:
            return [*self._without_redis(model, items, requests, events)]
        results: list[Scored | asyncio.Task[Scored] | None] = [self._settled(reply) for reply in replies]
        fresh = [p for p, reply in enumerate(replies) if results[p] is None and not reply.seen]
        if fresh:
            chosen = events if len(fresh) == len(items) else events.take(np.array(fresh))
            recorded = [Recorded(items[p], requests[p], replies[p]) for p in fresh]
            for place, one in zip(fresh, await self._finish(model, recorded, chosen), strict=True):
                results[place] = one
        # Last, so that an id that came twice in this batch finds its own first answer.
        for place, reply in enumerate(replies):
            if results[place] is None:
                again = Recorded(items[place], requests[place], reply)
                results[place] = self._resume(model, again, events.take(slice(place, place + 1)))
        return [one for one in results if one is not None]

    def _without_redis(
        self, model: InService, items: Sequence[Item], requests: Sequence[RecordRequest], events: Events
    ) -> Iterator[Scored]:
        """Score transactions from themselves alone, and spool the answers before anybody is told."""
        first: dict[str, int] = {}
        for place, item in enumerate(items):
            first.setdefault(item.identified.transaction_id, place)
        places = list(first.values())
        alone = [Recorded(items[p], requests[p], RecordReply(time=int(events.time[p]), history=_NONE)) for p in places]
        commits = self._decide(model, alone, events.take(np.array(places)), degraded=True)
        self._fallback.keep([one.request for one in alone], None, commits)
        self._metrics.degraded.inc(len(commits))
        own = iter(commits)
        for place, item in enumerate(items):
            if first[item.identified.transaction_id] == place:
                yield self._reply(CommitReply(dict(next(own).answer), first=True))
            else:
                yield self._earlier(item) or conflict_of(item.identified.transaction_id)

    def _earlier(self, item: Item) -> Scored | None:
        given = self._fallback.earlier(item.identified)
        return given if given is None or isinstance(given, SentinelError) else self._cached(dict(given))

    def _settled(self, reply: RecordReply) -> Scored | None:
        if reply.conflict is not None:
            return reply.conflict
        if reply.answer is None:
            return None
        return self._cached(reply.answer)

    def _cached(self, answer: dict[str, Any]) -> dict[str, Any]:
        self._metrics.cache_hits.inc()
        return {**answer, "cached": True}

    def _resume(self, model: InService, again: Recorded, events: Events) -> asyncio.Task[Scored]:
        # The rest of the batch does not wait for PostgreSQL.
        task = asyncio.create_task(self._answer_again(model, again, events))
        self._resumed.add(task)
        task.add_done_callback(self._resumed.discard)
        return task

    async def _answer_again(self, model: InService, again: Recorded, events: Events) -> Scored:
        """Answer a transaction that was recorded before and has no stored answer.

        Either its answer has passed its life, and PostgreSQL has it; or an earlier attempt died before its commit,
        and scoring it again gives what that attempt would have given.
        """
        try:
            answer = await self._past(again.item.identified.transaction_id)
        except StoreError as error:
            # Scored again it gets the same vector, and PostgreSQL keeps the first answer.
            log.warning("past answer not read, scoring again", reason=str(error))
            answer = None
        if answer is not None:
            return self._cached(answer)
        try:
            (scored,) = await self._finish(model, [again], events)
        except SentinelError as error:
            return error
        return scored

    async def _finish(self, model: InService, recorded: Sequence[Recorded], events: Events) -> list[Scored]:
        """Score recorded transactions and commit their answers."""
        commits = self._decide(model, recorded, events)
        self._metrics.late.inc(sum(one.reply.late for one in recorded))
        committed = await self._fallback.ask(lambda: self._store.commit(commits))
        if committed is None:
            self._fallback.keep([one.request for one in recorded], [one.reply for one in recorded], commits)
            committed = [CommitReply(dict(commit.answer), first=True) for commit in commits]
        return [self._reply(reply) for reply in committed]

    def _decide(
        self, model: InService, recorded: Sequence[Recorded], events: Events, *, degraded: bool = False
    ) -> list[CommitRequest]:
        """Build the vectors, score them, and decide."""
        identified = [one.item.identified for one in recorded]
        replies = [one.reply for one in recorded]
        events = replace(
            events,
            time=np.array([reply.time for reply in replies], np.int64),
            arrival=np.array([reply.arrival for reply in replies], np.int64),
        )
        histories = [reply.history for reply in replies if reply.history is not None]
        vectors = build_online(events, histories, self._risk(model), kind=self._kind, touches=touches_of(replies))
        for one, vector in zip(recorded, vectors.values, strict=True):
            if one.item.vectors is not None:
                one.item.vectors[one.item.identified.transaction_id] = vector
        scores = model.score(vectors.values, categories(identified))
        answered_at, finished = self._clock().isoformat(), time.perf_counter()
        # One table serves a batch.
        as_of = int(vectors.risk_as_of[0])
        risk_as_of = from_micros(as_of).isoformat() if as_of else None
        commits = []
        for (item, _, reply), cents, score, vector in zip(
            recorded, events.cents.tolist(), scores.tolist(), vectors.values, strict=True
        ):
            name, milliseconds = item.identified.transaction_id, (finished - item.started) * 1000
            answer = model.predict(name, cents, score, milliseconds, degraded=degraded)
            if answer["prediction"] and self._exploration.lets_through(name):
                answer["explored"] = True
            commits.append(
                commit_request(
                    item.identified,
                    answer,
                    vector=vector,
                    catalogue=self._catalogue,
                    risk_as_of=risk_as_of,
                    answered_at=answered_at,
                    recorded=reply,
                    share=self._exploration.share,
                )
            )
        return commits

    def _reply(self, reply: CommitReply) -> dict[str, Any]:
        if not reply.first:
            return self._cached(reply.answer)
        answer = reply.answer
        self._metrics.predictions.labels(answer["model_version"], str(answer["prediction"]).lower()).inc()
        if "explored" in answer:
            self._metrics.explored.labels(answer["model_version"]).inc()
        return {**answer, "cached": False}
