"""What nobody can beat: an observer who sees every attack without error, and counts them in two windows.

Frauds come in attacks, so that a window of 500 rows holds ten frauds and two or three attacks. How many attacks there
are by chance bounds what any check can find that has to reject in both of two windows.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from scipy.stats import poisson

from sentinel_core.monitoring.drift import CAMPAIGNS_WEIGHT, RATE
from sentinel_core.monitoring.variables import VARIABLES
from sentinel_core.synthetic import simulate
from tests.benchmarks.drift_world import END, FRAUD_RATE

ROWS: Final = 100_000
WORLDS: Final = 5
CASES: Final = ((5, 500), (3, 1_000), (2, 5_000))
WANTED: Final = 498 / 500


def ideal() -> dict[str, Any]:
    """Return, for each growth of fraud, in how many of 500 runs the observer finds it at the check's own level.

    `rows_needed` is how large a window has to be for 498 of 500.
    """
    share = float(np.mean([_attacks_a_fraud(seed) for seed in range(WORLDS)]))
    judged = sum(one.judged for one in VARIABLES)
    level = RATE * CAMPAIGNS_WEIGHT / (judged + CAMPAIGNS_WEIGHT)
    return {
        "attacks_a_fraud": round(share, 3),
        "level": round(level, 5),
        **{
            f"fraud rate × {factor} at {rows:,} rows": {
                "attacks_usual": round(rows * FRAUD_RATE * share, 1),
                "found_of_500": round(500 * _found(factor, rows * FRAUD_RATE * share, level)),
                "rows_needed": next(
                    n for n in range(500, 100_000, 100) if _found(factor, n * FRAUD_RATE * share, level) >= WANTED
                ),
            }
            for factor, rows in CASES
        },
    }


def _found(factor: int, usual: float, level: float) -> float:
    least = int(poisson.isf(level, usual)) + 1
    return float(poisson.sf(least - 1, factor * usual)) ** 2


def _attacks_a_fraud(seed: int) -> float:
    stream = simulate(ROWS, FRAUD_RATE, seed, end=END).stream
    fraud = stream.scenario > 0
    return len(np.unique(stream.sequence[fraud & (stream.sequence >= 0)])) / int(fraud.sum())
