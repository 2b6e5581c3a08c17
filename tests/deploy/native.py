"""docker-compose.yaml without Docker: each service's command as a process of this machine, in the order of the file.

What stands in: PostgreSQL and Redis from the wheels for the official images, 127.0.0.1 and free ports for names and
published ports, a folder for the volume, and a small DNS server for Docker's own. Commands, environments, conditions
of `depends_on`, health checks and restarts are those of the file.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

from sentinel_core.local.child import Child
from sentinel_core.local.paths import project_root
from sentinel_core.local.postgres import make_cluster, start_postgres
from tests.deploy.composition import BALANCER, Composition, address
from tests.deploy.names import Names

_HEALTHY_SECONDS: Final = 300.0
"""This machine does other work too; Docker would give up and try again."""
_STOP_SECONDS: Final = 60.0


def balancer_is_installed() -> bool:
    """Whether HAProxy is here, as by `apt-get install haproxy`."""
    return shutil.which("haproxy", path=f"/usr/sbin{os.pathsep}{os.environ['PATH']}") is not None


class Native:
    """One composition under way."""

    def __init__(self, file: Composition) -> None:
        self.file = file
        self.folder = file.folder
        self.ports = file.ports
        self.names = Names("api")
        self.started: list[str] = []
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._postgres: Child | None = None

    @classmethod
    def make(cls, folder: Path, overrides: Mapping[str, str]) -> Self:
        """Write .env into a folder as `make env` does, by a Python with nothing installed; start nothing yet."""
        command = [sys.executable, "-S", "-m", "sentinel_core.local.dotenv"]
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(project_root())}
        subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
        return cls(Composition(folder, overrides))

    def up(self) -> None:
        """Start everything in the order that the file asks for; `started` has the names in that order."""
        for name in self.file.services:
            self._start_after_its_dependencies(name)

    def start(self, name: str) -> None:
        """Start one service, whatever it depends on, and wait until it is well."""
        self._start(name)
        self.until_healthy(name)

    def once(self, name: str) -> None:
        """Run a service that ends, as often as its `restart` says."""
        times = int(self.file.services[name]["restart"].partition(":")[2] or 1)
        for _ in range(times):
            code = self._spawn(name, self.file.command(name), self.file.environment(name)).wait()
            del self._processes[name]
            if code == 0:
                return
        raise AssertionError(f"{name} failed: {self.log(name)[-3000:]}")

    def scale(self, replicas: int) -> None:
        """Run so many replicas of the service; each is announced as soon as it runs, as Docker's names do."""
        for number in range(len(self.names.addresses) + 1, replicas + 1):
            self._start_replica(number)
        for number in range(replicas + 1, len(self.names.addresses) + 1):
            self._stop(f"api-{number}")
        self.names.addresses = self.names.addresses[:replicas]
        for number in range(1, replicas + 1):
            self.until_healthy("api", number)

    def down(self) -> None:
        """Stop everything, the last first."""
        for key in reversed(list(self._processes)):
            self._stop(key)
        if self._postgres is not None:
            self._postgres.stop()
        self.names.close()

    def log(self, key: str) -> str:
        """Return what a service printed."""
        return (self.folder / f"{key}.log").read_text(errors="replace")

    def until_healthy(self, name: str, number: int = 1) -> None:
        """Ask a service's own health check until it passes."""
        command = ["/usr/bin/env", *self.file.health_check(name, number)]
        environment = self.file.environment(name, number)
        key = f"api-{number}" if name == "api" else name
        deadline = time.monotonic() + _HEALTHY_SECONDS
        while subprocess.run(command, env=environment, capture_output=True, check=False).returncode:
            process = self._processes.get(key)
            assert process is None or process.poll() is None, f"{key} ended: {self.log(key)[-3000:]}"
            assert time.monotonic() < deadline, f"{key} is not healthy: {self.log(key)[-3000:]}"
            time.sleep(0.5)

    def _start_after_its_dependencies(self, name: str) -> None:
        if name in self.started:
            return
        for other, how in self.file.services[name].get("depends_on", {}).items():
            self._start_after_its_dependencies(other)
            if how["condition"] == "service_healthy":
                self.until_healthy(other)
            elif how["condition"] == "service_completed_successfully":
                assert self._ends(other), "what runs on is never completed"
        self._start(name)
        self.started.append(name)

    def _start(self, name: str) -> None:
        if name == "postgres":
            password = self.file.services[name]["environment"]["POSTGRES_PASSWORD"]
            cluster = make_cluster(self.folder / "postgres", self.ports[name], password)
            self._postgres = start_postgres(cluster, self.folder / "postgres.log")
        elif name == "api":
            self._start_replica(1)
        elif name == BALANCER:
            file = self.file.balancer_file(self.names.port)
            self._spawn(name, ["haproxy", "-f", str(file)], self.file.environment(name))
        elif self._ends(name):
            self.once(name)
        else:
            self._spawn(name, self.file.command(name), self.file.environment(name))

    def _ends(self, name: str) -> bool:
        return str(self.file.services[name]["restart"]).startswith("on-failure")

    def _start_replica(self, number: int) -> None:
        self._spawn(f"api-{number}", self.file.command("api"), self.file.environment("api", number))
        self.names.addresses = [*self.names.addresses, address(number)]

    def _spawn(self, key: str, command: list[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        # A container has no .env: what its service reads has to come by its environment.
        work = self.folder / "work"
        work.mkdir(exist_ok=True)
        with (self.folder / f"{key}.log").open("ab") as log:
            self._processes[key] = subprocess.Popen(
                ["/usr/bin/env", *command],
                env=dict(environment),
                cwd=work,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self._processes[key]

    def _stop(self, key: str) -> None:
        """Stop one process by SIGTERM, as Docker does, and kill what is left of it."""
        process = self._processes.pop(key)
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_SECONDS)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
