"""Devices, addresses and merchants in Redis: what they note, what they take back, what they forget."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
import redis

from sentinel_core.features.entities import MERCHANT, TOUCH, TOUCHED, unpack
from sentinel_core.schema import hash_text, to_micros
from sentinel_core.settings import Settings
from sentinel_core.stores.keys import Keys
from sentinel_core.stores.redis_clients import make_async_client
from sentinel_core.stores.redis_store import HotStore, RecordReply
from tests.stores.makers import NOW, commit_request, record_request, redis_settings


@pytest.fixture
def settings(servers: Any) -> Settings:
    return redis_settings(servers)


def run(settings: Settings, use: Callable[[HotStore], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        async with make_async_client(settings) as client:
            return await use(HotStore(client, settings))

    return asyncio.run(main())


def noted(client: redis.Redis, settings: Settings, kind: str, entity_id: str) -> list[int]:
    blob = client.get(Keys.of(settings).history(entity_id, kind))
    return unpack(blob, TOUCH)["id_hash"].tolist() if isinstance(blob, bytes) else []


def hashes(*ids: str) -> list[int]:
    return [hash_text(one) for one in ids]


def test_a_merchant_sees_other_users_and_a_device_only_its_own(settings: Settings, redis_client: redis.Redis) -> None:
    async def use(store: HotStore) -> list[RecordReply]:
        return await store.record([record_request(f"t{n}", f"card{n}", device_id=f"d{n}") for n in range(3)])

    replies = run(settings, use)
    assert [reply.touches["merchant"].history["id_hash"].tolist() for reply in replies] == [
        [],
        hashes("t0"),
        hashes("t0", "t1"),
    ]
    assert [len(reply.touches["device"].history) for reply in replies] == [0, 0, 0]
    assert replies[2].touches["merchant"].history["user"].tolist() == hashes("card0", "card1")
    arrivals = [reply.touches["merchant"].arrival for reply in replies]
    assert arrivals == sorted(set(arrivals))
    assert noted(redis_client, settings, "address", "10.1.2.3") == hashes("t0", "t1", "t2")


def test_a_retry_finds_what_the_first_attempt_saw(settings: Settings, redis_client: redis.Redis) -> None:
    async def use(store: HotStore) -> Any:
        first = await store.record([record_request("a"), record_request("b")])
        return first, await store.record([record_request("b")])

    (_, first), (again,) = run(settings, use)
    for kind in TOUCHED:
        before, after = first.touches[kind.name], again.touches[kind.name]
        assert (before.fresh, after.fresh) == (True, False)
        assert (before.arrival, before.time) == (after.arrival, after.time)
        assert before.history.tobytes() == after.history.tobytes()
    assert noted(redis_client, settings, "merchant", "m1") == hashes("a", "b")


def test_an_unknown_entity_notes_nothing(settings: Settings) -> None:
    async def use(store: HotStore) -> list[RecordReply]:
        return await store.record([record_request("a", device_id=None, ip_address=None)])

    (reply,) = run(settings, use)
    assert set(reply.touches) == {"merchant"}


def test_what_is_refused_leaves_nothing_behind(settings: Settings, redis_client: redis.Redis) -> None:
    """The same id with another payload, at another merchant: a conflict, and no attempt at that merchant."""

    async def use(store: HotStore) -> Any:
        await store.record([record_request("a"), record_request("b", "v", merchant_id="other")])
        return await store.record([record_request("a", merchant_id="other"), record_request("c", merchant_id="other")])

    conflict, after = run(settings, use)
    assert conflict.conflict is not None
    assert after.conflict is None
    assert noted(redis_client, settings, "merchant", "other") == hashes("b", "c")
    assert noted(redis_client, settings, "merchant", "m1") == hashes("a")


def test_an_answered_transaction_that_an_entity_forgot_is_not_counted_again(
    settings: Settings, redis_client: redis.Redis
) -> None:
    """A client that gives no timestamp tries again when its merchant's history has moved on."""

    async def use(store: HotStore) -> Any:
        await store.record([record_request("a")])
        await store.commit([commit_request("a")])
        redis_client.delete(Keys.of(settings).history("m1", "merchant"))
        await store.record([record_request("b", "v")])
        return await store.record([record_request("a")])

    (again,) = run(settings, use)
    assert again.answer is not None
    assert noted(redis_client, settings, "merchant", "m1") == hashes("b")


def test_what_comes_too_late_for_an_entity_is_not_noted(settings: Settings, redis_client: redis.Redis) -> None:
    behind = NOW - timedelta(microseconds=MERCHANT.lateness_us)

    async def use(store: HotStore) -> Any:
        await store.record([record_request("now", "v")])
        edge, late = behind, behind - timedelta(microseconds=1)
        return await store.record([record_request("edge", at=edge), record_request("late", "w", at=late)])

    edge, late = run(settings, use)
    assert set(edge.touches) == {"device", "address", "merchant"}
    assert set(late.touches) == {"device", "address"}
    assert noted(redis_client, settings, "merchant", "m1") == hashes("now", "edge")


def test_a_busy_merchant_keeps_its_newest_and_its_memory_is_bounded(
    settings: Settings, redis_client: redis.Redis
) -> None:
    count = MERCHANT.cap + 200

    async def use(store: HotStore) -> Any:
        requests = [
            record_request(f"t{n}", f"c{n}", at=NOW + timedelta(seconds=n), device_id=None, ip_address=None)
            for n in range(count)
        ]
        for start in range(0, count, 50):
            await store.record(requests[start : start + 50])
        old = record_request("old", "x", at=NOW + timedelta(seconds=1), device_id=None, ip_address=None)
        return await store.record([old]), await store.counts()

    (old,), counts = run(settings, use)
    held = noted(redis_client, settings, "merchant", "m1")
    assert MERCHANT.cap <= len(held) <= MERCHANT.cap + 64
    assert held[-1] == hash_text(f"t{count - 1}")
    assert counts["capped"] == count - len(held)
    # It lies before everything that is held: it is either forgotten or would be dropped at once.
    assert "merchant" not in old.touches
    assert counts["late_touches"] == 1


def test_a_foreign_history_of_a_device_is_set_aside_and_starts_cold(
    settings: Settings, redis_client: redis.Redis
) -> None:
    keys = Keys.of(settings)
    torn = np.zeros(3, TOUCH)
    torn["version"] = [1, 9, 1]
    redis_client.set(keys.history("d1", "device"), b"not ours")
    redis_client.lpush(keys.history("10.1.2.3", "address"), "of another type")
    redis_client.set(keys.history("m1", "merchant"), torn.tobytes())

    async def use(store: HotStore) -> Any:
        return await store.record([record_request("a")]), await store.counts()

    (reply,), counts = run(settings, use)
    assert {kind: len(touch.history) for kind, touch in reply.touches.items()} == {
        "device": 0,
        "address": 0,
        "merchant": 0,
    }
    assert counts["quarantined"] == 3
    assert redis_client.get(keys.quarantine("d1", "device")) == b"not ours"
    assert noted(redis_client, settings, "merchant", "m1") == hashes("a")


def test_times_of_our_clocks_do_not_run_backwards_at_an_entity(settings: Settings) -> None:
    """Two workers, one a second behind: the transaction that arrives later sees the earlier one."""

    async def use(store: HotStore) -> Any:
        ahead = record_request("a", "u", at=NOW + timedelta(seconds=1))
        behind = record_request("b", "v", at=NOW)
        return await store.record([one._replace(clocked=True) for one in (ahead, behind)])

    ahead, behind = run(settings, use)
    assert behind.time == to_micros(NOW)
    assert behind.touches["merchant"].time == ahead.touches["merchant"].time == to_micros(NOW) + 1_000_000
