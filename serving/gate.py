"""What a request has to pass before a route sees it: room in this worker, a key, and its caller's rate.

None of it costs a round trip unless a rate limit is set, and then one, shared by the requests of that moment.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from starlette.types import Scope

from sentinel_core.errors import StoreError
from sentinel_core.settings import Settings, is_loopback
from sentinel_core.stores.rate_limit import RateLimit
from serving.api_keys import KnownKeys
from serving.batcher import MicroBatcher
from serving.errors import HttpError, OverloadedError, to_problem
from serving.logs import get_logger
from serving.metrics import Metrics

HEADER: Final = b"x-api-key"
KEY_LENGTH_MAX: Final = 256
KEY_NAME: Final = "sentinel.key"
"""Where a request's scope says by which key it came, if it needed one."""
WITHOUT_REDIS_SECONDS: Final = 1.0
"""How long nobody is counted after Redis did not answer: a limit must not slow down what goes on without it."""
SCORING: Final = frozenset({"/api/v1/predict", "/api/v1/predict/batch", "/predict"})
"""What waits in the queue of transactions, and keeps a deadline that does not cancel what is under way."""
_LATER: Final = "Send the same request again later."
_COUNTED_MOST: Final = 256
_LOOPBACK: Final = ("127.0.0.1", "::1")
log = get_logger(__name__)


class Gate:
    """The rules of one worker; raises `SettingsError` where SENTINEL_API_KEYS is malformed.

    `seconds` is how long a request may take once its body is there.
    """

    def __init__(self, settings: Settings, client: Any, metrics: Metrics) -> None:
        self._needs_key = settings.needs_api_key
        self._by_address = settings.require_api_key == "auto"
        self._keys = KnownKeys(settings)
        self._metrics = metrics
        self.seconds = settings.request_timeout_seconds
        self.queue_is_full: Callable[[], bool] = lambda: False
        self._most = settings.max_requests
        self._under_way = 0
        self._counted_again = 0.0
        self._counting: MicroBatcher[str, float] | None = None
        if settings.rate_limit_per_minute:
            self._counting = MicroBatcher(
                RateLimit(client, settings).spend, max_items=_COUNTED_MOST, max_waiting=settings.max_requests
            )
        if self._needs_key and not len(self._keys):
            log.warning("every request is refused: there is no API key yet", remedy="sentinel keys create NAME")

    @contextmanager
    def room(self) -> Iterator[None]:
        """Hold a place among the requests under way; raises a 503 `HttpError` where all are taken."""
        if self._under_way >= self._most:
            self._metrics.refused.labels("busy").inc()
            raise to_problem(
                OverloadedError(
                    f"expected at most {self._most:,} requests under way, and so many are.",
                    remedy=_LATER,
                )
            )
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1

    async def check(self, scope: Scope) -> None:
        """Raise a 401 `HttpError` for a request without a known key where it needs one, a 429 one beyond its rate."""
        name = scope[KEY_NAME] = self._identified(scope) if self._needs_key_of(scope) else None
        if scope["path"] in SCORING and self.queue_is_full():
            # Before the body is read: to refuse it then would cost as much as to score it.
            self._metrics.refused.labels("queue").inc()
            raise to_problem(
                OverloadedError("expected room for one more transaction, and the queue is full.", remedy=_LATER)
            )
        if self._counting is not None:
            await self._count(self._counting, f"key:{name}" if name else f"address:{_address(scope)}")

    def _needs_key_of(self, scope: Scope) -> bool:
        if self._needs_key:
            return True
        # `bentoml serve --host` may have bound more than SENTINEL_HOST says: the connection itself tells.
        server = scope.get("server")
        return self._by_address and not (server is None or server[0] in _LOOPBACK or is_loopback(server[0]))

    def _identified(self, scope: Scope) -> str:
        for header, value in scope["headers"]:
            if header == HEADER and len(value) <= KEY_LENGTH_MAX:
                name = self._keys.name_of(value)
                if name is not None:
                    return name
        self._metrics.refused.labels("key").inc()
        raise HttpError(
            401,
            "unauthorized",
            "This service needs a known API key in the header X-API-Key; its operator makes one.",
            headers={"WWW-Authenticate": "X-API-Key"},
        )

    async def _count(self, counting: MicroBatcher[str, float], caller: str) -> None:
        if time.monotonic() < self._counted_again:
            return
        try:
            (wait,) = await counting.submit([caller])
        except StoreError as error:
            if time.monotonic() >= self._counted_again:
                log.warning("requests are not counted for a while", reason=str(error))
            self._counted_again = time.monotonic() + WITHOUT_REDIS_SECONDS
            self._metrics.store_errors.labels("redis").inc()
            return
        except OverloadedError as error:
            self._metrics.refused.labels("busy").inc()
            raise to_problem(error) from error
        if wait:
            self._metrics.refused.labels("rate").inc()
            raise HttpError(
                429,
                "rate_limited",
                "More requests came within a minute than this caller may send; Retry-After says when to go on.",
                headers={"Retry-After": str(math.ceil(wait))},
            )


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return client[0] if client else "local"
