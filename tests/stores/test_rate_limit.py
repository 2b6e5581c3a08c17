"""The rate of a caller, counted in the real Redis by its own clock."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest
import redis

from sentinel_core.errors import StoreError
from sentinel_core.settings import Settings
from sentinel_core.stores import rate_limit
from sentinel_core.stores.rate_limit import RateLimit
from sentinel_core.stores.redis_clients import make_async_client

Scene = Callable[[RateLimit], Awaitable[None]]


def play(settings: Settings, limit: int, scene: Scene) -> None:
    async def run() -> None:
        client = make_async_client(settings)
        try:
            await scene(RateLimit(client, settings.model_copy(update={"rate_limit_per_minute": limit})))
        finally:
            await client.aclose()

    asyncio.run(asyncio.wait_for(run(), 60))


def test_so_many_pass_and_each_caller_has_its_own(settings: Settings, redis_client: redis.Redis) -> None:
    async def scene(rate: RateLimit) -> None:
        waits = await rate.spend(["a"] * 7 + ["b"])
        assert [wait == 0 for wait in waits] == [True] * 5 + [False] * 2 + [True]
        assert all(0 < wait <= 120 for wait in waits[5:7])

    play(settings, 5, scene)
    keys = list(redis_client.scan_iter(match=f"{settings.redis_namespace}:*:r:*"))
    assert len(keys) == 2
    assert all(0 < redis_client.pttl(key) <= 120_000 for key in keys), "an idle caller leaves nothing behind"


@pytest.mark.parametrize("limit", [1, 3, 50])
def test_who_waits_as_told_passes_and_not_much_earlier(
    settings: Settings, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    monkeypatch.setattr(rate_limit, "WINDOW_US", 400_000)

    async def scene(rate: RateLimit) -> None:
        for _ in range(3):
            while not (wait := (await rate.spend(["a"]))[0]):
                pass
            assert wait <= 0.8
            await asyncio.sleep(wait)
            assert await rate.spend(["a"]) == [0]

    play(settings, limit, scene)


def test_a_steady_caller_gets_its_rate_and_no_more(
    settings: Settings, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate_limit, "WINDOW_US", 200_000)

    async def scene(rate: RateLimit) -> None:
        begun, passed = time.monotonic(), 0
        while time.monotonic() - begun < 1.4:
            passed += (await rate.spend(["a"]))[0] == 0
            await asyncio.sleep(0.001)
        windows = (time.monotonic() - begun) / 0.2
        assert 10 * (windows - 2) <= passed <= 10 * (windows + 1)

    play(settings, 10, scene)


def test_a_server_that_is_away_is_said_so_at_once(settings: Settings) -> None:
    async def scene(rate: RateLimit) -> None:
        begun = time.monotonic()
        with pytest.raises(StoreError, match="expected Redis to count requests"):
            await rate.spend(["a"])
        assert time.monotonic() - begun < 1

    play(settings.model_copy(update={"redis_url_given": "redis://127.0.0.1:1/0"}), 5, scene)
