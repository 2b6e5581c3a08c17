"""The last lines of `sentinel train`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sentinel_core.cli.training_lines import training_lines
from tests.cli.command import Sentinel

TEST = {"accuracy": 0.991, "precision": 0.87, "recall": 0.89, "f1": 0.88, "roc_auc": 0.92, "pr_auc": None}
REGISTERED: dict[str, Any] = {
    "model": "random_forest",
    "metrics": {"test": TEST},
    "seconds": {"ingest": 1.5, "train random_forest": 30.0},
    "paths": {"output_dir": "/data/artifacts"},
    "mlflow_url": "http://127.0.0.1:5000/#/models/fraud_detector/versions/1",
    "version": "v20260601_103000",
    "stage": "Production",
}


def test_they_name_the_model_its_metrics_the_files_the_version_and_its_stage() -> None:
    assert training_lines(REGISTERED) == [
        "Model:          random_forest",
        "Accuracy:       0.9910",
        "Precision:      0.8700",
        "Recall:         0.8900",
        "F1 score:       0.8800",
        "ROC-AUC:        0.9200",
        "PR-AUC:         -",
        "Training time:  31.5 s",
        "Artifacts:      /data/artifacts",
        "MLflow:         http://127.0.0.1:5000/#/models/fraud_detector/versions/1",
        "Version:        v20260601_103000",
        "Stage:          Production",
    ]


def test_without_mlflow_they_say_that_nothing_was_registered() -> None:
    said = training_lines({**REGISTERED, "version": None, "stage": None, "mlflow_url": None})
    assert said[-1] == "Not registered: trained without MLflow."
    assert not any(line.startswith(("MLflow", "Version", "Stage")) for line in said)
    assert not any(line.startswith("Artifacts") for line in training_lines({**REGISTERED, "paths": {}}))


@pytest.mark.slow
def test_a_training_without_servers_needs_neither_home_nor_database(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    home = tmp_path / "home"
    monkeypatch.setenv("SENTINEL_HOME", str(home))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.chdir(tmp_path)
    sentinel = Sentinel(monkeypatch, capsys)
    given = ("train", "--no-mlflow", "--rows", 4000, "--fraud-rate", 0.05, "--models", "logistic_regression")
    said = sentinel(*given, "--no-search", "--output-dir", "out")
    assert said.splitlines()[-2:] == [f"Artifacts:      {tmp_path / 'out'}", "Not registered: trained without MLflow."]
    assert not home.exists()
    found = sentinel.json(*given, "--no-search")
    assert found["version"] is None
    assert Path(found["paths"]["model"]) == tmp_path / "artifacts" / "model"
    assert "at least 1,000 transactions" in sentinel.fails("train", "--rows", 10, "--fraud-rate", 0.05, "--no-mlflow")
