"""Promote: the gate decides whether the registered version goes to Production; either way the training ends here."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from sentinel_core.flows import Progress, silent
from sentinel_core.flows.gate import judge_version
from sentinel_core.flows.moves import recorder
from sentinel_core.flows.register import ACTOR
from sentinel_core.flows.report import write_model_report
from sentinel_core.flows.runs import close_pipeline_run, step_of
from sentinel_core.flows.state import write_last_training
from sentinel_core.flows.train import BUNDLE
from sentinel_core.registry import promotion
from sentinel_core.registry.tracking import log_facts, log_files
from sentinel_core.reports.document import Document
from sentinel_core.reports.gate import gate_section
from sentinel_core.reports.markdown import to_markdown
from sentinel_core.settings import Settings
from sentinel_core.stores.audit import record_act
from sentinel_core.stores.postgres import connected, make_engine
from sentinel_core.training.verdict import Verdict


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
    `promotions`. One that fails or is held stays in Staging, and the table `audit` says why; so does one whose champion
    was replaced meanwhile, or that somebody moved. The verdict is logged with the version's run in MLflow, and shown in
    the model's report. With `repeated` an attempt is made even where the labels were judged on before. Either way
    SENTINEL_HOME/state/last_training.json tells whoever comes next. Called again, nothing is done twice.
    """
    best, run = registered["best"], str(registered["run"])
    with step_of(settings, run):
        verdict = judge_version(settings, registered, repeated=repeated, now=now, progress=progress)
        for line in verdict.table().splitlines():
            progress(line)
        version = promotion.find_version(settings, registered["version"])
        if verdict.passed:
            version = _promote(settings, version.name, verdict, now, progress)
        promoted = verdict.passed and version.stage == "Production"
        _log_verdict(settings, str(best["run_id"]), verdict)
        write_model_report(settings, str(best["run_id"]), version=version.name, verdict=verdict.to_dict())
        gate = {"gate": "passed" if verdict.passed else verdict.outcome, "model_version": version.name}
        log_facts(settings, run, params={}, metrics={}, tags=gate)
        close_pipeline_run(settings, run)
    outcome = {
        "version": version.name,
        "number": version.number,
        "model": best["model"],
        "promoted": promoted,
        "verdict": verdict.to_dict(),
        "snapshot": str(best["features"]).partition("-")[0],
        "bundle": str(Path(best["folder"]) / BUNDLE),
        "table": registered["table"],
        "run_id": best["run_id"],
        "mlflow_url": registered["mlflow_url"],
    }
    write_last_training(settings, {**outcome, "ended_at": now.isoformat()})
    return outcome


def _promote(settings: Settings, name: str, verdict: Verdict, now: datetime, progress: Progress) -> promotion.Version:
    """Move a version from Staging to Production, if that is still what the verdict was about."""
    with recorder(settings, now) as record:
        version = promotion.find_version(settings, name)
        if version.stage == "Production":
            return version
        serving = next((one.name for one in promotion.list_versions(settings) if one.stage == "Production"), None)
        if version.stage == "Staging" and serving == verdict.champion:
            reason = f"passed the gate of the profile {verdict.profile}: {verdict.reason}"
            return promotion.move(
                settings, version, "Production", actor=ACTOR, reason=reason, record=record, verdict=verdict.to_dict()
            )
    reason = (
        f"passed the gate against {verdict.champion or 'no model'}, but was not moved: it is in {version.stage}, and"
        f" {serving or 'no model'} in Production"
    )
    progress(f"{name} {reason}")
    engine = make_engine(settings)
    try:
        with connected(engine) as conn:
            record_act(conn, actor=ACTOR, action="gate", subject=name, reason=reason, at=now)
    finally:
        engine.dispose()
    return version


def _log_verdict(settings: Settings, run_id: str, verdict: Verdict) -> None:
    """Put the verdict beside the model: gate.json, gate.md, and tags."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "gate.json").write_text(json.dumps(verdict.to_dict(), indent=1) + "\n", encoding="utf-8")
        document = Document(f"The gate: {verdict.outcome}", verdict.reason, (gate_section(verdict.to_dict()),))
        (Path(folder) / "gate.md").write_text(to_markdown(document), encoding="utf-8")
        log_files(settings, run_id, Path(folder))
    tags = {"gate": verdict.outcome, "gate_reason": verdict.reason}
    tags |= {"gate_warning": verdict.warning} if verdict.warning else {}
    log_facts(settings, run_id, params={}, metrics={}, tags=tags)
