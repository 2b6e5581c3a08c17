"""What runs, where, how well, and how much memory it takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import psutil

from sentinel_core.errors import LocalError
from sentinel_core.local.paths import Layout
from sentinel_core.local.processes import PROCESSES, Process
from sentinel_core.local.supervisor import ProcessState, Supervisor
from sentinel_core.settings import Settings


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """One line of `sentinel status`."""

    name: str
    state: str
    """As the supervisor says it; `external` for a server that somebody else runs."""
    pid: int | None
    port: int | None
    url: str | None
    healthy: bool
    memory_mb: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return the fields of `sentinel status --json`."""
        return {
            "name": self.name,
            "pid": self.pid,
            "port": self.port,
            "url": self.url,
            "healthy": self.healthy,
            "memory_mb": self.memory_mb,
        }


def status(settings: Settings) -> list[ProcessStatus]:
    """Return the state of each process, in the order of start; without a supervisor nothing of ours runs."""
    try:
        states = Supervisor(Layout.of(settings)).states()
    except LocalError:
        states = {}
    shown = [process for process in PROCESSES if _shown(settings, process, states)]
    with ThreadPoolExecutor(max_workers=len(shown)) as pool:
        return list(pool.map(lambda process: _status(settings, process, states.get(process.name)), shown))


def _shown(settings: Settings, process: Process, states: Mapping[str, ProcessState]) -> bool:
    if not process.ours(settings):
        return True
    # After `up --without airflow` the supervisor does not know Airflow, and nobody misses it.
    return process.name in states if states else process.wanted(settings, airflow=True)


def _status(settings: Settings, process: Process, state: ProcessState | None) -> ProcessStatus:
    external = not process.ours(settings)
    pid = state.pid if state else None
    asked = external or (state is not None and state.running)
    url = address(settings, process)
    port = urlsplit(url).port if url else None
    return ProcessStatus(
        process.name,
        "external" if external else (state.state.lower() if state else "stopped"),
        pid,
        port,
        url,
        asked and process.healthy(settings),
        memory_mb(pid) if pid else None,
    )


def address(settings: Settings, process: Process) -> str | None:
    """Return the URL of a process without its password, or None where it listens nowhere."""
    if process.name not in ("postgres", "redis"):
        return process.url(settings)
    ours = process.ours(settings)
    if process.name == "postgres":
        if ours:
            return f"postgresql://127.0.0.1:{settings.embedded_postgres_port}/{settings.db_name}"
        return _without_login(settings.database_url.replace("+psycopg2", "", 1), 5432)
    return f"redis://127.0.0.1:{settings.embedded_redis_port}/0" if ours else _without_login(settings.redis_url, 6379)


def _without_login(url: str, port: int) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}:{parts.port or port}{parts.path}"


def memory_mb(pid: int) -> float | None:
    """Return the memory of a process and its descendants in MB (10^6 bytes), or None where it is gone.

    Memory that processes share counts once, each with its part (PSS), where the system tells; elsewhere their
    resident memory is summed.
    """
    try:
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.Error:
        return None
    return round(sum(_bytes(family)) / 1e6, 1)


def _bytes(processes: Sequence[psutil.Process]) -> list[int]:
    sizes = []
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            try:
                full = process.memory_full_info()
                sizes.append(int(getattr(full, "pss", full.uss)))
            except psutil.AccessDenied:
                sizes.append(int(process.memory_info().rss))
    return sizes
