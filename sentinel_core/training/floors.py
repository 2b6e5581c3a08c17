"""Floors: what a model of a profile must lie above, and what is said of one that does not."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from sentinel_core.errors import TrainingError
from sentinel_core.evaluation.judge import JUDGED, Interval
from sentinel_core.training.verdict import Check, check_of

SYNTHETIC_FLOORS: Final[Mapping[str, float]] = {"roc_auc": 0.90, "precision": 0.80, "recall": 0.85, "f1": 0.82}
"""Floors of generated data; a figure must lie above."""


def profile_floors(profile: str, declared: Mapping[str, float]) -> Mapping[str, float]:
    """Return the floors of a profile: those that its column map declared, or `SYNTHETIC_FLOORS` for generated data."""
    return declared or (SYNTHETIC_FLOORS if profile == "synthetic" else {})


def check_floors(floors: Mapping[str, float], metrics: Mapping[str, Interval]) -> tuple[Check, ...]:
    """Check each floored metric's figure on the test part: it must lie above its floor.

    Raises `TrainingError` for a floor of a metric that does not exist.
    """
    unknown = sorted(set(floors) - set(JUDGED))
    if unknown:
        raise TrainingError(
            f"expected floors for metrics of {', '.join(JUDGED)}, got {', '.join(unknown)}.",
            remedy="Correct [floors] in the column map.",
        )
    return tuple(check_of(name, metrics[name], metrics[name].value, bound) for name, bound in floors.items())


def below_floors(floors: Mapping[str, float], figures: Mapping[str, float]) -> str | None:
    """Name each floor that a model does not lie above, with its figure; None where it lies above all of them.

    Figures are rounded down, so that one just below its floor is not shown as equal to it. A metric without a figure is
    below its floor.

    >>> below_floors({"precision": 0.8, "recall": 0.85}, {"precision": 0.7999, "recall": 0.9})
    'below its floor: precision 0.799 (floor 0.800)'
    """
    missed = [
        f"{name} {_rounded_down(figures.get(name, math.nan))} (floor {floor:.3f})"
        for name, floor in floors.items()
        if not figures.get(name, math.nan) > floor
    ]
    return f"below its floor: {', '.join(missed)}" if missed else None


def floor_warning(floors: Mapping[str, float], figures: Mapping[str, float]) -> str | None:
    """Return the sentence that stands beside every answer of a model that is below its floor, else None."""
    below = below_floors(floors, figures)
    return f"This model is {below}." if below else None


def _rounded_down(figure: float) -> str:
    # Rounded first: 0.57 × 1000 is 569.9999….
    return f"{math.floor(round(figure * 1000, 6)) / 1000:.3f}" if math.isfinite(figure) else "unknown"
