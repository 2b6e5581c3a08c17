"""Calibration keeps the order, finds what scikit-learn finds, and refuses what no increasing map can fit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from sentinel_core.errors import TrainingError
from sentinel_core.training.calibrate import Platt, fit_platt, smoothed_logit

GENERATOR = np.random.default_rng(0)
FRAUD = GENERATOR.random(4000) < 0.05
RAW = np.clip(GENERATOR.beta(1, 6, 4000) + 0.4 * FRAUD, 0, 1).astype(np.float32)


@given(st.floats(0.2, 2), st.floats(-8, 3), st.lists(st.floats(0, 1, width=32), min_size=2, max_size=50, unique=True))
def test_no_two_outputs_are_tied_or_swapped(slope: float, intercept: float, outputs: list[float]) -> None:
    ordered = np.sort(np.array(outputs, dtype=np.float32))
    # Closer than this, float32 outputs of a model are the same number for every purpose.
    ordered = ordered[np.append(True, np.diff(ordered) > 1e-7)]
    scores = Platt(slope, intercept)(ordered)
    assert (np.diff(scores) > 0).all()
    assert ((scores > 0) & (scores < 1)).all()


def test_the_fit_is_that_of_an_unpenalised_logistic_regression() -> None:
    x = smoothed_logit(RAW)[:, None]
    frauds, others = FRAUD.sum(), (~FRAUD).sum()
    # Smoothed targets are the two labels with weights.
    high, low = (frauds + 1) / (frauds + 2), 1 / (others + 2)
    weight = np.concatenate([np.where(FRAUD, high, low), np.where(FRAUD, 1 - high, 1 - low)])
    oracle = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000)
    oracle.fit(np.concatenate([x, x]), np.repeat([1, 0], len(x)), sample_weight=weight)
    found = fit_platt(RAW, FRAUD)
    assert found.slope == pytest.approx(oracle.coef_[0, 0], rel=1e-4)
    assert found.intercept == pytest.approx(oracle.intercept_[0], rel=1e-4)


def test_the_mean_score_is_the_share_of_fraud() -> None:
    assert fit_platt(RAW, FRAUD)(RAW).mean() == pytest.approx(FRAUD.mean(), abs=1e-3)


def test_separable_outputs_and_outputs_of_zero_and_one_have_a_finite_answer() -> None:
    found = fit_platt(np.array([0.0] * 50 + [1.0] * 5), np.array([False] * 50 + [True] * 5))
    assert found([0.0])[0] < 0.05
    assert found([1.0])[0] > 0.8


def test_outputs_that_fall_with_fraud_are_refused_with_their_slope() -> None:
    with pytest.raises(TrainingError, match=r"scores that grow with fraud .* slope of -\d.* 3,788 legitimate"):
        fit_platt(1 - RAW, FRAUD)
