"""One candidate, from vectors to a judged model: encode, fit, export, calibrate, choose the threshold, judge.

All that follows the fit scores with the exported model, so that every figure comes from the arithmetic that serves.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from sentinel_core.evaluation.judge import Interval, intervals
from sentinel_core.features.encoding import Encoder
from sentinel_core.training.calibrate import Platt, fit_platt
from sentinel_core.training.candidates import Candidate, candidate
from sentinel_core.training.crossval import cross_validate
from sentinel_core.training.data import TrainingData
from sentinel_core.training.export import check_agreement, to_onnx
from sentinel_core.training.fitted import fit_on
from sentinel_core.training.importance import importances
from sentinel_core.training.onnx_model import open_session, raw_scores
from sentinel_core.training.sampling import natural_sample
from sentinel_core.training.search import Searched, search
from sentinel_core.training.split import Split
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
    search: Searched | None
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
        self.progress = progress

    def __call__(self, step: str, work: Callable[[], Any]) -> Any:
        self.progress(step)
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
    searched: bool = False,
    folds: int = FOLDS,
    progress: Callable[[str], None] = lambda _: None,
) -> TrainedCandidate:
    """Train and judge one candidate; equal arguments give an equal model, to the last bit.

    It is fitted on the train part within its row budget, calibrated and given its threshold on the calibrate part,
    judged on the test part, and not fitted again. With `searched` its settings are searched inside the train part,
    unless `hyperparameters` are given. Raises `TrainingError` for an unknown name or hyperparameter, too few frauds,
    outputs that do not grow with fraud, or an export that disagrees.
    """
    # One thread for the sums of BLAS and OpenMP: with more, the result would depend on which ends first, and beside
    # other processes they spend their time waiting for each other. A forest's trees grow on all cores regardless.
    with threadpool_limits(1):
        watch = _Stopwatch(progress)
        return _train(
            candidate(name),
            data,
            watch,
            seed=seed,
            hyperparameters=hyperparameters,
            searched=searched and not hyperparameters,
            folds=folds,
        )


def _train(
    chosen: Candidate,
    data: TrainingData,
    watch: _Stopwatch,
    *,
    seed: int,
    hyperparameters: Mapping[str, Any] | None,
    searched: bool,
    folds: int,
) -> TrainedCandidate:
    used, found = chosen.hyperparameters(hyperparameters), None
    split = data.split()
    if searched:
        clock = split.windows["train"].clock
        found = watch(
            "search", lambda: search(chosen, data, split.train, seed=seed, clock=clock, progress=watch.progress)
        )
        used = dict(found.hyperparameters)
    fitted = watch("fit", lambda: fit_on(chosen, data, split.train, used, seed=seed))
    onnx = watch("export", lambda: to_onnx(fitted.estimator, len(fitted.encoder.input_names)))
    scored = {part: fitted.encode(data, split.parts()[part]) for part in SCORED}
    difference = watch("agree", lambda: check_agreement(onnx, fitted.estimator, scored["test"]))
    session = open_session(onnx)
    raw = {part: raw_scores(session, rows) for part, rows in scored.items()}
    calibration = fit_platt(raw["calibrate"], data.fraud_at(split.calibrate), data.weight_at(split.calibrate))
    scores = {part: calibration(outputs) for part, outputs in raw.items()}
    choice = choose_threshold(data.scored(split.calibrate, scores["calibrate"]), data.policy, data.floors)
    return TrainedCandidate(
        algorithm=chosen.name,
        estimator=fitted.estimator,
        encoder=fitted.encoder,
        onnx=onnx,
        calibration=calibration,
        choice=choice,
        hyperparameters=used,
        search=found,
        seed=seed,
        split=split,
        rows=len(fitted.rows),
        metrics=watch("judge", lambda: _judge(data, split, scores, choice, seed)),
        cross_validation=watch("cross-validate", lambda: _folds(chosen, data, split, used, folds=folds, seed=seed)),
        importances=importances(fitted.estimator, fitted.encoder.input_names, fitted.encode(data, fitted.rows)),
        scores=scores,
        onnx_difference=difference,
        notes=fitted.notes,
        seconds=watch.seconds,
    )


def _folds(
    chosen: Candidate, data: TrainingData, split: Split, used: Mapping[str, Any], *, folds: int, seed: int
) -> dict[str, tuple[float, float]]:
    """Cross-validate on a sample of the train part at its natural fraud rate: it is reported, and need not be dear."""
    rows = natural_sample(split.train, data.fraud_at(split.train), chosen.fold_budget, seed)
    return cross_validate(chosen, data, rows, used, folds=folds, seed=seed)


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
