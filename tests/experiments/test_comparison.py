"""A comparison: right as often as it says, plain where it cannot tell, and never a crash."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from sentinel_core.errors import ExperimentError
from sentinel_core.evaluation.metrics import evaluate
from sentinel_core.experiments.arms import FIGURES, Answers
from sentinel_core.experiments.bootstrap import bootstrap_test, rows_needed
from sentinel_core.experiments.comparison import Comparison, compare
from sentinel_core.experiments.proportions import Proportion, z_test
from tests.experiments.arms import answers


def compared(a: Answers, b: Answers, **given: object) -> Comparison:
    return compare({"model_a": a, "model_b": b}, **{"count": 200, **given})  # type: ignore[arg-type]


def test_the_better_model_wins_whichever_arm_it_is() -> None:
    good, poor = answers(1, users=1500, shift=3.0), answers(2, users=1500, shift=1.0)
    for first, second, winner in ((good, poor, "model_a"), (poor, good, "model_b")):
        found = compared(first, second)
        assert found.winner == winner
        assert "f1 differs by" in found.reason
        assert found.differences["f1"].p_bootstrap < 0.05


def test_figures_are_those_of_the_answers_and_the_form_is_json() -> None:
    a, b = answers(1), answers(2)
    found = compared(a, b)
    expected = evaluate(a.actual == 1, a.score, 0.5)
    figures = found.arms["model_a"].figures
    assert {name: figures[name].value for name in FIGURES} == pytest.approx({name: expected[name] for name in FIGURES})
    assert all(figure.low <= figure.value <= figure.high for figure in figures.values())
    document = found.to_dict()
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert document["metrics"]["model_a"]["recall"] == pytest.approx(expected["recall"])
    hits = [Proportion(int(((one.actual == 1) & one.prediction).sum()), int((one.actual == 1).sum())) for one in (a, b)]
    assert found.differences["recall"].p_z_test == z_test(*hits)
    assert found.differences["f1"].p_z_test is None
    assert document["significance"]["p_value"] == found.differences["f1"].p_bootstrap
    assert "winner: " in found.table()
    assert compared(a, b) == found


def test_another_figure_can_decide() -> None:
    a, b = answers(1, users=1500, shift=3.0), answers(2, users=1500, shift=1.0)
    # The same ranking as a, but an alarm for every row.
    loud = replace(a, prediction=np.ones(len(a.score), dtype=bool))
    assert compared(a, loud).winner == "model_a"
    assert compared(a, loud, decided_by="recall").winner == "model_b"
    assert compared(a, b, decided_by="roc_auc").to_dict()["significance"]["decided_by"] == "roc_auc"
    with pytest.raises(ExperimentError, match=r"got 'auc_roc'|got 'f_1'\. Did you mean 'f1'\?"):
        compared(a, b, decided_by="f_1")


@pytest.mark.parametrize("known", [0.0, 0.02])
def test_an_arm_with_few_or_no_labels_leaves_it_undecided(known: float) -> None:
    found = compared(answers(1), answers(2, share_known=known))
    document = found.to_dict()
    assert document["winner"] == "undecided"
    assert document["significance"]["significant"] is False
    assert "model_b has" in found.reason
    assert json.dumps(document, allow_nan=False)
    assert "winner: undecided" in found.table()
    if known == 0:
        assert document["metrics"]["model_b"]["f1"] is None
        assert document["metrics"]["model_b"]["alert_rate"] is not None
        assert document["significance"]["p_value"] is None
        assert found.missing == (f"model_b: no {', '.join(FIGURES)}, since there is no labelled row.",)


def test_arms_that_saw_nothing_or_one_class_or_never_alarmed_are_no_crash() -> None:
    some = answers(1)
    nothing = Answers(some.unit[:0], some.score[:0], some.prediction[:0], some.actual[:0])
    honest = replace(some, actual=np.zeros_like(some.actual))
    silent = replace(some, prediction=np.zeros_like(some.prediction))
    for other in (nothing, honest, silent, nothing):
        found = compared(some, other)
        assert json.dumps(found.to_dict(), allow_nan=False)
        assert found.table()
    assert compared(nothing, nothing).winner == "undecided"
    assert compared(some, honest).arms["model_b"].figures.keys() == {"precision", "f1", "accuracy"}
    # Who never alarms has no precision, and loses by F1 all the same.
    assert "precision" not in compared(some, silent).arms["model_b"].figures
    assert compared(some, silent).winner == "model_a"


def test_the_same_answers_differ_by_nothing() -> None:
    one = answers(1)
    found = compared(one, one)
    assert (found.winner, found.differences["f1"].value) == ("undecided", 0.0)
    assert found.to_dict()["sample_needed"] is None


def test_a_p_value_is_the_share_of_draws_beyond_zero_twice() -> None:
    drawn = np.array([-0.1, *np.linspace(0.1, 1, 98), np.nan, 0.2])
    assert bootstrap_test(drawn) == pytest.approx(2 * 2 / 101)
    assert bootstrap_test(np.zeros(50)) == 1.0
    assert math.isnan(bootstrap_test(np.array([np.nan])))
    assert rows_needed(100, 0.0, drawn, alpha=0.05) is None


@pytest.mark.slow
def test_equal_arms_win_about_as_often_as_alpha_says_while_the_z_test_is_fooled_by_users() -> None:
    found = [compared(answers(2 * seed), answers(2 * seed + 1)) for seed in range(100)]
    assert np.mean([one.winner != "undecided" for one in found]) <= 0.12
    # Rows of one user are alike here, and the z-test takes them for independent.
    p_values = [one.differences["precision"].p_z_test for one in found]
    assert np.mean([p is not None and p < 0.05 for p in p_values]) > 0.12


@pytest.mark.slow
def test_the_needed_sample_finds_the_difference_about_four_times_of_five() -> None:
    pilot = compared(answers(1, users=25_000, shift=2.4), answers(2, users=25_000, shift=1.6), count=150)
    users = round(pilot.to_dict()["sample_needed"] / 8)
    arms = (
        (answers(10 + 2 * n, users=users, shift=2.4), answers(11 + 2 * n, users=users, shift=1.6)) for n in range(50)
    )
    found = np.mean([compared(a, b, count=150).winner == "model_a" for a, b in arms])
    assert 0.55 < found < 0.95
