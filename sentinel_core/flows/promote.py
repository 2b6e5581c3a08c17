"""Promote: the gate decides whether the registered version goes to Production; either way the training ends here."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from sentinel_core.evaluation.judge import Interval
from sentinel_core.evaluation.metrics import evaluate
from sentinel_core.flows import Progress, silent
from sentinel_core.flows.features import load_feature_set
from sentinel_core.flows.moves import recorder
from sentinel_core.flows.register import ACTOR
from sentinel_core.flows.runs import close_pipeline_run, step_of
from sentinel_core.flows.state import write_last_training
from sentinel_core.flows.train import BUNDLE, read_facts, training_data
from sentinel_core.registry import promotion
from sentinel_core.registry.tracking import log_facts
from sentinel_core.settings import Settings
from sentinel_core.stores.audit import record_act
from sentinel_core.stores.postgres import connected, make_engine
from sentinel_core.training.fit import train_candidate as fit
from sentinel_core.training.gate import Verdict, judge_baselines, judge_floors, profile_floors
from sentinel_core.training.split import time_split

BASELINE = "logistic_regression"


def promote_if_good(
    settings: Settings, registered: Mapping[str, Any], *, now: datetime, progress: Progress = silent
) -> dict[str, Any]:
    """Judge what `register_best` returned; return {"version", "model", "promoted", "verdict", "bundle", …}.

    A version that passes its profile's floors moves to Production, the one before it to Archived, with the verdict in
    the table `promotions`. One that fails stays in Staging, and the table `audit` says why. Either way
    SENTINEL_HOME/state/last_training.json tells whoever comes next.
    """
    best, run = registered["best"], str(registered["run"])
    with step_of(settings, run), recorder(settings, now) as record:
        verdict = _judge(settings, registered)
        for line in verdict.table().splitlines():
            progress(line)
        version = promotion.find_version(settings, registered["version"])
        if verdict.passed:
            reason = f"passed the gate of the profile {verdict.profile}"
            promotion.move(
                settings, version, "Production", actor=ACTOR, reason=reason, record=record, verdict=verdict.to_dict()
            )
        else:
            _record_failure(settings, version.name, verdict, now)
        tags = {"gate": "passed" if verdict.passed else "failed", "model_version": version.name}
        log_facts(settings, run, params={}, metrics={}, tags=tags)
        close_pipeline_run(settings, run)
    outcome = {
        "version": version.name,
        "number": version.number,
        "model": best["model"],
        "promoted": verdict.passed,
        "verdict": verdict.to_dict(),
        "snapshot": str(best["features"]).partition("-")[0],
        "bundle": str(Path(best["folder"]) / BUNDLE),
        "table": registered["table"],
        "run_id": best["run_id"],
        "mlflow_url": registered["mlflow_url"],
    }
    write_last_training(settings, {**outcome, "ended_at": now.isoformat()})
    return outcome


def _judge(settings: Settings, registered: Mapping[str, Any]) -> Verdict:
    best = registered["best"]
    features = load_feature_set(settings, best["features"])
    manifest = features.snapshot.manifest
    metrics = {name: Interval(**figure) for name, figure in read_facts(best["folder"])["metrics"]["test"].items()}
    floors = profile_floors(manifest["profile"], manifest["floors"])
    if floors:
        return judge_floors(manifest["profile"], floors, metrics)
    return judge_baselines(manifest["profile"], metrics["pr_auc"], _baselines(settings, registered))


def _baselines(settings: Settings, registered: Mapping[str, Any]) -> dict[str, float]:
    """PR-AUC on the test part of the amount alone, and of a plain logistic regression where that is not the model."""
    best = registered["best"]
    features = load_feature_set(settings, best["features"])
    data = training_data(settings, features)
    split = time_split(data.time, data.is_fraud, data.known_at, as_of=data.as_of, label_delay=data.label_delay)
    amounts = features.cents[split.test].astype(np.float64)
    baselines = {"the amount alone": evaluate(data.fraud_at(split.test), amounts, np.inf)["pr_auc"]}
    if best["model"] != BASELINE:
        trained = [row["pr_auc"] for row in registered["table"] if row["model"] == BASELINE]
        plain = trained[0] if trained else fit(BASELINE, data, seed=0, folds=2).metrics["test"]["pr_auc"].value
        baselines["a logistic regression"] = plain
    return baselines


def _record_failure(settings: Settings, version: str, verdict: Verdict, now: datetime) -> None:
    engine = make_engine(settings)
    try:
        with connected(engine) as conn:
            failed = ", ".join(check.name for check in verdict.checks if not check.passed)
            record_act(
                conn,
                actor=ACTOR,
                action="gate",
                subject=version,
                reason=f"stays in Staging: {failed} not above the floor of the profile {verdict.profile}",
                at=now,
                details=verdict.to_dict(),
            )
    finally:
        engine.dispose()
