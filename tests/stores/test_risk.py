from __future__ import annotations

import asyncio
from typing import Any

import pytest
import redis

from sentinel_core.settings import Settings
from sentinel_core.stores.redis_clients import make_async_client
from sentinel_core.stores.redis_store import HotStore
from sentinel_core.stores.risk import load_risk, publish_risk
from tests.stores.makers import redis_settings

TABLE = bytes(range(256))


@pytest.fixture
def settings(servers: Any) -> Settings:
    return redis_settings(servers)


def test_a_published_table_replaces_an_older_one_only(settings: Settings, redis_client: redis.Redis) -> None:
    assert load_risk(redis_client, settings) is None
    assert publish_risk(redis_client, settings, TABLE, 1_700_000_000_000_000)
    assert load_risk(redis_client, settings) == (1_700_000_000_000_000, TABLE)
    assert not publish_risk(redis_client, settings, b"old", 1_699_999_999_999_999)
    assert load_risk(redis_client, settings) == (1_700_000_000_000_000, TABLE)
    assert publish_risk(redis_client, settings, b"again", 1_700_000_000_000_000)
    assert load_risk(redis_client, settings) == (1_700_000_000_000_000, b"again")


def test_workers_ask_for_the_time_before_they_take_the_table(settings: Settings, redis_client: redis.Redis) -> None:
    async def main() -> None:
        client = make_async_client(settings)
        store = HotStore(client, settings)
        assert await store.risk_as_of() is None
        assert await store.load_risk() is None
        publish_risk(redis_client, settings, TABLE, 86_400_000_000)
        assert await store.risk_as_of() == 86_400_000_000
        assert await store.load_risk() == TABLE
        await client.aclose()

    asyncio.run(main())
