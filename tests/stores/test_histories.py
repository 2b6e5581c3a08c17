from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
import redis

from sentinel_core.errors import StoreError
from sentinel_core.features.entities import RECORD, unpack
from sentinel_core.settings import Settings, load_settings
from sentinel_core.stores.histories import HistoryLoad, load_histories
from sentinel_core.stores.keys import Keys
from sentinel_core.stores.redis_clients import make_async_client, make_client
from sentinel_core.stores.redis_store import HotStore
from tests.stores.makers import NOW, record, record_request, redis_settings, transaction


@pytest.fixture
def settings(servers: Any) -> Settings:
    return redis_settings(servers)


def stored(client: redis.Redis, settings: Settings, user: str = "u") -> np.ndarray[Any, Any]:
    blob = client.get(Keys.of(settings).history(user))
    return unpack(blob) if isinstance(blob, bytes) else np.empty(0, RECORD)


def rows(*events: tuple[str, int, float]) -> np.ndarray[Any, Any]:
    """Return records of (id, arrival, hours after NOW)."""
    return np.concatenate(
        [record(name, transaction(at=NOW + timedelta(hours=hours)), arrival) for name, arrival, hours in events]
    )


def ids(records: np.ndarray[Any, Any]) -> list[int]:
    return [int(one) for one in records["id_hash"]]


def recorded(settings: Settings, events: list[tuple[str, str, float]]) -> list[int]:
    """Record (id, user, hours after NOW) one by one, return the arrival numbers."""

    async def main() -> list[int]:
        client = make_async_client(settings)
        requests = [record_request(name, user, at=NOW + timedelta(hours=hours)) for name, user, hours in events]
        replies = await HotStore(client, settings).record(requests)
        await client.aclose()
        return [reply.arrival for reply in replies]

    return asyncio.run(main())


def test_a_load_leaves_what_recording_one_by_one_would_have_left(settings: Settings, redis_client: redis.Redis) -> None:
    rng = np.random.default_rng(3)
    events = [(f"t{n}", f"u{rng.integers(5)}", float(n / 10 - rng.choice([0, 0, 20, 40]))) for n in range(400)]
    arrivals = recorded(settings, events)
    fresh = settings.model_copy(update={"redis_namespace": settings.redis_namespace + ".copy"})
    order = rng.permutation(len(events))
    records = np.concatenate(
        [
            record(name, transaction(user, at=NOW + timedelta(hours=hours)), arrival)
            for (name, user, hours), arrival in zip(events, arrivals, strict=True)
        ]
    )
    done = load_histories(redis_client, fresh, [events[n][1] for n in order], records[order])
    assert done.late > 0
    for user in (f"u{n}" for n in range(5)):
        assert stored(redis_client, fresh, user).tobytes() == stored(redis_client, settings, user).tobytes()
    assert done == HistoryLoad(entities=5, records=400, late=done.late)
    for key in redis_client.scan_iter(match=fresh.redis_namespace + ":*"):
        redis_client.delete(key)


def test_loading_twice_changes_nothing(settings: Settings, redis_client: redis.Redis) -> None:
    records = rows(("a", 1, 0), ("b", 2, 1), ("a", 3, 2))
    first = load_histories(redis_client, settings, ["u"] * 3, records)
    before = stored(redis_client, settings).tobytes()
    again = load_histories(redis_client, settings, ["u"] * 3, records)
    assert (first.known, again.known) == (1, 3)
    assert stored(redis_client, settings).tobytes() == before
    assert ids(stored(redis_client, settings)) == ids(records[:2])


def test_a_load_merges_with_what_is_there_by_arrival(settings: Settings, redis_client: redis.Redis) -> None:
    (live,) = recorded(settings, [("live", "u", 0)])
    load_histories(
        redis_client, settings, ["u"] * 3, rows(("old", live - 5, -3), ("live", 7, 0), ("next", live + 5, 1))
    )
    merged = stored(redis_client, settings)
    assert ids(merged) == ids(rows(("old", 0, 0), ("live", 0, 0), ("next", 0, 0)))
    assert merged["arrival"].tolist() == [live - 5, live, live + 5]
    (later,) = recorded(settings, [("later", "u", 2)])
    assert later > live + 5
    assert redis_client.pttl(Keys.of(settings).history("u")) > 0


def test_what_the_service_recorded_is_never_judged_late_by_a_load(
    settings: Settings, redis_client: redis.Redis
) -> None:
    (live,) = recorded(settings, [("live", "u", 0)])
    load_histories(redis_client, settings, ["u"], rows(("before", live - 1, 100)))
    done = load_histories(redis_client, settings, ["u", "u"], rows(("late", live + 1, 50), ("live", 1, 0)))
    assert ids(stored(redis_client, settings)) == ids(rows(("before", 0, 0), ("live", 0, 0)))
    assert (done.late, done.known) == (1, 1)


def test_a_load_beside_a_running_service_loses_no_event(settings: Settings, redis_client: redis.Redis) -> None:
    def load(number: int) -> None:
        load_histories(redis_client, settings, ["u"], rows((f"h{number}", number + 1, -1 - number / 100)))

    async def main() -> None:
        async with make_async_client(settings) as client:
            store = HotStore(client, settings)
            loading = asyncio.gather(*(asyncio.to_thread(load, number) for number in range(15)))
            for n in range(150):
                await store.record([record_request(f"t{n}")])
            await loading

    asyncio.run(main())
    names = ids(stored(redis_client, settings))
    assert len(names) == len(set(names)) == 165


@pytest.mark.parametrize("foreign", [b"garbage", None], ids=["bytes", "a list"])
def test_a_foreign_history_is_set_aside_by_a_load(
    settings: Settings, redis_client: redis.Redis, foreign: bytes | None
) -> None:
    keys = Keys.of(settings)
    if foreign is None:
        redis_client.rpush(keys.history("u"), "x")
    else:
        redis_client.set(keys.history("u"), foreign)
    load_histories(redis_client, settings, ["u"], rows(("a", 1, 0)))
    assert ids(stored(redis_client, settings)) == ids(rows(("a", 1, 0)))
    assert redis_client.exists(keys.quarantine("u"))


def test_nothing_to_load_is_nothing_done(settings: Settings, redis_client: redis.Redis) -> None:
    assert load_histories(redis_client, settings, [], np.empty(0, RECORD)) == HistoryLoad()


def test_an_absent_redis_is_a_store_error() -> None:
    settings = load_settings(None, redis_url_given="redis://127.0.0.1:1/0")
    with make_client(settings) as client, pytest.raises(StoreError, match="expected Redis to store histories"):
        load_histories(client, settings, ["u"], rows(("a", 1, 0)))


def test_loads_add_up() -> None:
    one = HistoryLoad(2, 10, 1, 2, 3, 4)
    assert one.plus(one) == HistoryLoad(4, 20, 2, 4, 6, 8)
    assert one.plus(replace(one, late=0), continued=True) == HistoryLoad(3, 20, 2, 2, 6, 8)
