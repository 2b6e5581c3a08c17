"""docker-compose.yaml as this machine can run it: commands, environments and health checks without containers.

127.0.0.1 and free ports stand for names and published ports, and a folder for the volume.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml
from dotenv import dotenv_values

from sentinel_core.local.binaries import find_postgres, find_redis
from sentinel_core.local.paths import project_root
from sentinel_core.local.ports import free_port

BALANCER: Final = "balancer"
_PORTS: Final = {
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
_PROGRAMS: Final = {
    "python": f'exec {sys.executable} "$@"',
    # The wheel of Redis holds the server alone.
    "redis-cli": f"""exec {sys.executable} -c 'import os, redis
redis.Redis(port=int(os.environ["REDIS_PORT"]), password=os.environ["REDISCLI_AUTH"]).ping()
print("PONG")'""",
}


def address(number: int) -> str:
    """Each replica has an address of its own, as containers do, and all have one port."""
    return f"127.0.0.{number + 1}"


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
class Composition:
    """The file with the variables of `folder`/.env and of `overrides`, and free ports of this machine."""

    folder: Path
    overrides: Mapping[str, str]
    ports: dict[str, int] = field(default_factory=lambda: {name: free_port() for name in (*_PORTS, BALANCER)})

    def __post_init__(self) -> None:
        """Read the file, and put the programs of the official images into a folder."""
        self._given = {**dotenv_values(self.folder / ".env"), **self.overrides}
        text = (project_root() / "docker-compose.yaml").read_text(encoding="utf-8")
        self.services: dict[str, Any] = interpolate(yaml.safe_load(text)["services"], self._given)
        programs = self.folder / "bin"
        programs.mkdir()
        for name, line in _PROGRAMS.items():
            (programs / name).write_text(f"#!/bin/sh\n{line}\n")
            (programs / name).chmod(0o755)
        (programs / "redis-server").symlink_to(find_redis())
        folders = [str(folder) for folder in (programs, Path(sys.executable).parent, find_postgres().folder)]
        self._path = os.pathsep.join([*folders, "/usr/sbin", os.environ["PATH"]])

    def command(self, name: str) -> list[str]:
        """Return what a container of a service runs: its image's entry point and its own words."""
        service = self.services[name]
        words = list(service["command"])
        if name == "redis":
            place = self.folder / "redis"
            place.mkdir(exist_ok=True)
            return [*words, "--port", str(self.ports[name]), "--bind", "127.0.0.1", "--dir", str(place)]
        return [*_ENTRYPOINT[service["image"]], *words]

    def environment(self, name: str, number: int = 1) -> dict[str, str]:
        """Return the environment of a service's replica, and nothing of ours but the way to programs and code."""
        given = self.services[name].get("environment", {})
        # One without a value comes from .env, and is absent where that does not name it.
        values = {key: self._given.get(key) if value is None else str(value) for key, value in given.items()}
        found = {key: self._here(value, number) for key, value in values.items() if value is not None}
        if "DB_PORT" in found:
            found |= {"DB_PORT": str(self.ports["postgres"]), "REDIS_PORT": str(self.ports["redis"])}
        # Here every container has the same addresses: ports that nobody uses, and loopback alone.
        found |= {f"SENTINEL_{part}_PORT": str(self.ports[other]) for other, part in _SETTINGS.items()}
        if name == "api":
            found |= {"SENTINEL_HOST": address(number), "SENTINEL_REQUIRE_API_KEY": "true"}
            if number > 1:
                # In one process table a second one with the same home would take the first for what a crash left.
                found["SENTINEL_HOME"] += f"-{number}"
        found |= {"PGHOST": "127.0.0.1", "PGPORT": str(self.ports["postgres"])} if name == "postgres" else {}
        found |= {"REDIS_PORT": str(self.ports["redis"])} if name == "redis" else {}
        return {**found, "PATH": self._path, "HOME": str(self.folder), "PYTHONPATH": str(project_root())}

    def health_check(self, name: str, number: int = 1) -> list[str]:
        """Return the command that says by its exit code whether a service's replica is well."""
        kind, *words = self.services[name]["healthcheck"]["test"]
        command = ["sh", "-c", *words] if kind == "CMD-SHELL" else words
        if name == BALANCER:
            return [word.replace("127.0.0.1:8000", f"127.0.0.1:{self.ports[BALANCER]}") for word in command]
        where = address(number) if name == "api" else "127.0.0.1"
        return [self._here(word, number).replace("127.0.0.1", where) for word in command]

    def balancer_file(self, names_port: int) -> Path:
        """Write the balancer's configuration with the ports of this machine and the port of its DNS server."""
        source, _, _ = self.services[BALANCER]["volumes"][0].partition(":")
        text = (project_root() / source).read_text(encoding="utf-8")
        for there, here in {
            "bind :8000": f"bind 127.0.0.1:{self.ports[BALANCER]}",
            "127.0.0.11:53": f"127.0.0.1:{names_port}",
            "api:8000": f"api:{self.ports['api']}",
        }.items():
            assert there in text
            text = text.replace(there, here)
        (self.folder / "haproxy.cfg").write_text(text)
        return self.folder / "haproxy.cfg"

    def _here(self, text: str, number: int) -> str:
        """Turn the names, ports and folders of containers into those of this machine."""
        for name, port in _PORTS.items():
            text = re.sub(rf"\b(?:{name}|localhost|127\.0\.0\.1):{port}\b", f"127.0.0.1:{self.ports[name]}", text)
            text = "127.0.0.1" if text == name else text
        if text == "0.0.0.0":  # noqa: S104
            return "127.0.0.1"
        text = text.replace("/var/lib/sentinel", str(self.folder / "volume"))
        return text.replace("/tmp/bentoml", str(self.folder / f"tmp-{number}"))  # noqa: S108
