"""The candidates: one declared entry each.

Class weights are balanced by default; all three estimators take class_weight themselves. What was tried, and why
these, is in docs/decisions/0008-evaluation-protocol.md.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, get_args

from sentinel_core.errors import TrainingError, did_you_mean
from sentinel_core.features.encoding import EncodingKind, Scaling

CATEGORIES: Final = "categories"
SCALING: Final = "scaling"
ENCODINGS: Final[Mapping[str, tuple[str, ...]]] = {CATEGORIES: get_args(EncodingKind), SCALING: get_args(Scaling)}
"""Hyperparameters of the encoder, with the values that they take; no estimator has one of these names."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One kind of model.

    Hyperparameters are those of the estimator, and of its encoder (`ENCODINGS`); `defaults` must hold the encoder's.
    `make(**hyperparameters)` gives the unfitted estimator. `row_budget` bounds the training rows and `fold_budget`
    those of the cross-validation (see `sampling`); `space` holds the values that `search` draws from, `searched_with`
    what makes its fits cheaper than the last one; `aliases` maps other spellings of hyperparameters.
    """

    name: str
    make: Callable[..., Any]
    defaults: Mapping[str, Any]
    row_budget: int
    fold_budget: int
    space: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    searched_with: Mapping[str, Any] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)

    def hyperparameters(self, given: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the defaults with `given` over them.

        Raises `TrainingError` for a name that neither the estimator nor its encoder has, and for an unknown encoding.
        """
        chosen = dict(self.defaults)
        known = (set(self.make().get_params()) - _OURS) | set(ENCODINGS)
        for spelled, value in (given or {}).items():
            name = self.aliases.get(spelled, spelled)
            if name not in known:
                near = difflib.get_close_matches(spelled, [*known, *self.aliases], n=1)
                encodings = "; ".join(f"{encoding} ({', '.join(values)})" for encoding, values in ENCODINGS.items())
                raise TrainingError(
                    f"expected hyperparameters of {self.name}, got {spelled!r}."
                    + (f" Did you mean {near[0]!r}?" if near else ""),
                    remedy=f"It has {', '.join(sorted(known - set(ENCODINGS)))}; and of its encoder {encodings}.",
                )
            if name in ENCODINGS:
                _require_encoding(name, value)
            # JSON and TOML know no whole numbers as keys.
            chosen[name] = {int(k): v for k, v in value.items()} if isinstance(value, Mapping) else value
        return chosen

    def estimator(self, hyperparameters: Mapping[str, Any], seed: int) -> Any:
        """Return the unfitted estimator; the encoder's hyperparameters are left out."""
        own = {name: value for name, value in hyperparameters.items() if name not in ENCODINGS}
        return self.make(**own, random_state=seed)


def _require_encoding(name: str, value: Any) -> None:
    if value not in ENCODINGS[name]:
        raise TrainingError(
            f"expected {name} to be one of {', '.join(ENCODINGS[name])}, got {value!r}."
            f"{did_you_mean(str(value), ENCODINGS[name])}",
            remedy="Name one of them, or leave it out.",
        )


_OURS: Final = frozenset({"random_state", "n_jobs", "verbose", "warm_start", "early_stopping"})
"""What the training sets itself: seed, cores, and that no row is held back from it."""


def _random_forest(**hyperparameters: Any) -> Any:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(**hyperparameters, n_jobs=-1)


def _gradient_boosting(**hyperparameters: Any) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(**hyperparameters, early_stopping=False)


def _logistic_regression(**hyperparameters: Any) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(**hyperparameters)


WEIGHTS: Final = ("balanced", None, {0: 1.0, 1: 5.0}, {0: 1.0, 1: 20.0})
"""Class weights that are searched: those of equal classes, none, and two between."""

# Scaling changes nothing for trees, which split by order alone: it is not searched for them.
CANDIDATES: Final[Mapping[str, Candidate]] = {
    candidate.name: candidate
    for candidate in (
        Candidate(
            "random_forest",
            _random_forest,
            {
                "n_estimators": 100,
                "max_depth": 20,
                "min_samples_leaf": 2,
                "class_weight": "balanced",
                CATEGORIES: "label",
                SCALING: "none",
            },
            row_budget=150_000,
            fold_budget=12_000,
            space={
                "max_depth": (10, 20, None),
                "min_samples_leaf": (1, 2, 5, 10),
                "max_features": ("sqrt", 0.3),
                "class_weight": WEIGHTS,
                CATEGORIES: ENCODINGS[CATEGORIES],
            },
            searched_with={"n_estimators": 40},
        ),
        # Histogram boosting loses where its quantile bins hide the tail of an amount; weighted by class, half of the
        # quantiles' mass is fraud, and the bins lie where the frauds are (scikit-learn 1.9 bins by weight).
        Candidate(
            "gradient_boosting",
            _gradient_boosting,
            {
                "max_iter": 400,
                "learning_rate": 0.05,
                "max_leaf_nodes": 31,
                "l2_regularization": 10.0,
                "max_features": 0.5,
                "class_weight": "balanced",
                CATEGORIES: "label",
                SCALING: "none",
            },
            row_budget=400_000,
            fold_budget=12_000,
            space={
                "max_leaf_nodes": (15, 31, 63),
                "min_samples_leaf": (10, 20, 50),
                "l2_regularization": (1.0, 10.0, 50.0),
                "max_features": (0.3, 0.5, 1.0),
                "class_weight": WEIGHTS,
                CATEGORIES: ENCODINGS[CATEGORIES],
            },
            searched_with={"max_iter": 120},
            aliases={"n_estimators": "max_iter"},
        ),
        Candidate(
            "logistic_regression",
            _logistic_regression,
            {"C": 1.0, "max_iter": 300, "class_weight": "balanced", CATEGORIES: "onehot", SCALING: "standard"},
            row_budget=400_000,
            fold_budget=12_000,
            # A weight on the code of a category would give its values an order, and unscaled features do not converge.
            space={"C": (0.01, 0.1, 1.0, 10.0), "class_weight": WEIGHTS, SCALING: ("standard", "minmax")},
        ),
    )
}


def candidate(name: str) -> Candidate:
    """Return a candidate by name; raises `TrainingError` for a name that is none."""
    if name not in CANDIDATES:
        near = difflib.get_close_matches(name, CANDIDATES, n=1)
        raise TrainingError(
            f"expected a model among {', '.join(CANDIDATES)}, got {name!r}."
            + (f" Did you mean {near[0]!r}?" if near else ""),
            remedy="Name one of them.",
        )
    return CANDIDATES[name]
