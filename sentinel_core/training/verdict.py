"""What the gate answers: an outcome, its reason and a table of checks, to be stored, logged and read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from sentinel_core.evaluation.judge import Interval

Outcome = Literal["promote", "reject", "hold"]


@dataclass(frozen=True, slots=True)
class Check:
    """One check: the figure with the ends of its interval, the bound and the rule that held them to it.

    `passed` is None where there was too little to judge by, and `note` says so. One that is `waived` decides nothing: a
    figure below its floor is shown as such, and warned of.
    """

    name: str
    value: float
    low: float | None
    high: float | None
    bound: float
    passed: bool | None
    rule: str = "value > bound"
    note: str = ""
    waived: bool = False

    @property
    def failed(self) -> bool:
        """Whether it turns the model away."""
        return self.passed is False and not self.waived

    def line(self) -> str:
        """Return value, interval, rule and note."""
        interval = "" if self.low is None or self.high is None else f" [{self.low:.4f}, {self.high:.4f}]"
        note = f" ({self.note})" if self.note else ""
        return f"{self.value:.4f}{interval} {self.rule.replace('bound', f'{self.bound:.4f}')}{note}"


def check_of(name: str, figure: Interval, judged: float, bound: float, rule: str = "value > bound") -> Check:
    """Check that `judged`, the figure or an end of its interval, lies above `bound`."""
    return Check(name, figure.value, figure.low, figure.high, bound, judged > bound, rule)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The gate's answer, the reason in a sentence, and the checks; `profile` says whose floors were used.

    `champion` is the version that was in Production, `attempt` the number of the attempt on the hold-out, `error_rate`
    what it was allowed, `superior` the figures whose lower bound lies above 0, `alert` what somebody should look at
    now, `warning` what everybody should know who uses a promoted model: it is below its floor; `holdout` what the
    hold-out consists of.
    """

    profile: str
    outcome: Outcome
    reason: str
    checks: tuple[Check, ...]
    champion: str | None = None
    attempt: int = 1
    error_rate: float = 0.05
    superior: tuple[str, ...] = ()
    alert: str | None = None
    warning: str | None = None
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
        """Return the checks as lines of text; what could not be judged is counted only."""
        judged = [check for check in self.checks if check.passed is not None]
        width = max((len(check.name) for check in judged), default=0)
        against = f" against {self.champion}, attempt {self.attempt}" if self.champion else ""
        lines = [f"gate: {self.outcome}{against}, floors of the profile {self.profile}: {self.reason}"]
        lines += [f"  {_mark(one)} {one.name:<{width}} {one.line()}" for one in judged]
        lines += [f"warning: {self.warning}"] if self.warning else []
        if len(judged) < len(self.checks):
            lines.append(f"       {len(self.checks) - len(judged)} segments with too few frauds were not judged")
        return "\n".join(lines)


def _mark(check: Check) -> str:
    return "ok  " if check.passed else "WARN" if check.waived else "FAIL"


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
