"""Calls that overlap on one connection: each gets its own replies, whatever happens to its neighbours."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import redis
import uvloop
from redis.exceptions import TimeoutError as RedisTimeoutError

from sentinel_core.settings import Settings
from sentinel_core.stores.redis_clients import make_async_client
from sentinel_core.stores.wire import Wire
from tests.stores.makers import redis_settings

SLOW = "for i = 1, 3000000 do local x = i end return ARGV[1]"


@pytest.fixture
def settings(servers: Any) -> Settings:
    return redis_settings(servers)


def run(settings: Settings, use: Callable[[Wire], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        async with make_async_client(settings) as client:
            return await use(Wire(client))

    plain = asyncio.run(main())
    # The service runs on this loop.
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(main()) == plain or isinstance(plain, tuple)
    return plain


def test_each_call_gets_its_own_replies_in_the_order_of_sending(settings: Settings) -> None:
    async def use(wire: Wire) -> Any:
        done: list[int] = []

        async def call(number: int) -> list[Any]:
            replies = await wire.exchange([("EVAL", SLOW, 0, number), ("ECHO", f"again {number}")], 5)
            done.append(number)
            return replies

        return await asyncio.gather(*(call(number) for number in range(6))), done

    replies, done = run(settings, use)
    assert replies == [[str(n).encode(), f"again {n}".encode()] for n in range(6)]
    assert done == list(range(6))


def test_a_call_that_is_given_up_costs_its_neighbours_nothing(settings: Settings) -> None:
    async def use(wire: Wire) -> Any:
        calls = [asyncio.create_task(wire.exchange([("EVAL", SLOW, 0, number)], 5)) for number in range(5)]
        await asyncio.sleep(0.005)
        calls[2].cancel()
        return await asyncio.gather(*calls, return_exceptions=True), await wire.exchange([("ECHO", "after")], 5)

    replies, after = run(settings, use)
    assert isinstance(replies[2], asyncio.CancelledError)
    assert [one for n, one in enumerate(replies) if n != 2] == [[str(n).encode()] for n in (0, 1, 3, 4)]
    assert after == [b"after"]


def test_a_silent_server_is_given_up_and_the_next_call_has_a_connection_of_its_own(
    settings: Settings, redis_client: redis.Redis
) -> None:
    async def use(wire: Wire) -> Any:
        await wire.exchange([("ECHO", "before")], 5)
        redis_client.client_pause(400)
        with pytest.raises(RedisTimeoutError, match="no answer within 50 ms"):
            await wire.exchange([("ECHO", "lost")], 0.05)
        return await wire.exchange([("ECHO", "after")], 5)

    assert run(settings, use) == [b"after"]


def test_a_loop_that_stood_still_listens_once_more(settings: Settings) -> None:
    async def use(wire: Wire) -> Any:
        await wire.exchange([("ECHO", "before")], 5)
        call = asyncio.create_task(wire.exchange([("ECHO", "heard")], 0.1))
        await asyncio.sleep(0)
        time.sleep(0.3)
        return await call

    assert run(settings, use) == [b"heard"]


def test_a_dropped_connection_is_made_anew_under_a_call(settings: Settings, redis_client: redis.Redis) -> None:
    async def use(wire: Wire) -> Any:
        (own,) = await wire.exchange([("CLIENT", "ID")], 5)
        redis_client.client_kill_filter(_id=own)
        return await wire.exchange([("ECHO", "again")], 5)

    assert run(settings, use) == [b"again"]


def test_no_connection_is_left_behind(settings: Settings, redis_client: redis.Redis) -> None:
    before = len(redis_client.client_list())

    async def use(wire: Wire) -> None:
        for _ in range(5):
            (own,) = await wire.exchange([("CLIENT", "ID")], 5)
            redis_client.client_kill_filter(_id=own)
        await wire.exchange([("PING",)], 5)

    run(settings, use)
    assert len(redis_client.client_list()) == before
