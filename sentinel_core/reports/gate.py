"""The gate's verdict in a report: what was decided and why, and the table of checks.

It reads the verdict's JSON form and leaves out what it does not know: a verdict of another release can be shown too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sentinel_core.reports.document import NONE, Facts, Section, Table, Text

_FACTS: Final = {
    "reason": "Reason",
    "profile": "Profile of the floors",
    "champion": "Compared with",
    "attempt": "Attempt on this hold-out",
    "error_rate": "Error rate, one-sided",
    "superior": "Superior in",
    "warning": "Warning",
    "alert": "Alert",
}
_HELD_BY: Final = "value > bound"


def outcome(verdict: Mapping[str, Any]) -> str:
    """Return the decision in a word."""
    return str(verdict.get("outcome") or ("promote" if verdict.get("passed") else "reject"))


def gate_section(verdict: Mapping[str, Any]) -> Section:
    """Make the section of a verdict."""
    facts = [("Decision", outcome(verdict))]
    facts += [(title, _text(verdict[name])) for name, title in _FACTS.items() if verdict.get(name)]
    holdout = verdict.get("holdout")
    if isinstance(holdout, Mapping) and holdout:
        facts.append(("Hold-out", ", ".join(f"{_text(value)} {name}" for name, value in holdout.items())))
    checks = [check for check in verdict.get("checks") or () if isinstance(check, Mapping)]
    judged = [check for check in checks if check.get("passed") is not None]
    blocks: list[Facts | Table | Text] = [Facts(tuple(facts))]
    if judged:
        header = ("Check", "Figure", "From", "To", "Rule", "Result", "Note")
        blocks.append(Table("Checks of the gate", header, tuple(_row(check) for check in judged)))
    if len(judged) < len(checks):
        left = ", ".join(str(check.get("name", NONE)) for check in checks if check.get("passed") is None)
        blocks.append(Text(f"Not judged, with too few frauds: {left}."))
    return Section("Gate", tuple(blocks))


def _row(check: Mapping[str, Any]) -> tuple[str, ...]:
    bound = check.get("bound")
    rule = str(check.get("rule") or _HELD_BY)
    return (
        str(check.get("name", NONE)),
        *(_number(check.get(name)) for name in ("value", "low", "high")),
        rule if bound is None else rule.replace("bound", _number(bound)),
        "passed" if check["passed"] else "below, with a warning" if check.get("waived") else "failed",
        str(check.get("note") or NONE),
    )


def _number(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return NONE if value is None else str(value)
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) >= 10 else f"{value:.4f}"


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, Sequence):
        return " and ".join(str(item) for item in value)
    return f"{value:,}" if isinstance(value, int) else str(value)
