"""The threshold of each policy, against trying every one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel_core.evaluation.costs import Costs
from sentinel_core.evaluation.judge import Scored
from sentinel_core.evaluation.metrics import evaluate
from sentinel_core.training.threshold import Policy, best_f1, choose_threshold

SCORED = st.lists(st.tuples(st.booleans(), st.integers(0, 9)), min_size=2, max_size=40).filter(
    lambda rows: any(fraud for fraud, _ in rows)
)


@given(SCORED)
def test_no_other_threshold_has_a_higher_f1(rows: list[tuple[bool, int]]) -> None:
    fraud = np.array([f for f, _ in rows])
    score = np.array([s for _, s in rows]) / 9
    threshold, f1 = best_f1(fraud, score)
    assert f1 == pytest.approx(max(evaluate(fraud, score, t)["f1"] for t in np.linspace(0, 1, 10)))
    assert evaluate(fraud, score, threshold)["f1"] == pytest.approx(f1)


def test_it_lies_between_two_scores_so_that_rounding_moves_nobody() -> None:
    assert best_f1(np.array([True, False]), np.array([0.8, 0.4]))[0] == pytest.approx(0.6)


def test_floors_move_the_threshold_to_the_widest_smallest_margin() -> None:
    fraud = np.array([True] * 8 + [False, True, True, False, False, False])
    score = np.linspace(0.95, 0.05, len(fraud))
    scored = _rows(fraud, score)
    free = choose_threshold(scored, Policy(), {"roc_auc": 0.9})
    assert free.policy == "best_f1"
    held = choose_threshold(scored, Policy(), {"precision": 0.5, "recall": 0.95})
    assert held.policy == "floor_margin"
    assert held.figures["recall_on_calibrate"] == 1.0
    strict = choose_threshold(scored, Policy(), {"precision": 0.95, "recall": 0.1})
    assert strict.figures["precision_on_calibrate"] == 1.0
    assert strict.threshold > held.threshold


DAY = 86_400_000_000


@given(SCORED, st.integers(1, 8), st.integers(1, 5))
def test_a_budget_is_never_exceeded_where_it_was_chosen_and_never_wasted(
    rows: list[tuple[bool, int]], alerts_a_day: int, days: int
) -> None:
    score = np.array([s for _, s in rows]) / 9
    scored = _rows(np.array([f for f, _ in rows]), score, days=days)
    chosen = choose_threshold(scored, Policy("alert_budget", alerts_a_day=alerts_a_day), {})
    assert (score >= chosen.threshold).sum() <= alerts_a_day * days
    looser = [t for t in np.unique(score) if t < chosen.threshold]
    assert not looser or (score >= looser[-1]).sum() > alerts_a_day * days


def test_the_lowest_cost_is_found_for_each_amount() -> None:
    costs = Costs(loss=0.8, fee=12.0, false_alarm=7.0)
    cents = np.array([50, 2_000, 90_000])
    rows = _rows(np.array([True, False, True]), np.array([0.2, 0.1, 0.9]), cents)
    chosen = choose_threshold(rows, Policy("lowest_cost", costs=costs), {})
    threshold = chosen.at(cents)
    for p in (threshold + 1e-9, threshold - 1e-9):
        declined, allowed = (1 - p) * costs.false_alarm, p * costs.of_fraud(cents)
        np.testing.assert_array_equal(p >= threshold, allowed >= declined)
    assert threshold[2] < threshold[1] < threshold[0]
    assert chosen.threshold == threshold[1]


def _rows(fraud: np.ndarray, score: np.ndarray, cents: np.ndarray | None = None, *, days: int = 1) -> Scored:
    time = np.linspace(0, days * DAY, len(fraud)).astype(np.int64)
    return Scored(fraud, score, np.arange(len(fraud)), time, np.full(len(fraud), 100) if cents is None else cents)
