"""The gate to Production: a table of checks with figures, and a verdict.

Floors belong to a profile: those of mission.md to generated data, a user's own to a user's file. Without floors a
model must be better than the amount alone and than a plain logistic regression.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from sentinel_core.errors import TrainingError
from sentinel_core.evaluation.judge import JUDGED, Interval

SYNTHETIC_FLOORS: Final[Mapping[str, float]] = {"roc_auc": 0.90, "precision": 0.80, "recall": 0.85, "f1": 0.82}
"""Floors of generated data; a figure must lie above."""


def profile_floors(profile: str, declared: Mapping[str, float]) -> Mapping[str, float]:
    """Return the floors of a profile: those that its column map declared, or mission.md's for generated data."""
    return declared or (SYNTHETIC_FLOORS if profile == "synthetic" else {})


@dataclass(frozen=True, slots=True)
class Check:
    """One check: the figure with its interval, the bound that it must lie above, and whether it does."""

    name: str
    value: float
    low: float
    high: float
    bound: float
    passed: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """The gate's answer: `profile` says whose floors were used."""

    profile: str
    passed: bool
    checks: tuple[Check, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"profile": self.profile, "passed": self.passed, "checks": [asdict(check) for check in self.checks]}

    def table(self) -> str:
        """Return the checks as lines of text."""
        lines = [f"gate: {'passed' if self.passed else 'failed'}, floors of the profile {self.profile}"]
        for check in self.checks:
            mark = "ok  " if check.passed else "FAIL"
            lines.append(
                f"  {mark} {check.name:<10} {check.value:.4f} [{check.low:.4f}, {check.high:.4f}] > {check.bound:.4f}"
            )
        return "\n".join(lines)


def judge_floors(profile: str, floors: Mapping[str, float], metrics: Mapping[str, Interval]) -> Verdict:
    """Check each floored metric's figure on the test part: it must lie above its floor.

    Raises `TrainingError` for a floor of a metric that does not exist.
    """
    unknown = sorted(set(floors) - set(JUDGED))
    if unknown:
        raise TrainingError(
            f"expected floors for metrics of {', '.join(JUDGED)}, got {', '.join(unknown)}.",
            remedy="Correct [floors] in the column map.",
        )
    checks = tuple(_check(name, metrics[name], metrics[name].value, bound) for name, bound in floors.items())
    return Verdict(profile, all(check.passed for check in checks), checks)


def judge_baselines(profile: str, pr_auc: Interval, baselines: Mapping[str, float]) -> Verdict:
    """Check that the lower end of PR-AUC lies above that of every baseline (name → PR-AUC on the same rows)."""
    checks = tuple(
        _check(f"pr_auc over {name}", pr_auc, pr_auc.low, bound) for name, bound in sorted(baselines.items())
    )
    return Verdict(f"{profile} (no floors: baselines)", all(check.passed for check in checks), checks)


def _check(name: str, figure: Interval, judged: float, bound: float) -> Check:
    return Check(name, figure.value, figure.low, figure.high, bound, judged > bound)
