"""The bootstrap draws users, not rows: against a slow one, and against what theory says."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from sentinel_core.evaluation.bootstrap import draws, intervals
from sentinel_core.evaluation.metrics import METRICS, evaluate


def _scored(
    n_users: int, rows_each: int, seed: int
) -> tuple[NDArray[np.bool_], NDArray[np.float64], NDArray[np.int64]]:
    generator = np.random.default_rng(seed)
    user = np.repeat(np.arange(n_users), rows_each)
    fraud = generator.random(len(user)) < 0.2
    score = np.round(np.clip(generator.normal(0.3 + 0.3 * fraud, 0.2), 0, 1), 2)
    return fraud, score, user


def test_a_draw_is_the_metric_of_the_drawn_users_rows() -> None:
    fraud, score, user = _scored(12, 9, seed=1)
    drawn = draws(fraud, score, 0.5, user, count=20, seed=7)
    generator = np.random.default_rng(7)
    for draw in range(20):
        rows = np.concatenate([np.flatnonzero(user == u) for u in generator.integers(0, 12, 12)])
        expected = evaluate(fraud[rows], score[rows], 0.5)
        assert {name: drawn[name][draw] for name in METRICS} == pytest.approx(expected)


def test_the_ids_of_users_do_not_matter_only_who_shares_one() -> None:
    fraud, score, user = _scored(10, 8, seed=2)
    named = np.array([f"user {u:02d}" for u in user])
    assert intervals(fraud, score, 0.5, user, count=50) == intervals(fraud, score, 0.5, named, count=50)


def test_a_seed_gives_the_same_interval_and_another_seed_a_near_one() -> None:
    fraud, score, user = _scored(100, 10, seed=3)
    first, again, other = (intervals(fraud, score, 0.5, user, count=400, seed=s)["pr_auc"] for s in (1, 1, 2))
    assert first == again
    assert first != other
    assert (first.low, first.high) == pytest.approx((other.low, other.high), abs=0.03)


def test_the_interval_of_a_mean_is_that_of_the_textbook() -> None:
    fraud, score, user = _scored(2000, 1, seed=4)
    found = intervals(fraud, score, 0.5, user, count=1000)["recall"]
    share, n = found.value, fraud.sum()
    half = 1.96 * (share * (1 - share) / n) ** 0.5
    assert (found.low, found.high) == pytest.approx((share - half, share + half), abs=0.01)


def test_rows_that_go_together_widen_the_interval() -> None:
    fraud, score, _ = _scored(500, 1, seed=5)
    copies = np.repeat(np.arange(500), 4)
    clustered = intervals(fraud[copies], score[copies], 0.5, copies, count=300)["recall"]
    as_if_independent = intervals(fraud[copies], score[copies], 0.5, np.arange(2000), count=300)["recall"]
    assert clustered.high - clustered.low > 1.6 * (as_if_independent.high - as_if_independent.low)


def test_draws_without_a_fraud_are_left_out_of_the_areas() -> None:
    fraud = np.array([True] + [False] * 9)
    found = intervals(fraud, np.linspace(1, 0, 10), 0.5, np.arange(10), count=100)
    assert found["roc_auc"].low == found["roc_auc"].high == 1.0
    assert found["recall"].low == 0.0
