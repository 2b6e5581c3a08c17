"""Train: one candidate on a feature set, judged, bundled and logged as a nested run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from sentinel_core.evaluation.costs import Costs
from sentinel_core.features.catalog import FEATURE_NAMES
from sentinel_core.flows import Progress, silent
from sentinel_core.flows.bundling import write_bundle, write_report
from sentinel_core.flows.features import FeatureSet, load_feature_set
from sentinel_core.flows.findings import find
from sentinel_core.flows.runs import candidate_run, git_commit, run_url, step_of
from sentinel_core.registry.files import read_manifest
from sentinel_core.registry.tracking import log_bundle, log_facts, log_files
from sentinel_core.schema import MICROS_PER_SECOND, to_micros
from sentinel_core.settings import Settings
from sentinel_core.training.data import TrainingData
from sentinel_core.training.fit import TrainedCandidate
from sentinel_core.training.fit import train_candidate as fit
from sentinel_core.training.floors import profile_floors
from sentinel_core.training.threshold import Policy

FACTS: Final = "facts.json"
BUNDLE: Final = "bundle"
REPORT: Final = "report"


def train_candidate(
    settings: Settings,
    job: Mapping[str, Any],
    *,
    now: datetime,
    seed: int = 0,
    hyperparameters: Mapping[str, Any] | None = None,
    searched: bool = True,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Train the candidate of a job {"features", "model", "run"}; return the job with {"run_id", "mlflow_url", …}.

    Its settings are searched where none are given. Bundle, report and facts lie in SENTINEL_HOME/candidates/<run_id>,
    and are logged in a run of MLflow nested in the pipeline's; where the job has no run, nothing is logged. Raises
    `TrainingError` where the data cannot carry the model.
    """
    name, commit = str(job["model"]), git_commit(settings)
    features = load_feature_set(settings, job["features"])
    with (
        step_of(settings, job["run"]),
        candidate_run(settings, name, parent=job["run"], tags=_tags(features, name, commit)) as run_id,
    ):
        data = training_data(settings, features)
        trained = fit(
            name,
            data,
            seed=seed,
            hyperparameters=hyperparameters,
            searched=searched,
            progress=lambda step: progress(f"{name}: {step}"),
        )
        folder = settings.home / "candidates" / run_id
        findings = find(data, trained)
        manifest = write_bundle(folder / BUNDLE, settings, features, trained, findings, commit=commit, now=now)
        logged = {"run_id": None if job["run"] is None else run_id, "model_uri": None, "mlflow_url": None}
        write_report(folder / REPORT, manifest.model_copy(update={"run_id": logged["run_id"] or ""}), findings)
        (folder / FACTS).write_text(json.dumps(_facts(trained), indent=1) + "\n", encoding="utf-8")
        if job["run"] is not None:
            progress(f"{name}: logging in MLflow")
            logged |= _log(settings, run_id, folder, features, trained)
    return {**job, **logged, "bundle_hash": manifest.bundle_hash, "folder": str(folder)}


def _log(
    settings: Settings, run_id: str, folder: Path, features: FeatureSet, trained: TrainedCandidate
) -> dict[str, str]:
    """Log parameters, metrics, report and bundle with a run; return where MLflow has the model and the run."""
    used, vectors = {**trained.hyperparameters, "model": trained.algorithm}, _vectors(features)
    search = {"search": trained.search.note} if trained.search else {}
    log_facts(
        settings,
        run_id,
        params={**used, "seed": trained.seed, "rows": trained.rows, **vectors},
        metrics=_metrics(trained),
        tags={"bundle_hash": read_manifest(folder / BUNDLE).bundle_hash, **search},
    )
    log_files(settings, run_id, folder / REPORT)
    return {"model_uri": log_bundle(settings, run_id, folder / BUNDLE), "mlflow_url": run_url(settings, run_id)}


def training_data(settings: Settings, features: FeatureSet) -> TrainingData:
    """Hand a feature set to training, under the clock, label delay and floors of its snapshot and our policy."""
    manifest = features.snapshot.manifest
    return TrainingData(
        names=FEATURE_NAMES,
        values=features.values,
        categories=features.categories,
        user=features.user,
        time=features.time,
        is_fraud=features.is_fraud,
        known_at=features.known_at,
        cents=features.cents,
        as_of=to_micros(features.snapshot.as_of),
        label_delay=_micros_of_days(manifest["label_delay_days"]),
        is_fraud_true=features.is_fraud_true,
        weight=features.weight,
        stood_for=features.stood_for,
        floors=profile_floors(manifest["profile"], manifest["floors"]),
        policy=threshold_policy(settings),
        label_window=_micros_of_days(manifest["label_window_days"]) if "label_window_days" in manifest else None,
        logged_rows=None if features.logged is None else features.logged.rows,
    )


def _micros_of_days(days: float) -> int:
    return int(days * 86_400 * MICROS_PER_SECOND)


def threshold_policy(settings: Settings) -> Policy:
    """Return how scores become decisions here."""
    costs = Costs(settings.cost_loss, settings.cost_fee, settings.cost_false_alarm)
    return Policy(settings.threshold_policy, settings.alerts_a_day, costs)


def read_facts(folder: str) -> dict[str, Any]:
    """Read what a candidate reached: metrics by part with intervals, threshold, seconds."""
    facts: dict[str, Any] = json.loads((Path(folder) / FACTS).read_text(encoding="utf-8"))
    return facts


def _vectors(features: FeatureSet) -> dict[str, Any]:
    """Say how many vectors were logged, and how many features of these were computed again."""
    taken = features.logged
    return {} if taken is None else {"logged_rows": taken.rows, "recomputed_features": len(taken.recomputed)}


def _facts(trained: TrainedCandidate) -> dict[str, Any]:
    return {
        "model": trained.algorithm,
        "threshold": trained.threshold,
        "rows": trained.rows,
        "metrics": {
            part: {name: asdict(interval) for name, interval in figures.items()}
            for part, figures in trained.metrics.items()
        },
        "sizes": {part: len(rows) for part, rows in trained.split.parts().items()},
        "cross_validation": {name: list(figures) for name, figures in trained.cross_validation.items()},
        "hyperparameters": dict(trained.hyperparameters),
        "search": asdict(trained.search) if trained.search else None,
        "seconds": dict(trained.seconds),
        "onnx_difference": trained.onnx_difference,
    }


def _metrics(trained: TrainedCandidate) -> dict[str, float]:
    """Name every figure for MLflow: test_pr_auc, test_pr_auc_low, cv_pr_auc, seconds_fit, …; test's plainly too."""
    figures: dict[str, float] = {"threshold": trained.threshold, "onnx_difference": trained.onnx_difference}
    for part, metrics in trained.metrics.items():
        for name, interval in metrics.items():
            figures[f"{part}_{name}"] = interval.value
            figures[f"{part}_{name}_low"] = interval.low
            figures[f"{part}_{name}_high"] = interval.high
    figures |= {name: interval.value for name, interval in trained.metrics["test"].items()}
    for name, (mean, deviation) in trained.cross_validation.items():
        figures |= {f"cv_{name}": mean, f"cv_{name}_std": deviation}
    return figures | {f"seconds_{step}": seconds for step, seconds in trained.seconds.items()}


def _tags(features: FeatureSet, name: str, commit: str) -> dict[str, str]:
    manifest = features.snapshot.manifest
    return {
        "model": name,
        "snapshot": features.snapshot.id,
        "data_hash": manifest["content_hash"],
        "profile": manifest["profile"],
        "mlflow.source.git.commit": commit.partition("+")[0],
        "git_commit": commit,
    }
