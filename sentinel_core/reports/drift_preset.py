"""Evidently's verdict on one window: the tests that its `DataDriftPreset` picks for each column, by its own defaults.

The preset runs these tests and draws each, which takes many times longer; here they run alone. Like the preset, this
says drift where at least half of the columns drift. How often that is wrong: `monitoring.drift_reliability`.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from sentinel_core.monitoring.sample import Sample
from sentinel_core.monitoring.variables import SCORE, VARIABLES, Variable

DRIFT_SHARE: Final = 0.5
"""The preset's default: it says drift where this share of the columns drifts."""
REFERENCE_ROWS: Final = 5_000
"""Rows of the reference that are tested, drawn evenly over it: a bound of time and memory."""
UNKNOWN: Final = "unknown"


@dataclass(frozen=True, slots=True)
class ColumnDrift:
    """What Evidently says of one column: `test` is its name for the test, `value` None where it is not a number."""

    name: str
    test: str
    value: float | None
    threshold: float
    drifts: bool


@dataclass(frozen=True, slots=True)
class PresetVerdict:
    """What the preset says of a window, column by column."""

    columns: tuple[ColumnDrift, ...]

    @property
    def drifting(self) -> list[str]:
        """The columns that drift."""
        return [column.name for column in self.columns if column.drifts]

    @property
    def share(self) -> float:
        """The share of the columns that drift."""
        return len(self.drifting) / len(self.columns)

    @property
    def drifts(self) -> bool:
        """Whether the preset says drift."""
        return self.share >= DRIFT_SHARE

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Return what was found by the names of the columns, as JSON has it."""
        return {
            one.name: {"test": one.test, "value": one.value, "threshold": one.threshold, "drifts": one.drifts}
            for one in self.columns
        }

    @property
    def reason(self) -> str:
        """The verdict in words."""
        named = self.drifting
        counted = (
            f"{len(named)} of {len(self.columns)} columns drift ({self.share:.0%}, drift is from {DRIFT_SHARE:.0%})"
        )
        return counted + (f": {', '.join(named[:5])}{' …' if len(named) > 5 else ''}" if named else "")


def judge_by_preset(
    reference: Sample, window: Sample, *, leave_out: Collection[str] = (), seed: int = 0
) -> PresetVerdict:
    """Test every variable that both samples have, but those left out, on at most `REFERENCE_ROWS` of the reference.

    Raises whatever Evidently raises.
    """
    shown = [one for one in VARIABLES if has(reference, one) and has(window, one) and one.name not in leave_out]
    drawn = np.random.default_rng(seed).permutation(len(reference))[:REFERENCE_ROWS]
    columns = []
    with warnings.catch_warnings():
        # Evidently uses what NumPy has renamed while it is imported, and its tests divide by zero on constants.
        warnings.simplefilter("ignore")
        from evidently.legacy.calculations.stattests import get_stattest

        theirs, ours = frame(reference.take(drawn), shown), frame(window, shown)
        for one in shown:
            kind = "cat" if one.kind == "category" else "num"
            test = get_stattest(theirs[one.name], ours[one.name], kind, None)
            found = test(theirs[one.name], ours[one.name], kind, None)
            value = float(found.drift_score)
            columns.append(
                ColumnDrift(
                    name=one.name,
                    test=test.display_name,
                    value=value if math.isfinite(value) else None,
                    threshold=float(found.actual_threshold),
                    drifts=bool(found.drifted),
                )
            )
    return PresetVerdict(tuple(columns))


def has(sample: Sample, variable: Variable) -> bool:
    """Whether a sample has a variable."""
    return variable.kind == "score" or variable.name in sample.numbers or variable.name in sample.categories


def frame(sample: Sample, variables: Collection[Variable]) -> Any:
    """Return some variables of a sample as a pandas frame; a category that is missing is a level of its own."""
    import pandas as pd

    return pd.DataFrame(
        {
            one.name: [UNKNOWN if text is None else str(text) for text in sample.categories[one.name]]
            if one.kind == "category"
            else sample.score
            if one.name == SCORE
            else sample.numbers[one.name]
            for one in variables
        }
    )
