"""Drift: the bands of PSI with their edges, and the Kolmogorov-Smirnov test at p < 0.05, both in every report."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from sentinel_core.monitoring.distances import band, ks_p_value
from sentinel_core.monitoring.drift import DriftVerdict, judge_window
from sentinel_core.monitoring.reference import Reference
from tests.monitoring.traffic import VARIABLES, scaled, traffic


@pytest.mark.parametrize(
    ("psi", "expected"),
    [
        (0.0, "none"),
        (0.0999, "none"),
        (0.1, "moderate"),
        (0.25, "moderate"),
        (0.2501, "significant"),
        (5.0, "significant"),
    ],
)
def test_psi_is_none_below_a_tenth_moderate_to_a_quarter_and_significant_above(psi: float, expected: str) -> None:
    assert band(psi) == expected


def test_the_p_value_is_that_of_the_two_sample_kolmogorov_smirnov_test() -> None:
    rng = np.random.default_rng(0)
    ours, theirs = rng.normal(size=4_000), rng.normal(0.04, 1, size=6_000)
    test = stats.ks_2samp(ours, theirs, method="asymp")
    assert ks_p_value(test.statistic, len(ours), len(theirs)) == pytest.approx(test.pvalue, rel=0.1)


@pytest.fixture(scope="module")
def reports() -> tuple[DriftVerdict, DriftVerdict]:
    """The reports of a window like the reference, and of one whose amounts are two and a half times as large."""
    reference = Reference(traffic(20_000, 0), VARIABLES)
    quiet = judge_window(reference, traffic(800, 1, days=1, start=21), seed=1)
    return quiet, judge_window(reference, traffic(800, 2, days=1, start=22, change=scaled(2.5)), seed=2)


def test_a_report_has_psi_its_band_and_the_p_value_of_every_variable(
    reports: tuple[DriftVerdict, DriftVerdict],
) -> None:
    for report in reports:
        figures = report.to_dict()["figures"]
        assert [one["name"] for one in figures] == [variable.name for variable in VARIABLES]
        for one in figures:
            assert one["band"] == band(one["psi"])
            assert 0 <= one["ks_p_value"] <= 1


def test_a_change_is_significant_in_both_figures_and_traffic_as_usual_is_not(
    reports: tuple[DriftVerdict, DriftVerdict],
) -> None:
    quiet, changed = ({one.name: one for one in report.figures}["amount"] for report in reports)
    assert (quiet.band, changed.band) == ("none", "significant")
    assert quiet.ks_p_value > 0.05 > changed.ks_p_value
    assert (quiet.rejected, changed.rejected) == (False, True)
