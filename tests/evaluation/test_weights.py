"""A row of weight k is k rows: every figure says the same of both."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel_core.evaluation import curves
from sentinel_core.evaluation.by_segment import judge_segments
from sentinel_core.evaluation.contest import Contender, compare
from sentinel_core.evaluation.costs import Costs
from sentinel_core.evaluation.judge import Scored, draws, judge
from sentinel_core.evaluation.metrics import confusion, evaluate

ROWS = 200
COSTS = Costs()


def part(seed: int) -> tuple[Scored, Scored]:
    """Weighted rows, and the same ones copied."""
    generator = np.random.default_rng(seed)
    fraud = generator.random(ROWS) < 0.3
    score = np.round(np.clip(generator.normal(0.3 + 0.3 * fraud, 0.2), 0, 1), 2)
    weight = np.where(generator.random(ROWS) < 0.2, generator.integers(2, 20, ROWS), 1)
    user, time = generator.integers(0, 40, ROWS), generator.integers(0, 5 * 86_400_000_000, ROWS)
    rows = Scored(fraud, score, user, time, generator.integers(100, 90_000, ROWS), weight.astype(np.float64))
    return rows, replace(rows, weight=None).take(np.repeat(np.arange(ROWS), weight))


@given(st.integers(0, 10_000))
def test_metrics_and_their_draws(seed: int) -> None:
    rows, copies = part(seed)
    assert evaluate(rows.is_fraud, rows.score, 0.5, rows.weight) == pytest.approx(
        evaluate(copies.is_fraud, copies.score, 0.5)
    )
    decided = confusion(rows.is_fraud, rows.score >= 0.5, rows.weight)
    assert decided == confusion(copies.is_fraud, copies.score >= 0.5)
    assert judge(rows, 0.5, COSTS) == pytest.approx(judge(copies, 0.5, COSTS))
    drawn, expected = (draws(each, 0.5, COSTS, count=3, seed=1) for each in (rows, copies))
    for name, values in expected.items():
        assert drawn[name] == pytest.approx(values, nan_ok=True)


@given(st.integers(0, 10_000))
def test_curves(seed: int) -> None:
    rows, copies = part(seed)
    drawings: list[Any] = [curves.precision_recall, curves.roc, curves.reliability, curves.histogram]
    for drawing in drawings:
        found = drawing(rows.is_fraud, rows.score, rows.weight)
        expected = drawing(copies.is_fraud, copies.score)
        for name in expected.__slots__:
            assert getattr(found, name) == pytest.approx(getattr(expected, name)), (drawing, name)


@given(st.integers(0, 10_000))
def test_segments(seed: int) -> None:
    rows, copies = part(seed)
    small, expected = (
        judge_segments(each, 0.5, {"small": each.cents < 40_000}, min_frauds=2, count=5)[0] for each in (rows, copies)
    )
    # Whether there is enough to judge by is a matter of rows, not of what they stand for.
    assert (small.rows, small.frauds) <= (expected.rows, expected.frauds)
    for name, figure in expected.figures.items():
        ours = small.figures[name]
        assert (ours.value, ours.low, ours.high) == pytest.approx((figure.value, figure.low, figure.high))


@given(st.integers(0, 10_000))
def test_two_models_on_the_same_rows(seed: int) -> None:
    rows, copies = part(seed)
    found, expected = (
        compare(
            each,
            Contender(each.score, np.full(len(each.score), 0.5)),
            Contender(1 - each.score, np.full(len(each.score), 0.4)),
            COSTS,
            segments={"small": each.cents < 40_000},
            count=5,
        )
        for each in (rows, copies)
    )
    for ours, theirs in zip(found, expected, strict=True):
        for name, improvement in theirs.items():
            assert ours[name].value == pytest.approx(improvement.value)
            assert ours[name].drawn == pytest.approx(improvement.drawn, nan_ok=True)
