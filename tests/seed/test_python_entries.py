"""The Python entries: a training by one call, and two models compared on shared traffic."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sentinel_core import ABTestSimulation, TrainingPipeline
from sentinel_core.datasets.events import categories
from sentinel_core.features.catalog import FEATURE_NAMES
from sentinel_core.registry.bundle import load_bundle

METRICS = {"accuracy", "precision", "recall", "f1", "roc_auc", "pr_auc"}
SMALL: dict[str, Any] = {"n_samples": 4000, "fraud_rate": 0.05, "model_type": "random_forest"}


def check(result: dict[str, Any], output: Path, hyperparams: dict[str, Any]) -> None:
    """Everything that the call promises, in its answer and in the folder."""
    bundle = load_bundle(output / "model")
    assert {name: bundle.manifest.hyperparameters[name] for name in hyperparams} == hyperparams
    facts = json.loads((output / "metrics.json").read_text())
    assert facts["bundle_hash"] == bundle.manifest.bundle_hash
    assert set(result["metrics"]["test"]) >= METRICS
    assert result["metrics"]["test"]["f1"] == facts["metrics"]["test"]["f1"]["value"]
    assert (output / "importances.csv").read_text().startswith("input,share\n")
    assert (output / "importances.png").read_bytes().startswith(b"\x89PNG")
    assert "Importance of inputs" in (output / "report.html").read_text()
    assert Path(result["paths"]["report"]) == output / "report.html"
    assert json.loads(json.dumps(result)) == result


@pytest.mark.slow
def test_a_training_without_servers_and_an_ab_test_of_what_it_wrote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SENTINEL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    hyperparams = {"n_estimators": 10, "max_depth": 8}
    pipeline = TrainingPipeline(output_dir="artifacts", use_mlflow=False)
    result = pipeline.run(**SMALL, hyperparams=hyperparams)
    check(result, tmp_path / "artifacts", hyperparams)
    assert (result["model_version"], result["stage"]) == (None, None)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["artifacts"]

    other = {"n_estimators": 10, "max_depth": 2, "scaling": "minmax", "categories": "onehot"}
    second = TrainingPipeline(output_dir="other", use_mlflow=False).run(**SMALL, hyperparams=other)
    check(second, tmp_path / "other", other)

    rows = pd.read_parquet(tmp_path / "artifacts" / "model" / "reference.parquet")
    assert {*FEATURE_NAMES, *categories(rows)} <= set(rows)
    test = ABTestSimulation("artifacts", "other", traffic_split=0.5)
    for row in rows.head(20).to_dict("records"):
        answer = test.predict(row, actual=row["is_fraud"], user=row["user"])
        assert answer["arm"] in ("model_a", "model_b")
        assert 0 <= answer["score"] <= 1
    test.predict(rows, actual=rows["is_fraud"], user=rows["user"])
    comparison = test.get_comparison()
    assert comparison["winner"] in ("model_a", "model_b", "undecided")
    assert set(comparison["metrics"]["model_a"]) >= METRICS
    assert {"p_value", "decided_by", "differences"} <= set(comparison["significance"])


def test_an_ab_test_as_it_is_written_down() -> None:
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression

    generator = np.random.default_rng(0)
    is_fraud = generator.random(600) < 0.2
    features = generator.normal(is_fraud[:, np.newaxis], 1.0, (600, 3))
    model_a = LogisticRegression().fit(features, is_fraud)
    model_b = RandomForestClassifier(10, random_state=0).fit(features, is_fraud)

    ab_test = ABTestSimulation(model_a=model_a, model_b=model_b, traffic_split=0.5)
    for row, actual in zip(features[:50], is_fraud[:50], strict=True):
        result = ab_test.predict(row, actual=actual)
        assert set(result) >= {"arm", "score", "prediction"}
    ab_test.predict(features[50:], actual=is_fraud[50:])
    comparison = ab_test.get_comparison()
    assert comparison["winner"] in ("model_a", "model_b", "undecided")
    for arm in ("model_a", "model_b"):
        assert comparison["metrics"][arm]["n"] > 200
        assert comparison["metrics"][arm]["intervals"]["f1"]


def test_importing_the_package_loads_nothing_heavy_and_has_no_effect(tmp_path: Path) -> None:
    code = (
        "import sys, sentinel_core\n"
        "heavy = {'pandas', 'numpy', 'sklearn', 'mlflow', 'sqlalchemy', 'pydantic'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "assert {'TrainingPipeline', 'ABTestSimulation'} <= set(dir(sentinel_core)) & set(sentinel_core.__all__)\n"
        "from sentinel_core import TrainingPipeline\n"
        "TrainingPipeline(output_dir='artifacts', use_mlflow=True)\n"
        "assert not {'mlflow', 'sklearn', 'great_expectations'} & set(sys.modules)\n"
        "try:\n    sentinel_core.TrainingPipelin\nexcept AttributeError as error:\n    print(error)\n"
    )
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=tmp_path)
    assert said.stdout == "module 'sentinel_core' has no attribute 'TrainingPipelin'\n"
    assert not list(tmp_path.iterdir())
