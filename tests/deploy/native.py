"""docker-compose.yaml without Docker: each service's command as a process of this machine, in the order of the file.

What stands in: PostgreSQL and Redis from the wheels for the official images, 127.0.0.1 and free ports for names and
published ports, a folder for the volume, and a small DNS server for Docker's own. Commands, environments, conditions
of `depends_on`, health checks and restarts are those of the file.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import yaml
from dotenv import dotenv_values

from sentinel_core.local.binaries import find_postgres, find_redis
from sentinel_core.local.paths import project_root
from sentinel_core.local.ports import free_port
from sentinel_core.local.postgres import make_cluster, start_postgres
from tests.deploy.names import Names

BALANCER: Final = "balancer"
PORTS: Final = {
    "postgres": 5432,
    "redis": 6379,
    "mlflow": 5000,
    "airflow-api-server": 8080,
    "explainer": 8001,
    "api": 8000,
}
_SETTINGS: Final = {"mlflow": "MLFLOW", "airflow-api-server": "AIRFLOW", "explainer": "EXPLAINER", "api": "SERVING"}
_VARIABLE: Final = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")
_ENTRYPOINT: Final = {"sentinel-ml": ["python", "-m", "sentinel_core.cli"], "sentinel-ml-platform": ["sentinel"]}
_SHIMS: Final = {
    "python": f'exec {sys.executable} "$@"',
    # The wheel of Redis holds the server alone.
    "redis-cli": f"""exec {sys.executable} -c 'import os, redis
redis.Redis(port=int(os.environ["REDIS_PORT"]), password=os.environ["REDISCLI_AUTH"]).ping()
print("PONG")'""",
}


def interpolate(value: Any, variables: Mapping[str, str | None]) -> Any:
    """Put variables in, as compose does; one that must be there and is not fails the test with the file's own text."""
    if isinstance(value, dict):
        return {key: interpolate(one, variables) for key, one in value.items()}
    if isinstance(value, list):
        return [interpolate(one, variables) for one in value]
    if not isinstance(value, str):
        return value

    def found(match: re.Match[str]) -> str:
        name, kind, text = match.groups()
        given = variables.get(name)
        assert given or kind != "?", f"{name}: {text}"
        return given or (text if kind == "-" else "") or ""

    return _VARIABLE.sub(found, value).replace("$$", "$")


@dataclass
class Native:
    """One composition under way in a folder of its own, which holds the .env of `make env`."""

    folder: Path
    overrides: Mapping[str, str]
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @classmethod
    def make(cls, folder: Path, overrides: Mapping[str, str]) -> Self:
        """Write .env into a folder as `make env` does, by a Python with nothing installed; start nothing yet."""
        command = [sys.executable, "-S", "-m", "sentinel_core.local.dotenv"]
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(project_root())}
        subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
        return cls(folder, overrides)

    def __post_init__(self) -> None:
        """Read the file, choose ports, and start the names."""
        variables = {**dotenv_values(self.folder / ".env"), **self.overrides}
        text = (project_root() / "docker-compose.yaml").read_text(encoding="utf-8")
        self.services: dict[str, Any] = interpolate(yaml.safe_load(text)["services"], variables)
        self._given = variables
        self.ports = {name: free_port() for name in (*PORTS, BALANCER)}
        self.names = Names("api")
        self.started: list[str] = []
        self._postgres: Any = None
        shims = self.folder / "bin"
        shims.mkdir()
        for name, line in _SHIMS.items():
            (shims / name).write_text(f"#!/bin/sh\n{line}\n")
            (shims / name).chmod(0o755)
        (shims / "redis-server").symlink_to(find_redis())
        programs = [str(folder) for folder in (shims, Path(sys.executable).parent, find_postgres().folder)]
        self._path = os.pathsep.join([*programs, "/usr/sbin", os.environ["PATH"]])

    # --- docker compose ------------------------------------------------------------------------------------------

    def up(self) -> list[str]:
        """Start everything in the order that the file asks for; return the names in that order."""
        for name in self.services:
            self._start_after_its_dependencies(name)
        return self.started

    def start(self, name: str) -> None:
        """Start one service, whatever it depends on, and wait until it is well."""
        self._start(name)
        self.until_healthy(name)

    def once(self, name: str) -> str:
        """Run a service that ends, as often as its `restart` says; return what it printed."""
        times = int(self.services[name]["restart"].partition(":")[2] or 1)
        for _ in range(times):
            code = self._spawn(name, self._command(name), self._environment(name)).wait()
            del self.processes[name]
            if code == 0:
                return self.log(name)
        raise AssertionError(f"{name} failed: {self.log(name)[-3000:]}")

    def scale(self, replicas: int) -> None:
        """Run so many replicas of the service; each is announced as soon as it runs, as Docker's names do."""
        for number in range(len(self.names.addresses) + 1, replicas + 1):
            self._start_replica(number)
        for number in range(replicas + 1, len(self.names.addresses) + 1):
            self.stop(f"api-{number}")
        self.names.addresses = self.names.addresses[:replicas]
        for number in range(1, replicas + 1):
            self.until_healthy("api", number)

    def stop(self, key: str) -> None:
        """Stop one process by SIGTERM, as Docker does, and kill what is left of it."""
        process = self.processes.pop(key)
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(60)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def down(self) -> None:
        """Stop everything, the last first."""
        for key in reversed(list(self.processes)):
            self.stop(key)
        if self._postgres is not None:
            self._postgres.stop()
        self.names.close()

    def log(self, key: str) -> str:
        """Return what a service printed."""
        return (self.folder / f"{key}.log").read_text(errors="replace")

    # --- one service ---------------------------------------------------------------------------------------------

    def _start_after_its_dependencies(self, name: str) -> None:
        if name in self.started:
            return
        for other, how in self.services[name].get("depends_on", {}).items():
            self._start_after_its_dependencies(other)
            if how["condition"] == "service_healthy":
                self.until_healthy(other)
            elif how["condition"] == "service_completed_successfully":
                assert str(self.services[other]["restart"]).startswith("on-failure")
        self._start(name)
        self.started.append(name)

    def _start(self, name: str) -> None:
        service = self.services[name]
        if name == "postgres":
            cluster = make_cluster(
                self.folder / "postgres", self.ports[name], service["environment"]["POSTGRES_PASSWORD"]
            )
            self._postgres = start_postgres(cluster, self.folder / "postgres.log")
        elif name == "api":
            self._start_replica(1)
        elif name == BALANCER:
            self._spawn(name, ["haproxy", "-f", str(self._balancer_file())], self._environment(name))
        elif str(service["restart"]).startswith("on-failure"):
            self.once(name)
        else:
            self._spawn(name, self._command(name), self._environment(name))

    def _start_replica(self, number: int) -> None:
        self._spawn(f"api-{number}", self._command("api"), self._environment("api", number))
        self.names.addresses = [*self.names.addresses, _address(number)]

    def _spawn(self, key: str, command: list[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        # A container has no .env: what its service reads has to come by its environment.
        work = self.folder / "work"
        work.mkdir(exist_ok=True)
        with (self.folder / f"{key}.log").open("ab") as log:
            self.processes[key] = subprocess.Popen(
                ["/usr/bin/env", *command],
                env=dict(environment),
                cwd=work,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self.processes[key]

    def _command(self, name: str) -> list[str]:
        service = self.services[name]
        command = list(service["command"])
        if name == "redis":
            place = self.folder / "redis"
            place.mkdir(exist_ok=True)
            return [*command, "--port", str(self.ports[name]), "--bind", "127.0.0.1", "--dir", str(place)]
        return [*_ENTRYPOINT[service["image"]], *command]

    def _environment(self, name: str, number: int = 1) -> dict[str, str]:
        given = self.services[name].get("environment", {})
        # One without a value comes from .env, and is absent where that does not name it.
        values = {key: self._given.get(key) if value is None else str(value) for key, value in given.items()}
        found = {key: self._here(value, number) for key, value in values.items() if value is not None}
        if "DB_PORT" in found:
            found |= {"DB_PORT": str(self.ports["postgres"]), "REDIS_PORT": str(self.ports["redis"])}
        # Here every container has the same addresses: ports that nobody uses, and loopback alone.
        found |= {f"SENTINEL_{part}_PORT": str(self.ports[other]) for other, part in _SETTINGS.items()}
        if name == "api":
            found |= {"SENTINEL_HOST": _address(number), "SENTINEL_REQUIRE_API_KEY": "true"}
            if number > 1:
                # In one process table a second one with the same home would take the first for what a crash left.
                found["SENTINEL_HOME"] += f"-{number}"
        found |= {"PGHOST": "127.0.0.1", "PGPORT": str(self.ports["postgres"])} if name == "postgres" else {}
        found |= {"REDIS_PORT": str(self.ports["redis"])} if name == "redis" else {}
        return {**found, "PATH": self._path, "HOME": str(self.folder), "PYTHONPATH": str(project_root())}

    def _here(self, text: str, number: int = 1) -> str:
        """Turn the names, ports and folders of containers into those of this machine."""
        for name, port in PORTS.items():
            text = re.sub(rf"\b(?:{name}|localhost|127\.0\.0\.1):{port}\b", f"127.0.0.1:{self.ports[name]}", text)
            text = "127.0.0.1" if text == name else text
        if text == "0.0.0.0":  # noqa: S104
            return "127.0.0.1"
        text = text.replace("/var/lib/sentinel", str(self.folder / "volume"))
        return text.replace("/tmp/bentoml", str(self.folder / f"tmp-{number}"))  # noqa: S108

    # --- health --------------------------------------------------------------------------------------------------

    def until_healthy(self, name: str, number: int = 1) -> None:
        """Ask a service's own health check until it passes."""
        check = self.services[name]["healthcheck"]
        words = list(check["test"][1:])
        command = ["sh", "-c", *words] if check["test"][0] == "CMD-SHELL" else words
        command = [self._checked(name, word, number) for word in command]
        # This machine does other work too; Docker would give up and try again.
        deadline = time.monotonic() + 300
        environment = self._environment(name, number)
        key = f"api-{number}" if name == "api" else name
        while subprocess.run(["/usr/bin/env", *command], env=environment, capture_output=True, check=False).returncode:
            process = self.processes.get(key)
            assert process is None or process.poll() is None, f"{key} ended: {self.log(key)[-3000:]}"
            assert time.monotonic() < deadline, f"{key} is not healthy: {self.log(key)[-3000:]}"
            time.sleep(0.5)

    def _checked(self, name: str, word: str, number: int) -> str:
        if name == BALANCER:
            return word.replace("127.0.0.1:8000", f"127.0.0.1:{self.ports[BALANCER]}")
        return self._here(word, number).replace("127.0.0.1", _address(number) if name == "api" else "127.0.0.1")

    def _balancer_file(self) -> Path:
        source, _, _ = self.services[BALANCER]["volumes"][0].partition(":")
        text = (project_root() / source).read_text(encoding="utf-8")
        for there, here in {
            "bind :8000": f"bind 127.0.0.1:{self.ports[BALANCER]}",
            "127.0.0.11:53": f"127.0.0.1:{self.names.port}",
            "api:8000": f"api:{self.ports['api']}",
        }.items():
            assert there in text
            text = text.replace(there, here)
        (self.folder / "haproxy.cfg").write_text(text)
        return self.folder / "haproxy.cfg"


def balancer_is_installed() -> bool:
    """Whether HAProxy is here, as by `apt-get install haproxy`."""
    return shutil.which("haproxy", path=f"/usr/sbin{os.pathsep}{os.environ['PATH']}") is not None


def _address(number: int) -> str:
    """Each replica has an address of its own, as containers do, and all have one port."""
    return f"127.0.0.{number + 1}"
