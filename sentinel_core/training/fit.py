"""One candidate, from vectors to a judged model: encode, fit, export, calibrate, choose the threshold, judge.

All that follows the fit scores with the exported model, so that every figure comes from the arithmetic that serves.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from sentinel_core.errors import TrainingError
from sentinel_core.evaluation.judge import Interval, intervals
from sentinel_core.features.encoding import Encoder, fit_encoder
from sentinel_core.training.calibrate import Platt, fit_platt
from sentinel_core.training.candidates import Candidate, candidate
from sentinel_core.training.crossval import cross_validate
from sentinel_core.training.data import Rows, TrainingData
from sentinel_core.training.export import check_agreement, to_onnx
from sentinel_core.training.importance import importances
from sentinel_core.training.onnx_model import open_session, raw_scores
from sentinel_core.training.sampling import natural_sample, thin_legitimate
from sentinel_core.training.split import Split, time_split
from sentinel_core.training.threshold import Choice, choose_threshold

FOLDS: Final = 5
SCORED: Final = ("calibrate", "test")
BOOTSTRAP_DRAWS: Final = 300


@dataclass(frozen=True, slots=True)
class TrainedCandidate:
    """A fitted, calibrated and judged candidate.

    `metrics` is part → metric → value with a 95% interval drawn by users, for `calibrate` and `test` against
    observed labels and for `test_true` against true ones where they are known; `cross_validation` is metric → mean and
    deviation. `scores` holds the calibrated scores, float64, of the rows of `calibrate` and `test` in `split`.
    `notes` is what scikit-learn said about the fit's convergence; `seconds` are by step.
    """

    algorithm: str
    estimator: Any
    encoder: Encoder
    onnx: bytes
    calibration: Platt
    choice: Choice
    hyperparameters: Mapping[str, Any]
    seed: int
    split: Split
    rows: int
    metrics: Mapping[str, Mapping[str, Interval]]
    cross_validation: Mapping[str, tuple[float, float]]
    importances: Mapping[str, float]
    scores: Mapping[str, NDArray[np.float64]]
    onnx_difference: float
    notes: tuple[str, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def threshold(self) -> float:
        """The calibrated score from which (inclusive) a transaction counts as fraud."""
        return self.choice.threshold


class _Stopwatch:
    """Seconds by step; they are reported, and nothing depends on them."""

    def __init__(self, progress: Callable[[str], None]) -> None:
        self.seconds: dict[str, float] = {}
        self._progress = progress

    def __call__(self, step: str, work: Callable[[], Any]) -> Any:
        self._progress(step)
        begun = time.perf_counter()
        result = work()
        self.seconds[step] = round(time.perf_counter() - begun, 3)
        return result


def train_candidate(
    name: str,
    data: TrainingData,
    *,
    seed: int,
    hyperparameters: Mapping[str, Any] | None = None,
    folds: int = FOLDS,
    progress: Callable[[str], None] = lambda _: None,
) -> TrainedCandidate:
    """Train and judge one candidate; equal arguments give an equal model, to the last bit.

    It is fitted on the train part within its row budget, calibrated and given its threshold on the calibrate part,
    judged on the test part, and not fitted again. Raises `TrainingError` for an unknown name or
    hyperparameter, too few frauds, outputs that do not grow with fraud, or an export that disagrees.
    """
    # One thread for the sums of BLAS and OpenMP: with more, the result would depend on which ends first, and beside
    # other processes they spend their time waiting for each other. A forest's trees grow on all cores regardless.
    with threadpool_limits(1):
        return _train(candidate(name), data, seed, hyperparameters, folds, _Stopwatch(progress))


def _train(
    chosen: Candidate,
    data: TrainingData,
    seed: int,
    hyperparameters: Mapping[str, Any] | None,
    folds: int,
    watch: _Stopwatch,
) -> TrainedCandidate:
    used = chosen.hyperparameters(hyperparameters)
    split = time_split(data.time, data.is_fraud, data.known_at, as_of=data.as_of, label_delay=data.label_delay)
    train = thin_legitimate(split.train, data.fraud_at(split.train), chosen.row_budget, seed)
    encoder = watch("encode", lambda: _fit_encoder(chosen, data, train))
    matrix = _encode(encoder, data, train)
    estimator, notes = watch("fit", lambda: _fit(chosen.estimator(used, seed), matrix, data.fraud_at(train)))
    onnx = watch("export", lambda: to_onnx(estimator, matrix.shape[1]))
    scored = {part: _encode(encoder, data, split.parts()[part]) for part in SCORED}
    difference = watch("agree", lambda: check_agreement(onnx, estimator, scored["test"]))
    session = open_session(onnx)
    raw = {part: raw_scores(session, rows) for part, rows in scored.items()}
    calibration = fit_platt(raw["calibrate"], data.fraud_at(split.calibrate))
    scores = {part: calibration(outputs) for part, outputs in raw.items()}
    choice = choose_threshold(data.scored(split.calibrate, scores["calibrate"]), data.policy, data.floors)
    return TrainedCandidate(
        algorithm=chosen.name,
        estimator=estimator,
        encoder=encoder,
        onnx=onnx,
        calibration=calibration,
        choice=choice,
        hyperparameters=used,
        seed=seed,
        split=split,
        rows=len(train),
        metrics=watch("judge", lambda: _judge(data, split, scores, choice, seed)),
        cross_validation=watch(
            "cross-validate",
            lambda: _folds(chosen, chosen.estimator(used, seed), encoder, data, split, folds=folds, seed=seed),
        ),
        importances=importances(estimator, encoder.input_names, matrix),
        scores=scores,
        onnx_difference=difference,
        notes=notes,
        seconds=watch.seconds,
    )


def _fit(estimator: Any, matrix: NDArray[np.float32], fraud: NDArray[np.bool_]) -> tuple[Any, tuple[str, ...]]:
    """Fit an estimator and return it with what scikit-learn said about its convergence."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", ConvergenceWarning)
        try:
            estimator.fit(matrix, fraud)
        except ValueError as error:
            raise TrainingError(
                f"expected hyperparameters that {type(estimator).__name__} accepts, but it refuses them: {error}",
                remedy="Correct the hyperparameters.",
            ) from None
    return estimator, tuple(sorted({str(one.message).partition("\n")[0] for one in caught}))


def _folds(
    chosen: Candidate, estimator: Any, encoder: Encoder, data: TrainingData, split: Split, *, folds: int, seed: int
) -> dict[str, tuple[float, float]]:
    """Cross-validate on a sample of the train part at its natural fraud rate: it is reported, and need not be dear."""
    from sklearn.base import clone

    rows = natural_sample(split.train, data.fraud_at(split.train), chosen.fold_budget, seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return cross_validate(
            lambda: clone(estimator), _encode(encoder, data, rows), data.fraud_at(rows), folds=folds, seed=seed
        )


def _fit_encoder(chosen: Candidate, data: TrainingData, rows: Rows) -> Encoder:
    return fit_encoder(
        data.names,
        data.values_at(rows),
        data.categories_at(rows),
        category_kind=chosen.category_kind,
        scaling=chosen.scaling,
    )


def _encode(encoder: Encoder, data: TrainingData, rows: Rows) -> NDArray[np.float32]:
    return encoder.transform(data.values_at(rows), data.categories_at(rows))


def _judge(
    data: TrainingData, split: Split, scores: Mapping[str, NDArray[np.float64]], choice: Choice, seed: int
) -> dict[str, dict[str, Interval]]:
    """Judge each part against observed labels, and the test part against true ones where they are known."""
    rows = {part: data.scored(split.parts()[part], score) for part, score in scores.items()}
    if data.is_fraud_true is not None:
        rows["test_true"] = replace(rows["test"], is_fraud=data.is_fraud_true[split.test] == 1)
    costs = data.policy.costs
    return {
        part: intervals(of_part, choice.at(of_part.cents), costs, count=BOOTSTRAP_DRAWS, seed=seed)
        for part, of_part in rows.items()
    }
