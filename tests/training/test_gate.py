"""The gate: floors and baselines for a first model; margins, calibration, segments and attempts for a challenger."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel_core.errors import TrainingError
from sentinel_core.evaluation.contest import Contender
from sentinel_core.evaluation.costs import Costs
from sentinel_core.evaluation.judge import Interval, Scored
from sentinel_core.training.floor_warning import below_floors
from sentinel_core.training.floors import SYNTHETIC_FLOORS, check_floors
from sentinel_core.training.gate import (
    AMOUNT,
    Circumstances,
    Contest,
    error_rate,
    holm,
    judge_challenger,
    judge_first,
)
from sentinel_core.training.verdict import Verdict

GOOD = {name: Interval(bound + 0.01, bound - 0.05, bound + 0.05) for name, bound in SYNTHETIC_FLOORS.items()}
FINE = Circumstances(latency_ms=0.1, latency_budget_ms=5.0, validated=True)
FLOORS = {"pr_auc": 0.1}
METRICS = {"pr_auc": Interval(0.7, 0.6, 0.8)}


def first(baselines: dict[str, float] | None = None, **given: Any) -> Verdict:
    fields = {"profile": "mine", "floors": FLOORS, "metrics": METRICS, "circumstances": FINE}
    return judge_first(baselines=lambda: baselines or {}, **(fields | given))


def contest(worse: float = 0.0, *, frauds: int = 400, seed: int = 0, **given: Any) -> Contest:
    """Two calibrated models that see the same signal, each through noise of its own; `worse` is added to ours."""
    generator = np.random.default_rng(seed)
    n = frauds * 20
    fraud = np.arange(n) < frauds
    signal = 2.2 * fraud + generator.normal(0, 0.8, n)
    champion, challenger = (
        Contender(_posterior(signal + generator.normal(0, noise, n), 0.64 + noise**2), np.full(n, 0.3))
        for noise in (0.6, 0.6 + worse)
    )
    rows = Scored(fraud, challenger.score, generator.integers(0, n // 5, n), np.zeros(n, np.int64), np.full(n, 80_00))
    fields = {"segments": {}, "draws": 300, "costs": Costs()}
    return Contest(rows, challenger, champion, **(fields | given))


def _posterior(seen: np.ndarray, variance: float) -> np.ndarray:
    """The probability of fraud, 1 in 20, given a normal signal around 2.2 for fraud and 0 otherwise."""
    return np.asarray(1 / (1 + 19 * np.exp(-(2.2 * seen - 2.42) / variance)))


def challenge(one: Contest, **given: Any) -> Verdict:
    fields = {"profile": "mine", "floors": FLOORS, "metrics": METRICS, "circumstances": FINE, "champion": "v1"}
    return judge_challenger(contest=one, **(fields | given))


def failed(verdict: Verdict) -> list[str]:
    return [check.name for check in verdict.checks if check.passed is False]


def test_the_synthetic_floors_are_those_of_the_mission() -> None:
    assert dict(SYNTHETIC_FLOORS) == {"roc_auc": 0.90, "precision": 0.80, "recall": 0.85, "f1": 0.82}


def test_a_first_model_must_lie_above_each_floor_and_not_on_it() -> None:
    good = first(floors=SYNTHETIC_FLOORS, metrics=GOOD)
    assert (good.outcome, good.warning) == ("promote", None)
    verdict = first(floors=SYNTHETIC_FLOORS, metrics=GOOD | {"recall": Interval(0.85, 0.80, 0.90)}, hold=True)
    assert (verdict.outcome, failed(verdict), verdict.warning) == ("reject", ["recall"], None)
    assert verdict.reason == "not enough: recall"


BELOW = GOOD | {"pr_auc": Interval(0.7, 0.1, 0.9), "recall": Interval(0.8496, 0.8, 0.9), "f1": Interval(0.8, 0.7, 0.9)}
LINEAR = "a logistic regression"


def test_a_first_model_below_a_floor_serves_with_a_warning_that_names_each() -> None:
    # With few frauds the interval reaches below both baselines: the alternative is still no answer at all.
    verdict = first({AMOUNT: 0.2, LINEAR: 0.75}, floors=SYNTHETIC_FLOORS, metrics=BELOW)
    said = "below its floor: recall 0.849 (floor 0.850), f1 0.800 (floor 0.820)"
    assert (verdict.outcome, verdict.reason) == ("promote", f"first model, {said}")
    assert verdict.warning == f"This model is {said}."
    assert [check.name for check in verdict.checks if check.waived] == ["recall", "f1"]
    assert "  WARN recall" in verdict.table()
    assert f"warning: {verdict.warning}" in verdict.table()
    assert Verdict.from_dict(json.loads(json.dumps(verdict.to_dict()))) == verdict


@pytest.mark.parametrize(
    ("baselines", "why"),
    [
        ({AMOUNT: 0.7, LINEAR: 0.5}, "pr_auc over the amount alone"),
        ({LINEAR: 0.91}, "pr_auc over a logistic regression"),
    ],
)
def test_a_first_model_below_a_floor_that_is_no_better_than_a_baseline_stays_out(
    baselines: dict[str, float], why: str
) -> None:
    verdict = first(baselines, floors=SYNTHETIC_FLOORS, metrics=BELOW)
    assert (verdict.outcome, verdict.warning) == ("reject", None)
    assert verdict.reason.startswith(f"not enough: {why}; below its floor: recall 0.849")


def test_below_a_floor_a_slow_model_and_data_that_nobody_validated_stay_out_all_the_same() -> None:
    for fields in ({"latency_ms": 5.1}, {"validated": False}):
        verdict = first(floors=SYNTHETIC_FLOORS, metrics=BELOW, circumstances=replace(FINE, **fields))
        assert verdict.outcome == "reject"


@given(st.floats(0, 1), st.floats(0, 1))
def test_what_is_below_a_floor_is_what_its_check_says_and_is_never_shown_as_its_equal(
    figure: float, floor: float
) -> None:
    (check,) = check_floors({"f1": floor}, {"f1": Interval(figure, 0.0, 1.0)})
    below = below_floors({"f1": floor}, {"f1": figure})
    assert (below is None) is check.passed
    if below and floor in (0.8, 0.82, 0.85, 0.9) and figure < floor:
        assert f"f1 {floor:.3f} " not in below


def test_a_verdict_of_an_earlier_release_is_read() -> None:
    written = first().to_dict()
    del written["warning"]
    for check in written["checks"]:
        del check["waived"]
    assert Verdict.from_dict(written) == first()


@pytest.mark.parametrize(("low", "outcome"), [(0.61, "promote"), (0.60, "reject"), (0.50, "reject")])
def test_without_floors_the_lower_end_must_beat_every_baseline(low: float, outcome: str) -> None:
    baselines = {"the amount alone": 0.2, "a logistic regression": 0.6}
    verdict = first(floors={}, metrics={"pr_auc": Interval(0.7, low, 0.8)}, baselines=baselines)
    assert verdict.outcome == outcome
    assert "no floors: baselines" in verdict.table()


def test_a_floor_of_no_metric_is_an_error_that_lists_them() -> None:
    with pytest.raises(TrainingError, match=r"metrics of accuracy, .* got auc.* \[floors\]"):
        check_floors({"auc": 0.9}, GOOD)


def test_a_slow_model_and_data_that_nobody_validated_stay_out() -> None:
    assert failed(first(circumstances=replace(FINE, latency_ms=5.1))) == ["latency_ms"]
    assert failed(first(circumstances=replace(FINE, validated=False))) == ["data validated"]


def test_a_challenger_that_is_better_is_promoted_and_said_to_be_superior() -> None:
    verdict = challenge(contest(-0.5))
    assert (verdict.outcome, failed(verdict)) == ("promote", [])
    assert "pr_auc" in verdict.superior
    assert verdict.holdout["frauds"] == 400


def test_a_challenger_that_is_worse_is_not() -> None:
    verdict = challenge(contest(0.5))
    assert verdict.outcome == "reject"
    assert "pr_auc over the champion" in failed(verdict)
    assert verdict.superior == ()


def test_equal_figures_are_no_reason_to_change() -> None:
    same = contest()
    verdict = challenge(replace(same, challenger=same.champion))
    assert failed(verdict) == ["better in one of the two"]


def test_too_few_frauds_hold_whatever_the_figures_say() -> None:
    assert challenge(contest(-0.6, frauds=199)).outcome == "hold"
    assert challenge(contest(-0.6, frauds=200)).outcome == "promote"


def test_a_challenger_that_ranks_better_but_lies_about_its_probabilities_is_rejected() -> None:
    one = contest(-0.5)
    exaggerated = Contender(np.sqrt(one.challenger.score), one.challenger.threshold)
    assert failed(challenge(replace(one, challenger=exaggerated)))[0] in (
        "cost_saved over the champion", "calibration over the champion",
    )  # fmt: skip
    assert "calibration over the champion" in failed(challenge(replace(one, challenger=exaggerated)))


def test_a_segment_that_is_significantly_worse_fails_and_one_with_few_frauds_is_not_judged() -> None:
    one = contest(-0.6, frauds=600)
    places = np.arange(len(one.rows.is_fraud))
    part = places % 6 == 0
    few = np.zeros(len(places), dtype=bool)
    few[:29] = few[-500:] = True
    spoilt = one.challenger.score.copy()
    spoilt[part] = np.random.default_rng(1).random(part.sum())
    segments = {"spoilt": part, "fine": ~part, "few": few}
    verdict = challenge(replace(one, challenger=Contender(spoilt, one.challenger.threshold), segments=segments))
    by_name = {check.name: check for check in verdict.checks}
    assert by_name["spoilt"].passed is False
    assert by_name["fine"].passed is True
    assert by_name["few"].passed is None
    assert by_name["few"].note == "not judged: 29 frauds"


@given(st.dictionaries(st.text(min_size=1, max_size=3), st.floats(0, 1), min_size=1, max_size=8))
def test_holm_rejects_what_the_definition_says(p_values: dict[str, float]) -> None:
    ordered = sorted(p_values.items(), key=lambda item: item[1])
    expected = set()
    for k, (name, p) in enumerate(ordered):
        if any(q > 0.05 / (len(ordered) - j) for j, (_, q) in enumerate(ordered[: k + 1])):
            break
        expected.add(name)
        assert p <= 0.05
    assert holm(p_values) == expected


def test_each_further_attempt_on_the_same_rows_has_to_show_more() -> None:
    one = contest(-0.02, seed=4)
    lows = []
    for attempt in (1, 2, 5):
        verdict = challenge(one, attempt=attempt)
        assert verdict.error_rate == 0.05 / 2 ** (attempt - 1)
        lows.append(next(c.low for c in verdict.checks if c.name == "pr_auc over the champion"))
    assert lows[0] > lows[1] > lows[2]


def test_the_price_of_an_attempt_ends_where_two_thousand_draws_do() -> None:
    assert [error_rate(n) for n in (1, 2, 7)] == [0.05, 0.025, 0.05 / 64]
    assert error_rate(8) == error_rate(400) == 1 / 2_000


def test_a_further_attempt_gains_nothing_where_being_worse_has_to_be_shown() -> None:
    one = contest(-0.5)
    exaggerated = Contender(one.challenger.score**0.8, one.challenger.threshold)
    highs = [
        next(
            c.high for c in challenge(replace(one, challenger=exaggerated), attempt=n).checks if "calibration" in c.name
        )
        for n in (1, 5)
    ]
    assert highs[0] == highs[1]


def test_rows_that_the_champion_saw_are_counted_and_named_where_they_leave_too_few() -> None:
    verdict = challenge(contest(frauds=50, left_out=4_321))
    assert verdict.outcome == "hold"
    assert verdict.reason == (
        "50 frauds that neither model has seen cannot tell them apart; 4,321 rows are no later than what v1 was"
        " calibrated on"
    )
    assert verdict.holdout["left_out"] == 4_321


def test_where_both_fail_the_floors_somebody_is_told() -> None:
    low = {"pr_auc": Interval(0.05, 0.0, 0.1)}
    alone = challenge(contest(-0.5), metrics=low)
    assert alone.alert is None
    assert alone.outcome == "reject"
    both = challenge(contest(-0.5), metrics=low | {"f1": Interval(0.1, 0.0, 0.2)}, floors={"f1": 0.99})
    assert both.alert is not None
    assert both.alert.startswith("neither the champion v1 (f1 0.")


MISSED = {"f1": Interval(0.1, 0.0, 0.2), "precision": Interval(0.99, 0.9, 1.0)}


def test_a_floor_that_the_champion_misses_too_does_not_turn_a_better_challenger_away() -> None:
    verdict = challenge(contest(-0.5), metrics=MISSED, floors={"f1": 0.99})
    below = "below its floor: f1 0.100 (floor 0.990)"
    assert verdict.outcome == "promote"
    assert verdict.reason.endswith(f"; {below}; so is the champion v1 on these rows")
    assert verdict.warning == f"This model is {below}."
    assert challenge(contest(0.5), metrics=MISSED, floors={"f1": 0.99}).outcome == "reject"


def test_a_floor_that_the_champion_reaches_turns_a_better_challenger_away() -> None:
    verdict = challenge(contest(-0.5), metrics=MISSED, floors={"f1": 0.2, "precision": 0.98})
    assert (verdict.outcome, failed(verdict), verdict.warning) == ("reject", ["f1"], None)


def test_a_verdict_survives_being_written_and_its_table_says_every_figure() -> None:
    verdict = challenge(contest(-0.5, segments={"nobody": np.zeros(8000, dtype=bool)}))
    again = Verdict.from_dict(json.loads(json.dumps(verdict.to_dict())))
    assert again.to_dict() == verdict.to_dict()
    assert again.table() == verdict.table()
    assert "gate: promote against v1, attempt 1, floors of the profile mine: superior in pr_auc" in verdict.table()
    assert "> -0.0200" in verdict.table()


def test_promotion_rates_are_on_the_right_side() -> None:
    """A short form of `make bench ARGS=gate`: a wrong sign or tail would show."""

    def rate(worse: float, attempt: int = 1) -> float:
        verdicts = [challenge(contest(worse, frauds=300, seed=seed), attempt=attempt) for seed in range(40)]
        return float(np.mean([verdict.passed for verdict in verdicts]))

    assert rate(-0.2) >= 0.8
    assert 0.4 <= rate(-0.1) <= 0.95
    assert rate(0.0) <= 0.2
    assert rate(0.4) == 0
    assert rate(-0.1, attempt=5) < rate(-0.1) - 0.1
