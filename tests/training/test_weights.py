"""Rows that stand for several: exploration undoes what the model's own declines take from the next model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from sentinel_core.evaluation.judge import Scored
from sentinel_core.evaluation.metrics import average_precision
from sentinel_core.training.calibrate import fit_platt
from sentinel_core.training.candidates import CANDIDATES
from sentinel_core.training.data import MAX_WEIGHT, Exploration, TrainingData
from sentinel_core.training.fit import train_candidate
from sentinel_core.training.fitted import fit_on
from sentinel_core.training.sampling import thin_legitimate
from sentinel_core.training.split import time_split
from sentinel_core.training.threshold import Policy, choose_threshold
from tests.training.toys import DAY, toy

ROWS = 20_000
PROPENSITY = 0.1


def test_an_explored_row_stands_for_those_that_were_declined_beside_it() -> None:
    outcome = np.array(["declined", "approved", "explored", "explored", "explored", None, "declined"], object)
    propensity = np.array([np.nan, 0.5, 0.1, 0.001, np.nan, np.nan, np.nan])
    found = Exploration.of(outcome, propensity, np.arange(7))
    assert found is not None
    assert found.weight.tolist() == pytest.approx([1, 1, 10, MAX_WEIGHT, 1, 1, 1])
    # What was declined before exploration began, nobody stands for.
    assert np.flatnonzero(found.stood_for).tolist() == [6]


def test_without_exploration_there_are_no_weights() -> None:
    outcome = np.array(["approved", "declined", None, "explored"], object)
    assert Exploration.of(outcome, np.array([np.nan, 0.5, np.nan, np.nan]), np.arange(4)) is None


def test_a_declined_row_with_a_label_is_learned_from_and_in_no_figure_beside_explored_ones() -> None:
    data = toy(2000)
    stood_for = np.random.default_rng(5).random(2000) < 0.1
    times = (data.time, data.is_fraud, data.known_at)
    split = time_split(*times, as_of=data.as_of, label_delay=data.label_delay, stood_for=stood_for)
    plain = time_split(*times, as_of=data.as_of, label_delay=data.label_delay)
    assert split.train.tolist() == plain.train.tolist()
    for ours, theirs in ((split.calibrate, plain.calibrate), (split.test, plain.test)):
        assert ours.tolist() == theirs[~stood_for[theirs]].tolist()


def test_calibration_and_threshold_take_a_row_of_weight_k_for_k_rows() -> None:
    generator = np.random.default_rng(0)
    fraud = generator.random(3000) < 0.2
    score = np.clip(generator.normal(0.3 + 0.3 * fraud, 0.2), 0, 1)
    weight = np.where(score > 0.6, 7, 1)
    copied = np.repeat(np.arange(3000), weight)
    found, expected = fit_platt(score, fraud, weight.astype(np.float64)), fit_platt(score[copied], fraud[copied])
    assert (found.slope, found.intercept) == pytest.approx((expected.slope, expected.intercept))
    rows = Scored(fraud, score, np.arange(3000), np.arange(3000) * DAY // 100, np.full(3000, 100), weight * 1.0)
    copies = replace(rows, weight=None).take(copied)
    for floors in ({}, {"precision": 0.3, "recall": 0.9}):
        ours, theirs = (choose_threshold(each, Policy(), floors) for each in (rows, copies))
        assert ours.threshold == theirs.threshold
        assert ours.figures == pytest.approx(theirs.figures)


def test_a_budget_of_alerts_counts_what_explored_rows_stand_for() -> None:
    rows = Scored(
        np.array([True, True, False, False, False]),
        np.array([0.9, 0.8, 0.7, 0.6, 0.1]),
        np.arange(5),
        np.zeros(5, np.int64),
        np.full(5, 100),
        np.array([1.0, 10.0, 1.0, 1.0, 1.0]),
    )
    # Of 0.2 days with 60 alerts a day each.
    assert choose_threshold(rows, Policy("alert_budget", alerts_a_day=60), {}).threshold == pytest.approx(0.65)
    assert choose_threshold(rows, Policy("alert_budget", alerts_a_day=50), {}).threshold == pytest.approx(0.85)


def test_thinning_keeps_what_stands_for_several_and_the_sum_that_it_stands_for() -> None:
    generator = np.random.default_rng(0)
    rows, fraud = np.arange(10_000), generator.random(10_000) < 0.02
    weight = np.where(generator.random(10_000) < 0.03, 10.0, 1.0)
    kept, thinned = thin_legitimate(rows, fraud, 4000, seed=1, weight=weight)
    assert thinned is not None
    assert len(kept) == 4000
    assert set(np.flatnonzero(fraud | (weight > 1))) <= set(kept)
    assert thinned[fraud[kept]].tolist() == weight[kept][fraud[kept]].tolist()
    others, before = ~fraud[kept], ~fraud
    several = weight[kept] > 1
    share = thinned[others & several].sum() / thinned[others].sum()
    assert share == pytest.approx(weight[before & (weight > 1)].sum() / weight[before].sum())


def test_more_of_them_than_half_the_room_are_drawn_like_all_others() -> None:
    rows, fraud = np.arange(1000), np.zeros(1000, np.bool_)
    kept, thinned = thin_legitimate(rows, fraud, 100, seed=1, weight=np.full(1000, 10.0))
    assert (len(kept), set(np.asarray(thinned).tolist())) == (100, {10.0})


@pytest.mark.parametrize("name", CANDIDATES)
def test_balanced_classes_are_balanced_by_weight(name: str) -> None:
    data = toy(1500)
    weight = np.where(np.random.default_rng(0).random(1500) < 0.1, 10.0, 1.0)
    used = CANDIDATES[name].hyperparameters() | {"random_forest": {"n_estimators": 3}}.get(name, {})
    fitted = fit_on(CANDIDATES[name], replace(data, weight=weight), np.arange(1500), used, seed=0)
    fraud = data.is_fraud == 1
    by_class = fitted.estimator.class_weight
    assert by_class[0] * weight[~fraud].sum() == pytest.approx(by_class[1] * weight[fraud].sum())
    assert not np.array_equal(fitted.score(data, np.arange(1500)), _unweighted(name, data))


def _unweighted(name: str, data: TrainingData) -> NDArray[np.float64]:
    used = CANDIDATES[name].hyperparameters() | {"random_forest": {"n_estimators": 3}}.get(name, {})
    return fit_on(CANDIDATES[name], data, np.arange(1500), used, seed=0).score(data, np.arange(1500))


def test_exploration_with_weights_brings_back_what_declines_took() -> None:
    # Two kinds of fraud pull a linear model to two sides: large payments, which the model in service declines, and a
    # few tiny ones, which it lets through.
    truth = _traffic(seed=1)
    log, explored = _logged(truth)
    assert (log.is_fraud[_declined(truth)] >= 0).sum() == explored.sum()
    weight = np.where(explored, 1 / PROPENSITY, 1.0)
    reached = {
        "all known": _reached(truth, truth),
        "declines gone": _reached(replace(log, is_fraud=np.where(explored, -1, log.is_fraud).astype(np.int8)), truth),
        "explored, unweighted": _reached(log, truth),
        "explored, weighted": _reached(replace(log, weight=weight), truth),
    }
    assert reached["explored, weighted"] > 0.95 * reached["all known"], reached
    assert reached["explored, unweighted"] < 0.6 * reached["all known"], reached
    assert reached["declines gone"] < 0.6 * reached["all known"], reached


def test_weighted_figures_of_a_log_are_those_of_all_traffic() -> None:
    truth = _traffic(seed=2)
    log, explored = _logged(truth)
    weight = np.where(explored, 1 / PROPENSITY, 1.0)
    judged, unweighted, expected = (
        train_candidate("gradient_boosting", data, seed=0, hyperparameters={"max_iter": 30}, folds=2).metrics["test"]
        for data in (replace(log, weight=weight), log, truth)
    )
    for name in ("pr_auc", "recall", "precision"):
        assert judged[name].low <= expected[name].value <= judged[name].high, name
    assert unweighted["pr_auc"].high < expected["pr_auc"].value


def _traffic(seed: int) -> TrainingData:
    generator = np.random.default_rng(seed)
    kind = generator.choice(3, ROWS, p=[0.92, 0.05, 0.03])
    amount = generator.normal(np.array([0.0, 2.5, -2.5])[kind], 1.0)
    values = np.stack([amount, generator.normal(size=ROWS)], axis=1).astype(np.float32)
    return toy(ROWS, seed=seed, names=("amount_log", "noise"), values=values, is_fraud=(kind > 0).astype(np.int8))


def _declined(truth: TrainingData) -> NDArray[np.bool_]:
    return np.asarray(truth.values[:, 0] > 1.5)


def _logged(truth: TrainingData) -> tuple[TrainingData, NDArray[np.bool_]]:
    """Return what is known where declines leave no label, and which of them were let through by chance."""
    declined = _declined(truth)
    explored = declined & (np.random.default_rng(9).random(ROWS) < PROPENSITY)
    return replace(truth, is_fraud=np.where(declined & ~explored, -1, truth.is_fraud).astype(np.int8)), explored


def _reached(known: TrainingData, truth: TrainingData) -> float:
    """Average precision over all traffic of the test part, whatever is known of it, by a model of what is known."""
    name = "logistic_regression"
    split = time_split(known.time, known.is_fraud, known.known_at, as_of=known.as_of, label_delay=known.label_delay)
    fitted = fit_on(CANDIDATES[name], known, split.train, CANDIDATES[name].hyperparameters(), seed=0)
    window = split.windows["test"]
    test = np.flatnonzero((truth.time >= window.start) & (truth.time < window.end))
    return average_precision(truth.fraud_at(test), fitted.score(truth, test))
