from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import redis

from sentinel_core.flows.moves import recorder
from sentinel_core.registry.promotion import find_version, register
from sentinel_core.registry.tracking import log_bundle, mlflow_run
from sentinel_core.settings import Settings
from tests.cli.command import Sentinel
from tests.registry.bundles import tiny_bundle

NOW = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.fixture
def with_mlflow(settings: Settings, mlflow_uri: str) -> Settings:
    update = {"mlflow_tracking_uri_given": mlflow_uri, "model_name": settings.redis_namespace}
    return settings.model_copy(update=update)


@pytest.fixture
def sentinel(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], with_mlflow: Settings) -> Sentinel:
    command = Sentinel(monkeypatch, capsys)
    command.use(with_mlflow)
    return command


def registered(settings: Settings, folder: Path, *names: str) -> None:
    for number, name in enumerate(names):
        bundle = folder / name / "bundle"
        bundle.parent.mkdir()
        manifest = tiny_bundle(bundle)
        with mlflow_run(settings, name) as run_id:
            uri = log_bundle(settings, run_id, bundle)
        with recorder(settings, NOW + timedelta(seconds=number)) as record:
            facts = {"model_uri": uri, "run_id": run_id, "name": name, "bundle_hash": manifest.bundle_hash}
            register(settings, **facts, actor="test", record=record)


def test_versions_move_and_every_move_is_listed(sentinel: Sentinel, with_mlflow: Settings, tmp_path: Path) -> None:
    assert sentinel.json("models") == {"versions": [], "moves": [], "warnings": []}
    old, new = "v20260101_000000", "v20260102_000000"
    registered(with_mlflow, tmp_path, old, new)
    assert sentinel.json("promote", old) == {"version": old, "stage": "Production", "before": "None"}
    assert "nothing" not in sentinel("promote", new, "--stage", "production")
    stages = {version["version"]: version["stage"] for version in sentinel.json("models")["versions"]}
    assert stages == {new: "Production", old: "Archived"}
    assert sentinel.json("rollback") == {"version": old, "stage": "Production", "before": new}
    assert find_version(with_mlflow, new).stage == "Archived"
    listed = sentinel("models")
    assert "rolled back" in listed
    assert f"! {old} is in Production, and the gate never judged it." in listed
    assert "… and 6 earlier moves: sentinel models --moves 0" in sentinel("models", "--moves", 1)
    assert "earlier moves" not in sentinel("models", "--moves", 0)
    moves = [(move["model_version"], move["action"], move["to_stage"]) for move in sentinel.json("models")["moves"]]
    assert moves == [
        (old, "rollback", "Production"),
        (new, "archive", "Archived"),
        (new, "promote", "Production"),
        (old, "archive", "Archived"),
        (old, "promote", "Production"),
        (new, "register", "None"),
        (old, "register", "None"),
    ]


def test_a_rollback_goes_where_it_is_told_and_says_why(
    sentinel: Sentinel, with_mlflow: Settings, tmp_path: Path
) -> None:
    old, new = "v20260101_000000", "v20260102_000000"
    registered(with_mlflow, tmp_path, old, new)
    sentinel("promote", old, "--reason", "the first")
    moved = sentinel.json("rollback", new, "--reason", "alarms doubled")
    assert moved == {"version": new, "stage": "Production", "before": old}
    newest, _, first, *_ = sentinel.json("models")["moves"]
    assert (newest["action"], newest["reason"], first["reason"]) == ("rollback", "alarms doubled", "the first")
    assert "got 'v1'; registered are" in sentinel.fails("rollback", "v1")
    known = sentinel.json("trace", "--model", new)
    assert (known["stage"], known["moves"][0]["reason"]) == ("Production", "alarms doubled")
    assert "newest answers" not in sentinel("trace", "--model", new)


def test_what_does_not_exist_is_named(sentinel: Sentinel) -> None:
    assert "got 'v1'; registered are: none" in sentinel.fails("promote", "v1")
    assert "expected one of the stages None, Staging, Production, Archived, got 'Prod'" in sentinel.fails(
        "promote", "v1", "--stage", "Prod"
    )
    assert "an earlier version" in sentinel.fails("rollback")


@pytest.mark.slow
def test_a_training_shows_table_and_verdict(
    sentinel: Sentinel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SENTINEL_FIRST_MODEL", "hold")
    rows, floors = tmp_path / "rows.parquet", tmp_path / "floors.toml"
    floors.write_text("[floors]\nroc_auc = 0.9999\n")
    sentinel("generate", "--rows", 6000, "--fraud-rate", 0.04, "--end", "2026-06-01T10:00:00", "--out", rows)
    said = sentinel("train", "--data", rows, "--columns", floors, "--models", "logistic_regression")
    assert "→  logistic_regression" in said
    assert "FAIL roc_auc" in said
    assert "0.9999" in said
    (version,) = sentinel.json("models")["versions"]
    assert version["stage"] == "Staging"
    assert said.splitlines()[-2:] == [f"Version:        {version['version']}", "Stage:          Staging"]


def test_a_training_has_one_source(sentinel: Sentinel) -> None:
    assert "got --data and --rows" in sentinel.fails("train", "--data", "f.csv", "--rows", 1000)
    assert "got --columns alone" in sentinel.fails("train", "--columns", "map.toml")
    assert "got --from-database" in sentinel.fails("train", "--from-database", "--no-mlflow")


def test_trace_says_what_it_does_not_know(sentinel: Sentinel, redis_client: redis.Redis) -> None:
    assert "the id 'nobody' in PostgreSQL, found none" in sentinel.fails("trace", "nobody")
    assert "a version of" in sentinel.fails("trace", "--model", "v1")
    assert "expected a snapshot, got 's1'" in sentinel.fails("trace", "--snapshot", "s1")
    assert "one of TRANSACTION_ID, --model and --snapshot" in sentinel.fails("trace")
