"""What a feature is worth: the average precision of a model with it, less that of the same model without it.

The groups and some single features of the catalogue are left out of the model one at a time; proposals, and noise as
a control, are added to it one at a time. Each model is fitted in every fold (`folds`) under every seed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from sentinel_core.errors import TrainingError
from sentinel_core.evaluation.judge import Interval
from sentinel_core.evaluation.paired import UserDraws, paired_difference
from sentinel_core.features.encoding import fit_encoder
from sentinel_core.training.candidates import CATEGORIES, SCALING, candidate
from sentinel_core.training.data import Rows, TrainingData
from sentinel_core.training.folds import Fold, forward_folds
from sentinel_core.training.sampling import thin_legitimate, whole_users

MODEL: Final = "gradient_boosting"
SMALLER: Final[Mapping[str, Any]] = {"max_iter": 100, "learning_rate": 0.1}
"""Half the trees at twice the rate: what is compared are inputs, and there are hundreds of fits."""
TRAIN_ROWS: Final = 30_000
JUDGE_ROWS: Final = 60_000
DRAWS: Final = 200
NOISE: Final = "noise"
"""A column of random numbers, added as a proposal would be: what chance alone does."""

Kind = Literal["group", "feature", "proposal", "control"]


@dataclass(frozen=True, slots=True)
class Variant:
    """Columns that belong together: left out of the model, or, where the catalogue lacks them, `added` to it."""

    name: str
    kind: Kind
    columns: tuple[str, ...]

    @property
    def added(self) -> bool:
        """Whether the model without it is the catalogue's own."""
        return self.kind in ("proposal", "control")


@dataclass(frozen=True, slots=True)
class Finding:
    """What a variant is worth: mean average precision without and with it, their difference, seconds of its fits.

    All are NaN, and `seconds` 0, where its columns are constant in the data.
    """

    variant: Variant
    without: float
    with_it: float
    difference: Interval
    seconds: float


@dataclass(frozen=True, slots=True)
class Ablation:
    """Findings in the order of the variants, the folds, the average precision of the catalogue itself, its seconds."""

    findings: tuple[Finding, ...]
    folds: tuple[Fold, ...]
    precision: float
    seconds: float


def ablate(
    data: TrainingData,
    variants: Sequence[Variant],
    *,
    seeds: int,
    folds: int,
    train_rows: int = TRAIN_ROWS,
    progress: Callable[[str], None] = lambda _: None,
) -> Ablation:
    """Judge variants on data whose `names` hold the catalogue and what is proposed, but for `NOISE`.

    The catalogue's own model leaves out the columns of all variants that are added. At most `train_rows` rows are
    fitted, and whole users of about `JUDGE_ROWS` rows judged in each fold; weights of rows play no part. Raises
    `TrainingError` where the data is too short for the folds.
    """
    if seeds < 1 or folds < 1:
        raise TrainingError(f"expected one seed and one fold at least, got {seeds} and {folds}.", remedy="Ask for 3.")
    parts = forward_folds(
        data.time, data.is_fraud, data.known_at, as_of=data.as_of, label_delay=data.label_delay, folds=folds
    )
    judged = [whole_users(fold.judge, data.user, JUDGE_ROWS) for fold in parts]
    draws = UserDraws([data.user[rows] for rows in judged], count=DRAWS, seed=0)
    inputs = _Inputs(data, variants)
    precision = np.full((1 + len(variants), len(parts), seeds, 1 + DRAWS), np.nan)
    seconds = np.zeros(1 + len(variants))
    with threadpool_limits(1):
        for part, (fold, rows) in enumerate(zip(parts, judged, strict=True)):
            for seed in range(seeds):
                fit = inputs.prepare(fold, rows, train_rows, seed)
                for number, variant in enumerate([None, *variants]):
                    if variant is not None and not inputs.varies(variant):
                        continue
                    progress(f"fold {part + 1} of {folds}, seed {seed}: {variant.name if variant else 'the catalogue'}")
                    begun = time.perf_counter()
                    score = fit(inputs.columns(variant))
                    precision[number, part, seed] = draws.average_precision(part, data.fraud_at(rows), score)
                    seconds[number] += time.perf_counter() - begun
    found = [
        _finding(variant, precision[0], precision[number], float(seconds[number]))
        for number, variant in enumerate(variants, start=1)
    ]
    return Ablation(tuple(found), parts, float(precision[0, :, :, 0].mean()), float(seconds[0]))


class _Inputs:
    """The columns of a model's input, by variant; those that are constant in the data are left out of all."""

    def __init__(self, data: TrainingData, variants: Sequence[Variant]) -> None:
        self._data = data
        self._added = {name for variant in variants if variant.added for name in variant.columns}
        self._names = (*data.names, NOISE)
        numbers = np.ptp(data.values, axis=0) > 0 if len(data.values) else np.zeros(len(data.names), dtype=np.bool_)
        self._varying = {name for name, varies in zip(data.names, numbers, strict=True) if varies} | {NOISE}
        self._varying |= set(data.categories)

    def varies(self, variant: Variant) -> bool:
        """Whether any column of a variant says anything in this data."""
        return not self._varying.isdisjoint(variant.columns)

    def columns(self, variant: Variant | None) -> frozenset[str]:
        """Return the names of the input's columns under a variant: the catalogue's without it, or with it added."""
        own = (set(self._names) | set(self._data.categories)) - self._added - {NOISE}
        chosen = own if variant is None else own | set(variant.columns) if variant.added else own - set(variant.columns)
        return frozenset(chosen & self._varying)

    def prepare(
        self, fold: Fold, judged: Rows, train_rows: int, seed: int
    ) -> Callable[[frozenset[str]], NDArray[np.float64]]:
        """Encode the rows of a fold; what is returned fits the model on columns and scores the judged rows."""
        data, chosen = self._data, candidate(MODEL)
        hyperparameters = chosen.hyperparameters(SMALLER)
        train, _ = thin_legitimate(fold.train, data.fraud_at(fold.train), train_rows, seed)
        noise = np.random.default_rng(seed).normal(size=len(data.time)).astype(np.float32)
        encoder = fit_encoder(
            self._names,
            _with(data.values_at(train), noise[train]),
            data.categories_at(train),
            category_kind=hyperparameters[CATEGORIES],
            scaling=hyperparameters[SCALING],
        )
        learned = encoder.transform(_with(data.values_at(train), noise[train]), data.categories_at(train))
        asked = encoder.transform(_with(data.values_at(judged), noise[judged]), data.categories_at(judged))
        fraud = data.fraud_at(train)
        bins = _bins(chosen.estimator(hyperparameters | {"max_iter": 1}, seed).fit(learned, fraud))
        learned, asked = _binned(learned, bins), _binned(asked, bins)

        def fit(columns: frozenset[str]) -> NDArray[np.float64]:
            taken = [place for place, name in enumerate(encoder.input_names) if name in columns]
            estimator = chosen.estimator(hyperparameters, seed).fit(learned[:, taken], fraud)
            scores: NDArray[np.float64] = estimator.decision_function(asked[:, taken])
            return scores

        return fit


def _bins(estimator: Any) -> list[NDArray[np.float64]]:
    """Return the upper edges of each column's bins: finding them is nine tenths of a fit, and they do not differ."""
    edges: list[NDArray[np.float64]] = estimator._bin_mapper.bin_thresholds_
    return edges


def _binned(matrix: NDArray[np.float32], bins: list[NDArray[np.float64]]) -> NDArray[np.float32]:
    """Put the number of its bin in place of each value: a fit on them grows the same trees."""
    columns = [edges.searchsorted(column) for edges, column in zip(bins, matrix.T, strict=True)]
    return np.stack(columns, axis=1).astype(np.float32)


def _with(values: NDArray[np.float32], noise: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.concatenate((values, noise[:, np.newaxis]), axis=1)


def _finding(variant: Variant, own: NDArray[np.float64], other: NDArray[np.float64], seconds: float) -> Finding:
    without, with_it = (own, other) if variant.added else (other, own)
    return Finding(
        variant,
        float(without[..., 0].mean()),
        float(with_it[..., 0].mean()),
        paired_difference(with_it, without, seed=0),
        round(seconds, 2),
    )
