from __future__ import annotations

import numpy as np
import pytest

from sentinel_core.features.transaction import transaction_features
from tests.features.oracle import Row, to_events
from tests.features.worlds import MAX_CENTS, START


def test_small_and_round_amounts() -> None:
    cents = [0, 499, 500, 501, 1000, 1001, 12_000, MAX_CENTS]
    got = transaction_features(to_events([Row("a", START, amount) for amount in cents]))
    assert got["is_small_amount"].tolist() == [True, True, True, False, False, False, False, False]
    assert got["is_round_amount"].tolist() == [True, False, False, False, True, False, True, False]
    assert got["amount"].astype(np.float32).tolist() == [np.float32(amount / 100) for amount in cents]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 9, 16, 17, 1000])
def test_the_logarithm_does_not_depend_on_what_it_is_computed_beside(size: int) -> None:
    """NumPy picks other machine code by length, stride and alignment: the float32 must not show it."""
    cents = np.random.default_rng(size).integers(0, MAX_CENTS + 1, 20_000)
    amount = cents / 100.0
    whole = np.log1p(amount).astype(np.float32)
    parts = np.concatenate([np.log1p(amount[at : at + size]) for at in range(0, 2000, size)]).astype(np.float32)
    assert parts.tobytes() == whole[: len(parts)].tobytes()
    assert np.log1p(np.repeat(amount, size)[::size]).astype(np.float32).tobytes() == whole.tobytes()
    shifted = np.zeros(amount.nbytes + 1, dtype=np.uint8)[1:].view(np.float64)
    shifted[:] = amount
    assert np.log1p(shifted).astype(np.float32).tobytes() == whole.tobytes()
