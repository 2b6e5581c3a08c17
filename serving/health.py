"""What each dependency last said. Asked in the background, so that /health answers at once whoever is away."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Final

from sentinel_core.errors import SentinelError
from serving.logs import get_logger

log = get_logger(__name__)
UNKNOWN: Final = "unknown"
TOLERATED: Final = 3
"""Failed calls in a row after which a dependency is down, without waiting for the next look."""


class Dependency:
    """One dependency: up, down or not asked yet, and since when.

    For callers it is a circuit breaker: they say how their calls end, leave one that is down alone, and the next look
    that is answered lets them in again.
    """

    def __init__(self, name: str, probe: Callable[[], Awaitable[None]], clock: Callable[[], datetime]) -> None:
        self.name = name
        self._probe = probe
        self._clock = clock
        self._status = UNKNOWN
        self._since: datetime | None = None
        self._failures = 0

    @property
    def up(self) -> bool:
        """Whether the last probe was answered."""
        return self._status == "up"

    @property
    def down(self) -> bool:
        """Whether the last probe was not answered."""
        return self._status == "down"

    async def look(self) -> None:
        """Probe once; raises what the probe raised, once it is noted."""
        try:
            await self._probe()
        except SentinelError:
            self.note(up=False)
            raise
        self.note(up=True)

    def failed(self) -> None:
        """Note a call that was not answered; `TOLERATED` of them without an answer between make it down."""
        self._failures += 1
        if self._failures >= TOLERATED:
            self.note(up=False)

    def answered(self) -> None:
        """Note a call that was answered."""
        self._failures = 0

    def note(self, *, up: bool) -> None:
        """Note what a look saw."""
        self._failures = 0
        status = "up" if up else "down"
        if status == self._status:
            return
        if self._status != UNKNOWN or not up:
            log.warning("dependency changed", dependency=self.name, status=status)
        self._status = status
        self._since = self._clock()

    def describe(self) -> dict[str, Any]:
        """Return the state for /health, without addresses or reasons: those are in the log."""
        return {"status": self._status, "since": None if self._since is None else self._since.isoformat()}
