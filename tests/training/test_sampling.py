"""Row budgets keep the period, and only one of them changes the rate of fraud."""

from __future__ import annotations

import numpy as np
import pytest

from sentinel_core.training.sampling import natural_sample, thin_legitimate

ROWS = np.arange(1000, 11_000)
FRAUD = np.random.default_rng(0).random(10_000) < 0.02


def test_thinning_keeps_every_fraud_and_the_whole_period_of_the_others() -> None:
    kept, _ = thin_legitimate(ROWS, FRAUD, 2000, seed=1)
    assert len(kept) == 2000
    assert set(ROWS[FRAUD]) <= set(kept)
    assert (np.diff(kept) > 0).all()
    legitimate = np.setdiff1d(kept, ROWS[FRAUD])
    # Old and recent rows alike: nothing tells the classes apart by their age.
    assert legitimate.mean() == pytest.approx(ROWS.mean(), rel=0.03)


def test_fraud_takes_half_the_budget_at_most() -> None:
    kept, _ = thin_legitimate(ROWS, FRAUD, 100, seed=1)
    assert (len(kept), FRAUD[kept - 1000].sum()) == (100, 50)


def test_a_natural_sample_keeps_the_rate() -> None:
    kept = natural_sample(ROWS, FRAUD, 2000, seed=1)
    assert len(kept) == pytest.approx(2000, abs=1)
    assert FRAUD[kept - 1000].mean() == pytest.approx(FRAUD.mean(), rel=0.02)


def test_what_fits_the_budget_stays_as_it_is_and_a_seed_repeats() -> None:
    assert thin_legitimate(ROWS, FRAUD, 10_000, seed=1)[0] is ROWS
    assert natural_sample(ROWS, FRAUD, 10_000, seed=1) is ROWS
    assert (thin_legitimate(ROWS, FRAUD, 500, seed=1)[0] == thin_legitimate(ROWS, FRAUD, 500, seed=1)[0]).all()
