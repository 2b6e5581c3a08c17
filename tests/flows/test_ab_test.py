"""An A/B test as a user runs it: any kind of model, any form of rows, and errors that name what is wrong."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from sentinel_core import ABTestSimulation
from sentinel_core.errors import BundleError, ColumnError, DataError, ExperimentError, RegistryError
from sentinel_core.features.catalog import FEATURE_NAMES
from sentinel_core.flows.moves import recorder
from sentinel_core.registry.bundle import load_bundle
from sentinel_core.registry.promotion import register
from sentinel_core.registry.tracking import log_bundle, mlflow_run
from sentinel_core.settings import Settings
from tests.registry.bundles import CATEGORIES, tiny_bundle

NOW = datetime(2026, 6, 1, tzinfo=UTC)
GENERATOR = np.random.default_rng(0)
ROWS = 3000
FRAUD = GENERATOR.random(ROWS) < 0.1
X = GENERATOR.normal(FRAUD[:, np.newaxis] * [1.5, 0.5], 1.0)
FRAME = pd.DataFrame(X, columns=["amount", "hour"]).assign(
    user_id=[f"u{number // 3}" for number in range(ROWS)],
    transaction_id=[f"t{number}" for number in range(ROWS)],
)


def fitted(columns: list[str] | None = None) -> LogisticRegression:
    named: Any = FRAME[columns] if columns else X
    return LogisticRegression().fit(named, FRAUD)


def catalogue_row(**given: Any) -> dict[str, Any]:
    return {**dict.fromkeys(FEATURE_NAMES, 0.0), **dict.fromkeys(CATEGORIES), "user_id": "u1", **given}


def test_the_better_estimator_wins_and_a_user_always_sees_the_same_model() -> None:
    test = ABTestSimulation(fitted(), LogisticRegression().fit(X[:, [1, 0]], FRAUD), traffic_split=0.5)
    answers = test.predict(FRAME, actual=FRAUD)
    seen = pd.DataFrame(answers).assign(user=FRAME["user_id"])
    assert (seen.groupby("user")["arm"].nunique() == 1).all()
    assert (seen["prediction"] == (seen["score"] >= 0.5)).all()
    assert 0.4 < (seen["arm"] == "model_a").mean() < 0.6
    again = test.predict(FRAME.iloc[7].to_dict(), actual=bool(FRAUD[7]))
    assert again == answers[7]
    found = test.get_comparison()
    # A transaction that came again counts once.
    assert found["metrics"]["model_a"]["n"] + found["metrics"]["model_b"]["n"] == ROWS
    assert found["winner"] == "model_a"
    assert found["significance"]["significant"] is True
    assert found["models"] == {"model_a": "LogisticRegression", "model_b": "LogisticRegression"}
    assert "winner: model_a" in test.summary()


def test_the_same_model_twice_is_undecided() -> None:
    one = fitted()
    test = ABTestSimulation(one, one, traffic_split=0.3)
    test.predict(FRAME, actual=FRAUD)
    assert test.get_comparison()["winner"] == "undecided"


@pytest.mark.parametrize("columns", [None, ["amount", "hour"]])
def test_every_form_of_rows_gives_the_same_score(columns: list[str] | None) -> None:
    model = fitted(columns)
    expected = model.predict_proba(FRAME[columns] if columns else X)[:, 1]
    one, three = {"amount": X[0, 0], "hour": X[0, 1]}, FRAME[["amount", "hour"]].iloc[:3]
    for features in (one, pd.Series(one), X[0], list(X[0])):
        answer = ABTestSimulation(model, model).predict(features, user="u1")
        assert answer["score"] == pytest.approx(expected[0])
    for features in (three, X[:3], three.to_dict("records")):
        answers = ABTestSimulation(model, model).predict(features, user=["u1", "u2", None], actual=[True, None, 0])
        assert [answer["score"] for answer in answers] == pytest.approx(expected[:3])
        assert [answer["id"] for answer in answers] == ["#1", "#2", "#3"]


def test_labels_may_come_later_or_never() -> None:
    test = ABTestSimulation(fitted(), fitted())
    answers = test.predict(FRAME)
    found = test.get_comparison()
    assert (found["winner"], found["metrics"]["model_a"]["f1"]) == ("undecided", None)
    assert "no labelled row" in found["reason"]
    in_a = [place for place, answer in enumerate(answers) if answer["arm"] == "model_a"]
    test.label([answers[place]["id"] for place in in_a], FRAUD[in_a])
    found = test.get_comparison()
    assert found["metrics"]["model_a"]["labelled"] == len(in_a)
    assert found["metrics"]["model_a"]["f1"] > 0
    assert (found["winner"], found["reason"][:7]) == ("undecided", "model_b")
    with pytest.raises(ExperimentError, match="got 'nobody'"):
        test.label("nobody", True)


def test_bundles_score_by_path_or_loaded_with_their_own_thresholds(tmp_path: Path) -> None:
    tiny_bundle(tmp_path / "one")
    tiny_bundle(tmp_path / "out" / "model", threshold=0.0, weights={"amount_log": 2.0})
    bundle = load_bundle(tmp_path / "one")
    test = ABTestSimulation(bundle, str(tmp_path / "out"), traffic_split=0.5)
    rows = [catalogue_row(amount_log=2.0, user_id=f"u{number}") for number in range(40)]
    answers = test.predict(rows)
    names = {answer["arm"]: answer["model"] for answer in answers}
    assert set(names) == {"model_a", "model_b"}
    values = np.array([[rows[0][name] for name in FEATURE_NAMES]], dtype=np.float32)
    (expected,) = bundle.score(values, {column: [None] for column in CATEGORIES})
    assert {answer["score"] for answer in answers if answer["arm"] == "model_a"} == {float(expected)}
    assert all(answer["prediction"] for answer in answers if answer["arm"] == "model_b")
    assert not any(answer["prediction"] for answer in answers if answer["arm"] == "model_a")


def test_missing_features_are_named_and_nothing_is_counted(tmp_path: Path) -> None:
    tiny_bundle(tmp_path / "one")
    row = catalogue_row()
    del row["amount_log"], row["merchant_category"]
    test = ABTestSimulation(tmp_path / "one", tmp_path / "one")
    with pytest.raises(ColumnError, match=r"2 are missing: amount_log, merchant_category\."):
        test.predict(row)
    with pytest.raises(ColumnError, match="expected rows with named columns"):
        test.predict(np.zeros(len(FEATURE_NAMES)))
    with pytest.raises(DataError, match="expected numbers in the features"):
        test.predict(catalogue_row(amount="much"))
    named = ABTestSimulation(fitted(["amount", "hour"]), fitted(["amount", "hour"]))
    with pytest.raises(ColumnError, match=r"features of the model LogisticRegression, 1 are missing: hour\."):
        named.predict({"amount": 1.0})
    with pytest.raises(ColumnError, match="expected 2 features for the model LogisticRegression, got 3"):
        ABTestSimulation(fitted(), fitted()).predict([1.0, 2.0, 3.0])
    assert test.get_comparison()["metrics"]["model_a"]["n"] == 0


@pytest.mark.parametrize("split", [0, 1, -1, 2, "half"])
def test_a_split_without_two_arms_is_refused(split: Any) -> None:
    with pytest.raises(ExperimentError, match=f"both excluded, got {split!r}"):
        ABTestSimulation(fitted(), fitted(), traffic_split=split)


def test_what_is_no_model_and_what_does_not_fit_the_rows_is_named(tmp_path: Path) -> None:
    for model, message in (
        (str(tmp_path / "nowhere"), r"got '.*/nowhere'"),
        (3, "got a int"),
        (LogisticRegression(), "got a LogisticRegression with none: it is not fitted"),
        (LogisticRegression().fit(X, FRAUD + 1), "got a LogisticRegression with the classes"),
    ):
        with pytest.raises(ExperimentError, match=message):
            ABTestSimulation(fitted(), model)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "bundle.json").write_text("{}")
    with pytest.raises(BundleError):
        ABTestSimulation(fitted(), tmp_path / "broken")
    with pytest.raises(ExperimentError, match=r"got 'roc_auk'\. Did you mean 'roc_auc'"):
        ABTestSimulation(fitted(), fitted(), decide_by="roc_auk")
    test = ABTestSimulation(fitted(), fitted())
    with pytest.raises(ExperimentError, match="`actual` for each of 2 rows, got 1"):
        test.predict(X[:2], actual=True)
    with pytest.raises(ExperimentError, match="to be true, false or None, got 'fraud'"):
        test.predict(X[0], actual="fraud")
    with pytest.raises(ExperimentError, match="a mapping, a Series, a DataFrame or numbers, got a str"):
        test.predict("row")


def test_versions_of_the_registry_are_models(settings: Settings, mlflow_uri: str, tmp_path: Path) -> None:
    update = {"mlflow_tracking_uri_given": mlflow_uri, "model_name": settings.redis_namespace}
    ours = settings.model_copy(update=update)
    manifest = tiny_bundle(tmp_path / "bundle")
    with mlflow_run(ours, "one") as run_id:
        uri = log_bundle(ours, run_id, tmp_path / "bundle")
    name = "v20260101_000000"
    with recorder(ours, NOW) as record:
        facts = {"model_uri": uri, "run_id": run_id, "name": name, "bundle_hash": manifest.bundle_hash}
        register(ours, **facts, actor="test", record=record)
    test = ABTestSimulation(name, tmp_path / "bundle", settings=ours)
    answers = test.predict([catalogue_row(user_id=f"u{number}") for number in range(20)])
    assert name in {answer["model"] for answer in answers}
    assert len({answer["score"] for answer in answers}) == 1
    with pytest.raises(RegistryError, match=r"expected v20250101_000000 among the versions .* found none"):
        ABTestSimulation(name, "v20250101_000000", settings=ours)
