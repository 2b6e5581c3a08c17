"""Stratified cross-validation over users: reported for comparison with other work, never used to choose a model.

A user's rows lie in one fold, but folds mix past and future, which flatters a fraud model; the hold-out that is later
in time is what counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sentinel_core.errors import TrainingError
from sentinel_core.evaluation.metrics import METRICS, evaluate
from sentinel_core.training.calibrate import fit_platt
from sentinel_core.training.candidates import Candidate
from sentinel_core.training.data import Rows, TrainingData
from sentinel_core.training.fitted import fit_on
from sentinel_core.training.threshold import best_f1


def out_of_fold(
    chosen: Candidate,
    data: TrainingData,
    rows: Rows,
    hyperparameters: Mapping[str, Any],
    *,
    folds: int,
    seed: int,
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Return the score that a model gave each row without having seen its user, float64 [n], and the row's fold [n].

    Raises `TrainingError` where fewer users than folds have a fraud.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    fraud = data.fraud_at(rows)
    _, user = np.unique(data.user[rows], return_inverse=True)
    defrauded = len(np.unique(user[fraud]))
    if defrauded < folds:
        raise TrainingError(
            f"expected frauds of at least {folds} users for {folds} folds, got {int(fraud.sum()):,} frauds of"
            f" {defrauded} users in {len(rows):,} training rows.",
            remedy="Bring a longer history, or ask for fewer folds.",
        )
    score = np.empty(len(rows))
    fold_of = np.empty(len(rows), dtype=np.intp)
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    for fold, (learn, judge) in enumerate(splitter.split(fraud, fraud, user)):
        score[judge] = fit_on(chosen, data, rows[learn], hyperparameters, seed=seed).score(data, rows[judge])
        fold_of[judge] = fold
    return score, fold_of


def cross_validate(
    chosen: Candidate,
    data: TrainingData,
    rows: Rows,
    hyperparameters: Mapping[str, Any],
    *,
    folds: int,
    seed: int,
) -> dict[str, tuple[float, float]]:
    """Return mean and standard deviation of each metric over the folds.

    A fold's calibration and threshold (best F1) come from the scores of the other folds. Raises as `out_of_fold` does.
    """
    score, fold_of = out_of_fold(chosen, data, rows, hyperparameters, folds=folds, seed=seed)
    fraud, weight = data.fraud_at(rows), data.weight_at(rows)
    figures = []
    for fold in range(folds):
        judge = fold_of == fold
        others, own = (None if weight is None else weight[part] for part in (~judge, judge))
        calibration = fit_platt(score[~judge], fraud[~judge], others)
        threshold, _ = best_f1(fraud[~judge], calibration(score[~judge]), others)
        figures.append(evaluate(fraud[judge], calibration(score[judge]), threshold, own))
    return {
        name: (float(np.nanmean([f[name] for f in figures])), float(np.nanstd([f[name] for f in figures])))
        for name in METRICS
    }
