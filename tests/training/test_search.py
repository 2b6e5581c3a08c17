"""The search: honest about what it saw, seeded, and slow to leave the defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from sentinel_core.training.candidates import CANDIDATES, Candidate
from sentinel_core.training.fit import train_candidate
from sentinel_core.training.search import RUNGS, Searched, _settings, search
from sentinel_core.training.split import time_split
from tests.training.toys import toy

DATA = toy(6000, days=90)
SPLIT = time_split(DATA.time, DATA.is_fraud, DATA.known_at, as_of=DATA.as_of, label_delay=DATA.label_delay)


def _search(chosen: Candidate, **given: Any) -> Searched:
    return search(chosen, replace(DATA, **given), SPLIT.train, seed=1, clock=SPLIT.windows["train"].clock)


def test_a_bad_default_is_left_for_a_better_setting() -> None:
    linear = CANDIDATES["logistic_regression"]
    bad: Mapping[str, Any] = {**linear.defaults, "C": 1e-9}
    chosen = replace(linear, defaults=bad, space={"C": (1e-9, 1.0), "max_iter": (300,)})
    found = _search(chosen)
    assert found.hyperparameters["C"] == 1.0
    assert {trial.hyperparameters["C"] for trial in found.trials} == {1e-9, 1.0}


def test_settings_that_are_no_better_in_every_fold_leave_the_default() -> None:
    chosen = replace(CANDIDATES["logistic_regression"], space={"verbose": (0,)})
    found = _search(chosen)
    assert found.hyperparameters == chosen.hyperparameters()
    assert "the defaults stay" in found.note


def test_fewer_settings_go_on_to_more_rows_and_the_default_always_does() -> None:
    chosen = CANDIDATES["logistic_regression"]
    found = _search(chosen)
    by_rows = {rows: [t for t in found.trials if t.rows == rows] for _, rows in RUNGS}
    assert [len(trials) for trials in by_rows.values()] == [count for count, _ in RUNGS]
    assert all(trials[0].hyperparameters == chosen.hyperparameters() for trials in by_rows.values())


@pytest.mark.parametrize("name", CANDIDATES)
def test_encodings_are_searched_and_the_budget_of_settings_stays(name: str) -> None:
    chosen = CANDIDATES[name]
    searched = "scaling" if name == "logistic_regression" else "categories"
    assert len(chosen.space[searched]) == 2
    drawn = [_settings(chosen, chosen.hyperparameters(), RUNGS[0][0], seed) for seed in range(5)]
    assert all(len(settings) == RUNGS[0][0] for settings in drawn)
    assert {setting[searched] for settings in drawn for setting in settings} == set(chosen.space[searched])


def test_an_encoding_that_serves_better_in_every_fold_is_chosen() -> None:
    linear = CANDIDATES["logistic_regression"]
    # Unscaled, a strongly bounded model sees the large values of one input alone.
    bad: Mapping[str, Any] = {**linear.defaults, "C": 1e-4, "scaling": "none"}
    values = DATA.values.copy()
    values[:, -1] *= 1e6
    found = _search(replace(linear, defaults=bad, space={"scaling": ("standard",)}), values=values)
    assert found.hyperparameters["scaling"] == "standard"


def test_it_sees_the_train_part_alone_and_a_seed_gives_the_same_answer() -> None:
    later = np.setdiff1d(np.arange(len(DATA.time)), SPLIT.train)
    other = DATA.is_fraud.copy()
    other[later] = 1 - other[later]
    values = DATA.values.copy()
    values[later] = -1
    chosen = CANDIDATES["logistic_regression"]
    assert _search(chosen) == _search(chosen, is_fraud=other, values=values)


def test_too_short_a_history_keeps_the_defaults_and_says_so() -> None:
    short = toy(4000, days=14)
    trained = train_candidate("logistic_regression", short, seed=0, searched=True, folds=2)
    assert trained.search is not None
    assert trained.search.note.startswith("not searched: expected events over more than")
    assert trained.hyperparameters == CANDIDATES["logistic_regression"].hyperparameters()


@pytest.mark.parametrize("name", CANDIDATES)
def test_every_value_of_a_space_is_one_that_the_estimator_takes(name: str) -> None:
    chosen = CANDIDATES[name]
    rows = SPLIT.train[:600]
    matrix, fraud = DATA.values_at(rows), DATA.fraud_at(rows)
    few = {"n_estimators": 2} if name == "random_forest" else {"max_iter": 5}
    for parameter, values in chosen.space.items():
        for value in values:
            settings = chosen.hyperparameters({**few, parameter: value})
            assert settings[parameter] == value
            if name != "logistic_regression":
                chosen.estimator(settings, 0).fit(matrix, fraud)
