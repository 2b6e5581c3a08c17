"""Training's side of MLflow: runs with parameters, metrics, artifacts and the model of a bundle."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sentinel_core.settings import Settings

if TYPE_CHECKING:
    from mlflow import MlflowClient

EXPERIMENT: Final = "fraud_training"
MODEL_ARTIFACT: Final = "model"
_VARIABLE: Final = "MLFLOW_TRACKING_URI"
_PARENT_TAG: Final = "mlflow.parentRunId"
_REQUIREMENTS: Final = ("mlflow", "numpy", "onnxruntime", "pandas", "pydantic")


def client(settings: Settings) -> MlflowClient:
    """Return MLflow's own client for the settings' server."""
    _quieten()
    from mlflow import MlflowClient as Client

    return Client(tracking_uri=settings.mlflow_tracking_uri, registry_uri=settings.mlflow_tracking_uri)


def experiment_id(settings: Settings) -> str:
    """Return the id of the experiment of all trainings, created where it is absent."""
    mlflow = client(settings)
    experiment = mlflow.get_experiment_by_name(EXPERIMENT)
    return str(experiment.experiment_id) if experiment is not None else _create_experiment(mlflow)


@contextmanager
def mlflow_run(
    settings: Settings, name: str, *, parent: str | None = None, tags: Mapping[str, str] | None = None
) -> Iterator[str]:
    """Open a run, a child of `parent` where one is given, and yield its id.

    It ends FINISHED, or FAILED where the body raises; MLflow keeps its start, duration and status.
    """
    mlflow = client(settings)
    identity = experiment_id(settings)
    parents = {_PARENT_TAG: parent} if parent else {}
    run = mlflow.create_run(identity, run_name=name, tags={**(tags or {}), **parents})
    status = "FAILED"
    try:
        yield run.info.run_id
        status = "FINISHED"
    finally:
        mlflow.set_terminated(run.info.run_id, status)


def log_facts(
    settings: Settings, run_id: str, *, params: Mapping[str, Any], metrics: Mapping[str, float], tags: Mapping[str, str]
) -> None:
    """Add parameters, metrics and tags to a run, in one call."""
    from mlflow.entities import Metric, Param, RunTag

    now = int(datetime.now(UTC).timestamp() * 1000)
    client(settings).log_batch(
        run_id,
        metrics=[Metric(name, float(value), now, 0) for name, value in metrics.items()],
        params=[Param(name, str(value)) for name, value in params.items()],
        tags=[RunTag(name, value) for name, value in tags.items()],
    )


def log_files(settings: Settings, run_id: str, folder: Path, *, under: str | None = None) -> None:
    """Add every file of a folder to a run's artifacts."""
    client(settings).log_artifacts(run_id, str(folder), artifact_path=under)


def log_file(settings: Settings, run_id: str, file: Path) -> None:
    """Add one file to a run's artifacts, in the place of an earlier one of its name."""
    client(settings).log_artifact(run_id, str(file))


def log_bundle(settings: Settings, run_id: str, bundle: Path) -> str:
    """Log a bundle as the run's model and return the model's URI.

    `bundle` must be a folder named `bundle`: under that name the service finds it again. The model is code and
    ONNX (`pyfunc_model`), with the requirements that it needs stated, not inferred.
    """
    _quieten()
    import mlflow
    from mlflow.pyfunc import log_model

    with warnings.catch_warnings(), _tracking_at(settings.mlflow_tracking_uri):
        # MLflow asks for an input example and for type hints; the bundle's self-check stands in for both.
        warnings.simplefilter("ignore", UserWarning)
        with mlflow.start_run(run_id=run_id):
            logged = log_model(
                name=MODEL_ARTIFACT,
                python_model=str(Path(__file__).with_name("pyfunc_model.py")),
                artifacts={"bundle": str(bundle)},
                pip_requirements=[f"{package}=={version(package)}" for package in _REQUIREMENTS],
            )
    return str(logged.model_uri)


@contextmanager
def _tracking_at(uri: str) -> Iterator[None]:
    """Let MLflow's fluent calls go to a server; MLflow writes it into the environment, where settings are read."""
    import mlflow

    before = os.environ.get(_VARIABLE)
    mlflow.set_tracking_uri(uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(before)
        if before is None:
            os.environ.pop(_VARIABLE, None)


def _quieten() -> None:
    """Keep MLflow's remarks off stdout, which belongs to --json, and its progress bars out of the logs."""
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    logging.getLogger("mlflow").setLevel(logging.WARNING)


def _create_experiment(mlflow: MlflowClient) -> str:
    from mlflow.exceptions import RestException

    try:
        return str(mlflow.create_experiment(EXPERIMENT))
    except RestException:
        # Another task created it in the same moment.
        return str(mlflow.get_experiment_by_name(EXPERIMENT).experiment_id)
