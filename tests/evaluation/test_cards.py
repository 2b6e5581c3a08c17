"""Card precision against the book's procedure, day by day with pandas."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel_core.evaluation.cards import CardRanking

DAY = 86_400_000_000
ROWS = st.lists(
    st.tuples(st.booleans(), st.integers(0, 8), st.integers(0, 5), st.integers(0, 3 * 24 - 1)), min_size=1, max_size=60
)


def _as_in_the_book(frame: pd.DataFrame, k: int) -> float:
    found: set[int] = set()
    shares = []
    for _, day in frame.groupby("day"):
        cards = day[~day.card.isin(found)].groupby("card").max().reset_index()
        top = cards.sort_values(["score", "card"], ascending=[False, True]).head(k)
        hits = top[top.fraud].card
        shares.append(len(hits) / k)
        found |= set(hits)
    return float(np.mean(shares))


@given(ROWS, st.integers(1, 4))
def test_it_is_the_books(rows: list[tuple[bool, int, int, int]], k: int) -> None:
    fraud, score, card, hour = map(np.array, zip(*rows, strict=True))
    time = hour.astype(np.int64) * (DAY // 24)
    frame = pd.DataFrame({"fraud": fraud, "score": score, "card": card, "day": time // DAY})
    assert CardRanking(fraud, score, card, time).precision(k=k) == pytest.approx(_as_in_the_book(frame, k))


def test_a_card_that_counts_twice_takes_two_places() -> None:
    ranking = CardRanking([True, False, True], [0.9, 0.5, 0.4], np.array([0, 1, 2]), np.zeros(3, np.int64))
    assert ranking.precision(k=2) == 0.5
    assert ranking.precision(np.array([2, 1, 1]), k=2) == 1.0
    assert ranking.precision(np.array([0, 1, 1]), k=2) == 0.5
