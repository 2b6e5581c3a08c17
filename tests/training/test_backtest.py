"""Backtests: windows, what was known when, known cards, calibration, blends and means over periods."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from sentinel_core.errors import TrainingError
from sentinel_core.evaluation.judge import JUDGED
from sentinel_core.training.backtest import BLEND, Backtest, Period, periods, run_backtest
from tests.training.toys import DAY, START, toy

DATA = toy(6000, days=60)
TRAIN, TEST = (START, START + 20 * DAY), (START + 30 * DAY, START + 45 * DAY)
LOGISTIC: dict[str, dict[str, Any]] = {"logistic_regression": {}}


def windows(**given: Any) -> tuple[Period, ...]:
    return periods(TRAIN, TEST, as_of=DATA.as_of, **given)


def scores(found: Backtest, name: str = "logistic_regression", period: int = 0) -> np.ndarray:
    return found.periods[period].models[name].scored.score


def test_every_row_of_the_windows_is_trained_on_and_judged_and_no_other() -> None:
    (result,) = run_backtest(DATA, windows(), LOGISTIC).periods
    for rows, (start, end) in ((result.train, TRAIN), (result.test, TEST)):
        np.testing.assert_array_equal(rows, np.flatnonzero((DATA.time >= start) & (DATA.time < end)))
    assert result.left_out == 0


def test_what_becomes_known_after_the_test_begins_teaches_nothing() -> None:
    later = DATA.is_fraud.copy()
    unknown = (DATA.time < TRAIN[1]) & (np.arange(len(DATA.time)) % 7 == 0)
    known_at = np.where(unknown, TEST[0] + 1, DATA.known_at)
    later[unknown] = 1 - later[unknown]
    one = run_backtest(replace(DATA, known_at=known_at), windows(), LOGISTIC)
    other = run_backtest(replace(DATA, known_at=known_at, is_fraud=later), windows(), LOGISTIC)
    np.testing.assert_array_equal(scores(one), scores(other))
    assert not unknown[one.periods[0].train].any()


def test_the_labels_of_the_test_teach_nothing_and_the_calibration_window_only_calibrates() -> None:
    middle = (START + 23 * DAY, START + 27 * DAY)
    flipped = DATA.is_fraud.copy()
    inside = (DATA.time >= TEST[0]) & (np.arange(len(DATA.time)) % 2 == 0)
    flipped[inside] = 1 - flipped[inside]
    plan = windows(calibrate=middle)
    one, other = run_backtest(DATA, plan, LOGISTIC), run_backtest(replace(DATA, is_fraud=flipped), plan, LOGISTIC)
    np.testing.assert_array_equal(scores(one), scores(other))
    assert one.periods[0].models["logistic_regression"].choice == other.periods[0].models["logistic_regression"].choice
    by_folds = run_backtest(DATA, windows(), LOGISTIC)
    np.testing.assert_array_equal(np.argsort(scores(one)), np.argsort(scores(by_folds)))


def test_scores_are_calibrated_by_rows_whose_users_the_model_had_not_seen() -> None:
    (result,) = run_backtest(DATA, windows(), LOGISTIC).periods
    scored = result.models["logistic_regression"].scored
    assert scored.score.mean() == pytest.approx(scored.is_fraud.mean(), abs=0.02)


def test_a_card_is_left_out_from_the_day_after_its_fraud_was_known() -> None:
    # As slowly as it can be said: row by row, fraud by fraud.
    (result,) = run_backtest(DATA, windows(), LOGISTIC, exclude_known_cards=True).periods
    frauds = [i for i in np.flatnonzero(DATA.is_fraud == 1) if DATA.time[i] >= TRAIN[0]]
    kept = []
    for row in np.flatnonzero((DATA.time >= TEST[0]) & (DATA.time < TEST[1])):
        midnight = DATA.time[row] // DAY * DAY
        if not any(DATA.user[i] == DATA.user[row] and DATA.known_at[i] <= midnight for i in frauds):
            kept.append(row)
    assert result.test.tolist() == kept
    assert result.left_out > 0


def test_a_prequential_figure_is_the_mean_of_its_periods_inside_its_interval() -> None:
    found = run_backtest(DATA, windows(folds=3, step=5 * DAY), LOGISTIC)
    assert [p.period.test.start - TEST[0] for p in found.periods] == [0, 5 * DAY, 10 * DAY]
    for metric in JUDGED:
        figure = found.figures["logistic_regression"][metric]
        each = [p.models["logistic_regression"].figures[metric] for p in found.periods]
        assert figure.value == pytest.approx(np.mean(each))
        assert figure.low <= figure.value <= figure.high


def test_a_blend_is_the_mean_of_the_logits() -> None:
    models = {"logistic_regression": {}, "random_forest": {"n_estimators": 10}}
    found = run_backtest(DATA, windows(), models, blend=tuple(models))
    logits = [np.log((scores(found, name) + 1e-4) / (1 - scores(found, name) + 1e-4)) for name in models]
    np.testing.assert_array_equal(np.argsort(np.mean(logits, axis=0)), np.argsort(scores(found, BLEND)))
    assert list(found.figures) == [*models, BLEND]


def test_equal_arguments_give_equal_scores() -> None:
    models = {"random_forest": {"n_estimators": 10}, "gradient_boosting": {"max_iter": 10}}
    one, again = (run_backtest(DATA, windows(), models, seed=3) for _ in range(2))
    for name in models:
        np.testing.assert_array_equal(scores(one, name), scores(again, name))
    assert one.figures == again.figures


@pytest.mark.parametrize(
    ("train", "test", "given", "says"),
    [
        (TRAIN, (START + 19 * DAY, START + 30 * DAY), {}, "window 'test' to begin after 'train' ends"),
        ((START + DAY, START), TEST, {}, "window 'train' to end after it begins"),
        (TRAIN, TEST, {"folds": 2}, "several and the step between them"),
        (TRAIN, TEST, {"calibrate": (START + 24 * DAY, START + 31 * DAY)}, "'test' to begin after 'calibrate' ends"),
    ],
)
def test_windows_in_a_wrong_order_are_errors(train: Any, test: Any, given: dict[str, Any], says: str) -> None:
    with pytest.raises(TrainingError, match=says):
        periods(train, test, as_of=DATA.as_of, **given)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"time": DATA.time + 90 * DAY}, r"labelled rows in the part 'train' .* got none of 0 events"),
        ({"is_fraud": np.zeros_like(DATA.is_fraud)}, r"at least 5 frauds in the part 'train' .*, got 0 among"),
        ({"is_fraud": np.ones_like(DATA.is_fraud)}, r"legitimate rows in the part 'train'"),
        ({"known_at": DATA.time + 900 * DAY}, r"labelled rows in the part 'train' .* got none of \d"),
    ],
)
def test_windows_that_cannot_teach_are_errors_that_name_the_window(change: dict[str, Any], says: str) -> None:
    with pytest.raises(TrainingError, match=says):
        run_backtest(replace(DATA, **change), windows(), LOGISTIC)


def test_a_category_that_was_never_seen_in_training_is_scored_like_an_unknown_one() -> None:
    kinds = DATA.categories["merchant_category"].copy()
    late = DATA.time >= TEST[0]
    kinds[late & (kinds == "travel")] = "rockets"
    unknown = DATA.categories["merchant_category"].copy()
    unknown[late & (unknown == "travel")] = "never heard of"
    one = run_backtest(replace(DATA, categories={"merchant_category": kinds}), windows(), LOGISTIC)
    other = run_backtest(replace(DATA, categories={"merchant_category": unknown}), windows(), LOGISTIC)
    np.testing.assert_array_equal(scores(one), scores(other))
    assert np.isfinite(scores(one)).all()


def test_models_and_blends_of_models_that_are_none_are_errors() -> None:
    with pytest.raises(TrainingError, match="Did you mean 'random_forest'"):
        run_backtest(DATA, windows(), {"random_forrest": {}})
    with pytest.raises(TrainingError, match="blend to be of logistic_regression, got random_forest"):
        run_backtest(DATA, windows(), LOGISTIC, blend=["random_forest"])
