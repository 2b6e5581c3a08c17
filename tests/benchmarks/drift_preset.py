"""Evidently's default preset on one window, by the code of the check itself (`reports.drift_preset`)."""

from __future__ import annotations

from sentinel_core.monitoring.sample import Sample
from sentinel_core.monitoring.variables import VARIABLES
from sentinel_core.reports.drift_preset import judge_by_preset


def preset(reference: Sample, window: Sample, *, seed: int) -> tuple[bool, bool, bool]:
    """Say whether the preset sees dataset drift, any column drift, and any that has a say in our verdict drift."""
    verdict = judge_by_preset(reference, window, seed=seed)
    judged = {one.name for one in VARIABLES if one.judged}
    return verdict.drifts, bool(verdict.drifting), bool(judged & set(verdict.drifting))
