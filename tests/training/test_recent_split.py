"""The split of a system in operation: the newest mature days in every part, users kept apart."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentinel_core.errors import TrainingError
from sentinel_core.training.split import RECENT_DAYS, RECENT_FRAUDS, USER_SHARES, Split, recent_split

DAY = 86_400_000_000
AS_OF = 200 * DAY
WINDOW = 60 * DAY


def _history(
    rows: int = 40_000, users: int = 3_000, seed: int = 0, days: int = 200, window: int = WINDOW
) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    time = np.sort(rng.integers(AS_OF - days * DAY, AS_OF, rows))
    is_fraud = (rng.random(rows) < 0.05).astype(np.int8)
    # Frauds are reported within days; the others mature. What is neither by the clock has no label yet.
    known_at = np.where(is_fraud == 1, time + rng.integers(0, 7 * DAY, rows), time + window)
    is_fraud[known_at > AS_OF] = -1
    hashes = rng.integers(0, 2**64, users, dtype=np.uint64)
    return {"time": time, "is_fraud": is_fraud, "known_at": known_at, "user": hashes[rng.integers(0, users, rows)]}


def _split(history: dict[str, np.ndarray], window: int = WINDOW) -> Split:
    return recent_split(**history, as_of=AS_OF, label_window=window)


def test_the_newest_mature_day_is_in_every_part() -> None:
    history = _history()
    split = _split(history)
    for name, rows in split.parts().items():
        newest = history["time"][rows].max()
        assert AS_OF - WINDOW - DAY < newest <= AS_OF - WINDOW, name


def test_no_row_is_used_before_it_is_mature() -> None:
    history = _history()
    # Frauds of the last days are labelled; taken for themselves they would say that nearly all is fraud.
    assert (history["is_fraud"][history["time"] > AS_OF - WINDOW] == 1).any()
    for rows in _split(history).parts().values():
        assert history["time"][rows].max() <= AS_OF - WINDOW
        assert history["is_fraud"][rows].mean() == pytest.approx(0.05, abs=0.02)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), rows=st.integers(20_000, 60_000))
def test_in_the_newest_days_a_user_is_in_one_part_only(seed: int, rows: int) -> None:
    history = _history(rows, seed=seed)
    split = _split(history)
    begin = split.windows["test"].start
    seen = [set(history["user"][part[history["time"][part] >= begin]].tolist()) for part in split.parts().values()]
    assert not (seen[0] & seen[1] or seen[0] & seen[2] or seen[1] & seen[2])
    assert sum(map(len, split.parts().values())) == len(np.unique(np.concatenate(list(split.parts().values()))))


def test_a_user_stays_in_the_same_part_in_every_training() -> None:
    history = _history()
    first = _split(history)
    later = recent_split(**history, as_of=AS_OF, label_window=WINDOW - 5 * DAY)
    tested = set(history["user"][first.test].tolist())
    begin = later.windows["test"].start
    trained = later.train[history["time"][later.train] >= begin]
    assert tested.isdisjoint(history["user"][trained].tolist())


def test_the_parts_have_their_shares_of_users() -> None:
    history = _history(60_000, users=20_000)
    split = _split(history)
    begin = split.windows["test"].start
    recent = [(history["time"][part] >= begin).sum() for part in split.parts().values()]
    assert np.array(recent) / sum(recent) == pytest.approx(USER_SHARES, abs=0.03)


def test_the_newest_days_reach_back_as_far_as_the_wanted_frauds_take() -> None:
    many, few = _split(_history(400_000, users=30_000)), _split(_history(30_000))
    fewest, most = RECENT_DAYS
    length = {name: (split.windows["test"].end - split.windows["test"].start) / DAY for name, split in
              (("many", many), ("few", few))}  # fmt: skip
    assert length["many"] == pytest.approx(fewest)
    assert fewest < length["few"] <= most
    tested = _history(30_000)["is_fraud"][few.test].sum()
    assert tested <= RECENT_FRAUDS + 5


def test_without_mature_rows_it_says_when_there_will_be_some() -> None:
    with pytest.raises(TrainingError, match=r"mature 60 days after the event.*LABEL_WINDOW"):
        _split(_history(2_000, days=50))


def test_too_few_frauds_of_a_part_are_named() -> None:
    history = _history()
    history["is_fraud"] = np.where(history["is_fraud"] == 1, 0, history["is_fraud"])
    with pytest.raises(TrainingError, match="the part 'train'"):
        _split(history)


def test_rows_that_explored_ones_stand_for_are_learned_from_and_judged_on_nowhere() -> None:
    history = _history()
    stood_for = np.arange(len(history["time"])) % 3 == 0
    split = recent_split(**history, as_of=AS_OF, label_window=WINDOW, stood_for=stood_for)
    assert stood_for[split.train].any()
    assert not stood_for[split.calibrate].any()
    assert not stood_for[split.test].any()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), later=st.integers(1, 60))
def test_what_a_later_hold_out_shares_with_an_earlier_one_was_never_learned(seed: int, later: int) -> None:
    """The gate compares two models of such splits on these rows: neither may have been fitted or calibrated on any."""
    # With labels that take longer than the window, days that count as mature would hold nothing but frauds.
    history = _history(30_000, seed=seed, days=140, window=30 * DAY)
    first = recent_split(**history, as_of=AS_OF - later * DAY, label_window=30 * DAY)
    second = recent_split(**history, as_of=AS_OF, label_window=30 * DAY)
    tested_from = history["time"][first.test].min()
    shared = second.test[history["time"][second.test] >= tested_from]
    assert len(shared)
    assert not np.isin(shared, np.concatenate([first.train, first.calibrate])).any()
