"""The whole training in one process: the steps of the DAG `fraud_training`, in its order."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from sentinel_core.flows import Progress, artifacts, silent
from sentinel_core.flows.evaluate import compare
from sentinel_core.flows.features import build_features
from sentinel_core.flows.ingest import Request, make_snapshot
from sentinel_core.flows.job import TrainingJob
from sentinel_core.flows.package import build_bento
from sentinel_core.flows.promote import promote_if_good
from sentinel_core.flows.register import register_best
from sentinel_core.flows.train import train_candidate
from sentinel_core.flows.trainings import ActiveRuns, Held, holding_training
from sentinel_core.flows.validate import validate_snapshot
from sentinel_core.settings import Settings, load_settings
from sentinel_core.training.candidates import CANDIDATES

MODELS: Final = tuple(CANDIDATES)


def _utc_now() -> datetime:
    return datetime.now(UTC)


class TrainingPipeline:
    """Trains and compares models; with MLflow it also registers, promotes and packages the best one.

    With `use_mlflow`, PostgreSQL and MLflow must be there, as the settings name them. Without it no server and nothing
    in SENTINEL_HOME is needed: all that is made meanwhile lies in a hidden folder of `output_dir`.

    `output_dir` gets the best model, its metrics, importances and report (`flows.artifacts`); without one they are in
    MLflow alone, and without MLflow in `artifacts`. `settings` are by default those of the environment and .env.
    One training at a time is run with MLflow: `active` counts the DAG's runs in Airflow, where it can be asked.

    >>> pipeline = TrainingPipeline(output_dir="artifacts", use_mlflow=False)
    >>> pipeline.run(n_samples=100_000, model_type="random_forest")["metrics"]["test"]["pr_auc"]  # doctest: +SKIP
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        output_dir: Path | str | None = None,
        use_mlflow: bool = True,
        clock: Callable[[], datetime] = _utc_now,
        active: ActiveRuns | None = None,
        progress: Progress = silent,
    ) -> None:
        self._given = settings
        self._output = output_dir if output_dir is not None or use_mlflow else artifacts.DEFAULT
        self._use_mlflow = use_mlflow
        self._active = active
        self._clock = clock
        self._progress = progress

    def run(
        self,
        n_samples: int = 100_000,
        fraud_rate: float = 0.02,
        model_type: str | Sequence[str] = MODELS,
        hyperparams: Mapping[str, Any] | None = None,
        *,
        seed: int = 0,
        searched: bool = True,
    ) -> dict[str, Any]:
        """Train on generated transactions; arguments and result as for `run_on`."""
        request = Request(rows=n_samples, fraud_rate=fraud_rate, seed=seed)
        return self.run_on(request, models=model_type, hyperparams=hyperparams, searched=searched)

    def run_on(
        self,
        request: Request,
        *,
        models: str | Sequence[str] | None = None,
        hyperparams: Mapping[str, Any] | None = None,
        searched: bool = True,
        repeated: bool = False,
        run: str | None = None,
    ) -> dict[str, Any]:
        """Train one or several models on what `request` names; `run` names the training, by its time without one.

        `hyperparams` replace defaults of the model; for several models they are given by the model's name. Where none
        are given, settings are searched inside the train part. `repeated` is as for `judge_version`.

        Returns what `promote_if_good` does, with the Bento's tag, `model_version`, its `stage`, `metrics` by part, the
        `paths` of what lies in `output_dir`, and the seconds of each step. Without MLflow there is no version, stage,
        verdict and tag: they are None. Raises `DataError` for a source that cannot be read or an `output_dir` that
        cannot be written, `TrainingError` for a model, hyperparameter or too few rows, and what the steps raise.
        """
        job = TrainingJob.of(request, models or MODELS, hyperparams, searched)
        step = _Stopwatch()
        with self._output_folder() as output, self._settings(output) as settings:
            with self._taking_turns(settings, request, run) as training:
                comparison = self._compare(settings, job, training, step)
                if training is None:
                    outcome = _unregistered(comparison)
                else:
                    outcome = self._register(settings, comparison, training, step, repeated)
            folder = Path(comparison["best"]["folder"])
            metrics = artifacts.metrics_of(folder)
            paths = {} if output is None else artifacts.publish(output, folder, outcome)
        return {**outcome, "metrics": metrics, "paths": paths, "seconds": step.seconds}

    def _output_folder(self) -> Any:
        return nullcontext() if self._output is None else artifacts.opened(self._output)

    @contextmanager
    def _settings(self, output: Path | None) -> Iterator[Settings]:
        """Yield the settings; without MLflow their home is a folder that is gone afterwards."""
        settings = self._given or load_settings()
        if self._use_mlflow or output is None:
            yield settings
            return
        with artifacts.scratch(output) as home:
            yield settings.model_copy(update={"home": home})

    def _taking_turns(self, settings: Settings, request: Request, run: str | None) -> Any:
        if not self._use_mlflow:
            return nullcontext()
        run = run or f"process__{self._clock().isoformat()}"
        return holding_training(settings, request, run=run, clock=self._clock, active=self._active)

    def _compare(self, settings: Settings, job: TrainingJob, training: Held | None, step: _Stopwatch) -> dict[str, Any]:
        now, tell = self._clock, self._progress
        snapshot = step("ingest", make_snapshot, settings, job.request, now=now(), progress=tell)
        if training is not None:
            training.stands_on(snapshot, now())
        step("validate", validate_snapshot, settings, snapshot, progress=tell)
        names, tracked = list(job.hyperparams), training is not None
        tasks = step("features", build_features, settings, snapshot, models=names, tracked=tracked, progress=tell)
        candidates = []
        for task in tasks:
            given = job.hyperparams[task["model"]]
            how = {"seed": job.request.seed, "hyperparameters": given, "searched": job.searched}
            name = f"train {task['model']}"
            candidates.append(step(name, train_candidate, settings, task, **how, now=now(), progress=tell))
        compared: dict[str, Any] = step("evaluate", compare, settings, candidates, progress=tell)
        return compared

    def _register(
        self,
        settings: Settings,
        comparison: Mapping[str, Any],
        training: Held,
        step: _Stopwatch,
        repeated: bool,
    ) -> dict[str, Any]:
        now, tell = self._clock, self._progress
        registered = step("register", register_best, settings, comparison, now=now(), progress=tell)
        judged = step("promote", promote_if_good, settings, registered, repeated=repeated, now=now(), progress=tell)
        training.judged = judged
        packaged = step("package", build_bento, settings, judged, progress=tell)
        stage = "Production" if judged["promoted"] else "Staging"
        return {**judged, "tag": packaged["tag"], "model_version": judged["version"], "stage": stage}


def _unregistered(comparison: Mapping[str, Any]) -> dict[str, Any]:
    """Return the outcome of a training that MLflow does not know, in the form of `promote_if_good`."""
    best = comparison["best"]
    unknown = ("version", "number", "verdict", "run_id", "mlflow_url", "tag", "model_version", "stage", "bundle")
    return {
        **dict.fromkeys(unknown),
        "model": best["model"],
        "promoted": False,
        "snapshot": str(best["features"]).partition("-")[0],
        "table": comparison["table"],
    }


class _Stopwatch:
    """Calls steps and keeps their seconds."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def __call__(self, name: str, function: Callable[..., Any], *given: Any, **named: Any) -> Any:
        begun = time.perf_counter()
        result = function(*given, **named)
        self.seconds[name] = round(time.perf_counter() - begun, 2)
        return result
