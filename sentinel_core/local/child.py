"""A server as a child process: start it, wait until it answers, stop it by its own signal."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sentinel_core.errors import LocalError

READY_SECONDS = 60.0
STOP_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Child:
    """A running server in a session of its own; it outlives us unless it is stopped."""

    name: str
    process: subprocess.Popen[bytes]
    stop_signal: signal.Signals

    @property
    def pid(self) -> int:
        """The process id of the server itself."""
        return self.process.pid

    def stop(self) -> None:
        """Ask it to stop and wait; raises `LocalError` where it takes longer than 30 s (and then kills it)."""
        if self.process.poll() is None:
            self.process.send_signal(self.stop_signal)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise LocalError(
                f"expected {self.name} (pid {self.pid}) to stop within {STOP_SECONDS:.0f} s of "
                f"{self.stop_signal.name}, it did not and was killed.",
                remedy="Its data are safe; look into its log for what it waited for.",
            ) from None

    def kill(self) -> None:
        """Kill it as a crash would, its whole session, and reap it."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def start_child(
    name: str,
    command: Sequence[str],
    *,
    log: Path,
    ready: Callable[[], bool],
    environment: Mapping[str, str] | None = None,
    configuration: str = "",
    stop_signal: signal.Signals = signal.SIGTERM,
    seconds: float = READY_SECONDS,
) -> Child:
    """Start a server and return once `ready()` holds; `configuration` is what it reads from its standard input.

    Raises `LocalError` with the end of its log where it exits, or does not answer within so many seconds.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(
            list(command),
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(environment) if environment is not None else None,
            start_new_session=True,
        )
    child = Child(name, process, stop_signal)
    if process.stdin is not None:
        with process.stdin as pipe:
            pipe.write(configuration.encode())
    _wait(child, ready, log, seconds)
    return child


def _wait(child: Child, ready: Callable[[], bool], log: Path, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    try:
        while not ready():
            _check_progress(child, deadline, seconds, log)
            time.sleep(0.02)
    except BaseException:
        child.kill()
        raise


def _check_progress(child: Child, deadline: float, seconds: float, log: Path) -> None:
    if child.process.poll() is not None:
        raise LocalError(
            f"expected {child.name} to start, it exited with code {child.process.returncode}: {last_line(log)}.",
            remedy=f"See {log}.",
        )
    if time.monotonic() > deadline:
        raise LocalError(
            f"expected {child.name} to answer within {seconds:.0f} s, it did not: {last_line(log)}.",
            remedy=f"See {log}.",
        )


def last_line(log: Path) -> str:
    """Return the last line of a log that is not blank, without its full stop; `(its log is empty)` where all are."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 8192))
            lines = [line.strip() for line in file.read().decode("utf-8", "replace").splitlines() if line.strip()]
    except FileNotFoundError:
        lines = []
    return lines[-1].rstrip(".") if lines else "(its log is empty)"
