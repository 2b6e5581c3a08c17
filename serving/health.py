"""What each dependency last said. Asked in the background, so that /health answers at once whoever is away."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Final

from sentinel_core.errors import SentinelError
from serving.logs import get_logger

log = get_logger(__name__)
UNKNOWN: Final = "unknown"


class Dependency:
    """One dependency: up, down or not asked yet, and since when."""

    def __init__(self, name: str, probe: Callable[[], Awaitable[None]], clock: Callable[[], datetime]) -> None:
        self.name = name
        self._probe = probe
        self._clock = clock
        self._status = UNKNOWN
        self._since: datetime | None = None

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

    def note(self, *, up: bool) -> None:
        """Note an answer or its absence, wherever it was seen."""
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
