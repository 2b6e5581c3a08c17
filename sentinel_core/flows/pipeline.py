"""The whole training in one process: the steps of the DAG `fraud_training`, in its order."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from sentinel_core.flows import Progress, silent
from sentinel_core.flows.evaluate import compare
from sentinel_core.flows.features import build_features
from sentinel_core.flows.ingest import Request, make_snapshot
from sentinel_core.flows.package import build_bento
from sentinel_core.flows.promote import promote_if_good
from sentinel_core.flows.register import register_best
from sentinel_core.flows.train import train_candidate
from sentinel_core.flows.trainings import ActiveRuns, holding_training
from sentinel_core.flows.validate import validate_snapshot
from sentinel_core.settings import Settings
from sentinel_core.training.candidates import CANDIDATES

MODELS: Final = tuple(CANDIDATES)


def _utc_now() -> datetime:
    return datetime.now(UTC)


class TrainingPipeline:
    """Trains, compares, registers, promotes and packages; PostgreSQL and MLflow must be there.

    One training at a time: `active` counts the DAG's runs in Airflow, where it can be asked (`flows.trainings`).

    >>> TrainingPipeline(settings).run(n_samples=100_000, model_type="random_forest")  # doctest: +SKIP
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Callable[[], datetime] = _utc_now,
        active: ActiveRuns | None = None,
        progress: Progress = silent,
    ) -> None:
        self._settings = settings
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
        are given, settings are searched inside the train part. `repeated` is as for `judge_version`. Returns what
        `promote_if_good` does, with the Bento's tag and the seconds of each step. Raises what the steps raise.
        """
        names = [models] if isinstance(models, str) else list(models or MODELS)
        by_model = {names[0]: hyperparams or {}} if len(names) == 1 else dict(hyperparams or {})
        settings, now, tell = self._settings, self._clock, self._progress
        step = _Stopwatch()
        run = run or f"process__{now().isoformat()}"
        with holding_training(settings, request, run=run, clock=now, active=self._active) as training:
            snapshot = step("ingest", make_snapshot, settings, request, now=now(), progress=tell)
            training.stands_on(snapshot, now())
            step("validate", validate_snapshot, settings, snapshot, progress=tell)
            jobs = step("features", build_features, settings, snapshot, models=names, progress=tell)
            candidates = []
            for job in jobs:
                how = {"seed": request.seed, "hyperparameters": by_model.get(job["model"]), "searched": searched}
                name = f"train {job['model']}"
                candidates.append(step(name, train_candidate, settings, job, **how, now=now(), progress=tell))
            comparison = step("evaluate", compare, settings, candidates, progress=tell)
            registered = step("register", register_best, settings, comparison, now=now(), progress=tell)
            judged = step("promote", promote_if_good, settings, registered, repeated=repeated, now=now(), progress=tell)
            training.judged = judged
            packaged = step("package", build_bento, settings, judged, progress=tell)
        return {**judged, "tag": packaged["tag"], "seconds": step.seconds}


class _Stopwatch:
    """Calls steps and keeps their seconds."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def __call__(self, name: str, function: Callable[..., Any], *given: Any, **named: Any) -> Any:
        begun = time.perf_counter()
        result = function(*given, **named)
        self.seconds[name] = round(time.perf_counter() - begun, 2)
        return result
