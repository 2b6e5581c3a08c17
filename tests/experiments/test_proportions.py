"""Two proportions, against the formulas of another library and against simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint, proportions_ztest

from sentinel_core.experiments.proportions import Proportion, newcombe, trials_needed, wilson, z_test

PROPORTIONS = st.integers(1, 2000).flatmap(
    lambda trials: st.integers(0, trials).map(lambda hits: Proportion(hits, trials))
)


@settings(max_examples=40)
@given(PROPORTIONS, PROPORTIONS)
def test_the_test_and_the_intervals_are_those_of_statsmodels(a: Proportion, b: Proportion) -> None:
    if 0 < a.hits + b.hits < a.trials + b.trials:
        _, expected = proportions_ztest([a.hits, b.hits], [a.trials, b.trials])
        assert z_test(a, b) == pytest.approx(expected, abs=1e-9)
    low, high = proportion_confint(a.hits, a.trials, method="wilson")
    assert (wilson(a).low, wilson(a).high) == pytest.approx((low, high), abs=1e-9)
    low, high = confint_proportions_2indep(b.hits, b.trials, a.hits, a.trials, method="newcomb", compare="diff")
    assert (newcombe(a, b).low, newcombe(a, b).high) == pytest.approx((low, high), abs=1e-9)


@settings(max_examples=40)
@given(PROPORTIONS, PROPORTIONS)
def test_the_order_of_the_arms_changes_signs_alone(a: Proportion, b: Proportion) -> None:
    assert z_test(a, b) == pytest.approx(z_test(b, a))
    assert newcombe(a, b).low == pytest.approx(-newcombe(b, a).high)
    assert wilson(a).low <= wilson(a).value <= wilson(a).high


def test_nothing_observed_gives_no_figure_and_no_warning() -> None:
    nothing, some = Proportion(0, 0), Proportion(3, 9)
    assert math.isnan(z_test(nothing, some))
    assert math.isnan(wilson(nothing).value)
    assert math.isnan(newcombe(nothing, some).low)
    assert trials_needed(nothing, some, alpha=0.05) is None
    assert trials_needed(some, Proportion(1, 3), alpha=0.05) is None
    assert z_test(Proportion(0, 5), Proportion(0, 8)) == z_test(Proportion(5, 5), Proportion(8, 8)) == 1.0


def test_equal_shares_are_found_different_as_often_as_alpha_says() -> None:
    generator = np.random.default_rng(0)
    hits = generator.binomial([400, 300], 0.3, (800, 2))
    found = np.mean([z_test(Proportion(int(a), 400), Proportion(int(b), 300)) < 0.05 for a, b in hits])
    assert 0.03 < found < 0.075


def test_the_needed_sample_finds_the_difference_four_times_of_five() -> None:
    a, b = Proportion(160, 200), Proportion(340, 400)
    needed = trials_needed(a, b, alpha=0.05)
    assert needed is not None
    of_a, of_b = round(needed / 3), round(needed * 2 / 3)
    hits = np.random.default_rng(0).binomial([of_a, of_b], [a.value, b.value], (800, 2))
    found = np.mean([z_test(Proportion(int(one), of_a), Proportion(int(two), of_b)) < 0.05 for one, two in hits])
    assert 0.76 < found < 0.84
