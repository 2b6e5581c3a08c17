"""What mistakes cost, and the decision that costs least on average."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, slots=True)
class Costs:
    """In units of the deployment's currency: a missed fraud costs amount·loss + fee, a false alarm `false_alarm`.

    `loss` is the share of the amount that is not recovered, `fee` what a chargeback adds.
    """

    loss: float = 1.0
    fee: float = 15.0
    false_alarm: float = 10.0

    def of_fraud(self, cents: ArrayLike) -> NDArray[np.float64]:
        """Return what a missed fraud of each amount costs; amounts in cents, any shape."""
        return np.asarray(cents, dtype=np.float64) / 100 * self.loss + self.fee

    def threshold(self, cents: ArrayLike) -> NDArray[np.float64]:
        """Return the probability from which declining costs less: p·(amount·loss + fee) > (1 − p)·false_alarm.

        Elkan, The foundations of cost-sensitive learning (2001).
        """
        return self.false_alarm / (self.false_alarm + self.of_fraud(cents))
