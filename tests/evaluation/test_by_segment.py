"""The figures of a segment are those of its rows alone."""

from __future__ import annotations

import numpy as np
import pytest

from sentinel_core.evaluation.by_segment import SEGMENT_METRICS, judge_segments
from sentinel_core.evaluation.judge import Scored
from sentinel_core.evaluation.metrics import evaluate

GENERATOR = np.random.default_rng(0)
N = 3_000
FRAUD = GENERATOR.random(N) < 0.1
ROWS = Scored(
    FRAUD,
    np.clip(GENERATOR.normal(0.3 + 0.3 * FRAUD, 0.15), 0, 1),
    GENERATOR.integers(0, 300, N),
    np.arange(N, dtype=np.int64),
    GENERATOR.integers(100, 10_000, N),
)
FIRST = np.arange(N) < 1_000


def test_a_segment_is_judged_as_if_there_were_nothing_else() -> None:
    threshold = np.where(ROWS.cents > 5_000, 0.5, 0.6)
    (found,) = judge_segments(ROWS, threshold, {"first": FIRST}, min_frauds=30, count=200)
    alone = evaluate(FRAUD[FIRST], ROWS.score[FIRST], threshold[FIRST])
    assert (found.rows, found.frauds) == (1_000, int(FRAUD[FIRST].sum()))
    assert list(found.figures) == list(SEGMENT_METRICS)
    for name, figure in found.figures.items():
        assert figure.value == pytest.approx(alone[name])
        assert figure.low < figure.value < figure.high


def test_too_few_frauds_or_nothing_but_frauds_have_counts_and_no_figures() -> None:
    few = np.zeros(N, dtype=bool)
    few[np.flatnonzero(FRAUD)[:29]] = few[:500] = True
    few[np.flatnonzero(FRAUD)[29:]] = False
    found = judge_segments(ROWS, 0.5, {"few": few, "frauds": FRAUD}, min_frauds=30, count=10)
    assert [(segment.frauds, dict(segment.figures)) for segment in found] == [(29, {}), (int(FRAUD.sum()), {})]
