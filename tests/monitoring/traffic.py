"""Traffic for the tests of drift: users with habits, quiet by construction, and what can change about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from sentinel_core.monitoring.sample import Sample
from sentinel_core.monitoring.variables import SCORE, Variable

DAY = 86_400_000_000
VARIABLES = (
    Variable("amount", "number"),
    Variable("flag", "number"),
    Variable("constant", "number"),
    Variable("hour_of_day", "number", "follows the clock"),
    Variable("country", "category"),
    Variable(SCORE, "score"),
)
Change = Callable[[dict[str, Any], np.random.Generator], None]


def traffic(rows: int, seed: int, *, days: float = 15.0, start: int = 0, change: Change | None = None) -> Sample:
    """Make rows of the days after `start` (in days): users differ in their amounts, and pay by day."""
    rng = np.random.default_rng(seed)
    hour = rng.choice(24, rows, p=np.r_[np.full(8, 0.01), np.full(16, 0.0575)])
    time = (start * DAY + rng.integers(0, int(days * 24), rows) // 24 * DAY + hour * (DAY // 24)).astype(np.int64)
    time += rng.integers(0, DAY // 24, rows)
    user = rng.integers(0, max(rows // 4, 10), rows)
    habit = np.random.default_rng(1).normal(0, 0.7, 1_000_000)[user]
    columns: dict[str, Any] = {
        "time": time,
        "user": user,
        "merchant": rng.integers(0, 2_000, rows),
        "score": np.where(rng.random(rows) < 0.02, rng.uniform(0.5, 1, rows), rng.uniform(0, 0.1, rows)),
        "amount": np.exp(3 + habit + rng.normal(0, 0.8, rows)),
        "flag": (rng.random(rows) < 0.1).astype(float),
        "constant": np.full(rows, 7.0),
        "country": np.array(["DE", "FR", "IT", None], object)[rng.choice(4, rows, p=(0.6, 0.25, 0.1, 0.05))],
    }
    if change is not None:
        change(columns, rng)
    return Sample(
        time=columns["time"],
        user=columns["user"],
        merchant=columns["merchant"],
        score=columns["score"],
        alert=columns["score"] >= 0.5,
        numbers={
            **{name: columns[name] for name in ("amount", "flag", "constant")},
            "hour_of_day": (columns["time"] // (DAY // 24) % 24).astype(float),
        },
        categories={"country": columns["country"]},
    )


def scaled(factor: float) -> Change:
    """Multiply every amount."""

    def change(columns: dict[str, Any], _: np.random.Generator) -> None:
        columns["amount"] = columns["amount"] * factor

    return change


def moved(share: float, country: str | None) -> Change:
    """Move a share of the rows to a country."""

    def change(columns: dict[str, Any], rng: np.random.Generator) -> None:
        columns["country"] = columns["country"].copy()
        columns["country"][rng.random(len(columns["country"])) < share] = country

    return change
