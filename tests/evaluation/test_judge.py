"""Figures and their intervals draw users, not rows: against a slow bootstrap, and against what theory says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sentinel_core.evaluation.costs import Costs
from sentinel_core.evaluation.judge import CARD_PRECISION, JUDGED, Scored, draws, intervals, judge

COSTS = Costs()
HOUR = 3_600_000_000


def _scored(n_users: int, rows_each: int, seed: int) -> Scored:
    generator = np.random.default_rng(seed)
    user = np.repeat(np.arange(n_users), rows_each)
    fraud = generator.random(len(user)) < 0.2
    score = np.round(np.clip(generator.normal(0.3 + 0.3 * fraud, 0.2), 0, 1), 2)
    cents = generator.integers(1, 50_000, len(user))
    return Scored(fraud, score, user, generator.integers(0, 5 * 24, len(user)) * HOUR, cents)


def test_a_draw_is_the_metric_of_the_drawn_users_rows() -> None:
    scored = _scored(12, 9, seed=1)
    drawn = draws(scored, 0.5, COSTS, count=20, seed=7)
    generator = np.random.default_rng(7)
    for draw in range(20):
        # A user who is drawn twice is two users.
        copies = [(np.flatnonzero(scored.user == u), n) for n, u in enumerate(np.sort(generator.integers(0, 12, 12)))]
        rows = np.concatenate([places for places, _ in copies])
        names = np.concatenate([np.full(len(places), n) for places, n in copies])
        expected = judge(replace(scored.take(rows), user=names), 0.5, COSTS)
        assert {name: drawn[name][draw] for name in JUDGED} == pytest.approx(expected)


def test_the_ids_of_users_do_not_matter_only_who_shares_one() -> None:
    scored = _scored(10, 8, seed=2)
    named = replace(scored, user=np.array([f"user {u:02d}" for u in scored.user]))
    assert intervals(scored, 0.5, COSTS, count=50) == intervals(named, 0.5, COSTS, count=50)


def test_a_seed_gives_the_same_interval_and_another_seed_a_near_one() -> None:
    scored = _scored(100, 10, seed=3)
    first, again, other = (intervals(scored, 0.5, COSTS, count=400, seed=s)["pr_auc"] for s in (1, 1, 2))
    assert first == again
    assert first != other
    assert (first.low, first.high) == pytest.approx((other.low, other.high), abs=0.03)


def test_the_interval_of_a_mean_is_that_of_the_textbook() -> None:
    scored = _scored(2000, 1, seed=4)
    found = intervals(scored, 0.5, COSTS, count=1000)["recall"]
    share, n = found.value, scored.is_fraud.sum()
    half = 1.96 * (share * (1 - share) / n) ** 0.5
    assert (found.low, found.high) == pytest.approx((share - half, share + half), abs=0.01)


def test_rows_that_go_together_widen_the_interval() -> None:
    copied = _scored(500, 1, seed=5).take(np.repeat(np.arange(500), 4))
    clustered = intervals(copied, 0.5, COSTS, count=300)["recall"]
    as_if_independent = intervals(replace(copied, user=np.arange(2000)), 0.5, COSTS, count=300)["recall"]
    assert clustered.high - clustered.low > 1.6 * (as_if_independent.high - as_if_independent.low)


def test_draws_without_a_fraud_are_left_out_of_the_areas() -> None:
    one_fraud = np.array([True] + [False] * 9)
    scored = Scored(one_fraud, np.linspace(1, 0, 10), np.arange(10), np.zeros(10, np.int64), np.full(10, 100))
    found = intervals(scored, 0.5, COSTS, count=100)
    assert found["roc_auc"].low == found["roc_auc"].high == 1.0
    assert found["recall"].low == 0.0
    assert found["value_detected"].low == found["value_detected"].high == 1.0


def test_value_and_costs_are_counted_in_money() -> None:
    fraud = np.array([True, True, False, False])
    cents = np.array([10_000, 30_000, 500, 500])
    scored = Scored(fraud, np.array([0.9, 0.1, 0.9, 0.1]), np.arange(4), np.zeros(4, np.int64), cents)
    found = judge(scored, 0.5, Costs(loss=0.5, fee=10.0, false_alarm=6.0))
    assert found["value_detected"] == 0.25
    # One fraud of 100 is stopped (saves 60), one of 300 missed (costs 160), and one customer bothered (costs 6).
    assert found["cost_saved"] == pytest.approx((60 - 6) / (60 + 160))


def test_a_row_of_weight_three_is_three_rows_in_figures_and_in_draws() -> None:
    scored = _scored(30, 8, seed=5)
    weight = np.random.default_rng(5).integers(1, 4, len(scored.user))
    copied = scored.take(np.repeat(np.arange(len(weight)), weight))
    weighted = replace(scored, weight=weight.astype(np.float64))
    by_cards = {name: value for name, value in judge(copied, 0.5, COSTS).items() if name != CARD_PRECISION}
    assert {name: judge(weighted, 0.5, COSTS)[name] for name in by_cards} == pytest.approx(by_cards)
    for name in by_cards:
        drawn, expected = (draws(rows, 0.5, COSTS, count=10, seed=2)[name] for rows in (weighted, copied))
        assert drawn == pytest.approx(expected)
    few = weighted.take(np.arange(5))
    assert few.weight is not None
    assert few.weight.tolist() == weight[:5].tolist()
