"""Made-up answers of an arm whose quality is known."""

from __future__ import annotations

import numpy as np

from sentinel_core.experiments.arms import Answers


def answers(
    seed: int,
    *,
    users: int = 400,
    rows_a_user: int = 4,
    fraud_rate: float = 0.08,
    shift: float = 2.0,
    share_known: float = 1.0,
) -> Answers:
    """Return answers in which a fraud scores `shift` deviations higher; fraud comes by user, as in life."""
    generator = np.random.default_rng(seed)
    unit = np.repeat(np.array([f"u{seed}-{number}" for number in range(users)], dtype=object), rows_a_user)
    fraud = np.repeat(generator.random(users) < fraud_rate, rows_a_user)
    score = generator.normal(fraud * shift, 1.0)
    actual = np.where(generator.random(len(unit)) < share_known, fraud, -1).astype(np.int8)
    return Answers(unit, 1 / (1 + np.exp(-(score - 1))), score > 1.0, actual)
