"""The faults: what is killed or held in a running stack, and the wait until it is back."""

from __future__ import annotations

import json
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import psutil

from sentinel_core.errors import LocalError
from sentinel_core.local import health
from sentinel_core.local.paths import Layout
from sentinel_core.local.processes import PROCESS
from sentinel_core.local.supervisor import Supervisor
from sentinel_core.settings import Settings
from serving.recorder import HEARTBEAT

WORKERS: Final = 2
"""How many workers the service of the stack has."""
BACK_SECONDS: Final = 120.0
_WORKER: Final = "_bentoml_impl.worker.service"


@dataclass(frozen=True)
class Stack:
    """The running stack, asked by the supervisor's socket: `sentinel status` takes a core for half a second."""

    settings: Settings
    rng: random.Random = field(default_factory=lambda: random.Random(0))

    def process(self, name: str) -> psutil.Process | None:
        """Return the process that the supervisor runs under this name, None while there is none."""
        with suppress(LocalError, psutil.NoSuchProcess):
            pid = Supervisor(Layout.of(self.settings)).states()[name].pid
            return None if pid is None else psutil.Process(pid)
        return None

    def running(self, name: str) -> psutil.Process:
        """Return the process; fails where there is none."""
        process = self.process(name)
        assert process is not None, f"{name} does not run"
        return process

    def tree(self, name: str) -> list[psutil.Process]:
        """Return the process, the parent first, and all that it started."""
        process = self.process(name)
        if process is None:
            return []
        with suppress(psutil.NoSuchProcess):
            return [process, *process.children(recursive=True)]
        return []

    def workers(self) -> list[psutil.Process]:
        """Return the workers of the service that serve: they have a connection to Redis."""
        return [process for process in self.tree("serving")[1:] if self._serves(process)]

    def _serves(self, process: psutil.Process) -> bool:
        with suppress(psutil.Error):
            port = self.settings.embedded_redis_port
            return _WORKER in process.cmdline() and any(
                end.raddr and end.raddr.port == port for end in process.net_connections("tcp")
            )
        return False

    def back(self, name: str, gone: list[psutil.Process]) -> bool:
        """Whether the process runs anew, without any of those that are `gone`, and is well."""
        tree = self.tree(name)
        if not tree or set(tree) & set(gone) or not PROCESS[name].healthy(self.settings):
            return False
        if name == "serving":
            return len(self.workers()) == WORKERS
        return name != "recorder" or self._beats(tree[0].pid)

    def _beats(self, pid: int) -> bool:
        with suppress(OSError, ValueError):
            return bool(json.loads((self.settings.home / HEARTBEAT).read_text(encoding="utf-8"))["pid"] == pid)
        return False

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for what must come true; fails where it does not."""
        deadline = time.monotonic() + BACK_SECONDS
        while not condition():
            assert time.monotonic() < deadline, f"{what}: waited {BACK_SECONDS:.0f} s in vain"
            time.sleep(0.1)


def kill_worker(stack: Stack) -> None:
    """Kill one worker of the service; its parent starts another."""
    killed = stack.rng.choice(stack.workers())
    _kill([killed])
    stack.until(lambda: stack.back("serving", [killed]), "a worker")


def kill_serving(stack: Stack) -> None:
    """Kill the service, its workers included."""
    _kill_and_wait(stack, "serving")


def kill_recorder(stack: Stack) -> None:
    """Kill the recorder."""
    _kill_and_wait(stack, "recorder")


def kill_postgres(stack: Stack) -> None:
    """Kill PostgreSQL's first process; the others end by themselves."""
    postmaster = stack.running("postgres")
    _kill([postmaster])
    stack.until(lambda: stack.back("postgres", [postmaster]), "PostgreSQL")


def kill_backend(stack: Stack) -> None:
    """Kill one of PostgreSQL's processes that hold a connection: it ends all others and recovers."""
    before = stack.running("postgres").children()
    ours = [process for process in before if f"sentinel {stack.settings.db_name}" in _title(process)]
    _kill([stack.rng.choice(ours)])
    stack.until(lambda: stack.back("postgres", before), "PostgreSQL after a backend")


def kill_redis(stack: Stack) -> None:
    """Kill Redis."""
    _kill_and_wait(stack, "redis")


def hold_redis(stack: Stack) -> None:
    """Stop Redis for one to two seconds; connections stay."""
    process = stack.running("redis")
    process.suspend()
    try:
        time.sleep(stack.rng.uniform(1, 2))
    finally:
        process.resume()
    stack.until(lambda: health.redis_is_well(stack.settings), "Redis held")


def kill_everything(stack: Stack) -> None:
    """Kill the service, the recorder, PostgreSQL and Redis at once."""
    _kill_and_wait(stack, "serving", "recorder", "postgres", "redis")


Fault = Callable[[Stack], None]
KINDS: Final[Mapping[str, Fault]] = {
    "worker": kill_worker,
    "serving": kill_serving,
    "recorder": kill_recorder,
    "postgres": kill_postgres,
    "postgres_backend": kill_backend,
    "redis": kill_redis,
    "redis_held": hold_redis,
    "everything": kill_everything,
}
NO_KILLS: Final = ("redis_held",)


@dataclass
class Faults:
    """Faults in random order, each kind once in each round; `counts` says how often each happened."""

    stack: Stack
    counts: Counter[str] = field(default_factory=Counter)

    def __iter__(self) -> Iterator[Callable[[], None]]:
        """Yield what makes the next fault happen, without end."""
        while True:
            for name in self.stack.rng.sample(list(KINDS), len(KINDS)):
                yield partial(self._happen, name)

    @property
    def kills(self) -> int:
        """How many of them were kills."""
        return sum(count for name, count in self.counts.items() if name not in NO_KILLS)

    @property
    def all_kinds(self) -> bool:
        """Whether each kind happened."""
        return self.counts.keys() == KINDS.keys()

    def _happen(self, name: str) -> None:
        KINDS[name](self.stack)
        self.counts[name] += 1


def hold(processes: list[psutil.Process]) -> None:
    """Stop processes until `let_go`, the parent first."""
    for process in processes:
        process.suspend()


def let_go(processes: list[psutil.Process]) -> None:
    """Let processes go on that were stopped."""
    for process in reversed(processes):
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGCONT)


def _kill_and_wait(stack: Stack, *names: str) -> None:
    killed = {name: stack.tree(name) for name in names}
    for processes in killed.values():
        _kill(processes)
    for name, processes in killed.items():
        stack.until(partial(stack.back, name, processes), name)


def _kill(processes: list[psutil.Process]) -> None:
    assert processes, "there is nothing to kill"
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def _title(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""
