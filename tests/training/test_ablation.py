"""A feature that carries the signal is seen to, one that carries nothing is not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sentinel_core.errors import TrainingError
from sentinel_core.training.ablation import NOISE, SMALLER, Variant, _binned, _bins, ablate
from sentinel_core.training.candidates import candidate
from tests.training.toys import toy

AMOUNT = Variant("money", "group", ("amount",))
COUNT = Variant("count", "proposal", ("count",))
CONTROL = Variant(NOISE, "control", (NOISE,))


def test_the_worth_of_what_is_left_out_and_of_what_is_added() -> None:
    told: list[str] = []
    found = ablate(toy(), (AMOUNT, COUNT, CONTROL), seeds=2, folds=2, progress=told.append)
    money, count, control = found.findings
    # The catalogue's own model has neither the proposal nor the noise.
    assert money.with_it == count.without == control.without == found.precision
    for useful in (money, count):
        assert useful.difference.value == pytest.approx(useful.with_it - useful.without)
        assert 0 < useful.difference.low < useful.difference.value < useful.difference.high
    assert control.difference.low < 0.01
    assert told[0] == "fold 1 of 2, seed 0: the catalogue"
    assert told[-1] == f"fold 2 of 2, seed 1: {NOISE}"


def test_equal_arguments_give_equal_findings() -> None:
    one, other = (ablate(toy(), (COUNT,), seeds=1, folds=2).findings[0] for _ in range(2))
    assert replace(one, seconds=0) == replace(other, seconds=0)


def test_categories_can_be_left_out() -> None:
    (finding,) = ablate(toy(), (Variant("categories", "group", ("merchant_category",)),), seeds=1, folds=1).findings
    assert finding.difference.value > 0


def test_what_is_constant_is_not_judged() -> None:
    data = toy()
    constant = np.concatenate((data.values, np.ones((len(data.values), 1), dtype=np.float32)), axis=1)
    data = replace(data, names=(*data.names, "device_count"), values=constant)
    (finding,) = ablate(data, (Variant("device_count", "proposal", ("device_count",)),), seeds=1, folds=1).findings
    assert np.isnan(finding.difference.value)
    assert finding.seconds == 0


def test_a_fit_on_the_numbers_of_bins_is_the_fit_on_the_values() -> None:
    data, chosen = toy(), candidate("gradient_boosting")
    hyperparameters = chosen.hyperparameters({**SMALLER, "max_iter": 20})
    plain = chosen.estimator(hyperparameters, 0).fit(data.values[:3000], data.is_fraud[:3000])
    bins = _bins(plain)
    binned = chosen.estimator(hyperparameters, 0).fit(_binned(data.values[:3000], bins), data.is_fraud[:3000])
    np.testing.assert_array_equal(
        plain.decision_function(data.values), binned.decision_function(_binned(data.values, bins))
    )


def test_nothing_to_fit_is_an_error() -> None:
    with pytest.raises(TrainingError, match="one seed and one fold at least, got 0 and 3"):
        ablate(toy(), (COUNT,), seeds=0, folds=3)
