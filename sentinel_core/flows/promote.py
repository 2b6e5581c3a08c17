"""Promote: the gate decides whether the registered version goes to Production; either way the training ends here."""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from sentinel_core.flows import Progress, silent
from sentinel_core.flows.gate import judge_version
from sentinel_core.flows.moves import recorder
from sentinel_core.flows.register import ACTOR
from sentinel_core.flows.runs import close_pipeline_run, step_of
from sentinel_core.flows.state import write_last_training
from sentinel_core.flows.train import BUNDLE
from sentinel_core.registry import promotion
from sentinel_core.registry.tracking import log_facts, log_files
from sentinel_core.settings import Settings
from sentinel_core.stores.alerts import Alert, record_alert
from sentinel_core.stores.audit import record_act
from sentinel_core.stores.postgres import connected, make_engine
from sentinel_core.training.gate import Verdict

BOTH_FAIL: Final = "champion_and_challenger_below_floors"
_log: Final = logging.getLogger(__name__)


def promote_if_good(
    settings: Settings,
    registered: Mapping[str, Any],
    *,
    now: datetime,
    repeated: bool = False,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Judge what `register_best` returned; return {"version", "model", "promoted", "verdict", "bundle", …}.

    A version that passes the gate moves to Production, the one before it to Archived, with the verdict in the table
    `promotions`. One that fails or is held stays in Staging, and the table `audit` says why. The verdict is logged with
    the version's run in MLflow. With `repeated` an attempt is made even where the labels were judged on before. Either
    way SENTINEL_HOME/state/last_training.json tells whoever comes next.
    """
    best, run = registered["best"], str(registered["run"])
    with step_of(settings, run):
        verdict = judge_version(settings, registered, repeated=repeated, now=now, progress=progress)
        for line in verdict.table().splitlines():
            progress(line)
        if verdict.passed:
            version = _promote(settings, registered["version"], verdict, now)
        else:
            version = promotion.find_version(settings, registered["version"])
            _record_failure(settings, version.name, verdict, now)
        _log_verdict(settings, str(best["run_id"]), verdict)
        gate = {"gate": "passed" if verdict.passed else verdict.outcome, "model_version": version.name}
        log_facts(settings, run, params={}, metrics={}, tags=gate)
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


def _promote(settings: Settings, name: str, verdict: Verdict, now: datetime) -> promotion.Version:
    reason = f"passed the gate of the profile {verdict.profile}: {verdict.reason}"
    with recorder(settings, now) as record:
        version = promotion.find_version(settings, name)
        if version.stage == "Production":
            return version
        return promotion.move(
            settings, version, "Production", actor=ACTOR, reason=reason, record=record, verdict=verdict.to_dict()
        )


def _log_verdict(settings: Settings, run_id: str, verdict: Verdict) -> None:
    """Put the verdict beside the model: gate.json, the same as text, and tags."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "gate.json").write_text(json.dumps(verdict.to_dict(), indent=1) + "\n", encoding="utf-8")
        (Path(folder) / "gate.txt").write_text(verdict.table() + "\n", encoding="utf-8")
        log_files(settings, run_id, Path(folder))
    log_facts(settings, run_id, params={}, metrics={}, tags={"gate": verdict.outcome, "gate_reason": verdict.reason})


def _record_failure(settings: Settings, version: str, verdict: Verdict, now: datetime) -> None:
    engine = make_engine(settings)
    reason = f"stays in Staging: {verdict.reason}"
    try:
        with connected(engine) as conn:
            record_act(
                conn, actor=ACTOR, action="gate", subject=version, reason=reason, at=now, details=verdict.to_dict()
            )
            if verdict.alert:
                _log.warning("%s", verdict.alert)
                record_alert(
                    conn,
                    Alert(
                        rule=BOTH_FAIL,
                        severity="high",
                        state="firing",
                        metric="floors",
                        actor=ACTOR,
                        reason=verdict.alert,
                        created_at=now,
                        details={"champion": verdict.champion, "challenger": version},
                    ),
                )
    finally:
        engine.dispose()
