"""The difficulty is what docs/decisions/0004-generator-difficulty.md says, and simple models fall short of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from sentinel_core.datasets.events import categories, to_events, to_labels
from sentinel_core.evaluation.metrics import average_precision, roc_auc
from sentinel_core.features.build import build_offline
from sentinel_core.features.catalog import CATALOGUE, FEATURE_NAMES
from sentinel_core.features.encoding import fit_encoder
from sentinel_core.features.risk import RiskHistory
from sentinel_core.schema import hash_text
from sentinel_core.synthetic import DEFAULT_DIFFICULTY, Simulation
from sentinel_core.synthetic.difficulty import MIMICRY
from sentinel_core.synthetic.oracle import oracle
from sentinel_core.synthetic.stream import AMBIGUOUS, HIDDEN

DELAY = timedelta(days=7)
ATTEMPTS = frozenset(feature.name for feature in CATALOGUE if feature.group == "attempts")
PAGE = Path(__file__).parents[2] / "docs" / "decisions" / "0004-generator-difficulty.md"


@dataclass(frozen=True)
class Exam:
    """A data set as a simple model would see it: features, and the first 70% of the time against the rest.

    `train` ends a label delay before `test` begins; `x` holds the scaled features and the categories one-hot, as
    `names` says.
    """

    simulation: Simulation
    values: NDArray[np.float32]
    x: NDArray[np.float32]
    names: tuple[str, ...]
    y: NDArray[np.bool_]
    train: NDArray[np.bool_]
    test: NDArray[np.bool_]


@pytest.fixture(scope="module")
def exam(simulation: Simulation, frame: pd.DataFrame) -> Exam:
    events = to_events(frame)
    risk = RiskHistory(events, to_labels(frame, DELAY), int(DELAY.total_seconds()) * 1_000_000)
    values = build_offline(events, risk).values
    cut = frame["timestamp"].iloc[70_000]
    train = (frame["timestamp"] < cut - DELAY).to_numpy()
    raw = categories(frame)
    encoder = fit_encoder(
        FEATURE_NAMES,
        values[train],
        {name: column[train] for name, column in raw.items()},
        category_kind="onehot",
        scaling="standard",
    )
    y = simulation.labels.is_fraud
    x, test = encoder.transform(values, raw), (frame["timestamp"] >= cut).to_numpy()
    return Exam(simulation, values, x, encoder.input_names, y, train, test)


def best_f1(y: NDArray[np.bool_], score: NDArray[Any]) -> float:
    """Search every threshold, slowly and surely."""
    found = 0.0
    for threshold in np.unique(score):
        flagged = score >= threshold
        found = max(found, 2 * (flagged & y).sum() / (flagged.sum() + y.sum()))
    return found


def test_the_constants_are_those_of_the_decision() -> None:
    """Changing one asks for a new decision: the page names the constants' digest."""
    assert f"`{hash_text(repr(DEFAULT_DIFFICULTY)):016x}`" in PAGE.read_text("utf-8")


def test_the_declared_shares_are_generated(simulation: Simulation) -> None:
    stream = simulation.stream
    assert int((stream.visibility == HIDDEN).sum()) == int((stream.scenario == MIMICRY).sum()) == 80
    assert int((stream.visibility == AMBIGUOUS).sum()) == 160


def test_no_single_feature_tells_fraud(exam: Exam) -> None:
    for name, column in zip(FEATURE_NAMES, exam.values.T, strict=True):
        area = roc_auc(exam.y, column.astype(np.float64))
        assert max(area, 1 - area) <= 0.90, name


def test_a_shallow_tree_does_not_tell_fraud(exam: Exam) -> None:
    from sklearn.tree import DecisionTreeClassifier

    for weight in (None, "balanced"):
        tree = DecisionTreeClassifier(max_depth=3, class_weight=weight, random_state=0)
        tree.fit(exam.x[exam.train], exam.y[exam.train])
        score = tree.predict_proba(exam.x[exam.test])[:, 1]
        assert best_f1(exam.y[exam.test], score) < 0.65


def test_a_linear_model_stays_behind_the_oracle(exam: Exam) -> None:
    """Given what the user's own history and the daily tables tell, as when the difficulty was fixed.

    With the attempts at devices, addresses and merchants, which came later, it comes nearer: see the decision.
    """
    from sklearn.linear_model import LogisticRegression

    own = [place for place, name in enumerate(exam.names) if name not in ATTEMPTS]
    linear = LogisticRegression(max_iter=2000).fit(exam.x[exam.train][:, own], exam.y[exam.train])
    score = linear.predict_proba(exam.x[exam.test][:, own])[:, 1]
    y = exam.y[exam.test]
    assert average_precision(y, score) <= average_precision(y, oracle(exam.simulation)[exam.test]) - 0.05
