"""A drop counts when it is one: simulated models, as good live as on the hold-out, or a quarter worse."""

from __future__ import annotations

import numpy as np
import pytest

from sentinel_core.evaluation.judge import Interval
from sentinel_core.monitoring.cohorts import Cohort
from sentinel_core.monitoring.drop import FEWEST_ALERTS, LIMIT, drop
from sentinel_core.monitoring.performance import measure
from tests.monitoring.cohorts import cohort_of

PRECISION, RECALL = 0.85, 0.8
RUNS = 200


def _world(generator: np.random.Generator, frauds: int, precision: float, recall: float) -> Cohort:
    """Return frauds that come in twos and threes by user, found with one recall, and as many false alarms as it takes.

    A user's frauds share half of what decides whether they are found.
    """
    user = np.repeat(np.arange(frauds), generator.integers(1, 4, frauds))[:frauds]
    edge = recall  # a user's own chance is all or nothing in half of the cases
    shared = generator.random(frauds)[user] < edge
    hit = np.where(generator.random(frauds) < 0.5, shared, generator.random(frauds) < edge)
    false = generator.poisson(frauds * recall * (1 - precision) / precision)
    rest = 20 * frauds - false
    fraud = [True] * frauds + [False] * (false + rest)
    flagged = [*hit.tolist(), *[True] * false, *[False] * rest]
    users = [*user.tolist(), *(frauds + generator.integers(0, 5 * frauds, false + rest)).tolist()]
    return cohort_of(fraud, flagged, users=users)


def _holdout(generator: np.random.Generator, frauds: int) -> dict[str, Interval]:
    """Return the hold-out's figures with the intervals that its draws give."""
    found = measure(_world(generator, frauds, PRECISION, RECALL), count=100)
    return {
        name: Interval(figure.value, figure.low or 0.0, figure.high or 0.0) for name, figure in found.items() if figure
    }


def _share_that_counts(metric: str, precision: float, recall: float, *, frauds: int = 200) -> float:
    generator = np.random.default_rng(7)
    counted = 0
    for run in range(RUNS):
        reference = _holdout(generator, 400)
        counted += drop(reference, _world(generator, frauds, precision, recall), count=200, seed=run)[metric].counts
    return counted / RUNS


@pytest.mark.slow
@pytest.mark.parametrize("metric", ["precision", "recall"])
def test_a_model_that_is_as_good_as_on_the_holdout_has_not_dropped(metric: str) -> None:
    assert _share_that_counts(metric, PRECISION, RECALL, frauds=150) == 0.0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("metric", "precision", "recall"), [("precision", PRECISION * 0.9, RECALL), ("recall", PRECISION, RECALL * 0.9)]
)
def test_at_the_limit_a_drop_counts_in_about_one_of_twenty(metric: str, precision: float, recall: float) -> None:
    share = _share_that_counts(metric, precision, recall)
    assert share <= 0.05 + 3 * (0.05 * 0.95 / RUNS) ** 0.5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("metric", "precision", "recall"), [("precision", PRECISION * 0.75, RECALL), ("recall", PRECISION, RECALL * 0.75)]
)
def test_a_quarter_less_is_found(metric: str, precision: float, recall: float) -> None:
    assert _share_that_counts(metric, precision, recall) >= 0.85


def _perfect_holdout() -> dict[str, Interval]:
    return {"precision": Interval(0.9, 0.88, 0.92), "recall": Interval(0.9, 0.88, 0.92)}


def _bad(alerts: int, **given: object) -> Cohort:
    """Return alerts of which half are fraud, and as many frauds that were missed."""
    half = alerts // 2
    fraud = [True] * half + [False] * (alerts - half) + [True] * alerts
    return cohort_of(fraud, [True] * alerts + [False] * alerts, **given)  # type: ignore[arg-type]


def test_a_drop_needs_a_hundred_matured_alerts() -> None:
    few, enough = (drop(_perfect_holdout(), _bad(alerts)) for alerts in (FEWEST_ALERTS - 1, FEWEST_ALERTS))
    for name in ("precision", "recall"):
        assert (few[name].counts, few[name].reason) == (False, "99 matured alerts, 100 are needed")
        assert enough[name].counts
        assert enough[name].bound is not None
        assert enough[name].bound < LIMIT
    assert enough["precision"].value == pytest.approx(0.5 / 0.9 - 1)
    assert enough["recall"].value == pytest.approx(1 / 3 / 0.9 - 1)


def test_a_few_heavy_alerts_are_not_a_hundred() -> None:
    weight = [50.0] * 10 + [1.0] * 390
    found = drop(_perfect_holdout(), _bad(200, weight=weight))["precision"]
    assert found.alerts < FEWEST_ALERTS
    assert not found.counts


def test_what_may_still_be_reported_makes_no_drop() -> None:
    found = drop(_perfect_holdout(), _bad(400, presumed=3))["precision"]
    assert (found.counts, found.reason) == (False, "3 rows are legitimate only as long as nobody reports them")


def test_recall_on_approved_traffic_makes_no_drop_and_precision_may() -> None:
    found = drop(_perfect_holdout(), _bad(400, on_approved_traffic=True))
    assert not found["recall"].counts
    assert "on approved traffic" in found["recall"].reason
    assert found["precision"].counts


def test_without_anything_to_compare_there_is_no_drop() -> None:
    empty = cohort_of([], [])
    for reference, live in ((_perfect_holdout(), empty), ({}, _bad(400)), ({}, empty)):
        for found in drop(reference, live).values():
            assert (found.value, found.bound, found.counts) == (None, None, False)
            assert found.reason
    exact = {"precision": Interval(0.9, 0.9, 0.9)}
    assert drop(exact, _bad(400))["precision"].counts


def test_an_uncertain_holdout_makes_an_uncertain_drop() -> None:
    wide = {"precision": Interval(0.6, 0.2, 1.0), "recall": Interval(0.6, 0.2, 1.0)}
    narrow = {"precision": Interval(0.6, 0.59, 0.61), "recall": Interval(0.6, 0.59, 0.61)}
    live = _bad(1000)
    assert not drop(wide, live)["precision"].counts
    bounds = [drop(reference, live)["precision"].bound for reference in (wide, narrow)]
    assert bounds[0] is not None
    assert bounds[1] is not None
    assert bounds[0] > bounds[1]
