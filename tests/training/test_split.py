"""The split in time: what each part may know, and what happens where there is nothing to know."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentinel_core.errors import TrainingError
from sentinel_core.training.data import TrainingData
from sentinel_core.training.split import Split, time_split, windowed_split
from tests.training.toys import DAY, START, toy


def _split(data: TrainingData) -> Split:
    return time_split(data.time, data.is_fraud, data.known_at, as_of=data.as_of, label_delay=data.label_delay)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), lag=st.floats(0, 8))
def test_no_part_knows_what_its_clock_did_not(seed: int, lag: float) -> None:
    data = toy(2000, seed=seed)
    known_at = data.time + (np.random.default_rng(seed).random(2000) * lag * DAY).astype(np.int64)
    split = time_split(data.time, data.is_fraud, known_at, as_of=data.as_of, label_delay=data.label_delay)
    parts = list(split.parts().items())
    for (name, rows), (later_name, later) in itertools.pairwise(parts):
        assert data.time[later].min() - data.time[rows].max() >= data.label_delay
        # Everything that a part learned from was known before the next part began.
        assert known_at[rows].max() <= split.windows[later_name].start, name
    assert known_at[split.test].max() <= data.as_of
    for rows in split.parts().values():
        assert (np.diff(data.time[rows]) >= 0).all()


def test_the_immature_end_is_left_out_even_where_frauds_were_reported_early() -> None:
    data = toy()
    fraud = data.is_fraud == 1
    known_at = np.where(fraud, data.time + 3_600_000_000, data.time + 3 * DAY)
    split = time_split(data.time, data.is_fraud, known_at, as_of=data.as_of, label_delay=data.label_delay)
    assert data.time[split.test].max() <= data.as_of - data.label_delay
    inside = (data.time >= split.windows["test"].start) & (data.time < split.windows["test"].end)
    assert fraud[split.test].mean() == fraud[inside].mean()


def test_unlabelled_rows_are_in_no_part() -> None:
    data = toy()
    is_fraud = data.is_fraud.copy()
    is_fraud[::3] = -1
    split = time_split(data.time, is_fraud, data.known_at, as_of=data.as_of, label_delay=data.label_delay)
    assert all((is_fraud[rows] >= 0).all() for rows in split.parts().values())


def test_rows_may_come_in_any_order() -> None:
    data = toy()
    shuffled = np.random.default_rng(1).permutation(len(data.time))
    split = _split(data)
    other = time_split(
        data.time[shuffled],
        data.is_fraud[shuffled],
        data.known_at[shuffled],
        as_of=data.as_of,
        label_delay=data.label_delay,
    )
    for name, rows in split.parts().items():
        assert (data.time[rows] == data.time[shuffled][other.parts()[name]]).all()


def test_labels_that_nobody_knew_yet_are_an_error_with_figures() -> None:
    data = toy(known_at=np.full(4000, START + 900 * DAY))
    with pytest.raises(TrainingError, match=r"got 4,000 labels among 4,000 rows and none known by .* labelled_at"):
        _split(data)


def test_a_history_shorter_than_its_gaps_is_an_error_that_names_the_setting() -> None:
    with pytest.raises(TrainingError, match=r"more than two label delays \(6 days\).*SENTINEL_LABEL_DELAY_DAYS"):
        _split(toy(days=8))


def test_all_legitimate_labels_are_an_error_that_names_the_part() -> None:
    with pytest.raises(TrainingError, match=r"at least 5 frauds in the part 'train' .* got 0 among .* labelled rows"):
        _split(toy(is_fraud=np.zeros(4000, np.int8)))


def test_all_fraud_is_an_error() -> None:
    with pytest.raises(TrainingError, match="expected legitimate rows in the part 'train'"):
        _split(toy(is_fraud=np.ones(4000, np.int8)))


def test_a_window_without_labelled_rows_is_an_error_that_counts_the_events() -> None:
    data = toy()
    windows = _split(data).windows
    hole = windows["test"]
    inside = (data.time >= hole.start) & (data.time < hole.end)
    unlabelled = np.where(inside, -1, data.is_fraud).astype(np.int8)
    with pytest.raises(TrainingError, match=rf"in the part 'test' .* got none of {inside.sum():,} events"):
        windowed_split(data.time, unlabelled, data.known_at, windows=windows)
