"""How many requests a caller sent within the last minute, over all workers: counted in Redis, one round trip."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from redis.exceptions import RedisError

from sentinel_core.settings import Settings
from sentinel_core.stores.keys import Keys
from sentinel_core.stores.redis_clients import refused, script, store_errors
from sentinel_core.stores.wire import Wire

WINDOW_US: Final = 60_000_000
TIMEOUT_SECONDS: Final = 0.05


class RateLimit:
    """At most `rate_limit_per_minute` requests of a caller within any minute, refused ones not counted.

    The requests of the clock's minute before count by the part of it that the last 60 seconds still overlap: exact for
    traffic that came evenly in that minute. `client` is an asyncio client of bytes.
    """

    def __init__(self, client: Any, settings: Settings) -> None:
        self._wire = Wire(client)
        self._keys = Keys.of(settings)
        self._limit = settings.rate_limit_per_minute
        # Sent whole each time: a round trip less than asking first, and nothing to reload after a restart.
        self._script = script("rate_limit")

    async def spend(self, callers: Sequence[str]) -> list[float]:
        """Count a request of each caller, in one round trip; return 0, or in how many seconds it may come again.

        Raises `StoreError` where Redis does not answer within `TIMEOUT_SECONDS`.
        """
        what = "count requests"
        commands = [
            ("EVAL", self._script, 1, self._keys.requests(caller), self._limit, WINDOW_US) for caller in callers
        ]
        with store_errors(what):
            replies = await self._wire.exchange(commands, TIMEOUT_SECONDS)
        for reply in replies:
            if isinstance(reply, RedisError):
                raise refused(what, reply) from reply
        return [reply / 1000 for reply in replies]
