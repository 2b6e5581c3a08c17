"""Processes that outlived their supervisor: found by what their environment says, and stopped."""

from __future__ import annotations

import os
import signal
from contextlib import suppress

import psutil

from sentinel_core.local.environment import PROCESS_VARIABLE
from sentinel_core.settings import Settings

_PATIENCE_SECONDS = 15.0


def find(settings: Settings, *names: str) -> list[psutil.Process]:
    """Return the processes that run for this home, of all names or of the given ones; never ourselves or our parents.

    Processes of other users, whose environment cannot be read, are not ours.
    """
    home = str(settings.home)
    family = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            environment = process.environ() if process.pid not in family else {}
            name = environment.get(PROCESS_VARIABLE)
            if name is not None and environment.get("SENTINEL_HOME") == home and (not names or name in names):
                found.append(process)
    return found


def reap(settings: Settings, *names: str) -> int:
    """Stop what still runs for this home, gently at first; return how many processes there were."""
    processes = find(settings, *names)
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            # PostgreSQL would wait for its clients on SIGTERM.
            process.send_signal(signal.SIGINT if process.name().startswith("postgres") else signal.SIGTERM)
    _, alive = psutil.wait_procs(processes, timeout=_PATIENCE_SECONDS)
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=_PATIENCE_SECONDS)
    return len(processes)
