"""Small made-up training data: a signal that every candidate can learn, over sixty days."""

from __future__ import annotations

from typing import Any

import numpy as np

from sentinel_core.training.data import TrainingData

DAY = 86_400_000_000
START = 20_000 * DAY
NAMES = ("amount", "count", "night", "noise")


def toy(rows: int = 4000, *, seed: int = 0, fraud_rate: float = 0.08, days: int = 60, **given: Any) -> TrainingData:
    """Return rows in order of time; fraud has higher amounts and other categories. `given` replaces fields."""
    generator = np.random.default_rng(seed)
    fraud = generator.random(rows) < fraud_rate
    time = START + np.sort(generator.integers(0, days * DAY, rows))
    values = np.stack(
        [
            generator.lognormal(3 + 1.5 * fraud, 0.7),
            generator.poisson(2 + 2 * fraud),
            generator.random(rows) < 0.2 + 0.4 * fraud,
            generator.normal(size=rows),
        ],
        axis=1,
    ).astype(np.float32)
    kinds = np.array(["grocery", "travel", "games", None], dtype=object)
    category = np.where(fraud, generator.choice([1, 2, 3], rows), generator.choice([0, 0, 1, 3], rows))
    fields: dict[str, Any] = {
        "names": NAMES,
        "values": values,
        "categories": {"merchant_category": kinds[category]},
        "user": generator.integers(0, rows // 20, rows),
        "time": time,
        "is_fraud": fraud.astype(np.int8),
        "known_at": time + 3 * DAY,
        "cents": np.round(values[:, 0].astype(np.float64) * 100).astype(np.int64),
        "as_of": START + days * DAY,
        "label_delay": 3 * DAY,
    }
    return TrainingData(**(fields | given))
