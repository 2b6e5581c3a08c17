"""A real MLflow server for the registry's tests."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from sentinel_core.local.environment import QUIET
from sentinel_core.local.ports import free_port


@pytest.fixture(scope="session")
def mlflow_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URI of an MLflow server with its own SQLite database, as `make up` starts it otherwise."""
    home, port = tmp_path_factory.mktemp("mlflow"), free_port()
    command = [
        *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", f"sqlite:///{home}/mlflow.db", "--serve-artifacts"),
        *("--artifacts-destination", (home / "artifacts").as_uri()),
    ]
    environment = {**os.environ, **QUIET, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (home / "mlflow.log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=home, start_new_session=True)
    uri = f"http://127.0.0.1:{port}"
    try:
        _wait(uri, home / "mlflow.log", server)
        yield uri
    finally:
        os.killpg(server.pid, 15)
        server.wait(20)


def _wait(uri: str, log: Path, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and server.poll() is None:
        try:
            if httpx.get(f"{uri}/health", timeout=2).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise RuntimeError(f"MLflow did not come up:\n{log.read_text()[-2000:]}")
