"""Curves against scikit-learn's, and reliability by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as oracle

from sentinel_core.evaluation.curves import histogram, precision_recall, reliability, roc

GENERATOR = np.random.default_rng(0)
FRAUD = GENERATOR.random(400) < 0.15
SCORE = np.round(np.clip(GENERATOR.normal(0.3 + 0.3 * FRAUD, 0.2), 0, 1), 2)


def test_precision_and_recall_at_every_distinct_score() -> None:
    precision, recall, threshold = oracle.precision_recall_curve(FRAUD, SCORE)
    found = precision_recall(FRAUD, SCORE)
    assert found.x == pytest.approx(recall[:-1][::-1])
    assert found.y == pytest.approx(precision[:-1][::-1])
    assert found.threshold == pytest.approx(threshold[::-1])


def test_roc_at_every_distinct_score() -> None:
    false, true, threshold = oracle.roc_curve(FRAUD, SCORE, drop_intermediate=False)
    found = roc(FRAUD, SCORE)
    assert (found.x, found.y, found.threshold) == (pytest.approx(false), pytest.approx(true), pytest.approx(threshold))


def test_a_thinned_curve_keeps_its_ends() -> None:
    curve = roc(FRAUD, SCORE)
    thin = curve.thinned(10)
    assert 5 < len(thin.x) <= 10
    assert (thin.x[0], thin.y[0], thin.x[-1], thin.y[-1]) == (0, 0, 1, 1)
    assert curve.thinned(10_000) is curve


def test_a_thinned_curve_looks_like_the_whole_where_it_is_steep() -> None:
    generator = np.random.default_rng(1)
    fraud = generator.random(20_000) < 0.02
    score = np.clip(generator.normal(0.2 + 0.5 * fraud, 0.15), 0, 1)
    for curve in (roc(fraud, score), precision_recall(fraud, score)):
        thin = curve.thinned(400)
        assert len(thin.x) <= 400
        assert np.trapezoid(thin.y, thin.x) == pytest.approx(np.trapezoid(curve.y, curve.x), abs=0.005)


def test_a_histogram_counts_every_row_under_its_label() -> None:
    found = histogram([True, False, False, True], [1.0, 0.0, 0.49, 0.5], bins=2)
    assert list(found.edges) == [0.0, 0.5, 1.0]
    assert (list(found.legitimate), list(found.fraud)) == ([2, 0], [0, 2])


def test_reliability_compares_mean_score_and_share_of_fraud() -> None:
    found = reliability([True, False, False, True], [0.12, 0.18, 0.5, 1.0], edges=(0.0, 0.1, 0.2, 1.0))
    assert found.score == pytest.approx([0.15, 0.75])
    assert found.fraud == pytest.approx([0.5, 0.5])
    assert list(found.rows) == [2, 2]
