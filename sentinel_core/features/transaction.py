"""What a transaction says by itself."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sentinel_core.features.events import Events

SMALL_CENTS: Final = 500
ROUND_CENTS: Final = 1000


def transaction_features(events: Events) -> dict[str, NDArray[Any]]:
    """Return the five features of transactions by themselves: name → shape (n,), in the catalogue's order."""
    amount = events.cents / 100.0
    return {
        "amount": amount,
        "amount_log": np.log1p(amount),
        "is_small_amount": events.cents <= SMALL_CENTS,
        "is_round_amount": events.cents % ROUND_CENTS == 0,
        "is_bank_transfer": events.is_bank_transfer,
    }
