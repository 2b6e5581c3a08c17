"""From the spool on disk to Redis: what workers answered while Redis was away (docs/decisions/0012)."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

from sentinel_core.errors import StoreError
from sentinel_core.settings import Settings
from sentinel_core.stores.redis_clients import make_async_client
from sentinel_core.stores.redis_store import HotStore
from sentinel_core.stores.spool import FOLDER, drain, spool_size
from serving.fallback import EMPTIED_TO
from serving.logs import get_logger
from serving.repeated import Repeated

LOOK_SECONDS: Final = 0.5
PATIENCE_SECONDS: Final = 5.0
"""How long Redis may take for a hundred transactions; nobody waits for them."""
log = get_logger(__name__)


class SpoolDrain:
    """Drain the spool of this machine in a thread with a loop of its own, from entering to leaving the block."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._folder = settings.home / FOLDER
        self._limit = EMPTIED_TO * settings.stream_max_mb * 1_000_000
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._run(),), name="spool")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()
        self._loop.close()

    async def _run(self) -> None:
        client = make_async_client(self._settings, max_connections=2)
        store = HotStore(client, self._settings, deadline_seconds=PATIENCE_SECONDS)
        work = Repeated("spool", LOOK_SECONDS, lambda: self.look(store))
        work.start()
        await self._stopping.wait()
        await work.stop()
        with suppress(StoreError):
            await client.aclose()

    async def look(self, store: HotStore) -> None:
        """Drain what there is; raises `StoreError` where Redis is away or its streams are too long already."""
        if not spool_size(self._folder).files:
            return
        size = await store.stream_bytes()
        if size > self._limit:
            raise StoreError(f"expected event streams of at most {self._limit:.0f} bytes, and they hold {size:,}.")
        drained = await drain(store, self._folder)
        if drained.brought:
            log.info("spool drained", transactions=drained.brought)
        if drained.unreadable:
            log.error("lines of the spool that nobody can read", count=drained.unreadable, folder=str(self._folder))
