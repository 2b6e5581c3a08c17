"""The recorder: from the event streams into PostgreSQL, each entry once (`python -m serving.recorder`).

It reads as one consumer of a group, writes a batch in one transaction, and acknowledges and deletes after the commit.
Killed at any instruction it finds on its next start what it held, and writing that again changes nothing. While
PostgreSQL or Redis is away it keeps what it read, waits, and goes on by itself. Beside it, in a thread of its own so
that an absent PostgreSQL does not stop it, runs the `SpoolDrain`.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from sentinel_core.errors import SentinelError, StoreError
from sentinel_core.settings import Settings, load_settings
from sentinel_core.stores.postgres import connected, make_engine
from sentinel_core.stores.recording import write_batch
from sentinel_core.stores.redis_clients import make_client
from sentinel_core.stores.streams import EventStreams, StreamEvent
from serving.logs import configure, describe, get_logger
from serving.spool_drain import SpoolDrain

HEARTBEAT: Final = Path("serving") / "recorder.json"
"""Where the heartbeat lies under SENTINEL_HOME."""
BLOCK_MS: Final = 500
GATHER_SECONDS: Final = 0.1
"""How long entries gather behind a small batch: a transaction for each would take the service's cores."""
GATHER_BELOW: Final = 200
NICENESS: Final = 5
"""By how much the service goes first where both want a core."""
CLAIM_EVERY_SECONDS: Final = 10.0
BEAT_EVERY_SECONDS: Final = 1.0
LONGEST_PAUSE_SECONDS: Final = 5.0
log = get_logger("serving.recorder")


class Recorder:
    """Move entries from the streams to PostgreSQL until it is told to stop.

    `clock` gives aware UTC times. A batch that was begun is finished before `run` returns.
    """

    def __init__(
        self, settings: Settings, engine: Engine, streams: EventStreams, clock: Callable[[], datetime]
    ) -> None:
        self._engine = engine
        self._streams = streams
        self._clock = clock
        self._heartbeat = settings.home / HEARTBEAT
        self._stopping = threading.Event()
        self._unwritten: list[StreamEvent] = []
        self._resumed = False
        self._written = 0
        self._dead = 0
        self._claimed_at: datetime | None = None
        self._beat_at: datetime | None = None
        self._trouble: str | None = None

    def stop(self, *_signal: Any) -> None:
        """Ask for the end; may be called from a signal handler."""
        self._stopping.set()

    def run(self) -> None:
        """Record until `stop`; an absent store is waited for, longer each time and at most `LONGEST_PAUSE_SECONDS`."""
        pause = 0.1
        while not self._stopping.is_set():
            try:
                if not self._resumed:
                    self._resume()
                written = self.step()
            except (StoreError, SQLAlchemyError) as error:
                # What was read and not written is in memory and in the group's pending list: waiting loses nothing.
                self._report(error)
                self._beat(force=True)
                self._stopping.wait(pause)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            else:
                pause = 0.1
                self._recovered()
                self._beat()
                if written < GATHER_BELOW:
                    self._stopping.wait(GATHER_SECONDS)
        log.info("recorder stopped", written=self._written, dead=self._dead)

    def _resume(self) -> None:
        """Take up every entry that this consumer holds: what it read before it was killed, or before Redis was."""
        self._streams.ensure_groups()
        known = {(event.stream, event.entry_id): event for event in self._unwritten}
        self._unwritten = [known.get((event.stream, event.entry_id), event) for event in self._streams.held()]
        self._resumed = True

    def step(self) -> int:
        """Read what there is, write it, acknowledge it; return how many. Raises `StoreError` where a store is away."""
        if not self._unwritten or all(event.waiting_since is not None for event in self._unwritten):
            with self._asking_redis():
                self._unwritten += self._claim()
                self._unwritten += self._streams.read(block_ms=BLOCK_MS)
        if not self._unwritten:
            return 0
        with connected(self._engine) as conn:
            result = write_batch(conn, self._unwritten, now=self._clock())
        # Committed: from here on the entries may be acknowledged at any time, or written again to no effect.
        self._unwritten = list(result.deferred)
        self._written += len(result.done)
        self._dead += result.dead
        if result.dead:
            log.error("entries refused by PostgreSQL, see the table dead_letters", count=result.dead)
        log.debug("batch written", entries=len(result.done), deferred=len(result.deferred))
        with self._asking_redis():
            self._streams.done(result.done)
        return len(result.done)

    @contextmanager
    def _asking_redis(self) -> Iterator[None]:
        # A call that failed may have been done: entries are ours that were never seen here, or were not acknowledged.
        self._resumed = False
        yield
        self._resumed = True

    def _claim(self) -> list[StreamEvent]:
        now = self._clock()
        if self._claimed_at is not None and (now - self._claimed_at).total_seconds() < CLAIM_EVERY_SECONDS:
            return []
        self._claimed_at = now
        claimed = self._streams.claim()
        waiting = {(event.stream, event.entry_id) for event in self._unwritten}
        return [event for event in claimed if (event.stream, event.entry_id) not in waiting]

    def _report(self, error: Exception) -> None:
        text = str(error) if isinstance(error, SentinelError) else describe(error)
        if text != self._trouble:
            log.warning("recorder waits", reason=text, held=len(self._unwritten))
        self._trouble = text

    def _recovered(self) -> None:
        if self._trouble is not None:
            log.info("recorder goes on", after=self._trouble)
        self._trouble = None

    def _beat(self, *, force: bool = False) -> None:
        now = self._clock()
        if not force and self._beat_at is not None and (now - self._beat_at).total_seconds() < BEAT_EVERY_SECONDS:
            return
        self._beat_at = now
        body = {
            "pid": os.getpid(),
            "at": now.isoformat(),
            "healthy": self._trouble is None,
            "reason": self._trouble,
            "written": self._written,
            "held": len(self._unwritten),
            "dead": self._dead,
        }
        self._heartbeat.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._heartbeat.with_suffix(f".{os.getpid()}")
        fresh.write_text(json.dumps(body), encoding="utf-8")
        fresh.replace(self._heartbeat)


def make_recorder(settings: Settings, clock: Callable[[], datetime]) -> Recorder:
    """Make a recorder from the settings; connects nowhere yet."""
    engine = make_engine(settings, pool_size=1, max_overflow=1)
    # One name for each machine: a recorder that comes back finds at once what the killed one held.
    streams = EventStreams(make_client(settings), settings, consumer=f"recorder@{socket.gethostname()}")
    return Recorder(settings, engine, streams, clock)


def main() -> int:
    """Run the recorder until SIGTERM or SIGINT."""
    try:
        settings = load_settings()
        configure(settings.log_level, process="recorder")
        recorder = make_recorder(settings, lambda: datetime.now(UTC))
    except SentinelError as error:
        configure("INFO", process="recorder")
        log.critical("recorder cannot start", reason=str(error))
        return 1
    signal.signal(signal.SIGTERM, recorder.stop)
    signal.signal(signal.SIGINT, recorder.stop)
    log.info("recorder started", pid=os.getpid())
    os.nice(NICENESS)
    with SpoolDrain(settings):
        recorder.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
