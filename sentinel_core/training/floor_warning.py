"""What is said of a model that is below its floors. The service imports it: standard library only."""

from __future__ import annotations

import math
from collections.abc import Mapping


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
