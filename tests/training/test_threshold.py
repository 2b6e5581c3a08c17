"""The threshold with the highest F1, against trying every one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel_core.evaluation.metrics import evaluate
from sentinel_core.training.threshold import best_f1, choose_threshold

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
    free = choose_threshold(fraud, score, {"roc_auc": 0.9})
    assert free.policy == "best_f1"
    held = choose_threshold(fraud, score, {"precision": 0.5, "recall": 0.95})
    assert held.policy == "floor_margin"
    assert held.figures["recall_on_calibrate"] == 1.0
    strict = choose_threshold(fraud, score, {"precision": 0.95, "recall": 0.1})
    assert strict.figures["precision_on_calibrate"] == 1.0
    assert strict.threshold > held.threshold
