"""The scorer on a real Redis and PostgreSQL, in this process: retries after crashes, and past the life of an answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import redis
from sqlalchemy import Engine, text

from sentinel_core.errors import PayloadConflictError, StoreError
from sentinel_core.features.catalog import POSITION
from sentinel_core.features.events import Labels
from sentinel_core.features.risk import RiskHistory
from sentinel_core.schema import Transaction, to_micros
from sentinel_core.settings import Settings
from sentinel_core.stores.keys import Keys
from sentinel_core.stores.redis_store import CommitRequest
from sentinel_core.stores.risk import publish_risk
from serving.errors import DeadlineError, NoModelError
from serving.events import to_events
from serving.identity import identify
from serving.runtime import Runtime
from tests.registry.bundles import tiny_bundle
from tests.serving.conftest import PAYLOAD
from tests.serving.test_recorder import running

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def scoring(settings: Settings, tmp_path: Path, redis_client: redis.Redis) -> Settings:
    tiny_bundle(tmp_path / "bundle", model_version="v1", weights={"user_txn_count_1h": 0.5, "hour_of_day": 0.1})
    return settings.model_copy(update={"bundle": tmp_path / "bundle"})


@asynccontextmanager
async def runtime(settings: Settings, clock: Callable[[], datetime]) -> AsyncIterator[Runtime]:
    made = Runtime(settings, clock)
    await made.start()
    try:
        yield made
    finally:
        await made.stop()


def play(scene: Awaitable[None]) -> None:
    asyncio.run(asyncio.wait_for(scene, 60))  # type: ignore[arg-type]


def of(**fields: Any) -> Transaction:
    return Transaction.model_validate(PAYLOAD | fields)


async def one(made: Runtime, **fields: Any) -> dict[str, Any]:
    (scored,) = await made.scorer.score([of(**fields)])
    assert isinstance(scored, dict), scored
    return scored


def entries(client: redis.Redis, settings: Settings, kind: bytes) -> list[dict[bytes, bytes]]:
    found = [fields for stream in Keys.of(settings).streams() for _, fields in client.xrange(stream)]
    return [fields for fields in found if fields[b"kind"] == kind]


def test_a_transaction_that_died_before_its_commit_is_scored_as_it_would_have_been(
    scoring: Settings, clock: Clock, redis_client: redis.Redis
) -> None:
    async def scene() -> None:
        async with runtime(scoring, clock) as made:
            await one(made, transaction_id="before")
            commit = made.store.commit

            async def die(_requests: Any) -> Any:
                raise RuntimeError("a power cut")

            made.store.commit = die  # type: ignore[method-assign]
            with pytest.raises(RuntimeError):
                await made.scorer.score([of(transaction_id="t1")])
            made.store.commit = commit  # type: ignore[method-assign]
            # The clock goes on, and others come in between: neither may show in the answer of the retry.
            clock.now = START + timedelta(hours=3)
            await one(made, transaction_id="after")
            retried = await one(made, transaction_id="t1")
            assert retried["cached"] is False
            assert (await one(made, transaction_id="t1")) == retried | {"cached": True}

    play(scene())
    bodies = [fields[b"body"].decode() for fields in entries(redis_client, scoring, b"answered")]
    (body,) = [body for body in bodies if '"transaction_id":"t1"' in body]
    assert '"features":[12.5,' in body
    vector = json.loads(body)["features"]
    assert vector[POSITION["user_txn_count_1h"]] == 2
    assert vector[POSITION["hour_of_day"]] == 12
    assert len(entries(redis_client, scoring, b"accepted")) == 3


def test_past_its_life_an_answer_comes_from_postgresql(
    scoring: Settings, clock: Clock, redis_client: redis.Redis
) -> None:
    async def scene() -> None:
        async with runtime(scoring, clock) as made:
            first = await one(made, transaction_id="t1")
            with running(scoring):
                while await made.store.backlog():
                    await asyncio.sleep(0.02)
            assert redis_client.delete(Keys.of(scoring).answer("u1", "t1")) == 1
            again = await one(made, transaction_id="t1")
            assert json.dumps(again) == json.dumps(first | {"cached": True})  # field for field, in the same order
            (conflict,) = await made.scorer.score([of(transaction_id="t1", amount=99)])
            assert isinstance(conflict, PayloadConflictError)
            assert await made.store.backlog() == 0, "expected nothing new to be recorded"

    play(scene())


def test_past_its_life_and_without_postgresql_the_same_score_is_found_again(
    scoring: Settings, clock: Clock, redis_client: redis.Redis
) -> None:
    away = scoring.model_copy(update={"database_url_given": "postgresql://nobody:x@127.0.0.1:1/none"})

    async def scene() -> None:
        async with runtime(away, clock) as made:
            first = await one(made, transaction_id="t1")
            redis_client.delete(Keys.of(scoring).answer("u1", "t1"))
            again = await one(made, transaction_id="t1")
            same = ("transaction_id", "fraud_score", "prediction", "confidence", "model_version")
            assert [again[name] for name in same] == [first[name] for name in same]
            assert made.health()["status"] == "degraded"
            assert made.health()["dependencies"]["postgresql"]["status"] == "down"

    play(scene())


def test_the_time_may_be_up_for_the_client_and_not_for_the_transaction(scoring: Settings, clock: Clock) -> None:
    hasty = scoring.model_copy(update={"request_timeout_seconds": 0.2})

    async def scene() -> None:
        async with runtime(hasty, clock) as made:
            commit = made.store.commit

            async def slow(requests: Any) -> Any:
                await asyncio.sleep(0.5)
                return await commit(requests)

            made.store.commit = slow  # type: ignore[method-assign]
            with pytest.raises(DeadlineError, match=r"within 0\.2 s.*Send the same request again"):
                await made.scorer.score([of(transaction_id="t1")])
            await made.scorer.drain()
            made.store.commit = commit  # type: ignore[method-assign]
            assert (await one(made, transaction_id="t1"))["cached"] is True

    play(scene())


def test_without_a_model_nothing_is_recorded(settings: Settings, clock: Clock, redis_client: redis.Redis) -> None:
    empty = settings.model_copy(update={"mlflow_tracking_uri_given": "http://127.0.0.1:1"})

    async def scene() -> None:
        async with runtime(empty, clock) as made:
            with pytest.raises(NoModelError, match=r"No model is in Production yet\. Train and promote one"):
                await made.scorer.score([of(transaction_id="t1")])
            assert made.health()["status"] == "no_model"
            assert made.health()["dependencies"]["mlflow"]["status"] == "down"

    play(scene())
    assert entries(redis_client, settings, b"accepted") == []


def test_an_id_that_comes_twice_in_one_batch_is_answered_once(scoring: Settings, clock: Clock) -> None:
    async def scene() -> None:
        async with runtime(scoring, clock) as made:
            first, second = await made.scorer.score([of(transaction_id="t1")] * 2)
            assert isinstance(first, dict)
            assert first["cached"] is False
            assert second == first | {"cached": True}

    play(scene())


def test_a_redis_that_drops_keys_is_refused(scoring: Settings, clock: Clock, redis_client: redis.Redis) -> None:
    async def scene() -> None:
        with pytest.raises(StoreError, match="maxmemory-policy noeviction, got allkeys-lru"):
            async with runtime(scoring, clock):
                pass

    redis_client.config_set("maxmemory-policy", "allkeys-lru")
    try:
        play(scene())
    finally:
        redis_client.config_set("maxmemory-policy", "noeviction")


def test_a_new_risk_table_is_taken_and_logged(scoring: Settings, clock: Clock, redis_client: redis.Redis) -> None:
    midnight = to_micros(datetime(2026, 3, 1, tzinfo=UTC))
    known = to_events([identify(of(timestamp=START - timedelta(days=20), transaction_id="known"), START)])
    labels = Labels.of_rows(np.array([1], np.int8), known.time)
    table = RiskHistory(known, labels, delay_us=to_micros(datetime(1970, 1, 8, tzinfo=UTC))).at(midnight)

    async def scene() -> None:
        async with runtime(scoring, clock) as made:
            await one(made, transaction_id="before")
            publish_risk(redis_client, scoring, table.to_bytes(), midnight)
            await made.risk.poll()
            await one(made, transaction_id="after")

    play(scene())
    before, after = (json.loads(fields[b"body"]) for fields in entries(redis_client, scoring, b"answered"))
    risk = POSITION["merchant_risk_score"]
    assert (before["risk_as_of"], before["features"][risk]) == (None, 0.0)
    assert after["risk_as_of"] == "2026-03-01T00:00:00+00:00"
    assert 0 < after["features"][risk] <= 1


def test_an_answer_that_another_worker_committed_first_is_the_one_that_counts(scoring: Settings, clock: Clock) -> None:
    async def scene() -> None:
        async with runtime(scoring, clock) as made, runtime(scoring, clock) as other:
            commit = made.store.commit
            theirs: dict[str, Any] = {}

            async def overtaken(requests: list[CommitRequest]) -> Any:
                theirs.update(await one(other, transaction_id="t1"))
                return await commit(requests)

            made.store.commit = overtaken  # type: ignore[assignment]
            assert await one(made, transaction_id="t1") == theirs | {"cached": True}

    play(scene())


def test_a_burst_sees_itself_though_the_clocks_of_two_workers_differ(
    scoring: Settings, engine: Engine, redis_client: redis.Redis
) -> None:
    behind, ahead = Clock(), Clock()
    ahead.now = START + timedelta(seconds=2)

    async def scene() -> None:
        async with runtime(scoring, behind) as one_worker, runtime(scoring, ahead) as other:
            for number in range(6):
                await one(other if number % 2 == 0 else one_worker, transaction_id=f"t{number}")
            # A client that gives the time means it.
            await one(other, transaction_id="told", timestamp=START.isoformat())
            with running(scoring):
                while await other.store.backlog():
                    await asyncio.sleep(0.02)

    play(scene())
    with engine.connect() as conn:
        rows = {
            row.transaction_id: (row.timestamp, row.features[POSITION["user_txn_count_1h"]])
            for row in conn.execute(text("SELECT * FROM transactions"))
        }
    assert rows.pop("told") == (START, 1.0)
    assert rows == {f"t{number}": (ahead.now, number + 1.0) for number in range(6)}
