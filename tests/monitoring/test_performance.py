"""What cohorts are worth, and what scores promise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as oracle

from sentinel_core.monitoring.cohorts import Cohort
from sentinel_core.monitoring.performance import ERRS, FEWEST, FIGURES, Figure, estimate, expected, measure
from tests.monitoring.cohorts import cohort_of


def _random(n: int, seed: int, *, weighted: bool = False) -> Cohort:
    generator = np.random.default_rng(seed)
    fraud = generator.random(n) < 0.3
    score = np.round(np.clip(generator.normal(0.3 + 0.3 * fraud, 0.2), 0, 1), 2)
    # No one threshold: where costs decide, an alert may score less than what passes.
    flagged = score >= generator.choice([0.4, 0.6], n)
    weight = generator.choice([1.0, 1 / 0.3], n) if weighted else None
    made = cohort_of(fraud.tolist(), flagged.tolist(), score=score.tolist(), users=(np.arange(n) // 3).tolist())
    return replace(made, rows=replace(made.rows, weight=weight))


@pytest.mark.parametrize("weighted", [False, True])
def test_figures_are_scikit_learns_with_the_decisions_that_were_given(weighted: bool) -> None:
    cohort = _random(400, 1, weighted=weighted)
    found, fraud, alert, weight = measure(cohort), cohort.rows.is_fraud, cohort.flagged, cohort.rows.weight
    expected_figures = {
        "precision": oracle.precision_score(fraud, alert, sample_weight=weight),
        "recall": oracle.recall_score(fraud, alert, sample_weight=weight),
        "f1": oracle.f1_score(fraud, alert, sample_weight=weight),
        "pr_auc": oracle.average_precision_score(fraud, cohort.rows.score, sample_weight=weight),
        "roc_auc": oracle.roc_auc_score(fraud, cohort.rows.score, sample_weight=weight),
        "accuracy": oracle.accuracy_score(fraud, alert, sample_weight=weight),
    }
    assert tuple(found) == FIGURES
    for name, value in expected_figures.items():
        figure = found[name]
        assert figure is not None
        assert figure.value == pytest.approx(value), name
        assert figure.low is not None
        assert figure.high is not None
        assert figure.low < figure.value < figure.high


def test_the_same_cohort_has_the_same_intervals() -> None:
    assert measure(_random(200, 2)) == measure(_random(200, 2))


@pytest.mark.parametrize(
    ("fraud", "flagged", "defined"),
    [
        ([], [], set()),
        ([False, False], [False, False], {"accuracy"}),
        ([False, False], [True, False], {"accuracy", "precision", "f1"}),
        ([True, False], [False, False], {"accuracy", "recall", "f1", "pr_auc", "roc_auc"}),
        ([True, True], [True, True], {"accuracy", "precision", "recall", "f1"}),
    ],
)
def test_a_rate_of_nothing_is_no_figure_and_a_handful_has_no_interval(
    fraud: list[bool], flagged: list[bool], defined: set[str]
) -> None:
    found = measure(cohort_of(fraud, flagged))
    assert {name for name, figure in found.items() if figure} == defined
    assert all(figure == Figure(figure.value) for figure in found.values() if figure)


def test_an_interval_comes_with_enough_alerts() -> None:
    for alerts, known in ((FEWEST - 1, False), (FEWEST, True)):
        found = measure(cohort_of([True] * alerts + [False] * 5, [True] * alerts + [False] * 5))["precision"]
        assert found is not None
        assert (found.low is not None) == known


def test_provisional_figures_err_as_they_say() -> None:
    """Half of what passed unseen, and a tenth of the alerts, is reported after the age; alerts are looked at first."""
    generator = np.random.default_rng(3)
    fraud = generator.random(5000) < 0.1
    flagged = np.where(fraud, generator.random(5000) < 0.7, generator.random(5000) < 0.02)
    late = fraud & np.where(flagged, generator.random(5000) < 0.1, generator.random(5000) < 0.5)
    early, mature = (measure(cohort_of(f.tolist(), flagged.tolist()), count=2) for f in (fraud & ~late, fraud))
    for name, side in ERRS.items():
        first, last = early[name], mature[name]
        assert first is not None
        assert last is not None
        assert (first.value < last.value) == (side == "low"), name


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=30))
def test_an_estimate_is_the_sum_over_all_truths_weighted_by_what_scores_say(rows: list[tuple[float, bool]]) -> None:
    score, flagged = np.array([s for s, _ in rows]), np.array([f for _, f in rows])
    sums = expected(score, flagged)
    true_positives = sum(s for s, f in rows if f)
    false_positives = sum(1 - s for s, f in rows if f)
    false_negatives = sum(s for s, f in rows if not f)
    found = estimate(sums)
    assert found.estimated
    if flagged.any():
        assert found.expected_precision == pytest.approx(true_positives / (true_positives + false_positives))
    else:
        assert found.expected_precision is None
        assert "without alerts" in found.reason
    if score.sum() > 0:
        assert found.expected_recall == pytest.approx(true_positives / (true_positives + false_negatives))
        both = 2 * true_positives + false_positives + false_negatives
        assert found.expected_f1 == pytest.approx(2 * true_positives / both)


def test_calibrated_scores_promise_what_labels_later_show() -> None:
    generator = np.random.default_rng(4)
    score = generator.beta(0.2, 2.0, 100_000)
    flagged, fraud = score >= 0.4, generator.random(100_000) < score
    found = estimate(expected(score, flagged))
    assert found.expected_precision == pytest.approx(oracle.precision_score(fraud, flagged), abs=0.01)
    assert found.expected_recall == pytest.approx(oracle.recall_score(fraud, flagged), abs=0.01)


def test_an_estimate_is_void_with_its_reason() -> None:
    sums = expected(np.array([0.9]), np.array([True]))
    found = estimate(sums, void="drift since Monday")
    assert (found.expected_precision, found.expected_recall, found.expected_f1) == (None, None, None)
    assert (found.reason, found.rows, found.estimated) == ("drift since Monday", 1, True)
    assert estimate(expected(np.empty(0), np.empty(0, np.bool_))).reason == "nothing was scored"
