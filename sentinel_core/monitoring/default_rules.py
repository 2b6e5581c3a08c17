"""The rules that hold where SENTINEL_ALERT_RULES names none; examples/alerts.toml shows them with others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sentinel_core.monitoring.rules import Rule, read_rules

DOCUMENT: Final[Mapping[str, Any]] = {
    "rules": [
        {
            "name": "fraud_rate",
            "metric": "fraud_rate",
            "comparison": ">",
            "threshold": 0.5,
            "window": "1h",
            "severity": "critical",
            "resolves_at": 0.45,
        },
        {
            "name": "precision",
            "metric": "precision",
            "comparison": "<",
            "threshold": 0.7,
            "window": "7d",
            "severity": "high",
            "resolves_at": 0.72,
        },
        {
            "name": "latency",
            "metric": "latency_p99_ms",
            "comparison": ">",
            "threshold": 100,
            "window": "1h",
            "severity": "medium",
            "resolves_at": 90,
        },
        {
            "name": "drift",
            "metric": "drift",
            "comparison": ">=",
            "threshold": 1,
            "window": "3h",
            "severity": "high",
            # A verdict needed two windows already.
            "fires_after": 1,
            "resolves_after": 2,
        },
        {
            "name": "alert_share",
            "metric": "alert_share_ratio",
            "comparison": ">",
            "threshold": 3,
            "window": "1h",
            "severity": "high",
            "resolves_at": 2.5,
        },
    ]
}


def default_rules() -> tuple[Rule, ...]:
    """Return the five rules of the default."""
    return read_rules(DOCUMENT, "the default rules")
