"""What the gate answers: an outcome, its reason and a table of checks, to be stored, logged and read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal

Outcome = Literal["promote", "reject", "hold"]
_PASSED: Final = {True: "passed", False: "FAILED", None: "not judged"}


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

    def cells(self) -> tuple[str, str, str, str, str]:
        """Return verdict, value, interval, rule and note as texts."""
        value = "" if math.isnan(self.value) else f"{self.value:.4f}"
        interval = "" if self.low is None or self.high is None else f"[{self.low:.4f}, {self.high:.4f}]"
        return _PASSED[self.passed], value, interval, self.rule.replace("bound", f"{self.bound:.4f}"), self.note


@dataclass(frozen=True, slots=True)
class Verdict:
    """The gate's answer, the reason in a sentence, and the checks; `profile` says whose floors were used.

    `champion` is the version that was in Production, `attempt` the number of the attempt on the hold-out, `error_rate`
    what it was allowed, `superior` the figures whose lower bound lies above 0, `alert` what somebody should look at
    now, `holdout` what the hold-out consists of.
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

    def heading(self) -> str:
        """Return outcome, champion and reason as one line."""
        against = f" against {self.champion}, attempt {self.attempt}" if self.champion else ""
        return f"gate: {self.outcome}{against}, floors of the profile {self.profile}: {self.reason}"

    def table(self) -> str:
        """Return the checks as lines of text; what could not be judged is counted only."""
        judged = [(check.name, *check.cells()) for check in self.checks if check.passed is not None]
        width = max((len(name) for name, *_ in judged), default=0)
        lines = [self.heading()]
        for name, passed, value, interval, rule, note in judged:
            figures = " ".join(part for part in (value, interval, rule, note and f"({note})") if part)
            lines.append(f"  {'ok  ' if passed == _PASSED[True] else 'FAIL'} {name:<{width}} {figures}")
        if len(judged) < len(self.checks):
            lines.append(f"       {len(self.checks) - len(judged)} segments with too few frauds were not judged")
        return "\n".join(lines)

    def markdown(self) -> str:
        """Return every check as a table in Markdown, with how the hold-out was made up."""
        facts = [f"{name.replace('_', ' ')} {value}" for name, value in self.holdout.items()]
        lines = [
            f"# {self.heading()}",
            "",
            f"Error rate {self.error_rate:g}, one-sided. {', '.join(facts)}".strip(),
            "",
        ]
        lines += ["| check | | value | interval | rule | |", "|---|---|---:|---|---|---|"]
        lines += [f"| {' | '.join(_cell(text) for text in (check.name, *check.cells()))} |" for check in self.checks]
        return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
