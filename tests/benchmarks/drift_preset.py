"""Evidently's default preset on one window: the test that it picks for each column, by its own defaults.

`DataDriftPreset` runs these tests and draws each, which takes seconds; here they run alone. It says dataset drift where
half of the columns drift.
"""

from __future__ import annotations

import warnings
from typing import Any, Final

import numpy as np

from sentinel_core.monitoring.sample import Sample
from sentinel_core.monitoring.variables import SCORE, VARIABLES

SHARE: Final = 0.5
ROWS: Final = 5_000
"""Of the reference, drawn evenly over it: as many as our own page shows."""


def preset(reference: Sample, window: Sample, *, seed: int) -> tuple[bool, bool, bool]:
    """Say whether the preset sees dataset drift, any column drift, and any that has a say in our verdict drift."""
    drawn = np.random.default_rng(seed).permutation(len(reference))[:ROWS]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        drifted = columns_drifted(frame(reference.take(drawn)), frame(window))
    judged = {one.name for one in VARIABLES if one.judged}
    named = [name for name, drifts in drifted.items() if drifts]
    return len(named) >= SHARE * len(drifted), bool(named), any(name in judged for name in named)


def columns_drifted(reference: Any, window: Any) -> dict[str, bool]:
    """Return for each column whether the test that Evidently picks by default says drift."""
    from evidently.legacy.calculations.stattests import get_stattest

    drifted = {}
    for one in VARIABLES:
        kind = "cat" if one.kind == "category" else "num"
        theirs, ours = reference[one.name], window[one.name]
        test = get_stattest(theirs, ours, kind, None)
        drifted[one.name] = bool(test(theirs, ours, kind, None).drifted)
    return drifted


def frame(sample: Sample) -> Any:
    """Return all columns of a sample as pandas has them."""
    import pandas as pd

    return pd.DataFrame(
        {
            one.name: [str(text) for text in sample.categories[one.name]]
            if one.kind == "category"
            else sample.score
            if one.name == SCORE
            else sample.numbers[one.name]
            for one in VARIABLES
        }
    )
