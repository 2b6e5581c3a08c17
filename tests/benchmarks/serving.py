"""The scoring service beside what else one could serve the model with, on the same machine in one run.

Ours is the full path: histories of four entities, features, model, durable log. The others score and forget. Each is
driven in rounds, so that a busy minute of the machine falls on all of them; the medians over the rounds are reported.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import numpy as np
import pandas as pd
import psutil

from sentinel_core.local.environment import QUIET
from sentinel_core.local.ports import free_port
from sentinel_core.settings import Settings, load_settings
from sentinel_core.stores.postgres import migrate
from tests.benchmarks.load import drive
from tests.benchmarks.plain import COLUMNS
from tests.conftest import Servers, running_servers
from tests.registry.bundles import tiny_bundle
from tests.serving.conftest import Service, serving

ROUNDS: Final = 3
SECONDS: Final = 5.0
ROOT: Final = Path(__file__).parents[2]


@dataclass(frozen=True)
class Rival:
    """A running server: where it takes which body."""

    url: str
    path: str
    body: str


def run() -> dict[str, Any]:
    """Return requests a second and percentiles of each server, by load."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        home = Path(folder)
        servers = stack.enter_context(running_servers(home))
        # One after the other: together they would not leave each other the two cores.
        with service_alone(home, servers) as ours:
            own = Rival(ours.url, "/api/v1/predict", "transaction")
            figures = {"ours": _loads(own)}
            retry, batch = Rival(ours.url, own.path, "retry"), Rival(ours.url, f"{own.path}/batch", "batch")
            figures["ours"]["cached_retry_1_client"] = _rounds(retry, clients=1)
            figures["ours"]["batch_of_100_1_client"] = _rounds(batch, clients=1)
            figures["ours"]["worker_mb"] = max(megabytes(one) for one in ours.workers())
        for name, start in (("noop_bentoml", _noop), ("plain_bentoml", _plain), ("mlflow", _mlflow)):
            with start(home) as rival:
                figures[name] = _loads(rival)
    return figures | {"ratios": _ratios(figures)}


def _loads(rival: Rival) -> dict[str, Any]:
    return {f"{clients}_clients": _rounds(rival, clients=clients) for clients in (1, 32)}


def _rounds(rival: Rival, *, clients: int) -> dict[str, float]:
    found = [drive(rival.url, rival.path, clients=clients, seconds=SECONDS, body=rival.body) for _ in range(ROUNDS)]
    return {name: round(statistics.median(one[name] for one in found), 3) for name in found[0]}


def _ratios(figures: dict[str, Any]) -> dict[str, float]:
    def rate(name: str, clients: int) -> float:
        return float(figures[name][f"{clients}_clients"]["requests_per_s"])

    return {
        "ours_over_mlflow_1_client": round(rate("ours", 1) / rate("mlflow", 1), 2),
        "ours_over_plain_bentoml_1_client": round(rate("ours", 1) / rate("plain_bentoml", 1), 2),
        "ours_over_noop_bentoml_32_clients": round(rate("ours", 32) / rate("noop_bentoml", 32), 2),
        "transactions_per_s_in_batches": round(100 * figures["ours"]["batch_of_100_1_client"]["requests_per_s"]),
    }


@contextmanager
def service_alone(home: Path, servers: Servers, **overrides: Any) -> Iterator[Service]:
    """Run the service with one worker and a small model, and its recorder."""
    with serving(_settings(home, servers, **overrides), workers=1) as running:
        yield running


def _settings(home: Path, servers: Servers, **overrides: Any) -> Settings:
    servers.execute("CREATE DATABASE bench")
    tiny_bundle(home / "bundle", model_version="v20260101_000000")
    settings = load_settings(
        None,
        home=home / "home",
        database_url_given=servers.database_url("bench"),
        redis_url_given=servers.redis_url,
        bundle=home / "bundle",
        serving_port=free_port(),
        **overrides,
    )
    migrate(settings)
    return settings


def _forest() -> Any:
    from sklearn.ensemble import RandomForestClassifier

    random = np.random.default_rng(0)
    frame = pd.DataFrame(random.normal(size=(5000, len(COLUMNS))), columns=COLUMNS)
    return RandomForestClassifier(100, max_depth=12, random_state=0).fit(frame, frame["f0"] + frame["f1"] > 1.5)


@contextmanager
def _noop(home: Path) -> Iterator[Rival]:
    with _bentoml(home, "tests.benchmarks.noop:NoopService") as url:
        yield Rival(url, "/noop/predict", "transaction")


@contextmanager
def _plain(home: Path) -> Iterator[Rival]:
    import skops.io

    skops.io.dump(_forest(), home / "forest.skops")
    with _bentoml(home, "tests.benchmarks.plain:PlainService", PLAIN_MODEL=str(home / "forest.skops")) as url:
        yield Rival(url, "/predict", "row")


@contextmanager
def _mlflow(home: Path) -> Iterator[Rival]:
    import mlflow.sklearn

    mlflow.sklearn.save_model(_forest(), home / "forest", skops_trusted_types=["sklearn.tree._tree.Tree"])
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "models", "serve", "--model-uri", str(home / "forest")]
    command += ["--env-manager", "local", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    with _running(command, home, f"http://127.0.0.1:{port}/ping"):
        yield Rival(f"http://127.0.0.1:{port}", "/invocations", "frame")


@contextmanager
def _bentoml(home: Path, target: str, **environment: str) -> Iterator[str]:
    port = free_port()
    command = [sys.executable, "-m", "bentoml", "serve", target, "--host", "127.0.0.1", "--port", str(port)]
    given = {"API_WORKERS": "1", "BENTOML_HOME": str(home / "bentoml"), **environment}
    with _running(command, home, f"http://127.0.0.1:{port}/livez", **given):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def _running(command: list[str], home: Path, ready: str, **environment: str) -> Iterator[None]:
    # MLflow calls uvicorn by its name.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    given = {**os.environ, **QUIET, "PATH": path, **environment}
    with (home / "rival.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=given, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 120
        while not _answers(ready):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command[2:5]} does not answer: {(home / 'rival.log').read_text()[-2000:]}")
            time.sleep(0.2)
        yield
    finally:
        if process.poll() is None:
            family = [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]
            for one in family:
                one.terminate()
            psutil.wait_procs(family, timeout=20)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def megabytes(process: psutil.Process) -> float:
    """Return the memory that a process has for itself."""
    return round(process.memory_full_info().uss / 1e6, 1)
