"""The verdict on a window: quiet where nothing changed, loud where something did, and never by a single window."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from scipy import stats

from sentinel_core.monitoring.binning import FINE, LEAST_SHARE, cut
from sentinel_core.monitoring.campaigns import link
from sentinel_core.monitoring.discoveries import discoveries
from sentinel_core.monitoring.distances import Distances, band, count_codes, ks_p_value
from sentinel_core.monitoring.drift import HIGH, judge_window
from sentinel_core.monitoring.reference import Reference
from sentinel_core.monitoring.sample import Sample
from sentinel_core.monitoring.seasons import CELLS, cells, like, like_half_weeks, mix
from sentinel_core.monitoring.thinning import whole_stretches
from sentinel_core.monitoring.variables import CAMPAIGNS, NOT_JUDGED, SCORE, Variable
from sentinel_core.monitoring.variables import VARIABLES as ALL
from tests.monitoring.traffic import DAY, VARIABLES, moved, scaled, traffic


@pytest.fixture(scope="module")
def reference() -> Reference:
    return Reference(traffic(20_000, 0), VARIABLES)


@pytest.mark.slow
def test_quiet_windows_are_seldom_suspected_and_never_drift(reference: Reference) -> None:
    before: tuple[str, ...] = ()
    outcomes = []
    for seed in range(60):
        verdict = judge_window(reference, traffic(600, 100 + seed, days=1, start=20 + seed), before=before, seed=seed)
        outcomes.append(verdict.outcome)
        before = verdict.rejected
    assert outcomes.count("drift") == 0
    assert outcomes.count("suspected") <= 9


@pytest.mark.parametrize(
    ("change", "name"), [(scaled(1.6), "amount"), (moved(0.15, "FR"), "country"), (moved(0.1, "XX"), "country")]
)
def test_what_changed_is_named_and_drift_takes_two_windows(reference: Reference, change: Any, name: str) -> None:
    first = judge_window(reference, traffic(800, 1, days=1, start=21, change=change), seed=1)
    assert first.outcome == "suspected"
    assert "none before it was judged" in first.reason
    other = judge_window(reference, traffic(800, 2, days=1, start=22, change=change), before=["flag"], seed=2)
    assert other.outcome == "suspected"
    second = judge_window(reference, traffic(800, 2, days=1, start=22, change=change), before=first.rejected, seed=2)
    assert second.outcome == "drift"
    assert name in second.rejected
    assert name in second.reason
    assert second.severity == next(one.band for one in second.figures if one.name == name)


def test_more_alerts_are_seen_by_their_campaigns_and_one_burst_is_not(reference: Reference) -> None:
    def more(columns: dict[str, Any], rng: np.random.Generator) -> None:
        columns["score"] = np.where(rng.random(len(columns["score"])) < 0.08, 0.9, columns["score"])

    def burst(columns: dict[str, Any], rng: np.random.Generator) -> None:
        taken = rng.choice(len(columns["score"]), 40, replace=False)
        columns["score"][taken], columns["merchant"][taken] = 0.9, 7

    grown = judge_window(reference, traffic(600, 3, days=1, start=21, change=more), seed=3)
    assert CAMPAIGNS in grown.rejected
    assert grown.alerts.attacks > grown.alerts.threshold > grown.alerts.attacks_expected
    assert f"{grown.alerts.campaigns} campaigns of alerts, by their scores" in grown.reason
    hit = judge_window(reference, traffic(600, 4, days=1, start=21, change=burst), seed=4)
    assert hit.alerts.alerts > 40
    assert CAMPAIGNS not in hit.rejected


def test_alerts_that_are_likely_frauds_count_for_more_than_doubtful_ones() -> None:
    def alerting(score: float, share: float) -> Any:
        def change(columns: dict[str, Any], rng: np.random.Generator) -> None:
            high = rng.random(len(columns["score"])) < share
            columns["score"] = np.where(high, score, np.minimum(columns["score"], 0.6))

        return change

    # Two alerts in a hundred are usual, of a score of .5 to .6; the same number are now nearly sure.
    usual = Reference(traffic(20_000, 0, change=alerting(0.55, 0.0)), VARIABLES)
    surer = judge_window(usual, traffic(1_000, 5, days=1, start=21, change=alerting(0.99, 0.02)), seed=5).alerts
    doubtful = judge_window(usual, traffic(1_000, 5, days=1, start=21, change=alerting(0.55, 0.02)), seed=5).alerts
    assert surer.campaigns == doubtful.campaigns
    assert surer.attacks > doubtful.attacks
    assert surer.p_value < doubtful.p_value


def test_what_has_no_say_is_measured_and_never_rejected(reference: Reference) -> None:
    def at_noon(columns: dict[str, Any], _: np.random.Generator) -> None:
        columns["time"] = columns["time"] // DAY * DAY + 12 * (DAY // 24)

    verdict = judge_window(reference, traffic(800, 5, days=1, start=21, change=at_noon), seed=5)
    figure = next(one for one in verdict.figures if one.name == "hour_of_day")
    assert (figure.judged, figure.rejected, figure.reason) == (False, False, "follows the clock")
    missing = judge_window(
        reference, traffic(800, 6, days=1, start=21, change=scaled(9)), missing={"amount": "gone"}, seed=6
    )
    assert "amount" not in missing.rejected


def test_a_constant_that_shows_another_value_once_is_no_drift_and_often_is(reference: Reference) -> None:
    def other(rows: int) -> Any:
        def change(columns: dict[str, Any], _: np.random.Generator) -> None:
            columns["constant"][:rows] = -1.0

        return change

    once = judge_window(reference, traffic(800, 7, days=1, start=21, change=other(1)), seed=7)
    assert "constant" not in once.rejected
    often = judge_window(reference, traffic(800, 7, days=1, start=21, change=other(200)), seed=7)
    assert "constant" in often.rejected


def test_a_threshold_reaches_as_far_as_windows_without_drift_do(reference: Reference) -> None:
    # One payment in a hundred comes with fifty of its kind: few units make a tail heavier than the law's.
    def bursts(columns: dict[str, Any], rng: np.random.Generator) -> None:
        users = rng.choice(np.unique(columns["user"]), 60, replace=False)
        rows = rng.choice(len(columns["flag"]), 3_000, replace=False)
        columns["user"][rows] = rng.choice(users, len(rows))
        columns["flag"][rows] = 1.0

    bursting = Reference(traffic(20_000, 0, change=bursts), VARIABLES)
    for prepared in (reference, bursting):
        window = traffic(600, 9, days=1, start=21)
        quiet = prepared.quiet(window, seed=9)
        for place, figure in enumerate(judge_window(prepared, window, seed=9).figures):
            assert figure.ks_threshold >= np.quantile(quiet.ks[:, place], HIGH)
            assert figure.psi_threshold >= np.quantile(quiet.psi[:, place], HIGH)


def test_scores_that_all_move_below_five_percent_are_no_drift() -> None:
    def low(factor: float) -> Any:
        def change(columns: dict[str, Any], _: np.random.Generator) -> None:
            columns["score"] = np.where(columns["score"] < 0.5, columns["score"] * factor, columns["score"])

        return change

    learned = Reference(traffic(20_000, 0, change=low(0.2)), VARIABLES)
    moved_by_tables = judge_window(learned, traffic(800, 10, days=1, start=21, change=low(0.4)), seed=10)
    assert SCORE not in moved_by_tables.rejected
    risen = judge_window(learned, traffic(800, 10, days=1, start=21, change=low(2.0)), seed=10)
    assert SCORE in risen.rejected


def test_a_verdict_repeats_to_the_last_bit(reference: Reference) -> None:
    window = traffic(700, 8, days=1, start=21)
    assert judge_window(reference, window, seed=3) == judge_window(reference, window, seed=3)


def test_every_feature_is_measured_and_the_calendar_has_no_say() -> None:
    reasons = {one.name: one.reason for one in ALL}
    assert {"amount", "hour_of_day", "merchant_risk_score", "merchant_txn_count_1h", "location_country"} <= set(reasons)
    assert reasons["hour_of_day"] == reasons["is_night"] == NOT_JUDGED["temporal"]
    assert not reasons["amount"]


@hypothesis_settings(max_examples=60, deadline=None)
@given(
    alerts=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=8),
    quiet=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=5),
)
def test_campaigns_are_the_most_alerts_of_which_no_two_share_anything(
    alerts: list[tuple[int, int]], quiet: list[tuple[int, int]]
) -> None:
    def most(left: list[tuple[int, int]]) -> int:
        if not left:
            return 0
        user, merchant = left[0]
        apart = [one for one in left[1:] if one[0] != user and one[1] != merchant]
        return max(most(left[1:]), 1 + most(apart))

    rows = np.array([*alerts, *quiet], np.int64)
    flagged = np.arange(len(rows)) < len(alerts)
    score = np.linspace(0.9, 0.5, len(rows))
    nothing = np.zeros(len(rows), np.int64)
    linked = link(Sample(nothing, rows[:, 0], rows[:, 1], score, flagged, {}, {}), nothing)
    assert linked.count == most(alerts)
    # Each counts by the surest alert that hangs together with it: none by more than the surest of all.
    assert linked.weighed.sum() <= score[0] * linked.count + 1e-9
    assert (linked.weight[flagged] >= score[flagged]).all()
    # Rows of a user hang together, whatever else does.
    assert all(len(set(linked.unit[rows[:, 0] == user].tolist())) == 1 for user in set(rows[:, 0].tolist()))


@hypothesis_settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.floats(0.01, 0.3))
def test_without_weights_discoveries_are_those_of_benjamini_and_hochberg(p_values: list[float], rate: float) -> None:
    given_p = np.array(p_values)
    adjusted = stats.false_discovery_control(given_p)
    expected = adjusted <= rate
    found = discoveries(given_p, np.ones(len(given_p)), rate)
    sure = np.abs(adjusted - rate) > 1e-9
    assert (found[sure] == expected[sure]).all()


def test_weights_move_discoveries_to_where_more_was_expected() -> None:
    p_values = np.array([0.02, 0.06, 0.9, 0.9])
    assert not discoveries(p_values, np.ones(4), 0.05).any()
    assert discoveries(p_values, np.array([3.0, 1.0, 1.0, 1.0]), 0.05).tolist() == [True, False, False, False]


@hypothesis_settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), rows=st.integers(1, 400), values=st.integers(1, 200))
def test_distances_agree_with_scipy_where_the_bins_are_as_fine_as_the_values(seed: int, rows: int, values: int) -> None:
    rng = np.random.default_rng(seed)
    levels = min(values, FINE - 8)
    reference = traffic(2_000, seed)
    reference.numbers["flag"][:] = rng.integers(0, levels, 2_000)
    window = traffic(rows, seed + 1)
    window.numbers["flag"][:] = rng.integers(0, levels, rows)
    bins = cut(Variable("flag", "number"), reference)
    distances = Distances([bins])
    shares = [count_codes(bins.code(sample)[:, None]) for sample in (window, reference)]
    ks, psi = distances(*shares, rows)
    if levels <= 20:
        # A quantile a bin: every value has its own.
        assert ks[0] == pytest.approx(stats.ks_2samp(window.numbers["flag"], reference.numbers["flag"]).statistic)
    assert psi[0] >= 0
    assert distances(shares[1], shares[1], rows)[1][0] == 0
    coarse = np.add.reduceat(shares[1][0], np.r_[0, bins.ends[:-1] + 1])
    assert (coarse >= LEAST_SHARE - 1e-9).all() or len(coarse) == 1
    assert len(bins.titles()) == len(bins.ends)


def test_bands_and_the_p_value_of_the_textbook() -> None:
    assert [band(psi) for psi in (0.05, 0.1, 0.25, 0.26)] == ["none", "moderate", "moderate", "significant"]
    one, other = np.random.default_rng(0).normal(0, 1, 400), np.random.default_rng(1).normal(0.2, 1, 900)
    found = stats.ks_2samp(one, other, method="asymp")
    assert ks_p_value(found.statistic, 400, 900) == pytest.approx(found.pvalue, rel=0.3)


def test_seasons_are_hours_of_kinds_of_day() -> None:
    thursday_noon = 12 * (DAY // 24)
    times = np.array([thursday_noon, thursday_noon + DAY, thursday_noon + 5 * DAY])  # Thursday, Friday, Tuesday
    assert cells(times)[0] == cells(times)[2] != cells(times)[1]
    assert mix(times).sum() == pytest.approx(1)


@hypothesis_settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), most=st.integers(0, 300), spread=st.booleans())
def test_every_season_is_stood_for_by_rows_that_are_there(seed: int, most: int, spread: bool) -> None:
    rows = np.random.default_rng(seed).integers(0, most + 1, CELLS).astype(float)
    rows[0] += 1
    for weights in (like(rows, spread=spread), like_half_weeks(rows, spread=spread)):
        assert weights.sum(axis=1) == pytest.approx(np.ones(CELLS))
        assert (weights[:, rows == 0] == 0).all()


def test_thinning_keeps_whole_stretches_of_all_hours() -> None:
    time = np.sort(np.random.default_rng(0).integers(0, 20 * DAY, 200_000))
    kept = whole_stretches(time, 50_000)
    assert 45_000 < len(kept) <= 50_000
    assert len(np.unique(time[kept] // (DAY // 24) % 24)) == 24
    # What lies within a minute of a kept row is kept with it, mostly.
    near = np.searchsorted(time, time[kept[5_000:5_200]] + 10_000_000) - 1
    assert np.isin(near, kept).mean() > 0.95
    assert len(whole_stretches(time[:10], 50)) == 10
    assert len(whole_stretches(np.zeros(100, np.int64), 30)) == 30
