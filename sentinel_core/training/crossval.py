"""Stratified k-fold cross-validation: reported for comparison with other work, never used to choose.

Folds mix past and future and split users, which flatters a fraud model; the hold-out that is later in time is
what counts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sentinel_core.errors import TrainingError
from sentinel_core.evaluation.metrics import METRICS, evaluate
from sentinel_core.training.calibrate import fit_platt
from sentinel_core.training.threshold import best_f1


def cross_validate(
    build: Callable[[], Any], matrix: NDArray[np.float32], is_fraud: NDArray[np.bool_], *, folds: int, seed: int
) -> dict[str, tuple[float, float]]:
    """Return mean and standard deviation of each metric over stratified folds.

    A fold's calibration and threshold (best F1) come from the scores of the other folds, each given by a model that
    had not seen them. Raises `TrainingError` where there are fewer frauds than folds.
    """
    from sklearn.model_selection import StratifiedKFold

    frauds = int(is_fraud.sum())
    if frauds < folds:
        raise TrainingError(
            f"expected at least {folds} frauds for {folds} folds, got {frauds} in {len(is_fraud):,} training rows.",
            remedy="Bring a longer history, or ask for fewer folds.",
        )
    score = np.empty(len(is_fraud))
    fold_of = np.empty(len(is_fraud), dtype=np.intp)
    splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
    for fold, (learn, judge) in enumerate(splitter.split(matrix, is_fraud)):
        score[judge] = _scores(build().fit(matrix[learn], is_fraud[learn]), matrix[judge])
        fold_of[judge] = fold
    figures = []
    for fold in range(folds):
        judge = fold_of == fold
        calibration = fit_platt(score[~judge], is_fraud[~judge])
        threshold, _ = best_f1(is_fraud[~judge], calibration(score[~judge]))
        figures.append(evaluate(is_fraud[judge], calibration(score[judge]), threshold))
    return {
        name: (float(np.mean([f[name] for f in figures])), float(np.std([f[name] for f in figures])))
        for name in METRICS
    }


def _scores(estimator: Any, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the scores, equal to the last bit each time: threads of a forest add their trees in any order."""
    if "n_jobs" in estimator.get_params():
        estimator.set_params(n_jobs=1)
    scores: NDArray[np.float64] = estimator.predict_proba(matrix)[:, 1]
    return scores
