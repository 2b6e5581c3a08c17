"""What holds for every candidate: the same checks run over each of them."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from threadpoolctl import threadpool_limits

from sentinel_core.errors import TrainingError
from sentinel_core.evaluation.judge import JUDGED
from sentinel_core.evaluation.metrics import METRICS, evaluate
from sentinel_core.training.candidates import CANDIDATES, ENCODINGS
from sentinel_core.training.crossval import cross_validate, out_of_fold
from sentinel_core.training.export import check_agreement, from_skops, to_onnx, to_skops
from sentinel_core.training.fit import TrainedCandidate, train_candidate
from sentinel_core.training.fitted import fit_on
from sentinel_core.training.onnx_model import open_session, raw_scores
from sentinel_core.training.split import time_split
from tests.training.toys import toy

SMALL: dict[str, dict[str, Any]] = {
    "random_forest": {"n_estimators": 15},
    "gradient_boosting": {"max_iter": 20},
    "logistic_regression": {},
}
SETTINGS = {name: CANDIDATES[name].hyperparameters(given) for name, given in SMALL.items()}
DATA = toy(is_fraud_true=toy().is_fraud)


@cache
def trained(name: str) -> TrainedCandidate:
    """Train a small form of a candidate, once for all tests."""
    return train_candidate(name, DATA, seed=3, hyperparameters=SMALL[name])


@pytest.fixture(params=CANDIDATES)
def one(request: pytest.FixtureRequest) -> TrainedCandidate:
    """Each candidate in turn."""
    return trained(request.param)


def test_it_is_better_than_chance_and_than_the_amount_alone(one: TrainedCandidate) -> None:
    test = one.split.test
    amount = evaluate(DATA.fraud_at(test), DATA.values[test, 0], np.inf)["pr_auc"]
    assert one.metrics["test"]["pr_auc"].value > amount
    assert one.metrics["test"]["pr_auc"].low > DATA.fraud_at(test).mean()


def test_every_part_has_every_metric_inside_its_interval(one: TrainedCandidate) -> None:
    assert set(one.metrics) == {"calibrate", "test", "test_true"}
    for figures in one.metrics.values():
        assert list(figures) == list(JUDGED)
        assert all(figure.low <= figure.value <= figure.high for figure in figures.values())
    assert set(one.cross_validation) == set(METRICS)
    assert one.cross_validation["roc_auc"][0] > 0.7


def test_the_scores_are_those_of_onnx_calibrated_and_of_the_estimator(one: TrainedCandidate) -> None:
    test = one.split.test
    matrix = one.encoder.transform(DATA.values_at(test), DATA.categories_at(test))
    raw = raw_scores(open_session(one.onnx), matrix)
    assert (one.calibration(raw) == one.scores["test"]).all()
    assert np.abs(raw - one.estimator.predict_proba(matrix)[:, 1]).max() <= 1e-5


def test_a_row_scores_alone_as_it_does_in_a_batch(one: TrainedCandidate) -> None:
    test = one.split.test
    matrix = one.encoder.transform(DATA.values_at(test), DATA.categories_at(test))
    session = open_session(one.onnx)
    alone = [raw_scores(session, matrix[i : i + 1])[0] for i in range(len(matrix))]
    assert raw_scores(session, matrix).tolist() == [float(score) for score in alone]


def test_importances_name_the_inputs_and_add_up(one: TrainedCandidate) -> None:
    assert tuple(one.importances) == one.encoder.input_names
    assert sum(one.importances.values()) == pytest.approx(1)
    assert one.importances["amount"] > one.importances["noise"]


def test_the_estimator_survives_its_safe_format(one: TrainedCandidate) -> None:
    matrix = one.encoder.transform(DATA.values_at(one.split.test), DATA.categories_at(one.split.test))
    again = from_skops(to_skops(one.estimator))
    # A forest adds up its trees in the order in which its threads end.
    assert again.predict_proba(matrix) == pytest.approx(one.estimator.predict_proba(matrix), abs=1e-12)


@pytest.mark.parametrize("name", CANDIDATES)
def test_equal_inputs_give_equal_bytes(name: str) -> None:
    first, second = trained(name), train_candidate(name, DATA, seed=3, hyperparameters=SMALL[name])
    assert first.onnx == second.onnx
    assert to_skops(first.estimator) == to_skops(second.estimator)
    assert first.encoder.to_dict() == second.encoder.to_dict()
    assert (first.calibration, first.threshold, first.metrics) == (second.calibration, second.threshold, second.metrics)
    assert first.cross_validation == second.cross_validation


def test_the_test_part_teaches_nothing() -> None:
    split = time_split(DATA.time, DATA.is_fraud, DATA.known_at, as_of=DATA.as_of, label_delay=DATA.label_delay)
    flipped = DATA.is_fraud.copy()
    flipped[split.test] = 1 - flipped[split.test]
    other = train_candidate("logistic_regression", replace(DATA, is_fraud=flipped), seed=3)
    one = trained("logistic_regression")
    assert (other.onnx, other.calibration, other.threshold) == (one.onnx, one.calibration, one.threshold)


def test_a_row_budget_bounds_the_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    small = replace(CANDIDATES["logistic_regression"], row_budget=800)
    monkeypatch.setattr("sentinel_core.training.fit.candidate", lambda _: small)
    one = train_candidate("logistic_regression", DATA, seed=3)
    assert one.rows == 800
    assert len(one.split.train) > 800


def test_a_fit_that_did_not_converge_says_so() -> None:
    one = train_candidate("logistic_regression", DATA, seed=3, hyperparameters={"max_iter": 2})
    assert any("failed to converge" in note for note in one.notes)


def test_unknown_names_are_errors_that_suggest_the_near_one() -> None:
    with pytest.raises(TrainingError, match=r"got 'randomforest'\. Did you mean 'random_forest'\?"):
        train_candidate("randomforest", DATA, seed=0)
    with pytest.raises(TrainingError, match=r"random_forest, got 'n_estimator'\. Did you mean 'n_estimators'\?"):
        train_candidate("random_forest", DATA, seed=0, hyperparameters={"n_estimator": 5})
    with pytest.raises(TrainingError, match="got 'random_state'"):
        train_candidate("random_forest", DATA, seed=0, hyperparameters={"random_state": 5})


@pytest.mark.parametrize("name", CANDIDATES)
@pytest.mark.parametrize("categories", ["label", "onehot"])
@pytest.mark.parametrize("scaling", ["none", "standard", "minmax"])
def test_every_encoding_trains_and_exports_with_every_candidate(name: str, categories: str, scaling: str) -> None:
    given = {**SMALL[name], "categories": categories, "scaling": scaling}
    used = CANDIDATES[name].hyperparameters(given)
    with threadpool_limits(1):
        fitted = fit_on(CANDIDATES[name], DATA, np.arange(2000), used, seed=3)
    assert fitted.encoder.scaling == scaling
    assert {category.kind for category in fitted.encoder.categories} == {categories}
    matrix = fitted.encode(DATA, np.arange(2000, 4000))
    assert check_agreement(to_onnx(fitted.estimator, matrix.shape[1]), fitted.estimator, matrix) <= 1e-5


def test_the_encoding_is_kept_with_the_hyperparameters() -> None:
    given = {"scaling": "minmax", "categories": "onehot", "n_estimators": 3}
    one = train_candidate("random_forest", DATA, seed=3, hyperparameters=given, folds=2)
    assert {name: one.hyperparameters[name] for name in given} == given
    assert one.encoder.to_dict()["scaling"]["kind"] == "minmax"


def test_no_estimator_has_a_hyperparameter_of_the_encoders_name() -> None:
    for chosen in CANDIDATES.values():
        assert not set(ENCODINGS) & set(chosen.make().get_params())
        assert {name: chosen.hyperparameters()[name] for name in ENCODINGS}


def test_an_unknown_encoding_is_an_error_that_lists_the_known_ones() -> None:
    linear = CANDIDATES["logistic_regression"]
    with pytest.raises(TrainingError, match=r"none, standard, minmax, got 'min-max'\. Did you mean 'minmax'\?"):
        linear.hyperparameters({"scaling": "min-max"})
    with pytest.raises(TrainingError, match=r"categories to be one of label, onehot, got None\."):
        linear.hyperparameters({"categories": None})
    with pytest.raises(TrainingError, match=r"encoder categories \(label, onehot\); scaling \(none, standard, m"):
        linear.hyperparameters({"encoder": "onehot"})


def test_a_value_that_scikit_learn_refuses_is_an_error_with_its_words() -> None:
    with pytest.raises(TrainingError, match=r"RandomForestClassifier accepts.*n_estimators"):
        train_candidate("random_forest", DATA, seed=0, hyperparameters={"n_estimators": -1})


def test_the_number_of_trees_has_one_name_for_both_ensembles() -> None:
    assert CANDIDATES["gradient_boosting"].hyperparameters({"n_estimators": 7})["max_iter"] == 7


def test_fewer_frauds_than_folds_is_an_error() -> None:
    few = np.where(DATA.is_fraud == 1, np.cumsum(DATA.is_fraud == 1) <= 3, 0).astype(np.int8)
    rows = np.arange(len(few))
    chosen = CANDIDATES["logistic_regression"]
    with pytest.raises(TrainingError, match="at least 5 users for 5 folds, got 3 frauds of 3 users"):
        cross_validate(chosen, replace(DATA, is_fraud=few), rows, chosen.hyperparameters(), folds=5, seed=0)


def test_no_fold_learns_from_the_users_that_it_judges() -> None:
    # The input is the user, and half of the users are fraudsters: memory of users is all there is to learn.
    user = DATA.user.astype(np.int64)
    crook = np.random.default_rng(5).random(user.max() + 1) < 0.5
    values = DATA.values.copy()
    values[:] = 0
    values[:, 0] = user
    data = replace(DATA, values=values, is_fraud=crook[user].astype(np.int8), categories={})
    chosen = CANDIDATES["random_forest"]
    score, _ = out_of_fold(chosen, data, np.arange(len(user)), SETTINGS["random_forest"], folds=5, seed=0)
    assert abs(evaluate(data.is_fraud == 1, score, 0.5)["roc_auc"] - 0.5) < 0.15


def test_an_export_that_disagrees_is_refused_with_the_difference() -> None:
    one = trained("logistic_regression")
    matrix = one.encoder.transform(DATA.values_at(one.split.test), DATA.categories_at(one.split.test))
    other = from_skops(to_skops(one.estimator))
    other.coef_ = other.coef_ * 1.5
    with pytest.raises(TrainingError, match=r"agree within 1e-05 .* LogisticRegression differs by 0\.\d"):
        check_agreement(to_onnx(other, matrix.shape[1]), one.estimator, matrix)


def test_an_estimator_of_types_that_nobody_reviewed_is_refused() -> None:
    class Unreviewed(DummyClassifier):  # type: ignore[misc]
        """Not in scikit-learn."""

    with pytest.raises(TrainingError, match=r"reviewed types, got .*Unreviewed"):
        to_skops(Unreviewed().fit([[0.0], [1.0]], [0, 1]))
