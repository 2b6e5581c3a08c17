"""The gate, from stores and registry: what is judged, against what, in which attempt; and the record of it."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection

from sentinel_core.errors import BundleError
from sentinel_core.evaluation.judge import Interval
from sentinel_core.evaluation.metrics import average_precision
from sentinel_core.flows import Progress
from sentinel_core.flows.holdout import Holdout, hold_contest, load_holdout, scoring_ms
from sentinel_core.flows.register import ACTOR
from sentinel_core.flows.train import BUNDLE, read_facts
from sentinel_core.flows.validate import is_valid
from sentinel_core.registry.bundle import LoadedBundle, load_bundle
from sentinel_core.registry.rest import MlflowRegistry
from sentinel_core.settings import Settings
from sentinel_core.stores.alerts import Alert, record_alert
from sentinel_core.stores.audit import record_act
from sentinel_core.stores.gate_attempts import GateAttempt, attempt_of, attempts_on, record_attempt
from sentinel_core.stores.postgres import connected, make_engine, take_turns
from sentinel_core.training.fit import train_candidate as fit
from sentinel_core.training.gate import AMOUNT, NO_MODEL, Circumstances, judge_challenger, judge_first
from sentinel_core.training.verdict import Verdict

BASELINE: Final = "logistic_regression"
BOTH_FAIL: Final = "champion_and_challenger_below_floors"
_log: Final = logging.getLogger(__name__)


def judge_version(
    settings: Settings, registered: Mapping[str, Any], *, repeated: bool, now: datetime, progress: Progress
) -> Verdict:
    """Judge what `register_best` returned and append the attempt to `gate_attempts`; a version is judged once.

    With a model in Production it is judged against that one. A second attempt on a label-day is held, unless
    `repeated` says that it should be made and pay for it. In the same transaction, `audit` says why a version stays
    where it is, and `alerts` that neither model reaches the floors. Raises `RegistryError` or `StoreError` where MLflow
    or PostgreSQL is away.
    """
    engine = make_engine(settings)
    version = str(registered["version"])
    try:
        # Two trainings that end at once do not have the same number.
        with connected(engine) as conn:
            take_turns(conn, f"the gate of {settings.model_name}")
            earlier = attempt_of(conn, settings.model_name, version)
            if earlier is not None:
                return Verdict.from_dict(earlier["verdict"])
            holdout = load_holdout(settings, str(registered["best"]["features"]))
            tried = attempts_on(conn, settings.model_name, holdout.lineage, holdout.start, holdout.end)
            verdict = _judge(settings, registered, holdout, tried, repeated, progress)
            _record(conn, settings, version, holdout, verdict, now)
        return verdict
    finally:
        engine.dispose()


def _judge(
    settings: Settings,
    registered: Mapping[str, Any],
    holdout: Holdout,
    tried: Sequence[Mapping[str, Any]],
    repeated: bool,
    progress: Progress,
) -> Verdict:
    with tempfile.TemporaryDirectory() as folder:
        champion, name, why = _champion(settings, Path(folder) / BUNDLE)
        if name is None or champion is None:
            alone = judge_as_first(settings, registered, holdout, why=why)
            return replace(alone, champion=name, attempt=len(tried) + 1)
        same_day = [one for one in tried if one["label_day"] == holdout.label_day]
        if same_day and not repeated:
            return _held(holdout, name, str(same_day[-1]["model_version"]))
        progress(f"comparing with {name} on rows that neither has seen")
        challenger = load_bundle(Path(registered["best"]["folder"]) / BUNDLE)
        return judge_challenger(
            holdout.profile,
            holdout.floors,
            _metrics(registered),
            hold_contest(settings, holdout, challenger, champion),
            _circumstances(settings, challenger, holdout),
            champion=name,
            attempt=len(tried) + 1,
        )


def judge_as_first(
    settings: Settings, compared: Mapping[str, Any], holdout: Holdout, *, why: str = NO_MODEL
) -> Verdict:
    """Judge the best of what `compare` or `register_best` returned where there is no model to compare it with."""
    model = load_bundle(Path(compared["best"]["folder"]) / BUNDLE)
    return judge_first(
        holdout.profile,
        holdout.floors,
        _metrics(compared),
        partial(_baselines, compared, holdout),
        _circumstances(settings, model, holdout),
        why=why,
        hold=settings.first_model == "hold",
    )


def _metrics(compared: Mapping[str, Any]) -> dict[str, Interval]:
    figures = read_facts(compared["best"]["folder"])["metrics"]["test"]
    return {name: Interval(**figure) for name, figure in figures.items()}


def _circumstances(settings: Settings, model: LoadedBundle, holdout: Holdout) -> Circumstances:
    return Circumstances(
        latency_ms=scoring_ms(model, holdout),
        latency_budget_ms=settings.gate_latency_ms,
        validated=is_valid(settings, holdout.features.snapshot.id),
    )


def _held(holdout: Holdout, champion: str, earlier: str) -> Verdict:
    reason = (
        f"{earlier} was judged on labels up to those of {holdout.label_day}: another look at the same rows proves"
        f" nothing. The next day's are mature from {holdout.next_label_day:%Y-%m-%d %H:%M} UTC: train again then, or"
        " ask for a repeated attempt, which pays for it"
    )
    return Verdict(holdout.profile, "hold", reason, (), champion)


def _champion(settings: Settings, folder: Path) -> tuple[LoadedBundle | None, str | None, str]:
    """Load what is in Production; return it with its name, or why it cannot be compared with."""
    with MlflowRegistry.of(settings) as registry:
        version = registry.production_version()
        if version is None:
            return None, None, NO_MODEL
        registry.download(version, folder)
    try:
        return load_bundle(folder), version.name, ""
    except BundleError as error:
        # The service refuses it for the same reason: holding on to it would protect nothing.
        return None, version.name, f"{version.name} in Production cannot be loaded by this release: {error.args[0]}"


def _baselines(registered: Mapping[str, Any], holdout: Holdout) -> dict[str, float]:
    """PR-AUC on the test part of the amount alone, and of a plain logistic regression where that is not the model."""
    data, test = holdout.data, holdout.split.test
    found = {AMOUNT: average_precision(data.fraud_at(test), data.cents[test], data.weight_at(test))}
    if registered["best"]["model"] != BASELINE:
        trained = [row["pr_auc"] for row in registered["table"] if row["model"] == BASELINE]
        plain = trained[0] if trained else fit(BASELINE, data, seed=0, folds=2).metrics["test"]["pr_auc"].value
        found["a logistic regression"] = plain
    return found


def _record(
    conn: Connection, settings: Settings, version: str, holdout: Holdout, verdict: Verdict, now: datetime
) -> None:
    attempt = GateAttempt(
        model_name=settings.model_name,
        model_version=version,
        champion_version=verdict.champion,
        lineage=holdout.lineage,
        holdout_start=holdout.start,
        holdout_end=holdout.end,
        label_day=holdout.label_day,
        number=verdict.attempt,
        error_rate=verdict.error_rate,
        outcome=verdict.outcome,
        verdict=verdict.to_dict(),
        created_at=now,
    )
    record_attempt(conn, attempt)
    if not verdict.passed:
        reason = f"stays in Staging: {verdict.reason}"
        details = verdict.to_dict()
        record_act(conn, actor=ACTOR, action="gate", subject=version, reason=reason, at=now, details=details)
    if verdict.warning:
        _log.warning("%s: %s", version, verdict.warning)
    if verdict.alert:
        _log.warning("%s", verdict.alert)
        alert = Alert(
            rule=BOTH_FAIL,
            severity="high",
            state="firing",
            metric="floors",
            actor=ACTOR,
            reason=verdict.alert,
            created_at=now,
            details={"champion": verdict.champion, "challenger": version},
        )
        record_alert(conn, alert)
