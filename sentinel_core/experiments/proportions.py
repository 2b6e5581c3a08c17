"""Two shares of independent trials, compared: the two-proportion z-test, intervals and the sample that it takes.

SciPy is imported where it is needed: its statistics take a second to load.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from sentinel_core.evaluation.judge import Interval

POWER: Final = 0.8
"""The probability of finding a difference that is there, for which the needed sample is stated."""


@dataclass(frozen=True, slots=True)
class Proportion:
    """`hits` of `trials`, such as the frauds that raised an alarm."""

    hits: int
    trials: int

    @property
    def value(self) -> float:
        """The share, NaN of no trials."""
        return self.hits / self.trials if self.trials else math.nan


def wilson(share: Proportion, level: float = 0.95) -> Interval:
    """Return a share with its score interval (Wilson, 1927); NaN without trials."""
    if not share.trials:
        return Interval(math.nan, math.nan, math.nan)
    from scipy.stats import binomtest

    ends = binomtest(share.hits, share.trials).proportion_ci(level, method="wilson")
    return Interval(share.value, float(ends.low), float(ends.high))


def newcombe(a: Proportion, b: Proportion, level: float = 0.95) -> Interval:
    """Return b − a with its interval from both Wilson intervals (Newcombe, 1998, method 10)."""
    of_a, of_b = wilson(a, level), wilson(b, level)
    difference = of_b.value - of_a.value
    low = difference - math.hypot(of_b.value - of_b.low, of_a.high - of_a.value)
    high = difference + math.hypot(of_b.high - of_b.value, of_a.value - of_a.low)
    return Interval(difference, low, high)


def z_test(a: Proportion, b: Proportion) -> float:
    """Return the two-sided p-value of equal shares by the pooled z-test; NaN where an arm has no trials.

    Its square is Pearson's chi-squared of the table of two by two without a correction.
    """
    if not a.trials or not b.trials:
        return math.nan
    if a.hits + b.hits in (0, a.trials + b.trials):
        return 1.0
    from scipy.stats import chi2_contingency

    table = np.array([[a.hits, a.trials - a.hits], [b.hits, b.trials - b.hits]])
    return float(chi2_contingency(table, correction=False).pvalue)


def trials_needed(a: Proportion, b: Proportion, *, alpha: float, power: float = POWER) -> int | None:
    """Return how many trials, of both arms together and divided as they are, would show the observed difference.

    Normal approximation (Fleiss, Levin and Paik, Statistical Methods for Rates and Proportions, 2003, chapter 4). None
    where there is no difference, or nothing was observed.
    """
    if not a.trials or not b.trials or a.value == b.value:
        return None
    from scipy.stats import norm

    ratio = b.trials / a.trials
    pooled = (a.value + ratio * b.value) / (1 + ratio)
    under_none = norm.isf(alpha / 2) * math.sqrt((1 + 1 / ratio) * pooled * (1 - pooled))
    under_this = norm.isf(1 - power) * math.sqrt(a.value * (1 - a.value) + b.value * (1 - b.value) / ratio)
    of_a: float = ((under_none + under_this) / (b.value - a.value)) ** 2
    return math.ceil(of_a) + math.ceil(of_a * ratio)
