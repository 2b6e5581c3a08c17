from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from sentinel_core.features.grouping import distinct_codes, grouped

# Few values, among them such as share their upper or their lower half.
_hashes = st.sampled_from((0, 1, 2, 1 << 32, (1 << 32) + 1, 1 << 48, (1 << 48) + (1 << 32), 2**64 - 1))
arrays = hnp.arrays(np.uint64, st.integers(0, 40), elements=_hashes)


@given(arrays)
def test_equal_hashes_stand_together_in_their_order(hashes: NDArray[np.uint64]) -> None:
    order = grouped(hashes)
    assert sorted(order.tolist()) == list(range(len(hashes)))
    found = hashes[order].tolist()
    for value in set(found):
        first, last = found.index(value), len(found) - 1 - found[::-1].index(value)
        assert found[first : last + 1] == [value] * found.count(value)
        own = order[first : last + 1].tolist()
        assert own == sorted(own)


@given(arrays)
def test_codes_are_those_of_numpy(hashes: NDArray[np.uint64]) -> None:
    distinct, codes = distinct_codes(hashes)
    expected, inverse = np.unique(hashes, return_inverse=True)
    np.testing.assert_array_equal(distinct, expected)
    np.testing.assert_array_equal(codes, inverse)
