"""The oracle: it looks at nothing but the past, its probabilities mean what they say, and it tells fraud well."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from sentinel_core.evaluation.metrics import average_precision
from sentinel_core.synthetic import Simulation, simulate
from sentinel_core.synthetic.labels import ObservedLabels
from sentinel_core.synthetic.oracle import oracle
from sentinel_core.synthetic.stream import AMBIGUOUS, HIDDEN, LOOKALIKE, PLAIN
from tests.synthetic.conftest import END


@pytest.fixture(scope="module")
def score(simulation: Simulation) -> NDArray[np.float64]:
    return oracle(simulation)


def test_the_future_changes_no_score() -> None:
    simulation = simulate(5000, 0.05, 3, end=END)
    now = 3500
    shuffled = np.concatenate([np.arange(now), np.random.default_rng(0).permutation(np.arange(now, 5000))])
    future = {f.name: getattr(simulation.stream, f.name)[shuffled] for f in fields(simulation.stream)}
    changed = replace(simulation.stream, **{**future, "time": simulation.stream.time})
    before, after = oracle(simulation), oracle(replace(simulation, stream=changed))
    assert np.array_equal(before[:now], after[:now])
    assert not np.array_equal(before[now:], after[now:])


def test_the_truth_is_not_looked_at() -> None:
    simulation = simulate(3000, 0.05, 4, end=END)
    zeros = {
        name: np.zeros_like(getattr(simulation.stream, name))
        for name in ("scenario", "visibility", "negative", "sequence")
    }
    nothing = np.zeros(3000, dtype=bool)
    blind = replace(
        simulation,
        stream=replace(simulation.stream, **zeros),
        labels=ObservedLabels(nothing, nothing, simulation.labels.labelled_at),
    )
    assert np.array_equal(oracle(simulation), oracle(blind))


def test_scores_are_probabilities_that_hold(simulation: Simulation, score: NDArray[np.float64]) -> None:
    assert score.min() >= 0
    assert score.max() <= 1
    truth = simulation.labels.is_fraud_true
    assert score.sum() == pytest.approx(truth.sum(), rel=0.05)
    for low, high in ((0.5, 0.8), (0.8, 0.95), (0.95, 1.01)):
        inside = (score >= low) & (score < high)
        assert truth[inside].mean() == pytest.approx(score[inside].mean(), abs=0.12)


def test_plain_fraud_is_told_and_hidden_fraud_is_not(simulation: Simulation, score: NDArray[np.float64]) -> None:
    stream = simulation.stream
    caught = score > 0.45
    fraud = stream.scenario > 0
    assert caught[fraud & (stream.visibility == PLAIN)].mean() > 0.98
    assert caught[fraud & (stream.visibility == HIDDEN)].mean() < 0.02
    ambiguous = score[(fraud & (stream.visibility == AMBIGUOUS)) | (stream.negative == LOOKALIKE)]
    assert 0.5 < ambiguous.mean() < 0.85


def test_it_reaches_what_the_decision_page_says(simulation: Simulation, score: NDArray[np.float64]) -> None:
    """docs/decisions/0004: average precision about .93 against observed labels, .96 against true ones."""
    labels = simulation.labels
    assert average_precision(labels.is_fraud, score) == pytest.approx(0.93, abs=0.02)
    assert average_precision(labels.is_fraud_true, score) == pytest.approx(0.958, abs=0.015)
