"""Register: the best candidate becomes a version of the registry, in Staging."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from sentinel_core.datasets.snapshot import load_snapshot
from sentinel_core.flows import Progress, silent
from sentinel_core.flows.moves import recorder
from sentinel_core.flows.runs import git_commit, step_of
from sentinel_core.flows.train import BUNDLE, read_facts
from sentinel_core.registry import promotion
from sentinel_core.registry.files import read_manifest
from sentinel_core.settings import Settings
from sentinel_core.stores.model_metrics import ModelMetrics, latest_metrics, record_metrics
from sentinel_core.stores.postgres import connected, make_engine

ACTOR: Final = "fraud_training"


def register_best(
    settings: Settings, comparison: Mapping[str, Any], *, now: datetime, progress: Progress = silent
) -> dict[str, Any]:
    """Register the best of a comparison and move it to Staging; return {"run", "version", "number", "best", "table"}.

    Its metrics go to the table `model_metrics`, with what leads back to run, snapshot and commit. Called again, it
    finds what it registered. Raises `RegistryError` or `StoreError` where MLflow or PostgreSQL is away.
    """
    best, run = comparison["best"], str(comparison["run"])
    with step_of(settings, run), recorder(settings, now) as record:
        versions = promotion.list_versions(settings)
        version = next((one for one in versions if _is_of(one, best)), None) or promotion.register(
            settings,
            model_uri=best["model_uri"],
            run_id=best["run_id"],
            name=promotion.unused_name(now, [one.name for one in versions]),
            bundle_hash=best["bundle_hash"],
            actor=ACTOR,
            record=record,
        )
        _record_metrics(settings, version.name, best, now)
        if version.stage == "None":
            reason = f"the best of {len(comparison['table'])} candidates on the calibration part"
            promotion.move(settings, version, "Staging", actor=ACTOR, reason=reason, record=record)
    progress(f"{version.name} ({best['model']}) is in Staging")
    return {
        "run": run,
        "version": version.name,
        "number": version.number,
        "best": best,
        "table": comparison["table"],
        "mlflow_url": f"{settings.mlflow_tracking_uri}/#/models/{settings.model_name}/versions/{version.number}",
    }


def _is_of(version: promotion.Version, best: Mapping[str, Any]) -> bool:
    return (version.run_id, version.bundle_hash) == (best["run_id"], best["bundle_hash"])


def _record_metrics(settings: Settings, version: str, best: Mapping[str, Any], now: datetime) -> None:
    facts = read_facts(best["folder"])
    snapshot = load_snapshot(settings.home, str(best["features"]).partition("-")[0])
    origin = {
        "algorithm": best["model"],
        "run_id": best["run_id"],
        "bundle_hash": best["bundle_hash"],
        "snapshot": snapshot.id,
        "content_hash": snapshot.manifest["content_hash"],
        "git_commit": git_commit(settings),
        "threshold": facts["threshold"],
        "warning": read_manifest(Path(best["folder"]) / BUNDLE).warning,
    }
    engine = make_engine(settings)
    try:
        with connected(engine) as conn:
            written = latest_metrics(conn, version)
            for part, figures in facts["metrics"].items():
                if part in written:
                    continue
                value = {name: figure["value"] for name, figure in figures.items()}
                row = ModelMetrics(
                    model_version=version,
                    model_name=settings.model_name,
                    split=part,
                    sample_size=facts["sizes"][part.partition("_")[0]],
                    created_at=now,
                    accuracy=value["accuracy"],
                    precision=value["precision"],
                    recall=value["recall"],
                    f1_score=value["f1"],
                    roc_auc=value["roc_auc"],
                    pr_auc=value["pr_auc"],
                    details={**origin, "intervals": figures},
                )
                record_metrics(conn, row)
    finally:
        engine.dispose()
