"""Clients of Redis, and the translation of its errors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from sentinel_core.errors import StoreError
from sentinel_core.settings import Settings
from sentinel_core.stores.keys import Keys
from sentinel_core.stores.wire import PackedConnection

SCRIPTS: Final = Path(__file__).parent / "scripts"


def script(*names: str) -> str:
    """Read packaged Lua scripts, one behind the other: a script has no other way to share functions."""
    return "".join((SCRIPTS / f"{name}.lua").read_text(encoding="utf-8") for name in names)


def make_client(settings: Settings, *, timeout_seconds: float = 30.0) -> redis.Redis:
    """Make a blocking client of bytes; connects nowhere yet. A dropped connection is tried again once."""
    return redis.Redis.from_url(
        settings.redis_url,
        socket_connect_timeout=5.0,
        socket_timeout=timeout_seconds,
        retry=Retry(NoBackoff(), 1),
        decode_responses=False,
    )


def make_async_client(settings: Settings, *, max_connections: int = 16) -> redis.asyncio.Redis:
    """Make the asyncio client of the hot path; connects nowhere yet. A dropped connection is tried again once.

    It waits for a silent server without end: `HotStore` bounds each call as a whole, which is far cheaper.
    """
    return redis.asyncio.Redis.from_url(
        settings.redis_url,
        connection_class=PackedConnection,
        socket_connect_timeout=1.0,
        socket_timeout=None,
        retry=AsyncRetry(NoBackoff(), 1),
        max_connections=max_connections,
        decode_responses=False,
    )


@contextmanager
def store_errors(what: str) -> Iterator[None]:
    """Turn whatever Redis refuses, and its absence (LOADING included), into `StoreError`; `what` names the attempt."""
    try:
        yield
    except RedisError as error:
        raise refused(what, error) from error


@asynccontextmanager
async def bounded(what: str, seconds: float) -> AsyncIterator[None]:
    """Do as `store_errors` does, and raise `StoreError` where the block takes longer than `seconds`."""
    with store_errors(what):
        try:
            async with asyncio.timeout(seconds):
                yield
        except TimeoutError as error:
            raise refused(what, RedisTimeoutError(f"no answer within {seconds * 1000:.0f} ms")) from error


def refused(what: str, error: RedisError) -> StoreError:
    """Say what Redis refused, in one line."""
    reason = str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__
    return StoreError(
        f"expected Redis to {what}, and got: {reason}.",
        remedy="See `sentinel status`, or the server that REDIS_URL names.",
    )


def set_aside(pipeline: Any, keys: Keys, entity_id: str, kind: str, life_ms: int) -> Any:
    """Queue the commands that move a history, which nobody can read, to its quarantine key, and count it."""
    history, quarantine, counts = keys.for_history(entity_id, kind)
    pipeline.rename(history, quarantine)
    pipeline.pexpire(quarantine, life_ms)
    pipeline.hincrby(counts, "quarantined", 1)
    return pipeline


def refuse_eviction_policy(client: redis.Redis) -> None:
    """Raise `StoreError` unless the server's maxmemory-policy is noeviction: another one drops histories silently."""
    with store_errors("report its maxmemory-policy"):
        check_eviction_policy(client.info("memory"))


def check_eviction_policy(memory: Any) -> None:
    """Raise `StoreError` unless this `INFO memory` says noeviction."""
    policy = str(memory.get("maxmemory_policy", "noeviction"))
    if policy != "noeviction":
        raise StoreError(
            f"expected Redis with maxmemory-policy noeviction, got {policy}: it would drop histories and events.",
            remedy="Run CONFIG SET maxmemory-policy noeviction, and put it into the server's configuration.",
        )
