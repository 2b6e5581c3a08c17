"""A checkout of its own in an empty folder, with a home of its own and ports that nobody uses."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from sentinel_core.local.paths import project_root
from sentinel_core.local.ports import free_port
from sentinel_core.settings import Settings, load_settings

PORTS = (
    *("serving_port", "mlflow_port", "airflow_port", "explainer_port"),
    *("embedded_postgres_port", "embedded_redis_port"),
)
NAMES = {
    "postgres",
    "redis",
    "mlflow",
    "airflow-api-server",
    "airflow-scheduler",
    "airflow-dag-processor",
    "serving",
    "recorder",
    "explainer",
}
_FOREIGN = ("SENTINEL_", "DB_", "DATABASE_", "REDIS_", "MLFLOW_", "AIRFLOW_", "API_WORKERS", "PYTEST_")
_LEFT_OUT = (
    ".git",
    ".venv",
    ".venv.*",
    ".sentinel",
    ".env",
    ".bench",
    "__pycache__",
    ".*_cache",
    ".hypothesis",
    "htmlcov",
)


@dataclass(frozen=True)
class Checkout:
    """A copy of the working tree, and the commands that a newcomer gives in it."""

    root: Path
    settings: Settings
    environment: dict[str, str]

    @classmethod
    def make(cls, folder: Path) -> Self:
        """Copy the tree as a clone would have it; the environment is the one that these tests run in."""
        root = folder / "checkout"
        shutil.copytree(project_root(), root, ignore=shutil.ignore_patterns(*_LEFT_OUT))
        (root / ".venv").symlink_to(sys.prefix)
        home = root / ".sentinel"
        ports = {name: free_port() for name in PORTS}
        variables = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
        variables |= {f"SENTINEL_{name.upper()}": str(port) for name, port in ports.items()}
        # The environment has the original tree installed; the copy goes first.
        variables |= {"SENTINEL_HOME": str(home), "PYTHONPATH": str(root)}
        return cls(root, load_settings(None, home=home, **ports), variables)

    def make_up(self, rows: int, *flags: str) -> dict[str, Any]:
        """Give `make up`; return what it reports."""
        return dict(json.loads(self._run(self._up(rows, flags))))

    def first_make_up(self, rows: int, *flags: str) -> tuple[dict[str, Any], bool]:
        """Give the first `make up`; return what it reports, and whether the model reaches its floors.

        The data ends at the present hour, so on some days the best model misses one. It serves all the same.
        """
        arrival = self.make_up(rows, *flags)
        return arrival, arrival["warning"] is None

    @staticmethod
    def _up(rows: int, flags: Sequence[str]) -> list[str]:
        # -o: the environment is there, and installing the copy into it would bend it for everyone else.
        arguments = " ".join(("--rows", str(rows), "--json", *flags))
        return ["make", "--silent", "-o", ".venv/.installed", "up", f"ARGS={arguments}"]

    def sentinel(self, *arguments: str) -> Any:
        """Give `sentinel … --json`; return the document."""
        return json.loads(self._run([".venv/bin/sentinel", *arguments, "--json"]))

    def shell(self, command: str) -> str:
        """Give a line of a shell, as a document shows it."""
        return self._run(["bash", "-euo", "pipefail", "-c", command])

    def begin_up(self) -> subprocess.Popen[bytes]:
        """Start `sentinel up` and do not wait for it."""
        return subprocess.Popen(
            [".venv/bin/sentinel", "up"],
            cwd=self.root,
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def processes(self) -> dict[str, dict[str, Any]]:
        """Return `sentinel status --json` by name."""
        return {process["name"]: process for process in self.sentinel("status")["processes"]}

    def _try(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=self.root, env=self.environment, capture_output=True, text=True, check=False)

    def _run(self, command: list[str]) -> str:
        done = self._try(command)
        assert done.returncode == 0, f"{' '.join(command)}: {done.returncode}\n{done.stderr[-4000:]}\n{self._logs()}"
        return done.stdout

    def _logs(self) -> str:
        logs = sorted((self.root / ".sentinel" / "logs").glob("*.log"))
        return "\n".join(f"--- {log.name}\n{log.read_text(errors='replace')[-1500:]}" for log in logs)


def until(condition: Callable[[], bool], seconds: float) -> None:
    """Wait for what must come true; fail the test where it does not."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s in vain"
        time.sleep(0.2)


def kill(pid: int) -> None:
    """Kill a process as a crash would."""
    os.kill(pid, signal.SIGKILL)
