"""The segments that a model is looked at in: kinds of transactions, amounts, and new users against known ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

AMOUNT_EDGES: Final = (0, 10_00, 100_00, 500_00)
"""In cents: where bands of amounts begin."""
NEW_USER: Final = 5
"""Fewer earlier attempts than this, and a user is new."""
MOST_VALUES: Final = 18
"""Of a category, the commonest values: with five categories no more than 100 segments, which is as far as Holm's
correction at .05 can tell anything from 2,000 draws."""


def segments(
    cents: NDArray[np.int64], prior_count: NDArray[Any], categories: Mapping[str, NDArray[Any]]
) -> dict[str, NDArray[np.bool_]]:
    """Return name → rows, bool [n], for every segment that has rows.

    `cents` are amounts, `prior_count` the earlier attempts of the user, `categories` raw texts or None; [n] each. Bands
    of amounts include their lower edge.
    """
    found = {}
    for low, high in zip(AMOUNT_EDGES, (*AMOUNT_EDGES[1:], None), strict=True):
        upto = f" to {high // 100}" if high is not None else " and more"
        found[f"amount {low // 100}{upto}"] = (cents >= low) & (cents < (high or np.iinfo(np.int64).max))
    found["new users"] = prior_count < NEW_USER
    found["known users"] = prior_count >= NEW_USER
    for column, values in categories.items():
        texts = np.array([text if isinstance(text, str) else "" for text in values], dtype=object)
        names, number = np.unique(texts, return_inverse=True)
        rows = np.bincount(number, minlength=len(names))
        for place in np.argsort(-rows, kind="stable")[:MOST_VALUES]:
            found[f"{column} {names[place] or 'unknown'}"] = number == place
    return {name: mask for name, mask in found.items() if mask.any()}
