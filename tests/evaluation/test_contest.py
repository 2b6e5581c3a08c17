"""Paired comparisons: each draw against the plain computation, and what the p-value and the segments say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel_core.evaluation.contest import Contender, DrawnPrecision, compare
from sentinel_core.evaluation.costs import Costs
from sentinel_core.evaluation.curves import RELIABILITY_EDGES
from sentinel_core.evaluation.judge import Scored, judge
from sentinel_core.evaluation.metrics import average_precision
from sentinel_core.evaluation.segments import segments

COSTS = Costs()


def hold_out(n_users: int = 60, each: int = 12, seed: int = 0) -> Scored:
    generator = np.random.default_rng(seed)
    n = n_users * each
    fraud = generator.random(n) < 0.15
    score = np.clip(generator.normal(0.2 + 0.4 * fraud, 0.2), 0, 1)
    return Scored(
        fraud, score, np.repeat(np.arange(n_users), each), np.zeros(n, np.int64), generator.integers(1, 9999, n)
    )


def contender(score: np.ndarray, threshold: float = 0.5) -> Contender:
    return Contender(score, np.full(len(score), threshold))


def test_a_draw_is_the_difference_of_the_drawn_users_rows() -> None:
    rows = hold_out()
    other = np.clip(rows.score + np.random.default_rng(1).normal(0, 0.1, len(rows.score)), 0, 1)
    masks = {"even": np.arange(len(other)) % 2 == 0}
    whole, parts = compare(rows, contender(rows.score), contender(other, 0.6), COSTS, segments=masks, count=10, seed=3)
    generator = np.random.default_rng(3)
    for draw in range(10):
        drawn = np.concatenate([np.flatnonzero(rows.user == u) for u in generator.integers(0, 60, 60)])
        ours, theirs = rows.take(drawn), replace(rows, score=other).take(drawn)
        one, two = judge(ours, 0.5, COSTS), judge(theirs, 0.6, COSTS)
        assert whole["pr_auc"].drawn[draw] == pytest.approx(one["pr_auc"] - two["pr_auc"])
        assert whole["cost_saved"].drawn[draw] == pytest.approx(one["cost_saved"] - two["cost_saved"])
        assert whole["calibration"].drawn[draw] == pytest.approx(_error(theirs) - _error(ours))
        even = masks["even"][drawn]
        expected = average_precision(ours.is_fraud[even], ours.score[even])
        expected -= average_precision(theirs.is_fraud[even], theirs.score[even])
        assert parts["even"].drawn[draw] == pytest.approx(expected)


@given(st.integers(0, 1_000), st.sampled_from([3, 20, 1_000]))
def test_drawn_precision_is_average_precision_of_the_drawn_rows_with_ties_too(seed: int, scores: int) -> None:
    generator = np.random.default_rng(seed)
    fraud, score = generator.random(60) < 0.2, generator.integers(0, scores, 60) / scores
    user = generator.integers(0, 9, 60)
    times = generator.integers(0, 3, (9, 5)).astype(np.float64)
    found = DrawnPrecision(Scored(fraud, score, user, user, user), user, 9).of(times)
    for draw in range(5):
        rows = np.repeat(np.arange(60), times[user, draw].astype(int))
        expected = average_precision(fraud[rows], score[rows]) if fraud[rows].any() else np.nan
        assert found[draw] == pytest.approx(expected, nan_ok=True)


def test_a_model_against_itself_differs_in_nothing() -> None:
    rows = hold_out()
    whole, _ = compare(rows, contender(rows.score), contender(rows.score), COSTS, count=20)
    assert all(one.value == 0 and not one.drawn.any() for one in whole.values())


def test_a_clearly_worse_model_has_a_small_p_value_and_a_better_one_a_large_one() -> None:
    rows = hold_out()
    noise = np.random.default_rng(2).random(len(rows.score))
    worse, _ = compare(rows, contender(noise), contender(rows.score), COSTS, count=200)
    better, _ = compare(rows, contender(rows.score), contender(noise), COSTS, count=200)
    assert worse["pr_auc"].p_worse < 0.01
    assert better["pr_auc"].p_worse > 0.99
    assert worse["pr_auc"].value == pytest.approx(-better["pr_auc"].value)


def test_segments_cover_every_row_once_in_each_way_of_looking() -> None:
    cents = np.array([5, 10_00, 99_99, 100_00, 600_00])
    categories = {"card_type": np.array(["debit", None, "debit", "credit", "debit"], dtype=object)}
    found = segments(cents, np.array([0, 4, 5, 9, 100]), categories)
    assert {name: np.flatnonzero(mask).tolist() for name, mask in found.items()} == {
        "amount 0 to 10": [0],
        "amount 10 to 100": [1, 2],
        "amount 100 to 500": [3],
        "amount 500 and more": [4],
        "new users": [0, 1],
        "known users": [2, 3, 4],
        "card_type debit": [0, 2, 4],
        "card_type unknown": [1],
        "card_type credit": [3],
    }


def _error(rows: Scored) -> float:
    place = np.clip(np.digitize(rows.score, RELIABILITY_EDGES) - 1, 0, len(RELIABILITY_EDGES) - 2)
    gaps = [abs((rows.score - rows.is_fraud)[place == p].sum()) for p in np.unique(place)]
    return float(sum(gaps) / len(place))
