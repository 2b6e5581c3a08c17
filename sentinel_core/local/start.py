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

_HEALTHY_SECONDS: Final = 300.0
_STARTS: Final = 3
"""So often a process may die before it was well once; then starting it again is no use."""


def selected(settings: Settings, *, airflow: bool) -> list[Process]:
    """Return the processes that are ours to run."""
    return [process for process in PROCESSES if process.wanted(settings, airflow=airflow)]


def start(settings: Settings, supervisor: Supervisor, processes: Sequence[Process], reporter: Reporter) -> list[str]:
    """Start processes, each once those it comes after are well, and wait for all; return those that were not running.

    What is named in `Process.after` and not among `processes` is taken to be well. Raises `LocalError` with the last
    line of its log where one dies again and again, or is not well within 300 s.
    """
    states = supervisor.states()
    fresh = [process.name for process in processes if not states[process.name].running]
    if not processes:
        return fresh
    with reporter.step(_titles(processes)) as tell, ThreadPoolExecutor(max_workers=len(processes)) as pool:
        waiting = list(processes)
        pids: dict[str, set[int]] = {}
        deadline = time.monotonic() + _HEALTHY_SECONDS
        while waiting:
            launched = _launch(supervisor, waiting, pids)
            _check_alive(settings, supervisor, launched, pids)
            well = list(pool.map(lambda process: process.healthy(settings), launched))
            done = {process.name for process, is_well in zip(launched, well, strict=True) if is_well}
            waiting = [process for process in waiting if process.name not in done]
            if waiting and not done:
                tell(f"waiting for {', '.join(process.name for process in waiting)}")
                _check_time(settings, waiting[0], deadline)
                time.sleep(0.1)
    return fresh


def _launch(supervisor: Supervisor, waiting: Sequence[Process], pids: dict[str, set[int]]) -> list[Process]:
    """Launch what waits for nothing any more; return all that is launched and not yet well."""
    names = {process.name for process in waiting}
    launched = [process for process in waiting if names.isdisjoint(process.after)]
    for process in launched:
        if process.name not in pids:
            supervisor.launch(process.name)
            pids[process.name] = set()
    return launched


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
