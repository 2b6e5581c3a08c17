"""How much each input weighs in a fitted model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def importances(estimator: Any, names: Sequence[str], matrix: NDArray[np.float32]) -> dict[str, float]:
    """Return each input's share of the total importance, by its name; the shares sum to 1, or all are 0.

    Impurity for a forest (Breiman, 2001), the gain of its splits for histogram boosting, |coefficient| times the
    input's deviation in `matrix` for a linear model.
    """
    if hasattr(estimator, "feature_importances_"):
        weight = np.asarray(estimator.feature_importances_, dtype=np.float64)
    elif hasattr(estimator, "coef_"):
        weight = np.abs(estimator.coef_[0]) * matrix.std(axis=0)
    else:
        weight = _gain(estimator, len(names))
    total = float(weight.sum())
    shares = weight / total if total > 0 else weight
    return dict(zip(names, (float(share) for share in shares), strict=True))


def _gain(estimator: Any, width: int) -> NDArray[np.float64]:
    """Sum the gain of every split; scikit-learn keeps the grown trees, but no public sum over them."""
    weight = np.zeros(width)
    for (tree,) in estimator._predictors:
        splits = tree.nodes[tree.nodes["is_leaf"] == 0]
        np.add.at(weight, splits["feature_idx"], np.maximum(splits["gain"], 0.0))
    return weight
