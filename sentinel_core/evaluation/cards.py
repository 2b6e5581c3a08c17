"""Card precision@k: of the k cards that a team looks at each day, how many are defrauded that day.

A card has the highest score of its transactions of the day. One that was found is looked at no more. Le Borgne et al.,
Reproducible Machine Learning for Credit Card Fraud Detection (2022), chapter 4.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

CARDS_A_DAY: Final = 100
_DAY: Final = 86_400_000_000


class CardRanking:
    """The cards of each day (UTC) in the order of their scores, ready for any weights of cards.

    `card` int [n] counts from 0; `time` int64 µs [n]. Of cards with one score the lower number comes first.
    """

    def __init__(self, is_fraud: ArrayLike, score: ArrayLike, card: NDArray[np.intp], time: NDArray[np.int64]) -> None:
        fraud, scores = np.asarray(is_fraud, dtype=bool), np.asarray(score, dtype=np.float64)
        day = time // _DAY
        order = np.lexsort((card, day))
        card, day = card[order], day[order]
        first = np.flatnonzero(np.append(True, (np.diff(day) != 0) | (np.diff(card) != 0))) if len(card) else order
        highest = np.maximum.reduceat(scores[order], first) if len(card) else scores
        defrauded = np.logical_or.reduceat(fraud[order], first) if len(card) else fraud
        card, day = card[first], day[first]
        ranked = np.lexsort((card, -highest, day))
        ends = np.flatnonzero(np.diff(day[ranked])) + 1
        self._days = list(zip(np.split(card[ranked], ends), np.split(defrauded[ranked], ends), strict=True))
        self._cards = int(card.max(initial=-1)) + 1

    def precision(self, weight: NDArray[np.int64] | None = None, *, k: int = CARDS_A_DAY) -> float:
        """Return the mean over the days of the share of defrauded cards among the `k` highest.

        `weight` int64 [cards] counts a card so many times; None is 1 each.
        """
        left = np.ones(self._cards, dtype=np.int64) if weight is None else weight[: self._cards].copy()
        found = 0
        for card, defrauded in self._days:
            times = left[card]
            taken = np.clip(k - (np.cumsum(times) - times), 0, times)
            hit = defrauded & (taken > 0)
            found += int(taken[hit].sum())
            left[card[hit]] = 0
        return found / (k * len(self._days))
