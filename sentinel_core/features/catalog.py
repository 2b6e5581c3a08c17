"""The catalogue: every feature as one declared value, in the order of the vector.

The documentation is generated from here (`document.catalog_markdown`), a bundle names features by name and
`definition_hash`, and the tests judge each one against an oracle of a few lines. Figures in the formulas
are those of the code that applies them.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any, Final

from sentinel_core.errors import BundleError
from sentinel_core.features.attempts import WINDOWS
from sentinel_core.features.calendar import NIGHT_FROM, NIGHT_TO
from sentinel_core.features.entities import TOUCHED, USER, EntityKind
from sentinel_core.features.kernel import (
    RATIO_MIN_MEAN,
    SPREAD_MIN,
    SPREAD_SHARE,
    VELOCITY_SMOOTHING,
    ZSCORE_LIMIT,
    ZSCORE_MIN_EVENTS,
)
from sentinel_core.features.risk import PRIOR_WEIGHT, SERVED_AFTER_US
from sentinel_core.features.risk_table import RECENCY_DAYS
from sentinel_core.features.transaction import ROUND_CENTS, SMALL_CENTS


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature: what it is, over which window of which entity, and its value where nothing is known yet.

    `cold_start` is None for a feature that depends on its own transaction alone.
    """

    name: str
    group: str
    formula: str
    unit: str
    cold_start: float | None = None
    entity: str | None = None
    window: str = ""

    @property
    def definition_hash(self) -> str:
        """16 hexadecimal digits over every field and what its windows rest on: another meaning, another hash."""
        return _digest([asdict(self), _RESTS_ON.get((self.entity, self.group == "risk"))])


def _limits(kind: EntityKind) -> dict[str, Any]:
    names = ("name", "column", "longest_window_us", "lateness_us", "cap")
    return {name: getattr(kind, name) for name in names}


_TABLES: Final = {"table_served_after_us": SERVED_AFTER_US}
_RESTS_ON: Final[dict[tuple[str | None, bool], dict[str, Any]]] = {
    **{(kind.name, False): _limits(kind) for kind in (USER, *TOUCHED)},
    **{(entity, True): _TABLES for entity in ("merchant", "country")},
}
"""What windows rest on, by entity and whether a daily table answers: the limits of histories, or the table's hour."""


def _digest(value: Any) -> str:
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.blake2b(canonical.encode(), digest_size=8).hexdigest()


def _transaction(name: str, formula: str, unit: str) -> Feature:
    return Feature(name, "transaction", formula, unit)


def _temporal(name: str, formula: str, unit: str) -> Feature:
    return Feature(name, "temporal", formula, unit)


def _user(name: str, window: str, formula: str, unit: str, cold_start: float, group: str = "user") -> Feature:
    return Feature(name, group, formula, unit, cold_start, "user", window)


def _count(name: str, window: str) -> Feature:
    return _user(name, window, "attempts, this one included", "count", 1.0)


def _velocity(name: str, recent: str, baseline: str, before: str, windows: int) -> Feature:
    formula = (
        f"(n₁ + {VELOCITY_SMOOTHING})/(n₂/{windows} + {VELOCITY_SMOOTHING}): n₁ earlier attempts in {recent},"
        f" n₂ in {before}"
    )
    return _user(name, baseline, formula, "ratio", 1.0)


def _familiarity(what: str, column: str) -> Feature:
    return _user(
        f"user_{what}_count_30d",
        "(t − 30 d, t]",
        f"earlier attempts with this {column}; 0 where it is unknown",
        "count",
        0.0,
        group="change",
    )


def _risk(name: str, days: int, entity: str = "merchant") -> Feature:
    formula = (
        f"(F + {PRIOR_WEIGHT}·p)/(N + {PRIOR_WEIGHT}): N events of the {entity} in the window with a label known"
        " at M, F the frauds among them, p = F/N over all events of the window (0 where none is known)"
    )
    return Feature(name, "risk", formula, "probability", 0.0, entity, f"(M − delay − {days} d, M − delay]")


def _merchant(name: str, window: str, formula: str, unit: str, cold_start: float) -> Feature:
    return Feature(name, "risk", formula, unit, cold_start, "merchant", window)


def _known(name: str, days: int) -> Feature:
    formula = "events of the merchant with a label known at M"
    return _merchant(name, f"(M − delay − {days} d, M − delay]", formula, "count", 0.0)


def _attempts(kind: EntityKind) -> tuple[Feature, ...]:
    unknown = f"0 where {kind.column} is unknown"

    def count(what: str, window: str, formula: str, cold_start: float) -> Feature:
        edges = f"(t − {window[:-1]} {_UNITS[window[-1]]}, t]"
        return Feature(
            f"{kind.name}_{what}_{window}", "attempts", f"{formula}; {unknown}", "count", cold_start, kind.name, edges
        )

    small = f"attempts of at most {SMALL_CENTS / 100:.2f}, this one included"
    features = [
        *(count("txn_count", window, "attempts of anybody, this one included", 1.0) for window in WINDOWS[kind.name]),
        *(count("small_count", window, small, 0.0) for window in WINDOWS[kind.name]),
    ]
    if kind.name == "device":
        features.append(count("user_count", "24h", "distinct users who tried, this one included", 1.0))
    return tuple(features)


_UNITS: Final = {"m": "min", "h": "h"}

CATALOGUE: Final[tuple[Feature, ...]] = (
    _transaction("amount", "amount", "currency"),
    _transaction("amount_log", "ln(1 + amount)", "log currency"),
    _transaction("is_small_amount", f"1 where amount ≤ {SMALL_CENTS / 100:.2f}", "flag"),
    _transaction("is_round_amount", f"1 where amount is a whole multiple of {ROUND_CENTS // 100}", "flag"),
    _transaction("is_bank_transfer", "1 where transaction_type is bank_transfer", "flag"),
    _temporal("hour_of_day", "hour of the timestamp in UTC", "0 to 23"),
    _temporal("day_of_week", "weekday of the timestamp in UTC, Monday 0", "0 to 6"),
    _temporal("day_of_month", "day of the month of the timestamp in UTC", "1 to 31"),
    _temporal("is_weekend", "1 on Saturday and Sunday (UTC)", "flag"),
    _temporal("is_night", f"1 from {NIGHT_FROM}:00, included, to {NIGHT_TO:02d}:00, excluded (UTC)", "flag"),
    _count("user_txn_count_1h", "(t − 1 h, t]"),
    _count("user_txn_count_24h", "(t − 24 h, t]"),
    _count("user_txn_count_7d", "(t − 7 d, t]"),
    _count("user_txn_count_30d", "(t − 30 d, t]"),
    _user("user_avg_amount_7d", "(t − 7 d, t]", "mean amount of the earlier attempts; 0 with none", "currency", 0.0),
    _user("user_avg_amount_30d", "(t − 30 d, t]", "mean amount of the earlier attempts; 0 with none", "currency", 0.0),
    _user(
        "user_std_amount_7d",
        "(t − 7 d, t]",
        "population standard deviation of the amounts of the earlier attempts; 0 with none",
        "currency",
        0.0,
    ),
    _user(
        "amount_zscore",
        "(t − 7 d, t]",
        f"(amount − mean)/max(std, {SPREAD_SHARE}·mean, {SPREAD_MIN:.2f}), clipped to ±{ZSCORE_LIMIT:g}, with mean and"
        f" std of the earlier attempts; 0 with fewer than {ZSCORE_MIN_EVENTS} of them",
        "deviations",
        0.0,
    ),
    _user(
        "amount_to_avg_ratio",
        "(t − 7 d, t]",
        f"amount/max(mean, {RATIO_MIN_MEAN}) with the mean of the earlier attempts; 1 with none",
        "ratio",
        1.0,
    ),
    _user(
        "amount_to_older_ratio",
        "(t − 30 d, t − 14 d]",
        f"amount/max(mean, {RATIO_MIN_MEAN}) with the mean of the earlier attempts; 1 with none",
        "ratio",
        1.0,
    ),
    _user("user_prior_count", "(h, t]", "earlier attempts in the history, which begins after h", "count", 0.0),
    _velocity("txn_velocity_1h", "(t − 1 h, t]", "(t − 7 d − 1 h, t]", "(t − 7 d − 1 h, t − 1 h]", 168),
    _velocity("txn_velocity_24h", "(t − 24 h, t]", "(t − 8 d, t]", "(t − 8 d, t − 24 h]", 7),
    _user(
        "time_since_last_txn",
        "(h, t]",
        "seconds since the last earlier attempt, at most 30 days; 30 days with none",
        "seconds",
        2_592_000.0,
    ),
    _user(
        "device_change_flag",
        "(h, t]",
        "1 where device_id differs from the last earlier attempt's; 0 where either is unknown",
        "flag",
        0.0,
        group="change",
    ),
    _user(
        "location_change_flag",
        "(h, t]",
        "1 where location_country differs from the last earlier attempt's; 0 where either is unknown",
        "flag",
        0.0,
        group="change",
    ),
    _familiarity("device", "device_id"),
    _familiarity("country", "location_country"),
    _familiarity("merchant", "merchant_id"),
    _risk("merchant_risk_score", 30),
    _risk("merchant_risk_1d", 1),
    _risk("merchant_risk_7d", 7),
    _known("merchant_count_1d", 1),
    _known("merchant_count_7d", 7),
    _known("merchant_count_30d", 30),
    _merchant(
        "merchant_recent_known_frauds",
        "(M − delay, M]",
        "events of the merchant that were known at M to be fraud",
        "count",
        0.0,
    ),
    _merchant(
        "merchant_days_since_known_fraud",
        f"(M − {RECENCY_DAYS} d, M]",
        "days from the latest event of the merchant that was known at M to be fraud, to M;"
        f" {RECENCY_DAYS} with none in the window",
        "days",
        float(RECENCY_DAYS),
    ),
    _risk("country_risk_score", 30, entity="country"),
    *(feature for kind in TOUCHED for feature in _attempts(kind)),
)

FEATURE_NAMES: Final[tuple[str, ...]] = tuple(feature.name for feature in CATALOGUE)
POSITION: Final[dict[str, int]] = {name: position for position, name in enumerate(FEATURE_NAMES)}


def feature(name: str) -> Feature:
    """Return a feature by name; raises `BundleError` for a name that the catalogue does not hold."""
    try:
        return CATALOGUE[POSITION[name]]
    except KeyError:
        raise BundleError(
            f"expected a feature of the catalogue, got {name!r}.",
            remedy="docs/features.md lists them; a bundle that names another needs the release that knows it.",
        ) from None


def catalogue_hash() -> str:
    """Return 16 hexadecimal digits over the names and hashes of the whole catalogue, in order."""
    return _digest([[feature.name, feature.definition_hash] for feature in CATALOGUE])
