"""Calls that overlap on one connection: each gets its own replies, whatever happens to its neighbours."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

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

    return asyncio.run(main())


def test_each_call_gets_its_own_replies_in_the_order_of_sending(settings: Settings) -> None:
    async def use(wire: Wire) -> Any:
        done: list[int] = []

        async def call(number: int) -> list[Any]:
            replies = await wire.exchange([("EVAL", SLOW, 0, number), ("ECHO", f"again {number}")])
            done.append(number)
            return replies

        return await asyncio.gather(*(call(number) for number in range(6))), done

    replies, done = run(settings, use)
    assert replies == [[str(n).encode(), f"again {n}".encode()] for n in range(6)]
    assert done == list(range(6))


def test_a_call_that_is_given_up_costs_its_neighbours_nothing(settings: Settings) -> None:
    async def use(wire: Wire) -> Any:
        calls = [asyncio.create_task(wire.exchange([("EVAL", SLOW, 0, number)])) for number in range(5)]
        await asyncio.sleep(0.005)
        calls[2].cancel()
        return await asyncio.gather(*calls, return_exceptions=True), await wire.exchange([("ECHO", "after")])

    replies, after = run(settings, use)
    assert isinstance(replies[2], asyncio.CancelledError)
    assert [one for n, one in enumerate(replies) if n != 2] == [[str(n).encode()] for n in (0, 1, 3, 4)]
    assert after == [b"after"]
