"""A candidate fitted on rows: its encoder, its estimator, and what scikit-learn said about the fit."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sentinel_core.errors import TrainingError
from sentinel_core.features.encoding import Encoder, fit_encoder
from sentinel_core.training.candidates import CATEGORIES, SCALING, Candidate
from sentinel_core.training.data import Rows, TrainingData
from sentinel_core.training.sampling import thin_legitimate


@dataclass(frozen=True, slots=True)
class Fitted:
    """An estimator with the encoder of its input; `rows` are those that it was fitted on, within the row budget."""

    encoder: Encoder
    estimator: Any
    rows: Rows
    notes: tuple[str, ...]

    def encode(self, data: TrainingData, rows: Rows) -> NDArray[np.float32]:
        """Return the estimator's input for rows, float32 [len(rows), inputs]."""
        return self.encoder.transform(data.values_at(rows), data.categories_at(rows))

    def score(self, data: TrainingData, rows: Rows) -> NDArray[np.float64]:
        """Return scikit-learn's own probability of fraud, uncalibrated: equal to the last bit each time."""
        # Threads of a forest add up their trees in any order.
        if "n_jobs" in self.estimator.get_params():
            self.estimator.set_params(n_jobs=1)
        scores: NDArray[np.float64] = self.estimator.predict_proba(self.encode(data, rows))[:, 1]
        return scores


def fit_on(
    chosen: Candidate,
    data: TrainingData,
    rows: Rows,
    hyperparameters: Mapping[str, Any],
    *,
    seed: int,
    budget: int | None = None,
) -> Fitted:
    """Fit a candidate on labelled rows with their weights, thinned to `budget` rows (by default the candidate's own).

    The encoder counts rows, whatever their weight: it is a change of units.

    Raises `TrainingError` for values of hyperparameters that scikit-learn refuses.
    """
    kept, weight = thin_legitimate(
        rows, data.fraud_at(rows), budget or chosen.row_budget, seed, weight=data.weight_at(rows)
    )
    encoder = fit_encoder(
        data.names,
        data.values_at(kept),
        data.categories_at(kept),
        category_kind=hyperparameters[CATEGORIES],
        scaling=hyperparameters[SCALING],
    )
    matrix = encoder.transform(data.values_at(kept), data.categories_at(kept))
    fraud = data.fraud_at(kept)
    estimator, notes = _fit(chosen.estimator(_balanced(hyperparameters, fraud, weight), seed), matrix, fraud, weight)
    return Fitted(encoder, estimator, kept, notes)


def _balanced(
    hyperparameters: Mapping[str, Any], fraud: NDArray[np.bool_], weight: NDArray[np.float64] | None
) -> Mapping[str, Any]:
    """Balance the classes by their weights: scikit-learn's trees would do it by their rows."""
    if weight is None or hyperparameters.get("class_weight") != "balanced":
        return hyperparameters
    total = {0: float(weight[~fraud].sum()), 1: float(weight[fraud].sum())}
    return {
        **hyperparameters,
        "class_weight": {label: float(weight.sum()) / (2 * of_class) for label, of_class in total.items()},
    }


def _fit(
    estimator: Any, matrix: NDArray[np.float32], fraud: NDArray[np.bool_], weight: NDArray[np.float64] | None
) -> tuple[Any, tuple[str, ...]]:
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", ConvergenceWarning)
        try:
            estimator.fit(matrix, fraud, sample_weight=weight)
        except ValueError as error:
            raise TrainingError(
                f"expected hyperparameters that {type(estimator).__name__} accepts, but it refuses them: {error}",
                remedy="Correct the hyperparameters.",
            ) from None
    return estimator, tuple(sorted({str(one.message).partition("\n")[0] for one in caught}))
