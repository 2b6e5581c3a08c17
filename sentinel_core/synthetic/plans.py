"""How many rows of what: fraud and its lookalikes split by visibility and scenario."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sentinel_core.synthetic.difficulty import TESTING, Cues, Difficulty
from sentinel_core.synthetic.sequences import Plan


@dataclass(frozen=True, slots=True)
class Plans:
    """A block's orders: plain and ambiguous attacks, lookalikes of the latter, and how many frauds are hidden."""

    plain: tuple[Plan, ...]
    ambiguous: tuple[Plan, ...]
    lookalikes: tuple[Plan, ...]
    hidden: int


def make_plans(hard: Difficulty, frauds: int, first_sequence: int) -> Plans:
    """Split `frauds` true frauds, and the lookalikes that belong to them; sequences are numbered apart."""
    hidden = round(hard.hidden_share * frauds)
    ambiguous = round(hard.ambiguous_share * frauds)
    shares = hard.scenario_shares
    plain = share_out(frauds - hidden - ambiguous, shares)
    burst = round(hard.burst_share * plain[TESTING - 1])
    plain[TESTING - 1] -= burst
    orders = [
        [*_orders(hard.plain, plain, hard.ring_share), Plan(TESTING, hard.burst, burst, hard.ring_share, burst=True)],
        _orders(hard.ambiguous, share_out(ambiguous, shares), 0.0),
        _orders(hard.ambiguous, share_out(round(hard.lookalikes_per_ambiguous * ambiguous), shares), 0.0),
    ]
    numbered: list[tuple[Plan, ...]] = []
    for group in orders:
        plans = []
        for plan in group:
            plans.append(plan.numbered(first_sequence))
            first_sequence += plan.rows
        numbered.append(tuple(plans))
    return Plans(numbered[0], numbered[1], numbered[2], hidden)


def _orders(cues: tuple[Cues, Cues, Cues], rows: list[int], ring_share: float) -> list[Plan]:
    return [Plan(scenario, cues[scenario - 1], count, ring_share) for scenario, count in enumerate(rows, start=1)]


def share_out(total: int, weights: tuple[float, ...] | list[int]) -> list[int]:
    """Split a whole number in proportion to weights, by largest remainders; the parts sum to it.

    >>> share_out(10, (1.0, 1.0, 1.0))
    [4, 3, 3]
    """
    exact = np.array(weights, dtype=float) * (total / sum(weights))
    parts = np.floor(exact).astype(np.int64)
    parts[np.argsort(parts - exact, kind="stable")[: total - int(parts.sum())]] += 1
    return [int(part) for part in parts]
