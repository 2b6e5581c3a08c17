"""The gate to Production: a table of checks with figures, and a verdict.

A first model must lie above the floors of its profile; one that does not is served with a warning if it is better than
the amount alone and no worse than a plain logistic regression. A challenger is compared with the champion.
docs/decisions/0015-gate.md says why each bound is what it is, 0025-first-model.md what a model below its floor may do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sentinel_core.evaluation.contest import DRAWS, Contender, Improvement, compare
from sentinel_core.evaluation.costs import Costs
from sentinel_core.evaluation.judge import Interval, Scored, judge
from sentinel_core.training.floor_warning import below_floors, floor_warning
from sentinel_core.training.floors import check_floors
from sentinel_core.training.verdict import Check, Verdict, check_of

MARGINS: Final[Mapping[str, float]] = {"pr_auc": -0.02, "cost_saved": -0.01}
"""How much worse than the champion a challenger may be, at the lower bound."""
ERROR_RATE: Final = 0.05
"""One-sided, of the first attempt on a hold-out, and of each check that turns a model away for being worse."""
MIN_FRAUDS: Final = 200
AMOUNT: Final = "the amount alone"
"""The baseline that needs no model."""
NO_MODEL: Final = "no model is in Production yet"
MIN_SEGMENT_FRAUDS: Final = 30


def error_rate(attempt: int) -> float:
    """Return the error rate of the n-th attempt on a hold-out: half of the one before, down to one draw.

    >>> [error_rate(n) for n in (1, 2, 3, 40)]
    [0.05, 0.025, 0.0125, 0.0005]
    """
    return max(ERROR_RATE * 0.5 ** (attempt - 1), 1 / DRAWS)


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
    baselines: Callable[[], Mapping[str, float]],
    circumstances: Circumstances,
    *,
    why: str = NO_MODEL,
    hold: bool = False,
) -> Verdict:
    """Judge a model where none can be compared with, by its floors or, without floors, by the baselines.

    Without floors the lower end of PR-AUC must lie above every baseline. A model below a floor is promoted with a
    warning, since the alternative is no answer at all, if its PR-AUC lies above the amount alone and is not shown to be
    below that of the other baselines; with `hold` it is rejected.

    `metrics` are those of the test part, `baselines` returns name → PR-AUC on the same rows and is called only where it
    decides, `why` says why there is nothing to compare with. Raises `TrainingError` for a floor of a metric that does
    not exist.
    """
    if not floors:
        checks = _check_baselines(metrics["pr_auc"], baselines())
        return _decided(f"{profile} (no floors: baselines)", (*checks, *circumstances.checks()), why)
    checks, below = check_floors(floors, metrics), below_floors(floors, _values(metrics))
    if below is None or hold:
        return _decided(profile, (*checks, *circumstances.checks()), why)
    waived = tuple(replace(check, waived=not check.passed) for check in checks)
    checks = (*waived, *_compare_baselines(metrics["pr_auc"], baselines()), *circumstances.checks())
    said = f"first model, {below}" if why == NO_MODEL else f"{why}; first model since, {below}"
    return _decided(profile, checks, said, below, floor_warning(floors, _values(metrics)))


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
    above its margin, one of the two estimates is better, and no segment is significantly worse (Holm, 1979). A floor
    that the champion misses on these rows too turns nobody away, and is warned of. With fewer than 200 frauds in the
    hold-out nothing can be told: hold.
    """
    rate = error_rate(attempt)
    frauds = int(contest.rows.is_fraud.sum())
    if frauds < MIN_FRAUDS:
        few = Check("frauds in the hold-out", frauds, None, None, MIN_FRAUDS, False, "value ≥ bound")
        reason = f"{frauds} frauds that neither model has seen cannot tell them apart"
        if contest.left_out:
            reason += f"; {contest.left_out:,} rows are no later than what {champion} was calibrated on"
        return Verdict(profile, "hold", reason, (few,), champion, attempt, rate, holdout=contest.described())
    whole, segments = contest.run()
    theirs = {name: figure for name, figure in contest.champion_figures().items() if name in floors}
    missed = {name for name, bound in floors.items() if not theirs[name] > bound}
    floored = tuple(
        replace(check, waived=not check.passed and check.name in missed) for check in check_floors(floors, metrics)
    )
    checks = (
        *floored,
        *_not_worse(whole, rate),
        _better_in_one(whole),
        _calibrated(whole["calibration"]),
        *circumstances.checks(),
        *_segments(contest, segments),
    )
    superior = tuple(name for name in MARGINS if whole[name].quantile(rate) > 0)
    said = f"superior in {' and '.join(superior)}" if superior else "not inferior, superior in nothing for certain"
    below = below_floors(floors, _values(metrics))
    if below:
        said += f"; {below}; so is the champion {champion} on these rows"
    return replace(
        _decided(profile, checks, said, below, floor_warning(floors, _values(metrics))),
        champion=champion,
        attempt=attempt,
        error_rate=rate,
        superior=superior,
        alert=_alert(floored, {name: theirs[name] for name in floors if name in missed}, champion),
        holdout=contest.described(),
    )


@dataclass(frozen=True, slots=True)
class Contest:
    """A hold-out, what both models say of it, and the segments that are looked at: name → rows, bool [n].

    `left_out` counts the rows of the challenger's test part that the champion had seen.
    """

    rows: Scored
    challenger: Contender
    champion: Contender
    costs: Costs
    segments: Mapping[str, NDArray[np.bool_]]
    left_out: int = 0
    draws: int = DRAWS
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
        own = replace(self.rows, score=self.champion.score)
        return judge(own, self.champion.threshold, self.costs)

    def described(self) -> dict[str, Any]:
        """Return how many rows, frauds and users the hold-out has, and how many were left out."""
        rows = self.rows
        return {
            "rows": len(rows.is_fraud),
            "frauds": int(rows.is_fraud.sum()),
            "users": len(np.unique(rows.user)),
            "left_out": self.left_out,
            "draws": self.draws,
        }


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
        check_of(f"pr_auc over {name}", pr_auc, pr_auc.low, bound, "low > bound")
        for name, bound in sorted(baselines.items())
    )


def _compare_baselines(pr_auc: Interval, baselines: Mapping[str, float]) -> list[Check]:
    """Ask less than `_check_baselines`: with few frauds an interval is so wide that nothing is better for certain."""
    checks = []
    for name, bound in sorted(baselines.items()):
        if name == AMOUNT:
            checks.append(check_of(f"pr_auc over {name}", pr_auc, pr_auc.value, bound))
        else:
            passed = pr_auc.high >= bound
            checks.append(
                Check(f"pr_auc over {name}", pr_auc.value, pr_auc.low, pr_auc.high, bound, passed, "high ≥ bound")
            )
    return checks


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


def _calibrated(improvement: Improvement) -> Check:
    # Not at the attempt's rate: here a smaller one would let more through.
    low, high = improvement.quantile(ERROR_RATE), improvement.quantile(1 - ERROR_RATE)
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


def _decided(
    profile: str, checks: tuple[Check, ...], said: str, below: str | None = None, warning: str | None = None
) -> Verdict:
    failed = [check.name for check in checks if check.failed]
    if failed:
        aside = f"; {below}" if below else ""
        return Verdict(profile, "reject", f"not enough: {', '.join(failed)}{aside}", checks)
    return Verdict(profile, "promote", said, checks, warning=warning)


def _values(metrics: Mapping[str, Interval]) -> dict[str, float]:
    return {name: figure.value for name, figure in metrics.items()}


def _alert(floored: Sequence[Check], theirs: Mapping[str, float], champion: str) -> str | None:
    ours = [check.name for check in floored if not check.passed]
    if not ours or not theirs:
        return None
    return (
        f"neither the champion {champion} ({', '.join(f'{name} {figure:.3f}' for name, figure in theirs.items())}) nor"
        f" the challenger ({', '.join(ours)}) reaches the floors on the newest rows"
    )
