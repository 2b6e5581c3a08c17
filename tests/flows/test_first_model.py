"""The first training ends with a model that serves, whatever hour its data ends at."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from sentinel_core.flows.evaluate import compare
from sentinel_core.flows.features import build_features
from sentinel_core.flows.gate import judge_as_first
from sentinel_core.flows.holdout import load_holdout
from sentinel_core.flows.ingest import Request, make_snapshot
from sentinel_core.flows.moves import list_models, warning_of
from sentinel_core.flows.promote import promote_if_good
from sentinel_core.flows.register import register_best
from sentinel_core.flows.train import train_candidate
from sentinel_core.flows.validate import validate_snapshot
from sentinel_core.registry.bundle import load_bundle
from sentinel_core.registry.tracking import client
from sentinel_core.settings import Settings, load_settings
from sentinel_core.stores.audit import list_acts
from serving.bundle_cache import BundleCache
from serving.model_slot import ModelSlot

ROWS = 5_000
FIRST = datetime(2026, 6, 1, tzinfo=UTC)
ENDS = [FIRST + timedelta(hours=35 * n) for n in range(20)]
"""Twenty hours of the day, over all days of the week."""
LINEAR = {"logistic_regression": {"max_iter": 200}}
BOOSTED = {"gradient_boosting": {"max_iter": 30}}
"""Without a logistic regression among the candidates: the gate fits one to compare with."""


@pytest.fixture
def with_mlflow(settings: Settings, mlflow_uri: str) -> Settings:
    update = {"mlflow_tracking_uri_given": mlflow_uri, "model_name": settings.redis_namespace}
    return settings.model_copy(update=update)


def compared(settings: Settings, end: datetime, models: dict[str, dict[str, Any]], *, tracked: bool) -> dict[str, Any]:
    """Everything up to the comparison on generated rows that end at an hour, with few rows and small models."""
    snapshot = make_snapshot(settings, Request(rows=ROWS), now=end)
    validate_snapshot(settings, snapshot)
    jobs = build_features(settings, snapshot, models=list(models), tracked=tracked)
    trained = [train_candidate(settings, job, now=end, hyperparameters=models[job["model"]]) for job in jobs]
    return compare(settings, trained)


def first_start(home: Path, end: datetime, models: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Train without a server, judge, and take the model into service; return an answer of it."""
    settings = load_settings(None, home=home)
    comparison = compared(settings, end, models, tracked=False)
    best = comparison["best"]
    verdict = judge_as_first(settings, comparison, load_holdout(settings, best["features"]))
    assert verdict.outcome == "promote", verdict.table()
    slot = ModelSlot(None, BundleCache(home / "cache"), lambda: end)
    slot.serve_directory(Path(best["folder"]) / "bundle")
    answer = slot.require().predict("t1", 12_50, 0.5, 1.0)
    assert answer.get("warning") == verdict.warning
    if verdict.warning:
        assert f"first model, {verdict.warning.removeprefix('This model is ').removesuffix('.')}" == verdict.reason
    return answer


def judged(settings: Settings) -> dict[str, Any]:
    """Train, register and judge with real servers."""
    comparison = compared(settings, FIRST, LINEAR, tracked=True)
    return promote_if_good(settings, register_best(settings, comparison, now=FIRST), now=FIRST)


def named(end: datetime) -> str:
    """Name a test by the day and hour."""
    return f"{end:%a-%Hh}"


def test_the_hours_are_twenty_and_spread_over_the_week() -> None:
    assert len({end.hour for end in ENDS}) == 20
    assert {end.weekday() for end in ENDS} == set(range(7))


@pytest.mark.parametrize("end", ENDS[1:2], ids=named)
def test_a_first_model_serves_and_warns_in_each_answer(tmp_path: Path, end: datetime) -> None:
    assert first_start(tmp_path, end, LINEAR)["warning"].startswith("This model is below its floor: ")


@pytest.mark.slow
@pytest.mark.parametrize("end", ENDS, ids=named)
def test_a_first_start_serves_whatever_hour_its_data_ends_at(tmp_path: Path, end: datetime) -> None:
    first_start(tmp_path, end, BOOSTED)


@pytest.mark.slow
def test_a_first_model_below_its_floor_serves_and_everything_says_so(with_mlflow: Settings, engine: Engine) -> None:
    outcome = judged(with_mlflow)
    version, verdict = outcome["version"], outcome["verdict"]
    assert outcome["promoted"] is True
    assert verdict["reason"].startswith("first model, below its floor: ")
    assert verdict["warning"].startswith("This model is below its floor: ")
    assert load_bundle(Path(outcome["bundle"])).warning == verdict["warning"] == warning_of(with_mlflow, version)
    listed = list_models(with_mlflow, now=FIRST)
    assert listed["versions"][0]["warning"] == verdict["warning"]
    assert listed["warnings"] == [f"{version}: {verdict['warning']}"]
    assert verdict["reason"] in listed["moves"][0]["reason"]
    tags = client(with_mlflow).get_run(outcome["run_id"]).data.tags
    assert (tags["gate"], tags["gate_reason"], tags["gate_warning"]) == (
        "promote", verdict["reason"], verdict["warning"],
    )  # fmt: skip


@pytest.mark.slow
def test_a_setting_holds_it_back(with_mlflow: Settings, engine: Engine) -> None:
    outcome = judged(with_mlflow.model_copy(update={"first_model": "hold"}))
    assert outcome["promoted"] is False
    assert outcome["verdict"]["reason"].startswith("not enough: ")
    assert outcome["verdict"]["warning"] is None
    # Its bundle says it all the same: somebody may promote it by hand.
    assert load_bundle(Path(outcome["bundle"])).warning == warning_of(with_mlflow, outcome["version"]) is not None
    with engine.connect() as conn:
        assert list_acts(conn, subject=outcome["version"])[0]["reason"].startswith("stays in Staging: not enough")
