"""The policy of retraining, over the whole table of what may be so."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel_core.monitoring.drop import Drop
from sentinel_core.monitoring.retraining import Bounds, Figures, decide

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
BOUNDS = Bounds()
QUIET = Figures(last_start=NOW - 24 * HOUR, last_completed=NOW - 24 * HOUR, transactions=10_000, frauds=50, labels=50)
"""Nothing asks, by the least; and a training may be, by the least."""


def change(name: str, value: float | None, *, counts: bool) -> Drop:
    return Drop(name, value, None if value is None else value + 0.05, 120, counts, "the bound lies somewhere")


moments = st.none() | st.floats(0, 100).map(lambda hours: NOW - hours * HOUR)
figures = st.builds(
    Figures,
    last_start=moments,
    last_completed=moments,
    transactions=st.integers(0, 30_000),
    frauds=st.integers(0, 120),
    labels=st.integers(0, 3),
    frauds_due=st.none() | st.floats(0, 500).map(lambda hours: NOW + hours * HOUR),
    drops=st.dictionaries(
        st.sampled_from(["precision", "recall"]),
        st.builds(lambda value, counts: change("x", value, counts=counts), st.none() | st.floats(-1, 1), st.booleans()),
    ),
    drift=st.sampled_from([None, "drift in the window that ended at 11:00"]),
    under_way=st.sampled_from([None, "manual__1"]),
)
bounds = st.builds(
    Bounds,
    after_hours=st.sampled_from([1.0, 24.0, 72.0]),
    after_transactions=st.sampled_from([0, 10_000, 20_000]),
    rest_hours=st.sampled_from([0.0, 24.0, 48.0]),
    min_frauds=st.sampled_from([0, 50, 100]),
)


def asked(known: Figures, held_to: Bounds, *, forced: bool) -> bool:
    if known.last_completed is None or forced:
        return True
    if (NOW - known.last_completed).total_seconds() > held_to.after_hours * 3600:
        return True
    return known.transactions > held_to.after_transactions or any(drop.counts for drop in known.drops.values())


def eligible(known: Figures, held_to: Bounds) -> bool:
    rested = known.last_start is None or (NOW - known.last_start).total_seconds() >= held_to.rest_hours * 3600
    return rested and known.frauds >= held_to.min_frauds and known.labels > 0


@given(known=figures, held_to=bounds, forced=st.booleans())
def test_a_trigger_asks_eligibility_decides_and_force_skips_eligibility_alone(
    known: Figures, held_to: Bounds, forced: bool
) -> None:
    found = decide(known, held_to, now=NOW, forced=forced)
    if not asked(known, held_to, forced=forced):
        assert found.decision == "not_needed"
    elif known.under_way or not (forced or eligible(known, held_to)):
        assert found.decision == "deferred"
    else:
        assert found.decision == "train"


@given(known=figures, held_to=bounds, forced=st.booleans())
def test_every_decision_says_its_figures_and_their_bounds(known: Figures, held_to: Bounds, forced: bool) -> None:
    found = decide(known, held_to, now=NOW, forced=forced)
    assert {one.name for one in found.triggers} == {
        *("hours", "transactions", "force_retrain"),
        *(f"{name} drop" for name in known.drops),
    }
    assert [one.name for one in found.eligibility] == ["rest", "matured frauds", "matured labels"]
    for one in (*found.triggers, *found.eligibility):
        # A drop says its bound in the words of who measured it.
        if one.bound is not None and "drop" not in one.name:
            assert f"{one.bound:g}" in one.said.replace(",", "")
        if one.value is not None and "drop" not in one.name:
            assert f"{int(one.value)}" in one.said.replace(",", "")
    assert json.loads(json.dumps(found.figures())) == found.figures()
    said = {
        "not_needed": [one.said for one in found.triggers if one.name != "force_retrain"],
        "deferred": [one.said for one in found.triggers if one.holds],
        "train": [one.said for one in found.triggers if one.holds] + [one.said for one in found.eligibility],
    }
    assert all(part in found.reason for part in said[found.decision])
    assert (known.drift or "") in found.reason
    if found.decision == "deferred" and known.under_way:
        assert known.under_way in found.reason
    elif found.decision == "deferred":
        assert all(one.said in found.reason for one in found.eligibility if not one.holds)


@given(known=figures, held_to=bounds)
def test_a_deferred_training_is_due_from_the_moment_that_is_named(known: Figures, held_to: Bounds) -> None:
    quiet = replace(known, under_way=None)
    found = decide(quiet, held_to, now=NOW)
    if found.decision != "deferred":
        assert found.not_before is None
        return
    lacks = quiet.frauds < held_to.min_frauds or quiet.labels == 0
    assert (found.not_before is None) == (lacks and quiet.frauds_due is None)
    if found.not_before is None:
        assert "as soon as that has changed" in found.reason
        return
    assert f"{found.not_before:%Y-%m-%d %H:%M}" in found.reason
    then = replace(quiet, frauds=max(quiet.frauds, held_to.min_frauds), labels=max(quiet.labels, 1))
    assert decide(then, held_to, now=max(found.not_before, NOW)).decision == "train"
    if found.not_before - timedelta(seconds=1) >= NOW and not lacks:
        assert decide(quiet, held_to, now=found.not_before - timedelta(seconds=1)).decision == "deferred"


@pytest.mark.parametrize(
    ("known", "trigger"),
    [
        (replace(QUIET, last_completed=NOW - 24 * HOUR - timedelta(seconds=1)), "hours"),
        (replace(QUIET, last_start=None, last_completed=None), "hours"),
        (replace(QUIET, last_completed=None), "hours"),
        (replace(QUIET, transactions=10_001), "transactions"),
        (replace(QUIET, drops={"precision": change("precision", -0.3, counts=True)}), "precision drop"),
        (replace(QUIET, drops={"recall": change("recall", -0.3, counts=True)}), "recall drop"),
    ],
)
def test_each_trigger_asks_alone_and_not_at_its_bound(known: Figures, trigger: str) -> None:
    assert decide(QUIET, BOUNDS, now=NOW).decision == "not_needed"
    found = decide(known, BOUNDS, now=NOW)
    assert found.decision == "train"
    assert [one.name for one in found.triggers if one.holds] == [trigger]


ASKING = replace(QUIET, transactions=2_000_000)


@pytest.mark.parametrize(
    ("known", "missing"),
    [
        (replace(ASKING, last_start=NOW - 24 * HOUR + timedelta(seconds=1)), "23.9 h since the last start"),
        (replace(ASKING, frauds=49), r"49 newly matured frauds \(at least 50\)"),
        (replace(ASKING, frauds=0, labels=0), "0 new or changed matured labels"),
    ],
)
def test_each_condition_defers_alone_and_force_goes_past_it(known: Figures, missing: str) -> None:
    assert decide(ASKING, BOUNDS, now=NOW).decision == "train"
    found = decide(known, BOUNDS, now=NOW)
    assert found.decision == "deferred"
    assert re.search(missing, found.reason)
    assert decide(known, BOUNDS, now=NOW, forced=True).decision == "train"
    assert decide(replace(known, under_way="run 7"), BOUNDS, now=NOW, forced=True).decision == "deferred"


def test_a_drop_or_drift_that_does_not_count_is_said_and_asks_for_nothing() -> None:
    drops = {"precision": change("precision", -0.4, counts=False), "recall": change("recall", None, counts=False)}
    found = decide(replace(QUIET, drops=drops, drift="drift at noon"), BOUNDS, now=NOW)
    assert found.decision == "not_needed"
    assert "precision -40.0% against the hold-out (the bound lies somewhere), recall not compared" in found.reason
    assert found.reason.endswith("; drift: drift at noon")


def test_a_failed_training_is_tried_again_only_after_a_rest() -> None:
    failed = replace(ASKING, last_start=NOW - HOUR, last_completed=NOW - 30 * HOUR)
    found = decide(failed, BOUNDS, now=NOW)
    assert (found.decision, found.not_before) == ("deferred", NOW + 23 * HOUR)
    assert decide(failed, BOUNDS, now=NOW + 23 * HOUR).decision == "train"


def test_before_the_first_training_matured_frauds_are_all_it_takes() -> None:
    first = Figures(last_start=None, last_completed=None, transactions=0, frauds=50, labels=50)
    assert decide(first, BOUNDS, now=NOW).decision == "train"
    empty = Figures(last_start=None, last_completed=None, transactions=0, frauds=0, labels=0)
    found = decide(empty, BOUNDS, now=NOW)
    assert found.decision == "deferred"
    assert "no training was completed yet" in found.reason
    for forced, running in product((False, True), (None, "run 7")):
        due = decide(replace(empty, under_way=running), BOUNDS, now=NOW, forced=forced)
        assert (due.decision == "train") == (forced and not running)
