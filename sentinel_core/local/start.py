"""Start processes in their order, each after what it needs, and wait until they are well."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from typing import Final

from sentinel_core.errors import LocalError
from sentinel_core.local.child import last_line
from sentinel_core.local.environment import settings_environment
from sentinel_core.local.files import write_private
from sentinel_core.local.paths import Layout
from sentinel_core.local.processes import PROCESSES, Process
from sentinel_core.local.reporter import Reporter
from sentinel_core.local.supervisor import Supervisor
from sentinel_core.settings import Settings

_HEALTHY_SECONDS: Final = 240.0
_STARTS: Final = 3
"""So often a process may die before it was well once; then starting it again is no use."""


def selected(settings: Settings, *, airflow: bool) -> list[Process]:
    """Return the processes that are ours to run."""
    return [process for process in PROCESSES if process.wanted(settings, airflow=airflow)]


def start(settings: Settings, supervisor: Supervisor, processes: Sequence[Process], reporter: Reporter) -> list[str]:
    """Start processes that do not wait for each other, wait until all are well, return those that were not running.

    Raises `LocalError` with the last line of its log where one dies again and again, or is not well within 240 s.
    """
    states = supervisor.states()
    fresh = [process.name for process in processes if not states[process.name].running]
    if not processes:
        return fresh
    for process in processes:
        supervisor.launch(process.name)
    with reporter.step(_titles(processes)) as tell, ThreadPoolExecutor(max_workers=len(processes)) as pool:
        waiting = list(processes)
        pids: dict[str, set[int]] = {process.name: set() for process in processes}
        deadline = time.monotonic() + _HEALTHY_SECONDS
        while waiting:
            _check_alive(settings, supervisor, waiting, pids)
            well = list(pool.map(lambda process: process.healthy(settings), waiting))
            waiting = [process for process, is_well in zip(waiting, well, strict=True) if not is_well]
            if waiting:
                tell(f"waiting for {', '.join(process.name for process in waiting)}")
                _check_time(settings, waiting[0], deadline)
                time.sleep(0.1)
    return fresh


def _titles(processes: Collection[Process]) -> str:
    return ", ".join(process.title for process in processes)


def _check_alive(
    settings: Settings, supervisor: Supervisor, waiting: Sequence[Process], pids: dict[str, set[int]]
) -> None:
    states = supervisor.states()
    for process in waiting:
        state = states[process.name]
        seen = pids[process.name]
        if state.pid is not None:
            seen.add(state.pid)
        if state.state == "FATAL" or len(seen) > _STARTS:
            supervisor.halt(process.name)
            log = Layout.of(settings).log(process.name)
            raise LocalError(
                f"expected {process.title} to start, it exited {max(_STARTS, len(seen) - 1)} times: {last_line(log)}.",
                remedy=f"See `sentinel logs {process.name}`.",
            )


def _check_time(settings: Settings, process: Process, deadline: float) -> None:
    if time.monotonic() > deadline:
        log = Layout.of(settings).log(process.name)
        raise LocalError(
            f"expected {process.title} to be well within {_HEALTHY_SECONDS:.0f} s, it is not: {last_line(log)}.",
            remedy=f"See `sentinel logs {process.name}`.",
        )


def remember_settings(settings: Settings) -> None:
    """Note with which settings the supervisor was started: a hash of each value, since some are secret."""
    write_private(Layout.of(settings).run / "settings.json", json.dumps(_hashes(settings), indent=2) + "\n")


def check_settings(settings: Settings) -> None:
    """Raise `LocalError` where the running supervisor was started with other settings: its processes have those."""
    path = Layout.of(settings).run / "settings.json"
    try:
        before = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return
    now = _hashes(settings)
    changed = sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))
    if changed:
        raise LocalError(
            f"expected the settings that the running stack was started with, found {', '.join(changed)} changed.",
            remedy="Run `sentinel down` first, so that every process starts with the new ones.",
        )


def _hashes(settings: Settings) -> dict[str, str]:
    variables = settings_environment(settings)
    return {name: blake2b(value.encode(), digest_size=8).hexdigest() for name, value in variables.items()}
