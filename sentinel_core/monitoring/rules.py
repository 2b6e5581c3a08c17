"""Alert rules: which figure, compared with what, over which window, and how often before it counts.

    [[rules]]
    name = "latency"                # unique; letters, digits, '.', '_' and '-'
    metric = "latency_p99_ms"       # one of `alert_metrics.METRICS`
    comparison = ">"                # > >= < <=
    threshold = 100
    window = "1h"                   # 1h 3h 6h 12h 24h 7d 14d 30d 90d
    severity = "medium"             # critical high medium low
    fires_after = 2                 # consecutive readings that breach; 2 unless given
    resolves_after = 3              # consecutive readings that are clear; 3 unless given
    resolves_at = 90                # clear is a reading on the good side of this; the threshold unless given
    at_least = 500                  # fewer observations than this say nothing; the metric's own unless given
    what_to_do = "Look at ..."      # in every message; the metric's own unless given

What is read and when is not known here: see `monitoring.alerting` for what a reading does to a rule.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Literal, cast, get_args

from sentinel_core.errors import SettingsError, did_you_mean
from sentinel_core.monitoring.alert_metrics import METRICS, Metric

Severity = Literal["critical", "high", "medium", "low"]
SEVERITIES: Final[tuple[Severity, ...]] = get_args(Severity)
COMPARISONS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
WINDOWS: Final[Mapping[str, timedelta]] = {
    **{f"{hours}h": timedelta(hours=hours) for hours in (1, 3, 6, 12, 24)},
    **{f"{days}d": timedelta(days=days) for days in (7, 14, 30, 90)},
}
"""What traffic is counted by is the hour: a shorter window could not be told from one."""
_REQUIRED: Final = ("name", "metric", "comparison", "threshold", "window", "severity")
_OPTIONAL: Final = ("fires_after", "resolves_after", "resolves_at", "at_least", "what_to_do")
_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_TEXT_MAX: Final = 1000
_REMEDY: Final = "See docs/monitoring.md and examples/alerts.toml."


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule; `window` is a name of `WINDOWS`. See the module for what the fields mean."""

    name: str
    metric: Metric
    comparison: str
    threshold: float
    window: str
    severity: Severity
    at_least: int
    what_to_do: str
    resolves_at: float
    fires_after: int = 2
    resolves_after: int = 3

    def breached(self, value: float) -> bool:
        """Whether a value lies where the rule wants somebody to look."""
        return COMPARISONS[self.comparison](value, self.threshold)

    def cleared(self, value: float) -> bool:
        """Whether a value counts as well again: between `threshold` and `resolves_at` it is neither."""
        return not COMPARISONS[self.comparison](value, self.resolves_at)


def read_rules(document: Mapping[str, Any], where: str) -> tuple[Rule, ...]:
    """Make the rules of a parsed TOML document; `where` names the file.

    Raises `SettingsError` that names the rule, the field and what is known in its place.
    """
    for key in document:
        _among(key, ("rules",), f"in {where} the tables", "")
    tables = document.get("rules", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise SettingsError(f"expected [[rules]] in {where}, got {tables!r}.", remedy=_REMEDY)
    rules = tuple(
        _rule(table, f"{where}, rule {table.get('name', number)!r}") for number, table in enumerate(tables, 1)
    )
    names = [rule.name for rule in rules]
    for name in names:
        if names.count(name) > 1:
            raise SettingsError(
                f"expected each rule in {where} once, got {name!r} twice.", remedy="Rename one of them."
            )
    return rules


def _rule(table: Mapping[str, Any], where: str) -> Rule:
    for key in table:
        _among(key, (*_REQUIRED, *_OPTIONAL), f"in {where} the fields", "")
    for key in _REQUIRED:
        if key not in table:
            raise SettingsError(f"expected {key} in {where}, found none.", remedy=_REMEDY)
    if not isinstance(table["name"], str) or not _NAME.fullmatch(table["name"]):
        raise SettingsError(
            f"expected a name of 1 to 64 letters, digits, '.', '_' and '-' in {where}, got {table['name']!r}.",
            remedy=_REMEDY,
        )
    metric = METRICS[_among(table["metric"], METRICS, "a known metric", where)]
    comparison = _among(table["comparison"], COMPARISONS, "a known comparison", where)
    threshold = _number(table, "threshold", where)
    resolves_at = _number(table, "resolves_at", where) if "resolves_at" in table else threshold
    if resolves_at != threshold and COMPARISONS[comparison](resolves_at, threshold):
        raise SettingsError(
            f"expected resolves_at on the good side of the threshold in {where} ({comparison} {threshold:g}), "
            f"got {resolves_at:g}.",
            remedy="A rule that fires above its threshold resolves at or below it.",
        )
    return Rule(
        name=table["name"],
        metric=metric,
        comparison=comparison,
        threshold=threshold,
        window=_among(table["window"], WINDOWS, "a known window", where),
        severity=cast(Severity, _among(table["severity"], SEVERITIES, "a known severity", where)),
        at_least=_count(table, "at_least", metric.at_least, where, lowest=0),
        what_to_do=_text(table, "what_to_do", metric.what_to_do, where),
        resolves_at=resolves_at,
        fires_after=_count(table, "fires_after", 2, where),
        resolves_after=_count(table, "resolves_after", 3, where),
    )


def _among(given: object, known: Iterable[str], what: str, where: str) -> str:
    names = tuple(known)
    if not isinstance(given, str) or given not in names:
        place = f" in {where}" if where else ""
        raise SettingsError(
            f"expected {what}{place}: {' '.join(names)}; got {given!r}.{did_you_mean(str(given), names)}",
            remedy=_REMEDY,
        )
    return given


def _number(table: Mapping[str, Any], key: str, where: str) -> float:
    given = table[key]
    if isinstance(given, bool) or not isinstance(given, int | float) or not math.isfinite(given):
        raise SettingsError(f"expected {key} in {where} to be a number, got {given!r}.", remedy=_REMEDY)
    return float(given)


def _count(table: Mapping[str, Any], key: str, default: int, where: str, *, lowest: int = 1) -> int:
    given = table.get(key, default)
    if isinstance(given, bool) or not isinstance(given, int) or given < lowest:
        raise SettingsError(
            f"expected {key} in {where} to be a whole number of at least {lowest}, got {given!r}.", remedy=_REMEDY
        )
    return given


def _text(table: Mapping[str, Any], key: str, default: str, where: str) -> str:
    given = table.get(key, default)
    if not isinstance(given, str) or "\x00" in given or len(given) > _TEXT_MAX:
        raise SettingsError(
            f"expected {key} in {where} to be text of at most {_TEXT_MAX} characters, got {given!r}.", remedy=_REMEDY
        )
    return given
