"""Reasons add up to the score that was given, whichever candidate gave it."""

from __future__ import annotations

from functools import cache
from itertools import combinations
from math import factorial

import numpy as np
import pytest
from numpy.typing import NDArray

from sentinel_core.errors import BundleError
from sentinel_core.training.explain import Explainer, Explanation, Reason
from sentinel_core.training.export import from_skops, to_skops
from sentinel_core.training.fit import TrainedCandidate, train_candidate
from sentinel_core.training.onnx_model import open_session, raw_scores
from tests.training.toys import NAMES, toy

CANDIDATES = ("random_forest", "gradient_boosting", "logistic_regression")
DATA = toy()


@cache
def trained(name: str) -> TrainedCandidate:
    return train_candidate(name, DATA, seed=1, folds=2)


def encoded(candidate: TrainedCandidate) -> NDArray[np.float32]:
    rows = candidate.split.test
    return candidate.encoder.transform(DATA.values_at(rows), DATA.categories_at(rows))


@cache
def explainer(name: str) -> Explainer:
    """Of the estimator as its bundle holds it."""
    candidate = trained(name)
    return Explainer(from_skops(to_skops(candidate.estimator)), candidate.encoder, lambda: encoded(candidate))


def explained(name: str, row: int) -> Explanation:
    return explainer(name).explain(DATA.values[row], {column: texts[row] for column, texts in DATA.categories.items()})


@pytest.mark.parametrize("name", CANDIDATES)
def test_base_and_contributions_add_up_to_the_exported_models_output(name: str) -> None:
    candidate = trained(name)
    rows = candidate.split.test[:: max(1, len(candidate.split.test) // 100)]
    raw = raw_scores(
        open_session(candidate.onnx), candidate.encoder.transform(DATA.values_at(rows), DATA.categories_at(rows))
    )
    found = [explained(name, int(row)).probability for row in rows]
    np.testing.assert_allclose(found, raw, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", CANDIDATES)
def test_each_feature_and_each_category_appears_once_with_its_raw_value(name: str) -> None:
    row = int(np.flatnonzero(DATA.is_fraud)[0])
    reasons = explained(name, row).reasons
    assert [reason.feature for reason in reasons] == [*NAMES, "merchant_category"]
    assert [np.float32(reason.value or 0) for reason in reasons[:-1]] == DATA.values[row].tolist()
    assert reasons[-1].value == DATA.categories["merchant_category"][row]


@pytest.mark.parametrize("name", CANDIDATES)
def test_what_makes_a_fraud_here_stands_first_and_noise_does_not(name: str) -> None:
    scores = [(explained(name, int(row)), DATA.is_fraud[row]) for row in trained(name).split.test[:300]]
    surest = max((one for one, fraud in scores if fraud), key=lambda one: one.raw)
    first = surest.top(3)
    assert "noise" not in {reason.feature for reason in first}
    assert first[0].contribution > 0


@pytest.mark.parametrize("name", CANDIDATES)
def test_a_category_that_training_never_saw_is_explained_like_any_other(name: str) -> None:
    found = explainer(name).explain(DATA.values[0], {"merchant_category": "never seen"})
    assert found.reasons[-1].value == "never seen"
    assert np.isfinite(found.raw)


def test_contributions_of_a_forest_are_shapley_values_over_the_paths_of_its_trees() -> None:
    """The oracle sums over every coalition of features, as Shapley wrote it down."""
    candidate = train_candidate("random_forest", DATA, seed=1, folds=2, hyperparameters={"n_estimators": 3})
    row = candidate.encoder.transform(DATA.values[:1], {"merchant_category": DATA.categories["merchant_category"][:1]})
    width = row.shape[1]

    def expectation(known: frozenset[int]) -> float:
        trees = [tree.tree_ for tree in candidate.estimator.estimators_]
        return float(np.mean([_expect(tree, 0, row[0], known) for tree in trees]))

    expected = np.zeros(width)
    for feature in range(width):
        others = [other for other in range(width) if other != feature]
        for size in range(width):
            weight = factorial(size) * factorial(width - size - 1) / factorial(width)
            for chosen in combinations(others, size):
                known = frozenset(chosen)
                expected[feature] += weight * (expectation(known | {feature}) - expectation(known))
    found = Explainer(candidate.estimator, candidate.encoder, lambda: row).explain(
        DATA.values[0], {"merchant_category": DATA.categories["merchant_category"][0]}
    )
    np.testing.assert_allclose([reason.contribution for reason in found.reasons], expected, rtol=0, atol=1e-6)


def _expect(tree: object, node: int, row: NDArray[np.float32], known: frozenset[int]) -> float:
    feature = tree.feature[node]  # type: ignore[attr-defined]
    left, right = tree.children_left[node], tree.children_right[node]  # type: ignore[attr-defined]
    if left < 0:
        share = tree.value[node][0]  # type: ignore[attr-defined]
        return float(share[1] / share.sum())
    if feature in known:
        below = row[feature] <= tree.threshold[node]  # type: ignore[attr-defined]
        return _expect(tree, left if below else right, row, known)
    size = tree.weighted_n_node_samples  # type: ignore[attr-defined]
    parts = ((size[child] / size[node]) * _expect(tree, child, row, known) for child in (left, right))
    return float(sum(parts))


def test_the_mean_row_of_a_linear_model_has_nothing_to_explain() -> None:
    candidate = trained("logistic_regression")
    mean = encoded(candidate).mean(axis=0, dtype=np.float64)
    numbers = mean[: len(NAMES)] * candidate.encoder.scale + candidate.encoder.center
    found = explainer("logistic_regression").explain(numbers.astype(np.float32), {"merchant_category": "grocery"})
    assert max(abs(reason.contribution) for reason in found.reasons[: len(NAMES)]) < 1e-4


def test_the_top_leaves_out_what_added_nothing_and_puts_the_largest_first() -> None:
    given = {"a": 0.5, "b": 0.0, "c": -2.0, "d": 0.1, "e": 1.0, "f": -0.2, "g": 0.05}
    found = Explanation(0.0, tuple(Reason(name, 1.0, value) for name, value in given.items()), "log-odds")
    assert [reason.feature for reason in found.top()] == ["c", "e", "a", "f", "d"]
    nothing = Explanation(0.0, (Reason("b", 1.0, 0.0),), "log-odds")
    assert nothing.top() == []


def test_an_estimator_without_an_exact_method_is_refused() -> None:
    from sklearn.naive_bayes import GaussianNB

    encoder = trained("random_forest").encoder
    with pytest.raises(
        BundleError, match="expected an estimator that shap or its coefficients explain, got GaussianNB"
    ):
        Explainer(GaussianNB(), encoder, lambda: np.zeros((1, 5), np.float32))
    with pytest.raises(BundleError, match="expected rows to compare a linear model's inputs with, found none"):
        Explainer(trained("logistic_regression").estimator, encoder, lambda: np.zeros((0, 5), np.float32))
