"""What the drift benchmark changes is what it says, and what it rebuilds is what the whole table gives."""

from __future__ import annotations

import numpy as np
import pytest

from tests.benchmarks.drift_changes import CHANGES, COUNTRY, Change, changed_windows, overlay
from tests.benchmarks.drift_world import World, make_world

ROWS = 400


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(40_000, 3, in_operation=False)


def test_vectors_built_from_what_a_stretch_looks_at_are_those_of_the_whole_table(world: World) -> None:
    place = 1_500
    windows = changed_windows(world, Change(), None, world.first + place, ROWS, np.random.default_rng(0))
    for number, window in enumerate(windows):
        begin = place + number * ROWS
        same = world.watched.take(np.arange(begin, begin + ROWS))
        assert all((window.numbers[name] == same.numbers[name]).all() for name in same.numbers)
        assert (window.score == same.score).all()


def test_a_change_goes_through_histories(world: World) -> None:
    def windows(change: Change) -> np.ndarray:
        pair = changed_windows(world, change, None, world.first + 1_500, ROWS, np.random.default_rng(0))
        return np.stack(
            [np.concatenate([one.numbers[name] for one in pair]) for name in ("amount", "user_avg_amount_7d")]
        )

    before, after = windows(Change()), windows(CHANGES["amounts × 1.5"])
    assert after[0] == pytest.approx(before[0] * 1.5, abs=0.01)
    # Histories from before the change stay as they were, those within it grow.
    ratio = after[1][before[1] > 0] / before[1][before[1] > 0]
    assert ratio.min() == 1.0
    assert 1.0 < ratio.max() < 1.51


def test_attacks_are_the_share_of_the_traffic_that_they_say(world: World) -> None:
    for name, share in {"30% card testing": 0.3 / 0.7, "fraud rate × 5 at 500 rows": 0.08}.items():
        beside = overlay(world, CHANGES[name], 1)
        assert beside is not None
        assert len(beside.events) == pytest.approx(share * len(world.watched), rel=0.1)


def test_one_payment_in_ten_moves_to_another_country(world: World) -> None:
    name = "10 points of traffic to other countries"
    start, rows = world.first, 1_000
    first, _ = changed_windows(world, CHANGES[name], None, start, rows, np.random.default_rng(0))
    moved = first.categories[COUNTRY] != world.watched.categories[COUNTRY][:rows]
    assert 0.07 < moved.mean() < 0.13
