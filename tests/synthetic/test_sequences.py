"""Cues: each sequence shows as many as its kind must, and the oracle's table of patterns agrees with the draws."""

from __future__ import annotations

import numpy as np
import pytest

from sentinel_core.synthetic.difficulty import DEFAULT_DIFFICULTY, Cues
from sentinel_core.synthetic.sequences import cue_patterns, draw_cues

ALL = (*DEFAULT_DIFFICULTY.plain, DEFAULT_DIFFICULTY.burst, *DEFAULT_DIFFICULTY.ambiguous)


@pytest.mark.parametrize("cues", ALL)
def test_patterns_are_what_is_drawn(cues: Cues) -> None:
    n = 40_000
    drawn = draw_cues(np.random.default_rng(0), cues, n).T
    patterns = cue_patterns(cues)
    assert sum(patterns.values()) == pytest.approx(1.0)
    shown, counts = np.unique(drawn, axis=0, return_counts=True)
    assert {tuple(row.tolist()) for row in shown} <= set(patterns)
    for row, count in zip(shown, counts, strict=True):
        assert count / n == pytest.approx(patterns[tuple(row.tolist())], abs=0.02)


@pytest.mark.parametrize("cues", ALL)
def test_no_sequence_shows_fewer_or_more_cues_than_its_kind(cues: Cues) -> None:
    drawn = draw_cues(np.random.default_rng(1), cues, 5000)
    count = drawn.sum(axis=0)
    assert count.min() >= cues.least_cues
    assert count.max() <= cues.most_cues
    if cues.night is None:
        assert not drawn[3].any()


def test_ambiguous_attacks_are_one_cue_short_of_plain_ones() -> None:
    for plain, ambiguous in zip(DEFAULT_DIFFICULTY.plain, DEFAULT_DIFFICULTY.ambiguous, strict=True):
        assert ambiguous.least_cues == ambiguous.most_cues == plain.least_cues - 1
