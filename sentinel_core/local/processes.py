"""Every process of the platform, declared once: `sentinel run NAME`, the supervisor and docker compose run the same.

A process is a command line, an environment, a place in the order of start and a question about its health.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

from sentinel_core.errors import LocalError
from sentinel_core.local import health, orphans
from sentinel_core.local.airflow import airflow_environment, write_passwords
from sentinel_core.local.environment import process_environment
from sentinel_core.local.lone_service import check_stores
from sentinel_core.local.paths import Layout
from sentinel_core.local.postgres import Cluster, become_postgres, make_cluster
from sentinel_core.local.redis import RedisServer, become_redis
from sentinel_core.local.secrets import ensure_secrets
from sentinel_core.settings import Settings

_PYTHON: Final = sys.executable


def _always(_: Settings) -> bool:
    return True


def _well_while_it_runs(_: Settings) -> bool:
    return True


def _nothing(_: Settings) -> None:
    return None


def _no_variables(_: Settings) -> Mapping[str, str]:
    return {}


@dataclass(frozen=True, slots=True)
class Process:
    """One process: what runs, where it listens, when it counts as healthy."""

    name: str
    title: str
    order: int
    """Place in the order of start; they stop in the reverse order, those of equal order together."""
    healthy: Callable[[Settings], bool]
    command: Callable[[Settings], list[str]]
    environment: Callable[[Settings], Mapping[str, str]] = _no_variables
    port: Callable[[Settings], int | None] = _nothing
    url: Callable[[Settings], str | None] = _nothing
    ours: Callable[[Settings], bool] = _always
    """Whether this process is ours to run, or somebody else runs it at a given URL."""
    prepare: Callable[[Settings], None] = _nothing
    become: Callable[[Settings], NoReturn] | None = None
    """How to turn into it where replacing this process by `command` is not enough."""
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: int = 15

    after: tuple[str, ...] = ()
    """Processes that have to be well before this one starts."""
    runs_with_airflow: bool | None = None
    """True: only with Airflow; False: only without it; None: in either case."""

    def wanted(self, settings: Settings, *, airflow: bool) -> bool:
        """Whether this start of the platform has to run it."""
        return self.ours(settings) and self.runs_with_airflow in (None, airflow)


def embedded_postgres(settings: Settings) -> Cluster:
    """Return the embedded PostgreSQL of a home; creates its data directory and password where absent."""
    password = ensure_secrets(settings)["postgres_password"]
    return make_cluster(settings.home, settings.embedded_postgres_port, password)


def embedded_redis(settings: Settings) -> RedisServer:
    """Return the embedded Redis of a home; creates its password where absent."""
    password = ensure_secrets(settings)["redis_password"]
    return RedisServer(Layout.of(settings).redis, settings.embedded_redis_port, password, settings.redis_appendfsync)


def _mlflow_command(settings: Settings) -> list[str]:
    artifacts = Layout.of(settings).mlflow_artifacts
    return [
        *(_PYTHON, "-m", "mlflow", "server", "--host", settings.host, "--port", str(settings.mlflow_port)),
        *("--workers", "1", "--serve-artifacts", "--artifacts-destination", artifacts.as_uri()),
        # Each worker of the service asks for the version in Production twice a second.
        "--uvicorn-opts=--no-access-log",
    ]


def _mlflow_environment(settings: Settings) -> Mapping[str, str]:
    return {
        # By the environment, since command lines are for everyone to read.
        "MLFLOW_BACKEND_STORE_URI": settings.database_url_for("mlflow"),
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }


def _make_artifacts(settings: Settings) -> None:
    Layout.of(settings).mlflow_artifacts.mkdir(parents=True, exist_ok=True)


def _airflow_command(*arguments: str) -> Callable[[Settings], list[str]]:
    return lambda _: [_PYTHON, "-m", "airflow", *arguments]


def _serving_command(settings: Settings) -> list[str]:
    checkout = str(Path(__file__).parents[2])
    return [
        *(_PYTHON, "-m", "bentoml", "serve", "serving.service:SentinelService", "--working-dir", checkout),
        *("--host", settings.host, "--port", str(settings.serving_port)),
    ]


def _serving_environment(settings: Settings) -> Mapping[str, str]:
    return {"BENTOML_HOME": str(settings.home / "bentoml"), "OMP_NUM_THREADS": "1"}


def _local(port: Callable[[Settings], int]) -> Callable[[Settings], str]:
    return lambda settings: f"http://127.0.0.1:{port(settings)}"


PROCESSES: Final[tuple[Process, ...]] = (
    Process(
        "postgres",
        "PostgreSQL",
        0,
        health.postgres_is_well,
        command=lambda _: [_PYTHON, "-m", "sentinel_core.cli", "run", "postgres"],
        port=lambda settings: settings.embedded_postgres_port,
        ours=lambda settings: settings.embedded_postgres,
        become=lambda settings: become_postgres(embedded_postgres(settings)),
        stop_signal=signal.SIGINT,
        stop_seconds=30,
    ),
    Process(
        "redis",
        "Redis",
        0,
        health.redis_is_well,
        command=lambda _: [_PYTHON, "-m", "sentinel_core.cli", "run", "redis"],
        port=lambda settings: settings.embedded_redis_port,
        ours=lambda settings: settings.embedded_redis,
        become=lambda settings: become_redis(embedded_redis(settings)),
        stop_seconds=30,
    ),
    Process(
        "mlflow",
        "MLflow",
        1,
        health.mlflow_is_well,
        _mlflow_command,
        _mlflow_environment,
        port=lambda settings: settings.mlflow_port,
        url=lambda settings: settings.mlflow_tracking_uri,
        ours=lambda settings: settings.embedded_mlflow,
        prepare=_make_artifacts,
        after=("postgres",),
    ),
    Process(
        "airflow-api-server",
        "Airflow, API and web",
        1,
        health.api_server_is_well,
        _airflow_command("api-server"),
        airflow_environment,
        port=lambda settings: settings.airflow_port,
        url=lambda settings: settings.airflow_address,
        prepare=write_passwords,
        after=("postgres",),
        runs_with_airflow=True,
    ),
    Process(
        "airflow-scheduler",
        "Airflow, scheduler",
        2,
        health.scheduler_is_well,
        # Logs are read from the disk that all parts share; the log server would listen on every address.
        _airflow_command("scheduler", "--skip-serve-logs"),
        airflow_environment,
        # One that wins the race against the API server fails its first tasks.
        after=("airflow-api-server",),
        runs_with_airflow=True,
    ),
    Process(
        "airflow-dag-processor",
        "Airflow, DAG processor",
        2,
        health.dag_processor_is_well,
        _airflow_command("dag-processor"),
        airflow_environment,
        after=("airflow-api-server",),
        runs_with_airflow=True,
    ),
    Process(
        "serving",
        "Scoring service",
        3,
        health.serving_is_well,
        _serving_command,
        _serving_environment,
        port=lambda settings: settings.serving_port,
        url=_local(lambda settings: settings.serving_port),
        prepare=check_stores,
        after=("postgres", "redis"),
    ),
    Process(
        "recorder",
        "Recorder",
        3,
        health.recorder_is_well,
        command=lambda _: [_PYTHON, "-m", "serving.recorder"],
        environment=lambda _: {"OMP_NUM_THREADS": "1"},
        prepare=check_stores,
        after=("postgres", "redis"),
    ),
    Process(
        "explainer",
        "Explain process",
        3,
        health.explainer_is_well,
        command=lambda _: [_PYTHON, "-m", "serving.explainer"],
        environment=lambda _: {"OMP_NUM_THREADS": "1"},
        port=lambda settings: settings.explainer_port,
        ours=lambda settings: not settings.explainer_url,
    ),
    Process(
        "risk-refresh",
        "Risk tables, live figures and alerts, by the clock",
        3,
        _well_while_it_runs,
        command=lambda _: [_PYTHON, "-m", "sentinel_core.local.nightly"],
        after=("postgres", "redis"),
        runs_with_airflow=False,
    ),
)
PROCESS: Final[Mapping[str, Process]] = {process.name: process for process in PROCESSES}


def run(settings: Settings, name: str) -> NoReturn:
    """Become a process: replace this one by it, in the foreground.

    Raises `LocalError` for an unknown name, and what stands in the way of an embedded server.
    """
    process = PROCESS.get(name)
    if process is None:
        raise LocalError(
            f"expected one of {', '.join(PROCESS)}, migrations or first-model, got {name!r}.",
            remedy="Name one of them.",
        )
    # What an earlier one left when it was killed would hold the port and answer in our place.
    orphans.reap(settings, name)
    process.prepare(settings)
    if process.become is not None:
        os.environ.update(process_environment(settings, name, {}))
        process.become(settings)
    command = process.command(settings)
    os.execve(command[0], command, process_environment(settings, name, process.environment(settings)))  # noqa: S606
