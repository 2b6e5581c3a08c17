"""The gate to Production: a table of checks with figures, and a verdict.

A first model must lie above the floors of its profile or, without floors, above the amount alone and a plain logistic
regression. A challenger must besides hold its own against the champion on rows that neither has seen.
docs/decisions/0015-gate.md says why each bound is what it is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from sentinel_core.errors import TrainingError
from sentinel_core.evaluation.contest import Contender, Improvement, compare
from sentinel_core.evaluation.costs import Costs
from sentinel_core.evaluation.judge import JUDGED, Interval, Scored, judge

SYNTHETIC_FLOORS: Final[Mapping[str, float]] = {"roc_auc": 0.90, "precision": 0.80, "recall": 0.85, "f1": 0.82}
"""Floors of generated data; a figure must lie above."""
MARGINS: Final[Mapping[str, float]] = {"pr_auc": -0.02, "cost_saved": -0.01}
"""How much worse than the champion a challenger may be, at the lower bound."""
ERROR_RATE: Final = 0.05
"""One-sided, of the first attempt on a hold-out; each further one on the same rows has half of the one before."""
MIN_FRAUDS: Final = 200
MIN_SEGMENT_FRAUDS: Final = 30

Outcome = Literal["promote", "reject", "hold"]


def profile_floors(profile: str, declared: Mapping[str, float]) -> Mapping[str, float]:
    """Return the floors of a profile: those that its column map declared, or mission.md's for generated data."""
    return declared or (SYNTHETIC_FLOORS if profile == "synthetic" else {})


@dataclass(frozen=True, slots=True)
class Check:
    """One check: the figure with the ends of its interval, the bound and the rule that held them to it.

    `passed` is None where there was too little to judge by, and `note` says so.
    """

    name: str
    value: float
    low: float | None
    high: float | None
    bound: float
    passed: bool | None
    rule: str = "value > bound"
    note: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The gate's answer, the reason in a sentence, and the checks; `profile` says whose floors were used.

    `champion` is the version that the challenger was compared with, `attempt` the number of the attempt on the
    hold-out, `superior` the figures whose lower bound lies above 0, `alert` what somebody should look at now.
    """

    profile: str
    outcome: Outcome
    reason: str
    checks: tuple[Check, ...]
    champion: str | None = None
    attempt: int = 1
    error_rate: float = ERROR_RATE
    superior: tuple[str, ...] = ()
    alert: str | None = None
    holdout: Mapping[str, Any] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether the version goes to Production."""
        return self.outcome == "promote"

    @classmethod
    def from_dict(cls, written: Mapping[str, Any]) -> Verdict:
        """Read what `to_dict` returned."""
        own = {name: value for name, value in written.items() if name != "passed"}
        checks = [{**check, "value": math.nan if check["value"] is None else check["value"]} for check in own["checks"]]
        own["checks"] = tuple(Check(**check) for check in checks)
        return cls(**{**own, "superior": tuple(own["superior"])})

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form; figures that are not finite are None."""
        checks = [{name: _finite(value) for name, value in asdict(check).items()} for check in self.checks]
        return {**asdict(self), "superior": list(self.superior), "checks": checks, "passed": self.passed}

    def table(self) -> str:
        """Return the checks as lines of text."""
        against = f" against {self.champion}, attempt {self.attempt}" if self.champion else ""
        lines = [f"gate: {self.outcome}{against}, floors of the profile {self.profile}: {self.reason}"]
        judged = [check for check in self.checks if check.passed is not None]
        width = max((len(check.name) for check in judged), default=0)
        for check in judged:
            lines.append(f"  {'ok  ' if check.passed else 'FAIL'} {check.name:<{width}} {_figures(check)}")
        if len(judged) < len(self.checks):
            lines.append(f"       {len(self.checks) - len(judged)} segments with too few frauds were not judged")
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What is checked besides quality: scoring time of one row and its budget (ms), and the data's validation."""

    latency_ms: float
    latency_budget_ms: float
    validated: bool

    def checks(self) -> tuple[Check, ...]:
        """Return the two checks."""
        fast = self.latency_ms <= self.latency_budget_ms
        return (
            Check("latency_ms", self.latency_ms, None, None, self.latency_budget_ms, fast, "value ≤ bound"),
            Check("data validated", float(self.validated), None, None, 1.0, self.validated, "value = bound"),
        )


def judge_first(
    profile: str,
    floors: Mapping[str, float],
    metrics: Mapping[str, Interval],
    baselines: Mapping[str, float],
    circumstances: Circumstances,
) -> Verdict:
    """Judge a model where none is in Production: floors, else PR-AUC's lower end above every baseline.

    `metrics` are those of the test part, `baselines` name → PR-AUC on the same rows. Raises `TrainingError` for a floor
    of a metric that does not exist.
    """
    checks = check_floors(floors, metrics) if floors else _check_baselines(metrics["pr_auc"], baselines)
    checks = (*checks, *circumstances.checks())
    return _decided(profile if floors else f"{profile} (no floors: baselines)", checks, "no model is in Production yet")


def judge_challenger(
    profile: str,
    floors: Mapping[str, float],
    metrics: Mapping[str, Interval],
    contest: Contest,
    circumstances: Circumstances,
    *,
    champion: str,
    attempt: int = 1,
) -> Verdict:
    """Judge a challenger against the champion on a hold-out; `metrics` are the challenger's on its test part.

    It is promoted if floors, latency, validation and calibration allow it, the lower bound of each difference lies
    above its margin, one of the two estimates is better, and no segment is significantly worse (Holm, 1979). With
    fewer than 200 frauds in the hold-out nothing can be told: hold.
    """
    rate = ERROR_RATE / 2 ** (attempt - 1)
    holdout = contest.described()
    frauds = int(contest.rows.is_fraud.sum())
    if frauds < MIN_FRAUDS:
        few = Check("frauds in the hold-out", frauds, None, None, MIN_FRAUDS, False, "value ≥ bound")
        reason = f"{frauds} frauds that neither model has seen cannot tell them apart"
        return Verdict(profile, "hold", reason, (few,), champion, attempt, rate, holdout=holdout)
    whole, segments = contest.run()
    checks = (
        *check_floors(floors, metrics),
        *_not_worse(whole, rate),
        _better_in_one(whole),
        _calibrated(whole["calibration"], rate),
        *circumstances.checks(),
        *_segments(contest, segments),
    )
    superior = tuple(name for name in MARGINS if whole[name].quantile(rate) > 0)
    said = f"superior in {' and '.join(superior)}" if superior else "not inferior, superior in nothing for certain"
    verdict = _decided(profile, checks, said)
    alert = _alert(floors, checks, contest.champion_figures(), champion)
    return Verdict(profile, verdict.outcome, verdict.reason, checks, champion, attempt, rate, superior, alert, holdout)


@dataclass(frozen=True, slots=True)
class Contest:
    """A hold-out, what both models say of it, and the segments that are looked at: name → rows, bool [n]."""

    rows: Scored
    challenger: Contender
    champion: Contender
    costs: Costs
    segments: Mapping[str, NDArray[np.bool_]]
    draws: int = 2_000
    seed: int = 0

    def judged(self) -> dict[str, NDArray[np.bool_]]:
        """Return the segments with enough frauds."""
        return {
            name: mask
            for name, mask in self.segments.items()
            if int(self.rows.is_fraud[mask].sum()) >= MIN_SEGMENT_FRAUDS and not self.rows.is_fraud[mask].all()
        }

    def run(self) -> tuple[dict[str, Improvement], dict[str, Improvement]]:
        """Compare the two over the hold-out and in each judged segment."""
        return compare(
            self.rows,
            self.challenger,
            self.champion,
            self.costs,
            segments=self.judged(),
            count=self.draws,
            seed=self.seed,
        )

    def champion_figures(self) -> dict[str, float]:
        """Return the champion's figures on the hold-out."""
        rows = self.rows
        own = Scored(rows.is_fraud, self.champion.score, rows.user, rows.time, rows.cents)
        return judge(own, self.champion.threshold, self.costs)

    def described(self) -> dict[str, Any]:
        """Return how many rows, frauds and users the hold-out has."""
        rows = self.rows
        return {
            "rows": len(rows.is_fraud),
            "frauds": int(rows.is_fraud.sum()),
            "users": len(np.unique(rows.user)),
            "draws": self.draws,
        }


def check_floors(floors: Mapping[str, float], metrics: Mapping[str, Interval]) -> tuple[Check, ...]:
    """Check each floored metric's figure on the test part: it must lie above its floor.

    Raises `TrainingError` for a floor of a metric that does not exist.
    """
    unknown = sorted(set(floors) - set(JUDGED))
    if unknown:
        raise TrainingError(
            f"expected floors for metrics of {', '.join(JUDGED)}, got {', '.join(unknown)}.",
            remedy="Correct [floors] in the column map.",
        )
    return tuple(_check(name, metrics[name], metrics[name].value, bound) for name, bound in floors.items())


def holm(p_values: Mapping[str, float], rate: float = ERROR_RATE) -> frozenset[str]:
    """Return the names whose hypotheses are rejected at a family-wise error rate (Holm, 1979)."""
    rejected = set()
    for place, (name, p) in enumerate(sorted(p_values.items(), key=lambda item: item[1])):
        if p > rate / (len(p_values) - place):
            break
        rejected.add(name)
    return frozenset(rejected)


def _check_baselines(pr_auc: Interval, baselines: Mapping[str, float]) -> tuple[Check, ...]:
    return tuple(
        _check(f"pr_auc over {name}", pr_auc, pr_auc.low, bound, "low > bound")
        for name, bound in sorted(baselines.items())
    )


def _not_worse(whole: Mapping[str, Improvement], rate: float) -> list[Check]:
    checks = []
    for name, margin in MARGINS.items():
        low, high = whole[name].quantile(rate), whole[name].quantile(1 - rate)
        checks.append(
            Check(f"{name} over the champion", whole[name].value, low, high, margin, low > margin, "low > bound")
        )
    return checks


def _better_in_one(whole: Mapping[str, Improvement]) -> Check:
    best = max(MARGINS, key=lambda name: whole[name].value)
    value = whole[best].value
    return Check("better in one of the two", value, None, None, 0.0, value > 0, note=best)


def _calibrated(improvement: Improvement, rate: float) -> Check:
    low, high = improvement.quantile(rate), improvement.quantile(1 - rate)
    return Check("calibration over the champion", improvement.value, low, high, 0.0, high >= 0, "high ≥ bound")


def _segments(contest: Contest, improvements: Mapping[str, Improvement]) -> list[Check]:
    worse = holm({name: improvement.p_worse for name, improvement in improvements.items()})
    checks = []
    for name, mask in contest.segments.items():
        frauds = int(contest.rows.is_fraud[mask].sum())
        if name not in improvements:
            note = f"not judged: {frauds} frauds"
            checks.append(Check(name, float("nan"), None, None, 0.0, None, "not significantly worse", note))
            continue
        found = improvements[name]
        low, high = found.quantile(ERROR_RATE), found.quantile(1 - ERROR_RATE)
        note = f"{frauds} frauds, p {found.p_worse:.4f}"
        checks.append(Check(name, found.value, low, high, 0.0, name not in worse, "not significantly worse", note))
    return checks


def _decided(profile: str, checks: tuple[Check, ...], said: str) -> Verdict:
    failed = [check.name for check in checks if check.passed is False]
    if failed:
        return Verdict(profile, "reject", f"not enough: {', '.join(failed)}", checks)
    return Verdict(profile, "promote", said, checks)


def _alert(
    floors: Mapping[str, float], checks: Sequence[Check], champion_figures: Mapping[str, float], champion: str
) -> str | None:
    ours = [check.name for check in checks if check.name in floors and not check.passed]
    theirs = [name for name, bound in floors.items() if not champion_figures[name] > bound]
    if not ours or not theirs:
        return None
    return (
        f"neither the champion {champion} ({', '.join(f'{name} {champion_figures[name]:.3f}' for name in theirs)}) nor"
        f" the challenger ({', '.join(ours)}) reaches the floors on the newest rows"
    )


def _check(name: str, figure: Interval, judged: float, bound: float, rule: str = "value > bound") -> Check:
    return Check(name, figure.value, figure.low, figure.high, bound, judged > bound, rule)


def _figures(check: Check) -> str:
    between = "" if check.low is None or check.high is None else f" [{check.low:.4f}, {check.high:.4f}]"
    note = f" ({check.note})" if check.note else ""
    return f"{check.value:.4f}{between} {check.rule.replace('bound', f'{check.bound:.4f}')}{note}"


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not np.isfinite(value) else value
