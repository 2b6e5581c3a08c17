"""Assignment: stable for a user, close to the split over many, and independent between experiments."""

from __future__ import annotations

import math
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel_core.errors import ExperimentError
from sentinel_core.experiments.assignment import assign, require_split

KEYS = [f"user {number}" for number in range(20_000)]


@given(st.text(), st.text(max_size=20), st.floats(0.01, 0.99))
def test_a_key_is_in_the_same_arm_each_time(key: str, name: str, share: float) -> None:
    assert assign(key, experiment=name, share_a=share) == assign(key, experiment=name, share_a=share)


@given(st.text(), st.floats(0.01, 0.98), st.floats(0.001, 0.01))
def test_a_larger_share_keeps_who_was_in_model_a(key: str, share: float, more: float) -> None:
    if assign(key, experiment="one", share_a=share) == "model_a":
        assert assign(key, experiment="one", share_a=share + more) == "model_a"


@pytest.mark.parametrize("share", [0.05, 0.5, 0.9])
def test_the_share_of_users_is_the_split(share: float) -> None:
    taken = sum(assign(key, experiment="one", share_a=share) == "model_a" for key in KEYS)
    assert abs(taken / len(KEYS) - share) < 4 * math.sqrt(share * (1 - share) / len(KEYS))


def test_two_experiments_divide_the_users_independently() -> None:
    both = sum(assign(key, experiment="one", share_a=0.5) == assign(key, experiment="two", share_a=0.5) for key in KEYS)
    assert abs(both / len(KEYS) - 0.5) < 0.02


def test_another_process_assigns_alike() -> None:
    code = (
        "from sentinel_core.experiments.assignment import assign\n"
        "print(*(assign(f'user {n}', experiment='one', share_a=0.5) for n in range(50)))"
    )
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert said == [assign(key, experiment="one", share_a=0.5) for key in KEYS[:50]]


@pytest.mark.parametrize("share", [0, 1, 0.0, 1.0, -0.1, 1.5, math.nan, True, "half", None])
def test_a_split_that_leaves_an_arm_without_traffic_is_refused(share: object) -> None:
    with pytest.raises(ExperimentError, match=r"traffic_split to lie between 0 and 1, both excluded, got "):
        require_split(share)  # type: ignore[arg-type]
