"""The MLflow run of a pipeline: opened by one step, ended by a later one, FAILED where a step in between fails.

In Airflow each step is a process of its own; the run's id travels with the references.
"""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sentinel_core.registry.rest import MlflowRegistry
from sentinel_core.registry.tracking import client, experiment_id, mlflow_run
from sentinel_core.settings import Settings

CHECKOUT: Final = Path(__file__).parents[2]


def open_pipeline_run(settings: Settings, name: str, tags: Mapping[str, str]) -> str:
    """Open the run of a pipeline and return its id; it stays RUNNING until `close_pipeline_run`.

    Raises `RegistryError` where MLflow is away.
    """
    # MLflow's own client would try for minutes, and end in a traceback.
    with MlflowRegistry.of(settings) as registry:
        registry.aliases()
    run = client(settings).create_run(experiment_id(settings), run_name=name, tags=dict(tags))
    return str(run.info.run_id)


def close_pipeline_run(settings: Settings, run_id: str, status: str = "FINISHED") -> None:
    """End the run of a pipeline."""
    client(settings).set_terminated(run_id, status)


@contextmanager
def step_of(settings: Settings, run_id: str | None) -> Iterator[None]:
    """Mark the run of the pipeline FAILED where the body raises; the error passes. Without a run nothing is marked."""
    done = False
    try:
        yield
        done = True
    finally:
        if run_id is not None and not done:
            close_pipeline_run(settings, run_id, "FAILED")


@contextmanager
def candidate_run(settings: Settings, name: str, *, parent: str | None, tags: Mapping[str, str]) -> Iterator[str]:
    """Open a candidate's run, nested in the pipeline's, and yield its id; without MLflow an id that names no run."""
    if parent is None:
        yield uuid.uuid4().hex
        return
    with mlflow_run(settings, name, parent=parent, tags=tags) as run_id:
        yield run_id


def run_url(settings: Settings, run_id: str) -> str:
    """The page of a run in MLflow."""
    return f"{settings.mlflow_tracking_uri}/#/experiments/{experiment_id(settings)}/runs/{run_id}"


def git_commit(settings: Settings) -> str:
    """The commit of the code that runs, with +changes where files differ from it; "unknown" outside a checkout.

    SENTINEL_GIT_COMMIT wins: an image holds the code and not the repository.
    """
    if settings.git_commit:
        return settings.git_commit
    try:
        commit = _git("rev-parse", "HEAD")
        return f"{commit}+changes" if _git("status", "--porcelain", "--untracked-files=no") else commit
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(CHECKOUT), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
