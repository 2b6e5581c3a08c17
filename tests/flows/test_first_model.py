"""The first training ends with a model that serves, whatever hour its data ends at."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from sentinel_core.flows.evaluate import compare
from sentinel_core.flows.features import build_features
from sentinel_core.flows.ingest import Request, make_snapshot
from sentinel_core.flows.moves import list_models, warning_of
from sentinel_core.flows.promote import promote_if_good
from sentinel_core.flows.register import register_best
from sentinel_core.flows.train import train_candidate
from sentinel_core.flows.validate import validate_snapshot
from sentinel_core.registry.bundle import load_bundle
from sentinel_core.registry.tracking import client
from sentinel_core.settings import Settings
from sentinel_core.stores.audit import list_acts

ROWS = 5_000
FIRST = datetime(2026, 6, 1, tzinfo=UTC)
ENDS = [FIRST + timedelta(hours=35 * n) for n in range(20)]
"""Twenty hours of the day, over all days of the week."""
LINEAR = {"logistic_regression": {"max_iter": 200}}
ALL = LINEAR | {
    "random_forest": {"n_estimators": 20, "max_depth": 8},
    "gradient_boosting": {"max_iter": 30},
}


@pytest.fixture
def with_mlflow(settings: Settings, mlflow_uri: str) -> Settings:
    update = {"mlflow_tracking_uri_given": mlflow_uri, "model_name": settings.redis_namespace}
    return settings.model_copy(update=update)


def first_start(settings: Settings, end: datetime, models: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Train on generated rows that end at an hour, as the first `make up` does, with few rows and small models."""
    snapshot = make_snapshot(settings, Request(rows=ROWS), now=end)
    validate_snapshot(settings, snapshot)
    trained = [
        train_candidate(settings, job, now=end, hyperparameters=models[job["model"]])
        for job in build_features(settings, snapshot, models=list(models))
    ]
    registered = register_best(settings, compare(settings, trained), now=end)
    return promote_if_good(settings, registered, now=end)


def test_the_hours_are_twenty_and_spread_over_the_week() -> None:
    assert len({end.hour for end in ENDS}) == 20
    assert {end.weekday() for end in ENDS} == set(range(7))


def test_a_first_model_below_its_floor_serves_and_everything_says_so(with_mlflow: Settings, engine: Engine) -> None:
    outcome = first_start(with_mlflow, FIRST, LINEAR)
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
    outcome = first_start(with_mlflow.model_copy(update={"first_model": "hold"}), FIRST, LINEAR)
    assert outcome["promoted"] is False
    assert outcome["verdict"]["reason"].startswith("not enough: ")
    assert outcome["verdict"]["warning"] is None
    # Its bundle says it all the same: somebody may promote it by hand.
    assert load_bundle(Path(outcome["bundle"])).warning == warning_of(with_mlflow, outcome["version"]) is not None
    with engine.connect() as conn:
        assert list_acts(conn, subject=outcome["version"])[0]["reason"].startswith("stays in Staging: not enough")


@pytest.mark.slow
@pytest.mark.parametrize("end", ENDS, ids=lambda end: f"{end:%a-%Hh}")
def test_a_first_start_serves_whatever_hour_its_data_ends_at(with_mlflow: Settings, end: datetime) -> None:
    outcome = first_start(with_mlflow, end, ALL)
    assert outcome["promoted"] is True, outcome["verdict"]["reason"]
