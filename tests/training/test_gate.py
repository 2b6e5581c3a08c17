"""The gate: strictly above each floor, or better than what needs no model."""

from __future__ import annotations

import pytest

from sentinel_core.errors import TrainingError
from sentinel_core.evaluation.judge import Interval
from sentinel_core.training.gate import SYNTHETIC_FLOORS, judge_baselines, judge_floors

GOOD = {name: Interval(bound + 0.01, bound - 0.05, bound + 0.05) for name, bound in SYNTHETIC_FLOORS.items()}


def test_the_synthetic_floors_are_those_of_the_mission() -> None:
    assert dict(SYNTHETIC_FLOORS) == {"roc_auc": 0.90, "precision": 0.80, "recall": 0.85, "f1": 0.82}


def test_a_figure_must_lie_above_its_floor_and_not_on_it() -> None:
    assert judge_floors("synthetic", SYNTHETIC_FLOORS, GOOD).passed
    on_the_floor = GOOD | {"recall": Interval(0.85, 0.80, 0.90)}
    verdict = judge_floors("synthetic", SYNTHETIC_FLOORS, on_the_floor)
    assert not verdict.passed
    assert [check.name for check in verdict.checks if not check.passed] == ["recall"]


def test_the_table_says_whose_floors_were_used_and_each_figure() -> None:
    verdict = judge_floors("handbook", {"roc_auc": 0.84}, {"roc_auc": Interval(0.83, 0.81, 0.85)})
    assert "floors of the profile handbook" in verdict.table()
    assert "FAIL roc_auc    0.8300 [0.8100, 0.8500] > 0.8400" in verdict.table()
    assert verdict.to_dict()["checks"][0]["bound"] == 0.84


def test_a_floor_of_no_metric_is_an_error_that_lists_them() -> None:
    with pytest.raises(TrainingError, match=r"metrics of accuracy, .* got auc.* \[floors\]"):
        judge_floors("mine", {"auc": 0.9}, GOOD)


@pytest.mark.parametrize(("low", "passed"), [(0.61, True), (0.60, False), (0.50, False)])
def test_without_floors_the_lower_end_must_beat_every_baseline(low: float, passed: bool) -> None:
    baselines = {"the amount alone": 0.2, "a logistic regression": 0.6}
    verdict = judge_baselines("mine", Interval(0.7, low, 0.8), baselines)
    assert verdict.passed is passed
    assert "no floors: baselines" in verdict.table()
