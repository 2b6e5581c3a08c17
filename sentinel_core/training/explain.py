"""Why a model gave a score: what each feature added to its output, exactly.

    base + sum of the contributions = raw output of the model, before calibration

Trees: TreeSHAP over the paths of the same trees (Lundberg et al., From local explanations to global understanding with
explainable AI for trees, 2020), by the library shap. Linear models: coefficient · (input − mean input), which is the
Shapley value of a linear model. The raw output is the log-odds of fraud for gradient boosting and logistic
regression, and the probability for a random forest, which averages probabilities. Calibration is strictly increasing:
what raises the raw output raises the score.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from sentinel_core.errors import BundleError
from sentinel_core.features.encoding import Encoder

REASONS: Final = 5
Unit = Literal["log-odds", "probability"]
Float64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Reason:
    """What one feature, or one raw category, had as its value and added to the raw output."""

    feature: str
    value: float | str | None
    contribution: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """The raw output of one row as a sum: `base` and a reason for every feature, in the order of the vector."""

    base: float
    reasons: tuple[Reason, ...]
    unit: Unit

    @property
    def raw(self) -> float:
        """The model's raw output, in `unit`."""
        return self.base + float(np.sum([reason.contribution for reason in self.reasons]))

    @property
    def probability(self) -> float:
        """The model's probability of fraud before calibration."""
        return self.raw if self.unit == "probability" else float(1.0 / (1.0 + np.exp(-self.raw)))

    def top(self, count: int = REASONS) -> list[Reason]:
        """Return at most `count` reasons, largest in absolute value first; those that added nothing are left out."""
        weighty = [reason for reason in self.reasons if reason.contribution != 0.0]
        return sorted(weighty, key=lambda reason: -abs(reason.contribution))[:count]


class Explainer:
    """Explain rows of one fitted estimator behind its encoder.

    `background` gives encoded rows float32 [n, width], n ≥ 1: their mean is what a linear model is compared with. It is
    not called for trees, which carry the counts of their own training rows. Raises `BundleError` for an estimator that
    cannot be explained.
    """

    def __init__(self, estimator: Any, encoder: Encoder, background: Callable[[], NDArray[np.float32]]) -> None:
        self._encoder = encoder
        self._starts = np.cumsum([0, *(1 for _ in encoder.features), *(len(c.names) for c in encoder.categories)])[:-1]
        self.unit: Unit
        self._split: Callable[[NDArray[np.float32]], tuple[float, Float64]]
        if hasattr(estimator, "coef_"):
            self.unit, self._split = "log-odds", _linear(estimator, background())
        else:
            self.unit = "probability" if hasattr(estimator, "estimators_") else "log-odds"
            self._split = _trees(estimator)

    def explain(self, values: NDArray[np.float32], categories: Mapping[str, str | None]) -> Explanation:
        """Explain one row: values float32 [len(encoder.features)] and its raw categories by column.

        The columns that encode a category count as one: their contributions are added up under its name.
        """
        row = self._encoder.transform(values[None, :], {name: [value] for name, value in categories.items()})
        base, columns = self._split(row)
        added = np.add.reduceat(columns, self._starts)
        names = (*self._encoder.features, *(category.column for category in self._encoder.categories))
        # A float32 by its shortest decimal: 0.1, not 0.10000000149.
        shown = (*(float(str(value)) for value in values), *(categories[name] for name in names[len(values) :]))
        reasons = (Reason(*parts) for parts in zip(names, shown, map(float, added), strict=True))
        return Explanation(base, tuple(reasons), self.unit)


def _linear(estimator: Any, background: NDArray[np.float32]) -> Callable[[NDArray[np.float32]], tuple[float, Float64]]:
    if len(background) == 0:
        raise BundleError(
            "expected rows to compare a linear model's inputs with, found none.",
            remedy="The bundle has an empty reference.parquet: train and register it again.",
        )
    weights = np.asarray(estimator.coef_, dtype=np.float64).ravel()
    mean = background.mean(axis=0, dtype=np.float64)
    base = float(estimator.intercept_[0] + weights @ mean)
    return lambda row: (base, weights * (row[0] - mean))


def _trees(estimator: Any) -> Callable[[NDArray[np.float32]], tuple[float, Float64]]:
    with warnings.catch_warnings():
        # shap loads its plots with it, and the colours of the plots are set in a way that matplotlib will give up.
        warnings.simplefilter("ignore", (DeprecationWarning, PendingDeprecationWarning))
        import shap

    try:
        explainer = shap.TreeExplainer(estimator, feature_perturbation="tree_path_dependent")
    except ValueError as error:
        raise BundleError(
            f"expected an estimator that shap or its coefficients explain, got {type(estimator).__name__}: {error}.",
            remedy="Its predictions have no reasons; the candidates of sentinel_core.training.candidates do.",
        ) from None
    # The last output is the one for fraud: a forest has two of them, boosting one.
    base = float(np.ravel(explainer.expected_value)[-1])

    def split(row: NDArray[np.float32]) -> tuple[float, Float64]:
        # Its own check would compute the prediction by scikit-learn: a hundred times slower than the explanation.
        found = np.asarray(explainer.shap_values(row, check_additivity=False), dtype=np.float64)
        return base, found.reshape(row.shape[1], -1)[:, -1]

    return split
