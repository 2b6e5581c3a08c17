"""Two arms side by side: which model is better, whether that could be chance, and how many rows would tell."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from sentinel_core.errors import ExperimentError, did_you_mean
from sentinel_core.evaluation.judge import Interval, percentiles
from sentinel_core.experiments.arms import FIGURES, PROPORTIONS, Answers, ArmReport, report
from sentinel_core.experiments.assignment import ARMS, Arm
from sentinel_core.experiments.bootstrap import bootstrap_test, rows_needed
from sentinel_core.experiments.proportions import newcombe, trials_needed, z_test

DECIDED_BY: Final = "f1"
"""Precision and recall in one figure, as each model decides: a model that only moved its threshold does not win."""
ALPHA: Final = 0.05
DRAWS: Final = 1000
MIN_FRAUDS: Final = 20
"""Labelled frauds that each arm needs: of fewer, a draw of users says little about the next one."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A figure of model_b less that of model_a, with its 95% interval over users and the tests' p-values.

    `p_z_test`, its interval and `trials_needed` are None for a figure that is no share of rows. They take rows for
    independent; rows of one user are not, so that where users have many rows the bootstrap is the one to trust.
    """

    figure: str
    value: float
    low: float
    high: float
    p_bootstrap: float
    rows_needed: int | None
    p_z_test: float | None = None
    z_low: float | None = None
    z_high: float | None = None
    trials_needed: int | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """The winner, or "undecided", and why; `decided_by` is the figure whose bootstrap test decides, at `alpha`.

    `missing` says which figures cannot be given, and why.
    """

    winner: Arm | Literal["undecided"]
    reason: str
    decided_by: str
    alpha: float
    arms: Mapping[Arm, ArmReport]
    differences: Mapping[str, Difference]
    missing: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form; a figure that is not known is None."""
        deciding = self.differences.get(self.decided_by)
        return {
            "winner": self.winner,
            "reason": self.reason,
            "metrics": {arm: _arm(of_arm) for arm, of_arm in self.arms.items()},
            "significance": {
                "significant": self.winner != "undecided",
                "alpha": self.alpha,
                "decided_by": self.decided_by,
                "test": "bootstrap over users",
                "p_value": None if deciding is None else deciding.p_bootstrap,
                "differences": {
                    name: {key: _finite(value) for key, value in asdict(one).items() if key != "figure"}
                    for name, one in self.differences.items()
                },
            },
            "sample_needed": None if deciding is None else deciding.rows_needed,
            "missing": list(self.missing),
        }

    def table(self) -> str:
        """Return the comparison as lines of text."""
        lines = [f"{'':<10} {'model_a':>26} {'model_b':>26} {'b - a':>9} {'bootstrap p':>12} {'z-test p':>9}"]
        for name in ("rows", "labelled", "frauds", "alerts"):
            counts = [getattr(self.arms[arm], name) for arm in ARMS]
            lines.append(f"{name:<10} {counts[0]:>26,} {counts[1]:>26,}")
        for name in FIGURES:
            shown = [_shown(self.arms[arm].figures.get(name)) for arm in ARMS]
            tests = self.differences.get(name)
            compared = "" if tests is None else _tests(tests)
            lines.append(f"{name:<10} {shown[0]:>26} {shown[1]:>26}{compared}")
        return "\n".join([*lines, *self.missing, f"winner: {self.winner}. {self.reason}"])


def compare(
    arms: Mapping[Arm, Answers],
    *,
    decided_by: str = DECIDED_BY,
    alpha: float = ALPHA,
    count: int = DRAWS,
    seed: int = 0,
) -> Comparison:
    """Compare the answers of two arms; equal arguments give an equal comparison.

    The test is for one look at the end. Looking each day until it is significant finds differences that are not there.
    Raises `ExperimentError` for an unknown figure.
    """
    require_figure(decided_by)
    reports = {arm: report(arms[arm], count=count, seed=2 * seed + place) for place, arm in enumerate(ARMS)}
    differences = {
        name: _difference(name, reports["model_a"], reports["model_b"], alpha)
        for name in FIGURES
        if all(name in reports[arm].figures for arm in ARMS)
    }
    winner, reason = _decide(reports, differences.get(decided_by), decided_by, alpha)
    missing = tuple(line for arm in ARMS for line in _missing(arm, reports[arm]))
    return Comparison(winner, reason, decided_by, alpha, reports, differences, missing)


def require_figure(name: str) -> None:
    """Raise `ExperimentError` for a figure that is not compared."""
    if name not in FIGURES:
        raise ExperimentError(
            f"expected a figure among {', '.join(FIGURES)} to decide by, got {name!r}.{did_you_mean(name, FIGURES)}",
            remedy="Name one of them.",
        )


def _difference(name: str, a: ArmReport, b: ArmReport, alpha: float) -> Difference:
    value, drawn = b.figures[name].value - a.figures[name].value, b.drawn[name] - a.drawn[name]
    ends = percentiles({name: value}, {name: drawn})[name]
    needed = rows_needed(a.labelled + b.labelled, value, drawn, alpha=alpha)
    tested: dict[str, Any] = {}
    if name in PROPORTIONS:
        shares = a.shares[name], b.shares[name]
        interval = newcombe(*shares)
        tested = {
            "p_z_test": z_test(*shares),
            "z_low": interval.low,
            "z_high": interval.high,
            "trials_needed": trials_needed(*shares, alpha=alpha),
        }
    return Difference(name, value, ends.low, ends.high, bootstrap_test(drawn), needed, **tested)


def _decide(
    reports: Mapping[Arm, ArmReport], deciding: Difference | None, figure: str, alpha: float
) -> tuple[Arm | Literal["undecided"], str]:
    for arm, of_arm in reports.items():
        if not of_arm.labelled:
            return "undecided", f"{arm} has no labelled row: give `actual` for rows of both arms."
        if of_arm.frauds < MIN_FRAUDS:
            return "undecided", f"{arm} has {of_arm.frauds} labelled frauds, and each arm needs {MIN_FRAUDS}."
    if deciding is None:
        return "undecided", f"{figure} cannot be given for both arms."
    better: Arm = "model_b" if deciding.value > 0 else "model_a"
    found = f"{figure} differs by {abs(deciding.value):.4f}, p = {deciding.p_bootstrap:.4f} by the bootstrap over users"
    if deciding.p_bootstrap < alpha:
        return better, f"{found}, below {alpha}."
    needed = deciding.rows_needed
    more = "" if needed is None else f" About {needed:,} labelled rows would show this difference with 80% power."
    return "undecided", f"{found}, not below {alpha}: it may be chance.{more}"


def _missing(arm: Arm, of_arm: ArmReport) -> list[str]:
    absent = [name for name in FIGURES if name not in of_arm.figures]
    if not absent:
        return []
    if not of_arm.labelled:
        why = "no labelled row"
    else:
        counts = (("fraud", of_arm.frauds), ("legitimate row", of_arm.labelled - of_arm.frauds))
        none = [f"no labelled {name}" for name, count in counts if not count]
        none += [] if of_arm.shares["precision"].trials else ["no alarm among the labelled rows"]
        why = " and ".join(none)
    return [f"{arm}: no {', '.join(absent)}, since there is {why}."]


def _arm(of_arm: ArmReport) -> dict[str, Any]:
    known = {**of_arm.figures, "alert_rate": of_arm.alert_rate}
    return {
        "n": of_arm.rows,
        "users": of_arm.units,
        "labelled": of_arm.labelled,
        "frauds": of_arm.frauds,
        "alerts": of_arm.alerts,
        **{name: _finite(known[name].value) if name in known else None for name in (*FIGURES, "alert_rate")},
        "intervals": {name: [_finite(one.low), _finite(one.high)] for name, one in known.items()},
    }


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _shown(figure: Interval | None) -> str:
    return "-" if figure is None else f"{figure.value:.4f} [{figure.low:.4f}, {figure.high:.4f}]"


def _tests(one: Difference) -> str:
    z_test_p = "" if one.p_z_test is None else f"{one.p_z_test:.4f}"
    return f" {one.value:>+9.4f} {one.p_bootstrap:>12.4f} {z_test_p:>9}"
