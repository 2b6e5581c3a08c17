"""Metrics against scikit-learn's, over ties, weights and lopsided classes."""

from __future__ import annotations

import math
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics as oracle

from sentinel_core.evaluation import metrics
from sentinel_core.evaluation.metrics import METRICS, Confusion, Ranking, brier, confusion, evaluate

# Few distinct scores, so that ties between the classes are the rule.
SCORED = st.lists(st.tuples(st.booleans(), st.integers(0, 6), st.integers(0, 3)), min_size=2, max_size=60)


def _arrays(rows: list[tuple[bool, int, int]]) -> tuple[NDArray[np.bool_], NDArray[np.float64], NDArray[np.int64]]:
    fraud, score, weight = zip(*rows, strict=True)
    return np.array(fraud), np.array(score) / 6, np.array(weight)


@given(SCORED)
def test_every_metric_is_scikit_learns(rows: list[tuple[bool, int, int]]) -> None:
    fraud, score, _ = _arrays(rows)
    found = evaluate(fraud, score, 0.5)
    alarm = score >= 0.5
    assert list(found) == list(METRICS)
    assert found["accuracy"] == pytest.approx(oracle.accuracy_score(fraud, alarm))
    assert found["precision"] == pytest.approx(oracle.precision_score(fraud, alarm, zero_division=0))
    assert found["recall"] == pytest.approx(oracle.recall_score(fraud, alarm, zero_division=0))
    assert found["f1"] == pytest.approx(oracle.f1_score(fraud, alarm, zero_division=0))
    assert found["brier"] == pytest.approx(oracle.brier_score_loss(fraud, score, pos_label=True, labels=[False, True]))
    if fraud.all() or not fraud.any():
        assert math.isnan(found["roc_auc"])
        assert math.isnan(found["pr_auc"])
    else:
        assert found["roc_auc"] == pytest.approx(oracle.roc_auc_score(fraud, score))
        assert found["pr_auc"] == pytest.approx(oracle.average_precision_score(fraud, score))


@given(SCORED)
def test_a_weight_counts_as_that_many_copies_of_the_row(rows: list[tuple[bool, int, int]]) -> None:
    fraud, score, weight = _arrays(rows)
    copied = np.repeat(np.arange(len(fraud)), weight)
    expected = Ranking(fraud[copied], score[copied]).figures()
    assert Ranking(fraud, score).figures(weight) == pytest.approx(expected, nan_ok=True)


@given(SCORED, st.floats(1, 50))
def test_weights_need_not_be_whole(rows: list[tuple[bool, int, int]], unit: float) -> None:
    fraud, score, weight = _arrays(rows)
    weight = weight * unit
    found = Ranking(fraud, score).figures(weight)
    if not weight[fraud].sum() or not weight[~fraud].sum():
        assert all(math.isnan(value) for value in found.values())
        return
    assert found["roc_auc"] == pytest.approx(oracle.roc_auc_score(fraud, score, sample_weight=weight))
    assert found["pr_auc"] == pytest.approx(oracle.average_precision_score(fraud, score, sample_weight=weight))


@given(SCORED, st.sampled_from([0.001, 0.01, 0.3]))
def test_recall_at_a_false_positive_rate_is_that_of_the_loosest_threshold_within_it(
    rows: list[tuple[bool, int, int]], rate: float
) -> None:
    fraud, score, _ = _arrays(rows)
    assume(fraud.any() and not fraud.all())
    expected = max(
        ((score >= t) & fraud).sum() / fraud.sum()
        for t in [*score, np.inf]
        if ((score >= t) & ~fraud).sum() <= rate * (~fraud).sum()
    )
    with patch.dict(metrics.FALSE_POSITIVE_RATES, {"recall_at_1pct_fpr": rate}):
        assert evaluate(fraud, score, 0.5)["recall_at_1pct_fpr"] == pytest.approx(expected)


def test_without_alarms_precision_and_f1_are_zero() -> None:
    assert confusion([True, False], [False, False]) == Confusion(0, 0, 1, 1)
    assert evaluate([True, False], [0.1, 0.2], 0.9)["precision"] == 0.0
    assert evaluate([True, False], [0.1, 0.2], 0.9)["f1"] == 0.0


def test_brier_of_certainty_about_the_truth_is_zero() -> None:
    assert brier([True, False], [1.0, 0.0]) == 0.0
