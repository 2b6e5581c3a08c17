"""An alert in words, for whatever sends or shows it: a title and a body of plain lines, from the stored row alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

Tone = Literal["failure", "warning", "success"]
_TONE: Final[Mapping[str, Tone]] = {"critical": "failure", "high": "failure", "medium": "warning", "low": "warning"}


@dataclass(frozen=True, slots=True)
class Summary:
    """One message: `title` is a line, `body` some lines, neither holds markup."""

    title: str
    body: str
    tone: Tone


def shown(value: float | None, unit: str) -> str:
    """Write a figure in its unit.

    >>> shown(0.625, "share"), shown(3.25, "times"), shown(104.0, "ms"), shown(1.0, "verdict"), shown(None, "ms")
    ('62.5%', '3.25 times', '104 ms', 'drift', 'none')
    """
    if value is None:
        return "none"
    if unit == "verdict":
        return "drift" if value >= 1 else "no drift"
    if unit == "share":
        return f"{100 * value:.4g}%"
    if unit == "count":
        return f"{value:,.0f}"
    suffix = {"times": " times", "ms": " ms"}.get(unit, "")
    return f"{value:.4g}{suffix}"


def summarise(alert: Mapping[str, Any]) -> Summary:
    """Return the message about a row of the table `alerts` that says firing or resolved."""
    resolved = alert["state"] == "resolved"
    facts = alert["details"]
    incident = facts.get("alert_id", alert["id"])
    title = f"Resolved: {alert['rule']}" if resolved else f"[{alert['severity']}] {alert['rule']} is firing"
    lines = [*_figures(alert), *(_ended(alert) if resolved else _begun(alert))]
    if not resolved:
        lines.append(f"What to do: {facts.get('what_to_do') or 'look at what recorded it: ' + alert['actor']}")
        lines.append(f'Acknowledge: sentinel alerts acknowledge {incident} --reason "…"')
    lines.append(f"Alert {incident}.")
    return Summary(title, "\n".join(lines), "success" if resolved else _TONE[alert["severity"]])


def _figures(alert: Mapping[str, Any]) -> list[str]:
    """Say metric, value and threshold; an alert that no rule made says its reason."""
    facts = alert["details"]
    if "comparison" not in facts:
        return [alert["reason"]]
    unit = facts.get("unit", "")
    counted = f" ({facts['count']:,} {facts['counted']})" if facts.get("count") is not None else ""
    return [
        f"{facts['description']} ({alert['metric']}): {shown(alert['value'], unit)}{counted}",
        f"Threshold: {facts['comparison']} {shown(alert['threshold'], unit)}, window {facts['window']}",
        *([alert["reason"]] if alert["value"] is None else []),
    ]


def _begun(alert: Mapping[str, Any]) -> list[str]:
    return [f"Since: {_moment(_since(alert))}"]


def _ended(alert: Mapping[str, Any]) -> list[str]:
    since, ended = _since(alert), alert["created_at"]
    return [f"From {_moment(since)} to {_moment(ended)}, {_lasted(ended - since)}"]


def _since(alert: Mapping[str, Any]) -> datetime:
    given = alert["details"].get("since")
    return datetime.fromisoformat(given) if given else alert["created_at"]


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _lasted(length: timedelta) -> str:
    minutes = max(round(length.total_seconds() / 60), 0)
    days, rest = divmod(minutes, 24 * 60)
    hours, minutes = divmod(rest, 60)
    parts = ((days, "d"), (hours, "h"), (minutes, "min"))
    return " ".join(f"{number} {unit}" for number, unit in parts if number) or "less than a minute"
