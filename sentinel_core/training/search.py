"""Hyperparameters by successive halving, judged in folds that go forward in time inside the train part.

Jamieson and Talwalkar, Non-stochastic best arm identification and hyperparameter optimization (2016).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from sentinel_core.errors import TrainingError
from sentinel_core.evaluation.metrics import average_precision
from sentinel_core.training.candidates import Candidate
from sentinel_core.training.data import Rows, TrainingData
from sentinel_core.training.fitted import fit_on
from sentinel_core.training.folds import forward_folds
from sentinel_core.training.sampling import whole_users

FOLDS: Final = 2
RUNGS: Final = ((6, 5_000), (2, 15_000))
"""How many settings are tried, each on how many rows at most: a third goes on, with three times the rows."""
JUDGE_ROWS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Trial:
    """Settings that were tried on at most `rows` rows: their average precision in each fold."""

    hyperparameters: Mapping[str, Any]
    rows: int
    precision: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean average precision over the folds."""
        return float(np.mean(self.precision))


@dataclass(frozen=True, slots=True)
class Searched:
    """The settings that won, every trial, and why the defaults stayed where they did."""

    hyperparameters: Mapping[str, Any]
    trials: tuple[Trial, ...]
    note: str


def search(
    chosen: Candidate,
    data: TrainingData,
    rows: Rows,
    *,
    seed: int,
    clock: int,
    progress: Callable[[str], None] = lambda _: None,
) -> Searched:
    """Search a candidate's space on the rows of the train part, whose labels the `clock` (µs) knows.

    Trials have the candidate's `searched_with`, such as fewer trees, in common. The defaults are among the settings
    and reach the last rung; others take their place only if they are better in every fold. Where the rows span too
    little time for folds, the defaults stay and `note` says so.
    """
    default = chosen.hyperparameters()
    part = replace(data, is_fraud=_only(data, rows))
    try:
        folds = forward_folds(
            data.time, part.is_fraud, data.known_at, as_of=clock, label_delay=data.label_delay, folds=FOLDS, held_back=0
        )
    except TrainingError as error:
        return Searched(default, (), f"not searched: {error.args[0]}")
    judged = [whole_users(fold.judge, data.user, JUDGE_ROWS) for fold in folds]

    def judge(fold: int, tried: Mapping[str, Any], budget: int) -> float:
        cheaper = {**tried, **chosen.searched_with}
        fitted = fit_on(chosen, data, folds[fold].train, cheaper, seed=seed, budget=budget)
        rows = judged[fold]
        return average_precision(data.fraud_at(rows), fitted.score(data, rows), data.weight_at(rows))

    settings = _settings(chosen, default, RUNGS[0][0], seed)
    trials: list[Trial] = []
    for number, (_, budget) in enumerate(RUNGS):
        rung = []
        for place, tried in enumerate(settings, start=1):
            progress(f"search, {budget:,} rows: setting {place} of {len(settings)}")
            precision = [judge(fold, tried, budget) for fold in range(FOLDS)]
            rung.append(Trial(tried, budget, tuple(precision)))
        trials += rung
        if number + 1 < len(RUNGS):
            others = sorted(rung[1:], key=lambda trial: trial.mean, reverse=True)
            settings = [default, *(trial.hyperparameters for trial in others[: RUNGS[number + 1][0] - 1])]
    own, best = rung[0], max(rung, key=lambda trial: trial.mean)
    if all(ours < theirs for ours, theirs in zip(own.precision, best.precision, strict=True)):
        note = f"average precision {best.mean:.4f} in forward folds, {own.mean:.4f} by the defaults"
        return Searched(best.hyperparameters, tuple(trials), note)
    return Searched(default, tuple(trials), f"the defaults stay: none is better in every fold ({own.mean:.4f})")


def _settings(chosen: Candidate, default: Mapping[str, Any], count: int, seed: int) -> list[Mapping[str, Any]]:
    """Return the defaults and settings drawn from the space, all different; fewer where the space is small."""
    generator = np.random.default_rng(seed)
    found: list[Mapping[str, Any]] = [default]
    for _ in range(20 * count):
        if len(found) == count:
            break
        drawn = {name: values[generator.integers(len(values))] for name, values in chosen.space.items()}
        tried = {**default, **drawn}
        if tried not in found:
            found.append(tried)
    return found


def _only(data: TrainingData, rows: Rows) -> Any:
    """Return the labels of rows, and -1 for all others."""
    labels = np.full_like(data.is_fraud, -1)
    labels[rows] = data.is_fraud[rows]
    return labels
