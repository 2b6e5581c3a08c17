"""Redis killed, silent, emptied or full under a worker: every transaction is answered, and comes to its row once."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis
from sqlalchemy import Engine, text

from sentinel_core.errors import PayloadConflictError
from sentinel_core.features.catalog import POSITION
from sentinel_core.local.child import Child
from sentinel_core.local.ports import free_port
from sentinel_core.local.redis import RedisServer, start_redis
from sentinel_core.settings import Settings
from sentinel_core.stores.spool import FOLDER, spool_size
from serving.runtime import Runtime
from serving.spool_drain import SpoolDrain
from tests.serving.test_recorder import running
from tests.serving.test_scoring import Clock, of, one, play, runtime, scoring

__all__ = ["scoring"]
COUNT = POSITION["user_txn_count_1h"]


@dataclass
class OwnRedis:
    """A Redis of this test's own, to be killed."""

    server: RedisServer
    log: Path
    child: Child

    @property
    def url(self) -> str:
        return f"redis://:{self.server.password}@127.0.0.1:{self.server.port}/0"

    def kill(self) -> None:
        self.child.kill()

    def restart(self) -> None:
        self.child = start_redis(self.server, self.log)


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[OwnRedis]:
    server = RedisServer(tmp_path / "redis", free_port(), secrets.token_urlsafe(8))
    made = OwnRedis(server, tmp_path / "redis.log", start_redis(server, tmp_path / "redis.log"))
    yield made
    made.kill()


@pytest.fixture
def degraded(scoring: Settings, own_redis: OwnRedis) -> Settings:
    return scoring.model_copy(update={"redis_url_given": own_redis.url, "redis_deadline_ms": 200})


@asynccontextmanager
async def recorded(settings: Settings, made: Runtime) -> AsyncIterator[None]:
    """Run a recorder until the spool and the streams are empty."""
    with SpoolDrain(settings), running(settings):
        while spool_size(settings.home / FOLDER).files or await made.store.backlog():
            await asyncio.sleep(0.05)
        yield


async def healed(made: Runtime) -> None:
    while made.health()["dependencies"]["redis"]["status"] != "up":
        await asyncio.sleep(0.02)


def rows(engine: Engine) -> dict[str, Any]:
    query = """
        SELECT t.transaction_id, t.fraud_score, t.features, t.device_arrival, p.degraded, p.prediction_time_ms
        FROM transactions AS t JOIN prediction_logs AS p USING (transaction_id)
    """
    with engine.connect() as conn:
        found = conn.execute(text(query)).all()
        assert conn.execute(text("SELECT count(*) FROM dead_letters")).scalar() == 0
    assert len({row.transaction_id for row in found}) == len(found)
    return {row.transaction_id: row for row in found}


def test_without_redis_transactions_are_scored_alone_and_recorded_later(
    degraded: Settings, own_redis: OwnRedis, engine: Engine
) -> None:
    async def scene() -> None:
        async with runtime(degraded, Clock()) as made:
            await one(made, transaction_id="before", device_id="d1")
            own_redis.kill()
            alone = await one(made, transaction_id="t1", device_id="d1")
            assert (alone["degraded"], alone["cached"]) == (True, False)
            assert await one(made, transaction_id="t1", device_id="d1") == alone | {"cached": True}
            twice = await made.scorer.score([of(transaction_id="t2"), of(transaction_id="t2"), of(transaction_id="t3")])
            assert [(answer["transaction_id"], answer["cached"]) for answer in twice if isinstance(answer, dict)] == [
                ("t2", False),
                ("t2", True),
                ("t3", False),
            ]
            (conflict,) = await made.scorer.score([of(transaction_id="t1", amount=99)])
            assert isinstance(conflict, PayloadConflictError)

            own_redis.restart()
            await healed(made)
            assert await one(made, transaction_id="t1", device_id="d1") == alone | {"cached": True}
            async with recorded(degraded, made), runtime(degraded, Clock()) as other:
                # Another worker finds the answer in Redis, and the history that the spool filled up.
                assert await one(other, transaction_id="t1", device_id="d1") == alone | {"cached": True}
                assert (await one(other, transaction_id="after"))["degraded"] is False
                while await made.store.backlog():
                    await asyncio.sleep(0.05)

    play(scene())
    found = rows(engine)
    assert sorted(found) == ["after", "before", "t1", "t2", "t3"]
    assert [found[name].degraded for name in sorted(found)] == [False, False, True, True, True]
    assert [found[name].features[COUNT] for name in sorted(found)] == [5, 1, 1, 1, 1]
    assert found["t1"].device_arrival is not None


def test_an_answer_that_only_its_commit_missed_keeps_its_history(
    degraded: Settings, own_redis: OwnRedis, engine: Engine
) -> None:
    async def scene(*, lose: bool) -> None:
        async with runtime(degraded, Clock()) as made:
            record = made.store.record
            await one(made, transaction_id=f"before-{lose}", user_id=f"u-{lose}")

            async def then_die(requests: Any) -> Any:
                replies = await record(requests)
                own_redis.kill()
                return replies

            made.store.record = then_die  # type: ignore[method-assign]
            answer = await one(made, transaction_id=f"t-{lose}", user_id=f"u-{lose}")
            assert answer["degraded"] is False
            made.store.record = record  # type: ignore[method-assign]
            own_redis.restart()
            await healed(made)
            if lose:
                with redis.Redis.from_url(own_redis.url) as client:
                    client.flushall()
            async with recorded(degraded, made):
                pass

    play(scene(lose=False))
    play(scene(lose=True))
    found = rows(engine)
    assert (found["t-False"].features[COUNT], found["t-False"].degraded) == (2, False)
    # What it saw is gone: nobody may hold the vector against a history that is another one now.
    assert (found["t-True"].features[COUNT], found["t-True"].degraded) == (2, True)


def test_a_silent_redis_costs_its_deadline_a_few_times_and_then_nothing(
    degraded: Settings, own_redis: OwnRedis
) -> None:
    async def scene() -> None:
        async with runtime(degraded, Clock()) as made:
            await one(made)
            os.kill(own_redis.child.pid, signal.SIGSTOP)
            began = time.monotonic()
            answers = [await one(made) for _ in range(40)]
            took = time.monotonic() - began
            os.kill(own_redis.child.pid, signal.SIGCONT)
            assert all(answer["degraded"] for answer in answers)
            assert took < 10 * 0.2, "expected a breaker after three deadlines"
            await healed(made)
            assert (await one(made))["degraded"] is False

    play(scene())


def test_full_streams_send_answers_to_the_spool_until_they_are_shorter(
    degraded: Settings, own_redis: OwnRedis, engine: Engine
) -> None:
    small = degraded.model_copy(update={"stream_max_mb": 1})

    async def scene() -> None:
        async with runtime(small, Clock()) as made:
            number = 0
            while not made.health()["spool"]["writing"]:
                await made.scorer.score([of(transaction_id=f"t{number}-{n}") for n in range(100)])
                number += 1
                assert number < 100
            assert made.health()["status"] == "degraded"
            assert made.health()["dependencies"]["redis"]["status"] == "up"
            assert (await one(made, transaction_id="spooled"))["degraded"] is True
            async with recorded(small, made):
                pass
            while made.health()["spool"]["writing"]:
                await asyncio.sleep(0.05)
            assert (await one(made))["degraded"] is False

    play(scene())
    found = rows(engine)
    assert found["spooled"].degraded is True
    assert sum(row.degraded for row in found.values()) < 3000
