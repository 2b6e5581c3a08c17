"""No fold sees the future, and none sees the last fifth of the time."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from sentinel_core.errors import TrainingError
from sentinel_core.training.data import TrainingData
from sentinel_core.training.folds import Fold, forward_folds
from sentinel_core.training.split import time_split
from tests.training.toys import DAY, START, toy


def folds_of(data: TrainingData, folds: int = 3) -> tuple[Fold, ...]:
    return forward_folds(
        data.time, data.is_fraud, data.known_at, as_of=data.as_of, label_delay=data.label_delay, folds=folds
    )


@pytest.mark.parametrize("folds", [1, 3])
def test_a_fold_trains_on_what_was_known_a_label_delay_before_it_judges(folds: int) -> None:
    late = np.random.default_rng(1).integers(0, 9 * DAY, 4000)
    data = toy()
    data = replace(data, known_at=data.time + late)
    found = folds_of(data, folds)
    assert len(found) == folds
    for fold in found:
        begins = data.time[fold.judge].min()
        assert data.time[fold.train].max() < fold.judge_window.start - data.label_delay
        assert data.known_at[fold.train].max() <= fold.judge_window.start <= begins
    for one, other in pairwise(found):
        assert one.judge_window.end == other.judge_window.start
        assert len(one.train) < len(other.train)


def test_the_test_part_is_not_touched() -> None:
    data = toy()
    split = time_split(data.time, data.is_fraud, data.known_at, as_of=data.as_of, label_delay=data.label_delay)
    touched = max(int(data.time[rows].max()) for fold in folds_of(data) for rows in (fold.train, fold.judge))
    mature = data.as_of - data.label_delay
    assert touched <= START + 0.8 * (mature - START) + DAY / 10
    assert touched < split.windows["test"].start


def test_a_short_history_is_an_error_that_says_how_long_it_has_to_be() -> None:
    with pytest.raises(TrainingError, match=r"events over more than 7\.5 days for a label delay of 3, got .* to "):
        folds_of(toy(days=9))


def test_a_fold_without_fraud_is_named() -> None:
    data = toy()
    honest = np.where(data.time < START + 30 * DAY, data.is_fraud, 0).astype(np.int8)
    with pytest.raises(TrainingError, match=r"at least 5 frauds in the part 'judge of fold 2'"):
        folds_of(replace(data, is_fraud=honest))


def test_labels_that_nobody_knew_yet_are_an_error() -> None:
    data = toy()
    with pytest.raises(TrainingError, match=r"labelled rows, got none known at the clock among 4,000 rows"):
        folds_of(replace(data, known_at=data.known_at + 100 * DAY))
