from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine

from sentinel_core.errors import RegistryError, TrainingError
from sentinel_core.flows.features import build_feature_set, build_features, load_feature_set
from sentinel_core.flows.findings import Findings
from sentinel_core.flows.generate import write_generated
from sentinel_core.flows.ingest import Request, make_snapshot
from sentinel_core.flows.package import build_bento
from sentinel_core.flows.pipeline import TrainingPipeline
from sentinel_core.flows.runs import open_pipeline_run
from sentinel_core.flows.state import read_last_training
from sentinel_core.flows.train import train_candidate
from sentinel_core.registry.bundle import load_bundle
from sentinel_core.registry.manifest import Manifest
from sentinel_core.registry.promotion import list_versions
from sentinel_core.registry.rest import production_version
from sentinel_core.registry.tracking import client
from sentinel_core.settings import Settings, load_settings
from sentinel_core.stores.alerts import list_alerts
from sentinel_core.stores.audit import list_acts
from sentinel_core.stores.gate_attempts import attempt_of
from sentinel_core.stores.model_metrics import latest_metrics
from sentinel_core.stores.promotions import list_promotions
from tests.datasets.frames import csv

NOW = datetime(2026, 6, 1, 10, 30, tzinfo=UTC)
LINEAR = "logistic_regression"
SMALL = {
    "logistic_regression": {"max_iter": 200},
    "random_forest": {"n_estimators": 20, "max_depth": 8},
}


class Clock:
    """A clock that the test turns: a second passes with each look."""

    def __init__(self, later: int = 0) -> None:
        self.now = NOW + timedelta(seconds=later)

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


@pytest.fixture
def with_mlflow(settings: Settings, mlflow_uri: str) -> Settings:
    update = {"mlflow_tracking_uri_given": mlflow_uri, "model_name": settings.redis_namespace}
    return settings.model_copy(update=update)


def request(folder: Path, floors: str, rows: int = 8_000) -> Request:
    """A user's file of generated rows, with floors of its own."""
    file, column_map = folder / "history.parquet", folder / f"map{len(list(folder.glob('map*')))}.toml"
    if not file.exists():
        write_generated(file, rows=rows, fraud_rate=0.03, seed=1, end=NOW)
    column_map.write_text(floors)
    return Request("file", file=str(file), column_map=str(column_map))


@pytest.mark.slow
def test_a_file_ends_as_a_promoted_packaged_model_and_a_worse_one_does_not(
    with_mlflow: Settings, engine: Engine, tmp_path: Path
) -> None:
    said: list[str] = []
    pipeline = TrainingPipeline(with_mlflow, output_dir=tmp_path / "out", clock=Clock(), progress=said.append)
    first = pipeline.run_on(request(tmp_path, "[floors]\nroc_auc = 0.5\n"), models=list(SMALL), hyperparams=SMALL)
    assert json.loads(json.dumps(first)) == first
    assert re.fullmatch(r"v20260601_1030\d\d", first["version"])
    assert first["promoted"] is True
    assert {row["model"] for row in first["table"]} == set(SMALL)
    chosen = max(first["table"], key=lambda row: row["pr_auc_on_calibrate"])
    assert first["model"] == chosen["model"]
    assert list(first["seconds"])[:3] == ["ingest", "validate", "features"]
    _check_registry(with_mlflow, engine, first)
    _check_runs(with_mlflow, first)
    _check_bento(with_mlflow, first)
    written = load_bundle(tmp_path / "out" / "model").manifest
    assert (written.model_version, written.run_id) == (first["model_version"], first["run_id"])
    assert json.loads((tmp_path / "out" / "metrics.json").read_text())["stage"] == first["stage"] == "Production"
    assert first["version"] in (tmp_path / "out" / "report.html").read_text()
    assert read_last_training(with_mlflow)["snapshot"] == first["snapshot"]

    second = pipeline.run_on(request(tmp_path, ""), models="logistic_regression", hyperparams={"C": 0.1})
    assert (second["promoted"], second["tag"], second["verdict"]["outcome"]) == (False, None, "hold")
    assert f"{first['version']} was judged on labels up to those of" in second["verdict"]["reason"]
    stages = {version.name: version.stage for version in list_versions(with_mlflow)}
    assert stages == {first["version"]: "Production", second["version"]: "Staging"}
    with engine.connect() as conn:
        (act,) = list_acts(conn, subject=second["version"])
    assert act["reason"] == f"stays in Staging: {second['verdict']['reason']}"
    assert read_last_training(with_mlflow)["promoted"] is False


def _check_registry(settings: Settings, engine: Engine, outcome: dict[str, Any]) -> None:
    served = production_version(settings)
    assert served is not None
    assert served.name == outcome["version"]
    assert served.run_id == outcome["run_id"]
    with engine.connect() as conn:
        moves = list_promotions(conn, settings.model_name)
        metrics = latest_metrics(conn, outcome["version"])
    assert [(move["action"], move["to_stage"]) for move in moves] == [
        ("promote", "Production"),
        ("promote", "Staging"),
        ("register", "None"),
    ]
    assert moves[0]["verdict"]["passed"] is True
    assert {"calibrate", "test", "test_true"} <= set(metrics)
    details = metrics["test"]["details"]
    assert (details["snapshot"], details["run_id"]) == (outcome["snapshot"], outcome["run_id"])
    assert 0 < metrics["test"]["pr_auc"] <= 1


def _check_runs(settings: Settings, outcome: dict[str, Any]) -> None:
    mlflow = client(settings)
    run = mlflow.get_run(outcome["run_id"])
    parent = mlflow.get_run(run.data.tags["mlflow.parentRunId"])
    assert (run.info.status, parent.info.status) == ("FINISHED", "FINISHED")
    assert parent.data.tags["snapshot"] == run.data.tags["snapshot"] == outcome["snapshot"]
    assert parent.data.tags["gate"] == "passed"
    assert {"accuracy", "precision", "recall", "f1", "roc_auc", "pr_auc", "cv_f1"} <= set(run.data.metrics)
    assert run.data.tags["git_commit"]
    artifacts = {artifact.path for artifact in mlflow.list_artifacts(outcome["run_id"])}
    assert {
        "importances.csv",
        "importances.png",
        "precision_recall.png",
        "roc.png",
        "confusion_matrix.png",
        "reliability.png",
        "model_card.md",
        "findings.json",
        "gate.json",
        "report.html",
    } <= artifacts
    report = Path(mlflow.download_artifacts(outcome["run_id"], "report.html", str(settings.home))).read_text()
    assert outcome["version"] in report
    assert "Checks of the gate" in report
    assert report == (settings.home / "candidates" / outcome["run_id"] / "report" / "report.html").read_text()
    assert [artifact.path for artifact in mlflow.list_artifacts(parent.info.run_id)] == ["comparison.csv"]


def _check_bento(settings: Settings, outcome: dict[str, Any]) -> None:
    name, _, version = outcome["tag"].partition(":")
    assert version == outcome["version"]
    inside = settings.home / "bentoml" / "bentos" / name / version / "src" / "bundle"
    bundle = load_bundle(inside)
    assert bundle.manifest.model_version == version
    assert bundle.manifest.bundle_hash == load_bundle(Path(outcome["bundle"])).manifest.bundle_hash
    assert build_bento(settings, outcome) == {"version": version, "tag": outcome["tag"]}


@pytest.mark.slow
def test_a_challenger_is_judged_against_the_champion_on_the_same_rows(
    with_mlflow: Settings, engine: Engine, tmp_path: Path
) -> None:
    file = tmp_path / "history.parquet"
    write_generated(file, rows=16_000, fraud_rate=0.1, seed=1, end=NOW)
    pipeline = TrainingPipeline(with_mlflow, clock=Clock())
    poor = {"C": 1e-8, "max_iter": 300}
    first = pipeline.run_on(request(tmp_path, "[floors]\nroc_auc = 0.5\n"), models=LINEAR, hyperparams=poor)
    assert (first["promoted"], first["verdict"]["champion"]) == (True, None)

    said: list[str] = []
    judged = TrainingPipeline(with_mlflow, clock=Clock(60), progress=said.append)
    better = judged.run_on(
        request(tmp_path, ""), models="random_forest", hyperparams=SMALL["random_forest"], repeated=True
    )
    verdict = better["verdict"]
    found = (verdict["outcome"], verdict["champion"], verdict["attempt"])
    assert found == ("promote", first["version"], 2), "\n".join(said)
    assert {"pr_auc over the champion", "cost_saved over the champion", "data validated"} <= _names(verdict)
    assert any(name.startswith("merchant_category ") for name in _names(verdict))
    assert any(line.startswith(f"gate: promote against {first['version']}, attempt 2") for line in said)

    worse = TrainingPipeline(with_mlflow, clock=Clock(120)).run_on(
        request(tmp_path, "[floors]\nroc_auc = 0.9999\n"), models=LINEAR, hyperparams=poor, repeated=True
    )
    assert (worse["verdict"]["outcome"], worse["verdict"]["attempt"]) == ("reject", 3)
    assert {"roc_auc", "pr_auc over the champion"} <= _names(worse["verdict"], failed=True)

    mlflow = client(with_mlflow)
    run = mlflow.get_run(better["run_id"])
    assert run.data.tags["gate"] == "promote"
    assert {"gate.json", "gate.md"} <= {artifact.path for artifact in mlflow.list_artifacts(better["run_id"])}
    with engine.connect() as conn:
        attempts = [attempt_of(conn, with_mlflow.model_name, one["version"]) for one in (first, better, worse)]
        (alert,) = list_alerts(conn)
        moves = list_promotions(conn, with_mlflow.model_name)
    assert [one["outcome"] for one in attempts if one] == ["promote", "promote", "reject"]
    assert [one["error_rate"] for one in attempts if one] == [0.05, 0.025, 0.0125]
    # The file's floors are out of reach for anybody: somebody has to look.
    assert alert["rule"] == "champion_and_challenger_below_floors"
    assert better["version"] in alert["reason"]
    promoted = next(move for move in moves if move["to_stage"] == "Production")
    assert (promoted["model_version"], promoted["verdict"]) == (better["version"], verdict)


def _names(verdict: dict[str, Any], *, failed: bool = False) -> set[str]:
    return {check["name"] for check in verdict["checks"] if not failed or check["passed"] is False}


@pytest.mark.slow
def test_equal_inputs_give_an_equal_bundle(settings: Settings, mlflow_uri: str, tmp_path: Path) -> None:
    with_mlflow = settings.model_copy(update={"mlflow_tracking_uri_given": mlflow_uri})
    snapshot = make_snapshot(with_mlflow, request(tmp_path, ""), now=NOW)
    features = build_feature_set(with_mlflow, snapshot)
    run = open_pipeline_run(with_mlflow, "twice", {})
    hashes = []
    for later in range(2):
        job = {"features": features, "model": "logistic_regression", "run": run}
        trained = train_candidate(with_mlflow, job, now=NOW + timedelta(days=later))
        bundle = load_bundle(Path(trained["folder"]) / "bundle")
        hashes.append(trained["bundle_hash"])
    assert hashes[0] == hashes[1]
    _check_findings(Findings.read(Path(trained["folder"]) / "report"), bundle.manifest)
    found = load_feature_set(with_mlflow, features)
    rows = np.arange(50)
    scores = bundle.score(np.asarray(found.values[rows]), {n: c[rows].tolist() for n, c in found.categories.items()})
    assert ((scores >= 0) & (scores <= 1)).all()
    assert bundle.risk.as_of == found.risk.as_of


def _check_findings(findings: Findings, manifest: Manifest) -> None:
    """What the report shows adds up to the figures and the rows that the bundle states."""
    decided, test = findings.decisions.confusion(), manifest.parts["test"]
    for name in ("precision", "recall", "f1", "accuracy"):
        assert getattr(decided, name) == pytest.approx(manifest.metrics["test"][name].value)
    assert sum(findings.histogram.fraud) == decided.true_positive + decided.false_negative == test.frauds
    assert sum(findings.reliability.rows) == test.rows
    for group in ("amount ", "card_type "):
        segments = [segment for segment in findings.segments if segment.name.startswith(group)]
        counted = (sum(segment.rows for segment in segments), sum(segment.frauds for segment in segments))
        assert counted == (test.rows, test.frauds)
    assert all(bool(segment.figures) == (30 <= segment.frauds < segment.rows) for segment in findings.segments)
    assert findings.mature <= findings.labelled <= findings.rows == 8_000


def test_a_failed_step_ends_the_run_of_the_pipeline(settings: Settings, mlflow_uri: str, tmp_path: Path) -> None:
    with_mlflow = settings.model_copy(update={"mlflow_tracking_uri_given": mlflow_uri})
    # A week of rows: less than the label delays between the parts.
    short = csv(
        tmp_path / "short.csv",
        transaction_id=[f"t{n}" for n in range(40)],
        user_id=["u"] * 40,
        merchant_id=["m"] * 40,
        amount=["5"] * 40,
        timestamp=[f"2026-01-0{1 + n % 7}T00:00:00Z" for n in range(40)],
        is_fraud=[str(n % 2) for n in range(40)],
    )
    snapshot = make_snapshot(with_mlflow, Request("file", file=str(short)), now=NOW)
    (job,) = build_features(with_mlflow, snapshot, models=["logistic_regression"])
    with pytest.raises(TrainingError, match="label delay"):
        train_candidate(with_mlflow, job, now=NOW)
    assert client(with_mlflow).get_run(job["run"]).info.status == "FAILED"


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (None, r"the column is_fraud in the snapshot .*, found none: nothing can be learned"),
        (["0", "0", "0", "0"], r"is_fraud of the snapshot .*, got 0 frauds, 4 legitimate, 0 unlabelled"),
        (["1", "1", "", ""], r"is_fraud of the snapshot .*, got 2 frauds, 0 legitimate, 2 unlabelled"),
    ],
)
def test_labels_of_one_kind_train_nothing(tmp_path: Path, labels: list[str] | None, message: str) -> None:
    settings = load_settings(None, home=tmp_path / "home")
    snapshot = make_snapshot(settings, Request("file", file=str(csv(tmp_path / "f.csv", is_fraud=labels))), now=NOW)
    with pytest.raises(TrainingError, match=message):
        build_features(settings, snapshot, models=["random_forest"])


def test_a_training_without_mlflow_ends_at_once_with_one_line(settings: Settings, tmp_path: Path) -> None:
    away = settings.model_copy(update={"mlflow_tracking_uri_given": "http://127.0.0.1:9"})
    snapshot = make_snapshot(away, request(tmp_path, "", rows=2_000), now=NOW)
    begun = time.monotonic()
    with pytest.raises(RegistryError, match=r"MLflow to answer at http://127\.0\.0\.1:9"):
        build_features(away, snapshot, models=[LINEAR])
    assert time.monotonic() - begun < 30


def test_an_unknown_model_is_named_before_anything_is_built(tmp_path: Path) -> None:
    settings = load_settings(None, home=tmp_path / "home")
    with pytest.raises(TrainingError, match="got 'random_tree'"):
        build_features(settings, "none", models=["random_tree"])
    with pytest.raises(TrainingError, match="at least one model"):
        build_features(settings, "none", models=[])
