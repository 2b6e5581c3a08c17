"""Paired differences: the same users for both models, chance of the fits included."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from sentinel_core.evaluation.metrics import average_precision
from sentinel_core.evaluation.paired import UserDraws, paired_difference

RNG = np.random.default_rng(0)
USERS = [RNG.integers(0, 9, 60), RNG.integers(3, 14, 80)]
FRAUD = [RNG.random(60) < 0.3, RNG.random(80) < 0.3]


def scores(skill: float, seed: int) -> list[NDArray[np.float64]]:
    random = np.random.default_rng(seed)
    return [skill * fraud + random.normal(size=len(fraud)) for fraud in FRAUD]


def test_a_draw_takes_the_same_users_in_every_part() -> None:
    draws = UserDraws(USERS, count=30, seed=4)
    drawn = [draws.average_precision(part, FRAUD[part], score) for part, score in enumerate(scores(1.0, 1))]
    generator = np.random.default_rng((4, 0))
    for draw, taken in enumerate(generator.integers(0, 14, (30, 14)), start=1):
        for part, score in enumerate(scores(1.0, 1)):
            rows = np.concatenate([np.flatnonzero(USERS[part] == user) for user in taken])
            assert drawn[part][draw] == pytest.approx(average_precision(FRAUD[part][rows], score[rows]))
    assert drawn[0][0] == average_precision(FRAUD[0], scores(1.0, 1)[0])


def precision(skill: float, fits: int = 2) -> NDArray[np.float64]:
    draws = UserDraws(USERS, count=200, seed=0)
    fitted = [scores(skill, seed) for seed in range(fits)]
    parts = range(len(USERS))
    return np.array([[draws.average_precision(p, FRAUD[p], one[p]) for one in fitted] for p in parts])


def test_a_better_model_has_an_interval_above_zero_and_an_equal_one_has_none() -> None:
    better = paired_difference(precision(3.0), precision(0.5), seed=0)
    assert better.value == pytest.approx((precision(3.0) - precision(0.5))[:, :, 0].mean())
    assert 0 < better.low < better.value < better.high
    same = paired_difference(precision(1.0), precision(1.0), seed=0)
    assert (same.value, same.low, same.high) == (0, 0, 0)


def test_fits_that_differ_widen_the_interval() -> None:
    steady = np.zeros((3, 4, 201))
    restless = steady.copy()
    restless[:, ::2] += 0.1
    assert paired_difference(steady, steady, seed=0).high == 0
    found = paired_difference(restless, steady, seed=0)
    assert found.value == pytest.approx(0.05)
    assert found.low < 0.03
    assert found.high > 0.07


def test_the_interval_of_few_fits_is_as_wide_as_their_mean_strays() -> None:
    random, widths = np.random.default_rng(0), []
    for _ in range(150):
        difference = np.broadcast_to(random.normal(size=(3, 3, 1)), (3, 3, 201))
        found = paired_difference(difference, np.zeros_like(difference), seed=1)
        widths.append((found.high - found.low) / (2 * 1.96))
    assert np.sqrt(np.mean(np.square(widths))) == pytest.approx(1 / 3, rel=0.1)


def test_draws_without_fraud_are_left_out() -> None:
    holed = np.zeros((1, 1, 101))
    holed[..., 1:50] = np.nan
    assert paired_difference(holed, np.zeros((1, 1, 101)), seed=0).high == 0
    holed[..., 1:] = np.nan
    assert np.isnan(paired_difference(holed, np.zeros((1, 1, 101)), seed=0).low)
