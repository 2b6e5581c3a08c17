"""How fast the generator makes transactions, the finished frame included."""

from __future__ import annotations

import statistics
import time
from datetime import UTC, datetime
from typing import Any

from sentinel_core.synthetic.generate import generate

END = datetime(2026, 6, 30, tzinfo=UTC)
SIZES = (100_000, 1_000_000)
REPEATS = 3


def run() -> dict[str, Any]:
    """Return the median of transactions a second for each size."""
    figures: dict[str, Any] = {}
    for rows in SIZES:
        seconds = []
        for seed in range(REPEATS):
            begun = time.perf_counter()
            generate(rows, 0.02, seed, end=END)
            seconds.append(time.perf_counter() - begun)
        figures[f"{rows}_rows"] = {
            "transactions_per_s": round(rows / statistics.median(seconds)),
            "seconds": [round(value, 3) for value in seconds],
        }
    return figures
