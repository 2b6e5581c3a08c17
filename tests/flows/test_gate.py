"""The gate's steps when they are called again, too late, or beside a champion that nobody can load."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from sentinel_core.flows.evaluate import compare
from sentinel_core.flows.features import build_features
from sentinel_core.flows.generate import write_generated
from sentinel_core.flows.ingest import Request, make_snapshot
from sentinel_core.flows.moves import move_version
from sentinel_core.flows.promote import promote_if_good
from sentinel_core.flows.register import register_best
from sentinel_core.flows.train import train_candidate
from sentinel_core.flows.validate import validate_snapshot
from sentinel_core.registry.bundle import load_bundle
from sentinel_core.registry.manifest import FeatureRef
from sentinel_core.registry.promotion import list_versions
from sentinel_core.registry.tracking import client, log_bundle
from sentinel_core.settings import Settings
from sentinel_core.stores.audit import list_acts
from sentinel_core.stores.gate_attempts import attempt_of
from sentinel_core.stores.model_metrics import latest_metrics
from sentinel_core.stores.promotions import list_promotions

NOW = datetime(2026, 6, 1, 10, 30, tzinfo=UTC)
pytestmark = pytest.mark.slow
FLOORS = "[floors]\nroc_auc = 0.5\n"


@pytest.fixture
def with_mlflow(settings: Settings, mlflow_uri: str) -> Settings:
    update = {"mlflow_tracking_uri_given": mlflow_uri, "model_name": settings.redis_namespace}
    return settings.model_copy(update=update)


@pytest.fixture
def comparison(with_mlflow: Settings, engine: Engine, tmp_path: Path) -> dict[str, Any]:
    return compared(with_mlflow, tmp_path)


def compared(settings: Settings, folder: Path, floors: str = FLOORS, *, minutes: int = 0) -> dict[str, Any]:
    """Everything up to the comparison of one plain model on a file."""
    file, column_map = folder / "history.parquet", folder / "map.toml"
    if not file.exists():
        write_generated(file, rows=6_000, fraud_rate=0.1, seed=1, end=NOW)
    column_map.write_text(floors)
    request = Request("file", file=str(file), column_map=str(column_map))
    now = NOW + timedelta(minutes=minutes)
    snapshot = make_snapshot(settings, request, now=now)
    validate_snapshot(settings, snapshot)
    (job,) = build_features(settings, snapshot, models=["logistic_regression"])
    return compare(settings, [train_candidate(settings, job, now=now, searched=False)])


def test_steps_that_are_tried_again_do_nothing_twice(
    with_mlflow: Settings, engine: Engine, comparison: dict[str, Any]
) -> None:
    registered = [register_best(with_mlflow, comparison, now=NOW + timedelta(minutes=n)) for n in range(2)]
    assert registered[0] == registered[1]
    promoted = [promote_if_good(with_mlflow, registered[0], now=NOW + timedelta(minutes=n)) for n in range(2)]
    assert promoted[0] == promoted[1]
    assert promoted[0]["promoted"] is True
    assert [version.stage for version in list_versions(with_mlflow)] == ["Production"]
    with engine.connect() as conn:
        moves = list_promotions(conn, with_mlflow.model_name)
        attempt = attempt_of(conn, with_mlflow.model_name, promoted[0]["version"])
        metrics = latest_metrics(conn, promoted[0]["version"])
    assert [move["to_stage"] for move in moves] == ["Production", "Staging", "None"]
    assert attempt is not None
    assert (attempt["outcome"], attempt["number"], attempt["champion_version"]) == ("promote", 1, None)
    assert all(row["created_at"] == NOW for row in metrics.values())


def test_a_second_look_at_the_same_labels_is_held_with_the_day_of_the_next(
    with_mlflow: Settings, engine: Engine, tmp_path: Path, comparison: dict[str, Any]
) -> None:
    first = promote_if_good(with_mlflow, register_best(with_mlflow, comparison, now=NOW), now=NOW)
    again = register_best(with_mlflow, compared(with_mlflow, tmp_path, minutes=1), now=NOW + timedelta(minutes=1))
    held = [promote_if_good(with_mlflow, again, now=NOW + timedelta(minutes=n)) for n in (1, 2)]
    assert held[0] == held[1]
    assert held[0]["promoted"] is False
    # A file's clock is its last label: the newest transaction counts.
    assert held[0]["verdict"]["reason"] == (
        f"{first['version']} was judged on labels up to those of 2026-06-01: another look at the same rows proves"
        " nothing. The next day's are mature from 2026-06-09 00:00 UTC: train again then, or ask for a repeated"
        " attempt, which pays for it"
    )
    with engine.connect() as conn:
        (act,) = list_acts(conn, subject=again["version"])
    assert act["reason"] == f"stays in Staging: {held[0]['verdict']['reason']}"
    tags = client(with_mlflow).get_run(held[0]["run_id"]).data.tags
    assert (tags["gate"], tags["gate_reason"]) == ("hold", held[0]["verdict"]["reason"])


def test_a_version_that_somebody_moved_meanwhile_is_left_where_it_is(
    with_mlflow: Settings, engine: Engine, comparison: dict[str, Any]
) -> None:
    registered = register_best(with_mlflow, comparison, now=NOW)
    move_version(with_mlflow, registered["version"], "Archived", actor="ann", now=NOW)
    said: list[str] = []
    outcome = promote_if_good(with_mlflow, registered, now=NOW, progress=said.append)
    assert (outcome["promoted"], outcome["verdict"]["outcome"]) == (False, "promote")
    reason = "passed the gate against no model, but was not moved: it is in Archived, and no model in Production"
    assert said[-1] == f"{registered['version']} {reason}"
    with engine.connect() as conn:
        assert list_acts(conn, subject=registered["version"])[0]["reason"] == reason


def test_a_champion_that_this_release_cannot_load_is_no_champion(
    with_mlflow: Settings, engine: Engine, tmp_path: Path, comparison: dict[str, Any]
) -> None:
    first = promote_if_good(with_mlflow, _of_another_release(with_mlflow, tmp_path, comparison), now=NOW)
    assert first["promoted"] is True
    later = NOW + timedelta(minutes=1)
    second = compared(with_mlflow, tmp_path, minutes=1)
    outcome = promote_if_good(with_mlflow, register_best(with_mlflow, second, now=later), now=later)
    verdict = outcome["verdict"]
    assert (verdict["outcome"], verdict["champion"], verdict["attempt"]) == ("promote", first["version"], 2)
    assert (
        f"{first['version']} in Production cannot be loaded by this release: expected the feature" in verdict["reason"]
    )
    assert not any("over the champion" in check["name"] for check in verdict["checks"])
    stages = {version.name: version.stage for version in list_versions(with_mlflow)}
    assert stages == {first["version"]: "Archived", outcome["version"]: "Production"}


def _of_another_release(settings: Settings, folder: Path, comparison: dict[str, Any]) -> dict[str, Any]:
    """Register the best with a first feature that was defined otherwise."""
    best = comparison["best"]
    bundle = folder / "bundle"
    shutil.copytree(Path(best["folder"]) / "bundle", bundle)
    manifest = load_bundle(bundle).manifest
    other = FeatureRef(name=manifest.features[0].name, hash="of-another-release")
    manifest = manifest.model_copy(update={"features": (other, *manifest.features[1:])})
    manifest = manifest.model_copy(update={"bundle_hash": manifest.content_hash()})
    (bundle / "bundle.json").chmod(0o644)
    (bundle / "bundle.json").write_text(manifest.model_dump_json())
    model_uri = log_bundle(settings, best["run_id"], bundle)
    return register_best(settings, {**comparison, "best": {**best, "model_uri": model_uri}}, now=NOW)
