"""Work that repeats in the background of a worker, and heals by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from sentinel_core.errors import SentinelError
from serving.logs import describe, get_logger

log = get_logger(__name__)


class Repeated:
    """Call `work` every `seconds` until stopped; a typed error is logged when it appears and when it is gone.

    The pause is counted from the end of a call, so that slow work never overlaps itself.
    """

    def __init__(self, name: str, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        self._name = name
        self._seconds = seconds
        self._work = work
        self._task: asyncio.Task[None] | None = None
        self._trouble: str | None = None

    def start(self) -> None:
        """Begin; the first call comes at once."""
        self._task = asyncio.create_task(self._run(), name=self._name)

    async def stop(self) -> None:
        """Cancel the work and wait for its end."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._task = None

    async def _run(self) -> None:
        while True:
            try:
                await self._work()
            except SentinelError as error:
                self._report(str(error))
            except Exception as error:
                # A bug in one round must not end the watch: it is logged with its frames, and the next round comes.
                self._report(describe(error))
                log.exception("background work failed", work=self._name)
            else:
                self._report(None)
            await asyncio.sleep(self._seconds)

    def _report(self, trouble: str | None) -> None:
        if trouble != self._trouble and trouble is not None:
            log.warning("background work waits", work=self._name, reason=trouble)
        elif trouble != self._trouble:
            log.info("background work goes on", work=self._name)
        self._trouble = trouble
