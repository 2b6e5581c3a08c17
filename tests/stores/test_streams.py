from __future__ import annotations

from typing import Any

import pytest
import redis

from sentinel_core.errors import StoreError
from sentinel_core.settings import Settings, load_settings
from sentinel_core.stores.keys import Keys
from sentinel_core.stores.redis_clients import make_client
from sentinel_core.stores.streams import GROUP, EventStreams, StreamEvent
from tests.stores.makers import redis_settings


@pytest.fixture
def settings(servers: Any) -> Settings:
    return redis_settings(servers)


def put(client: redis.Redis, settings: Settings, *names: str) -> None:
    for n, name in enumerate(names):
        entry = {"kind": "accepted", "id": name, "payload": "p", "body": b"{}"}
        client.xadd(Keys.of(settings).stream(n % settings.redis_slots), entry)  # type: ignore[arg-type]


def reader(client: redis.Redis, settings: Settings, name: str) -> EventStreams:
    streams = EventStreams(client, settings, name)
    streams.ensure_groups()
    return streams


def ids(events: list[StreamEvent]) -> list[str]:
    return sorted(event.transaction_id for event in events)


def test_every_stream_is_read_from_its_first_entry(settings: Settings, redis_client: redis.Redis) -> None:
    names = [f"t{n:02}" for n in range(40)]
    put(redis_client, settings, *names)
    streams = reader(redis_client, settings, "one")
    reader(redis_client, settings, "one")
    events = streams.read(block_ms=10)
    assert ids(events) == names
    assert streams.read(block_ms=10) == []
    assert streams.backlog() == 40
    streams.done(events)
    assert streams.backlog() == 0
    assert all(redis_client.xpending(stream, GROUP)["pending"] == 0 for stream in Keys.of(settings).streams())


def test_a_batch_bounds_what_one_stream_gives(settings: Settings, redis_client: redis.Redis) -> None:
    small = settings.model_copy(update={"recorder_batch": 2, "redis_slots": 1})
    put(redis_client, small, *"abcde")
    streams = reader(redis_client, small, "one")
    assert [ids(streams.read(block_ms=10)) for _ in range(3)] == [["a", "b"], ["c", "d"], ["e"]]


def test_a_killed_reader_finds_all_that_it_held_in_order(settings: Settings, redis_client: redis.Redis) -> None:
    small = settings.model_copy(update={"recorder_batch": 2, "redis_slots": 1})
    put(redis_client, small, *"abcde")
    streams = reader(redis_client, small, "one")
    first = streams.read(block_ms=10)
    streams.read(block_ms=10)
    streams.done(first[:1])
    again = reader(redis_client, small, "one")
    assert [event.transaction_id for event in again.held()] == ["b", "c", "d"]
    assert ids(again.read(block_ms=10)) == ["e"]
    assert reader(redis_client, small, "two").held() == []


def test_what_a_dead_reader_held_is_claimed_by_another(settings: Settings, redis_client: redis.Redis) -> None:
    put(redis_client, settings, *"abc")
    dead, alive = reader(redis_client, settings, "dead"), reader(redis_client, settings, "alive")
    held = dead.read(block_ms=10)
    assert alive.claim(idle_ms=60_000) == []
    claimed = alive.claim(idle_ms=0)
    assert ids(claimed) == ids(held) == ["a", "b", "c"]
    alive.done(claimed)
    assert dead.held() == []


def test_streams_that_redis_lost_are_begun_anew(settings: Settings, redis_client: redis.Redis) -> None:
    streams = reader(redis_client, settings, "one")
    redis_client.delete(*Keys.of(settings).streams())
    assert streams.read(block_ms=10) == []
    redis_client.delete(*Keys.of(settings).streams())
    assert streams.claim() == []
    redis_client.delete(*Keys.of(settings).streams())
    assert streams.held() == []
    put(redis_client, settings, "a")
    assert ids(streams.read(block_ms=10)) == ["a"]


def test_an_entry_that_somebody_deleted_holds_nothing_up(settings: Settings, redis_client: redis.Redis) -> None:
    put(redis_client, settings, "a")
    streams = reader(redis_client, settings, "one")
    (event,) = streams.read(block_ms=10)
    redis_client.xdel(event.stream, event.entry_id)
    assert streams.held() == []
    assert streams.claim(idle_ms=0) == []


def test_an_absent_redis_is_a_store_error() -> None:
    settings = load_settings(None, redis_url_given="redis://127.0.0.1:1/0")
    with make_client(settings) as client:
        streams = EventStreams(client, settings, "one")
        event = StreamEvent("s", "0-1", "accepted", "t", "p", b"{}")
        for call in (streams.ensure_groups, streams.read, streams.held, streams.claim, streams.backlog):
            with pytest.raises(StoreError, match=r"expected Redis to .* and got: .*sentinel status"):
                call()
        with pytest.raises(StoreError, match="expected Redis to acknowledge entries"):
            streams.done([event])
