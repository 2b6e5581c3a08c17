"""Floors: what a model of a profile must lie above. `floor_warning` is what is said of one that does not."""

from __future__ import annotations

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
