"""An MLflow server as a child process, with a SQLite file of its own: for what lives no longer than a command."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

import httpx

from sentinel_core.local.child import Child, start_child
from sentinel_core.local.environment import QUIET, without_proxy

_READY_SECONDS: Final = 180.0
"""Its imports take ten seconds, and several times that beside other work."""


def start_mlflow(home: Path, port: int) -> Child:
    """Start the server on 127.0.0.1 with its data in `home` and wait until it is well.

    Raises `LocalError` where it is not within 180 s. Its URI is http://127.0.0.1:<port>.
    """
    home.mkdir(parents=True, exist_ok=True)
    command = [
        *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", f"sqlite:///{home}/mlflow.db", "--serve-artifacts"),
        *("--artifacts-destination", (home / "artifacts").as_uri(), "--uvicorn-opts=--no-access-log"),
    ]
    return start_child(
        "MLflow",
        command,
        log=home / "mlflow.log",
        ready=lambda: _is_well(port),
        environment={**os.environ, **without_proxy(os.environ), **QUIET, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        seconds=_READY_SECONDS,
    )


def _is_well(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health", timeout=2, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False
