"""The catalogue: every feature as one declared value, in the order of the vector.

The documentation is generated from here (`catalog_markdown`), a bundle names features by name and
`definition_hash`, and the tests judge each one against an oracle of a few lines.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Final

from sentinel_core.errors import BundleError


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature: what it is, over which window of which entity, and its value at a cold start."""

    name: str
    group: str
    formula: str
    unit: str
    cold_start: float | None = None
    """The value for an entity without history; None where it does not depend on one."""
    entity: str | None = None
    window: str = ""

    @property
    def definition_hash(self) -> str:
        """16 hexadecimal digits over every field: a change of the definition changes it."""
        canonical = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.blake2b(canonical.encode(), digest_size=8).hexdigest()


def _transaction(name: str, formula: str, unit: str) -> Feature:
    return Feature(name, "transaction", formula, unit)


def _temporal(name: str, formula: str, unit: str) -> Feature:
    return Feature(name, "temporal", formula, unit)


def _user(name: str, window: str, formula: str, unit: str, cold_start: float, group: str = "user") -> Feature:
    return Feature(name, group, formula, unit, cold_start, "user", window)


def _merchant(name: str, window: str, formula: str, unit: str, cold_start: float | None) -> Feature:
    return Feature(name, "risk", formula, unit, cold_start, "merchant", window)


_KNOWN = "M the midnight (UTC) of the daily table in use"
_RISK = (
    "(F + 20·p)/(N + 20): of the events of the window, N those whose label was known at M, F the frauds among them,"
    f" p = F/N over all events of the window; {_KNOWN}"
)

CATALOGUE: Final[tuple[Feature, ...]] = (
    _transaction("amount", "amount", "currency"),
    _transaction("amount_log", "ln(1 + amount)", "log currency"),
    _transaction("is_small_amount", "1 where amount ≤ 5.00", "flag"),
    _transaction("is_round_amount", "1 where amount is a whole multiple of 10", "flag"),
    _transaction("is_bank_transfer", "1 where transaction_type is bank_transfer", "flag"),
    _temporal("hour_of_day", "hour of timestamp in UTC", "0 to 23"),
    _temporal("day_of_week", "weekday of timestamp in UTC, Monday 0", "0 to 6"),
    _temporal("day_of_month", "day of the month of timestamp in UTC", "1 to 31"),
    _temporal("is_weekend", "1 on Saturday and Sunday (UTC)", "flag"),
    _temporal("is_night", "1 from 22:00, included, to 06:00, excluded (UTC)", "flag"),
    _user("user_txn_count_1h", "(t − 1 h, t]", "attempts, this one included", "count", 1.0),
    _user("user_txn_count_24h", "(t − 24 h, t]", "attempts, this one included", "count", 1.0),
    _user("user_txn_count_7d", "(t − 7 d, t]", "attempts, this one included", "count", 1.0),
    _user("user_txn_count_30d", "(t − 30 d, t]", "attempts, this one included", "count", 1.0),
    _user("user_avg_amount_7d", "(t − 7 d, t]", "mean amount of the earlier attempts", "currency", 0.0),
    _user("user_avg_amount_30d", "(t − 30 d, t]", "mean amount of the earlier attempts", "currency", 0.0),
    _user(
        "user_std_amount_7d",
        "(t − 7 d, t]",
        "population standard deviation of the amounts of the earlier attempts",
        "currency",
        0.0,
    ),
    _user(
        "amount_zscore",
        "(t − 7 d, t]",
        "(amount − mean)/max(std, 0.05·mean, 1.00), clipped to ±20, over the earlier attempts;"
        " 0 with fewer than 3 of them",
        "deviations",
        0.0,
    ),
    _user(
        "amount_to_avg_ratio",
        "(t − 7 d, t]",
        "amount/max(mean, 0.01) over the earlier attempts; 1 with none",
        "ratio",
        1.0,
    ),
    _user("user_prior_count", "(h, t]", "earlier attempts in the history, which begins at h", "count", 0.0),
    _user(
        "txn_velocity_1h",
        "(t − 7 d − 1 h, t]",
        "(n₁ + 0.25)/(n₂/168 + 0.25): n₁ earlier attempts in (t − 1 h, t], n₂ in (t − 7 d − 1 h, t − 1 h]",
        "ratio",
        1.0,
    ),
    _user(
        "txn_velocity_24h",
        "(t − 8 d, t]",
        "(n₁ + 0.25)/(n₂/7 + 0.25): n₁ earlier attempts in (t − 24 h, t], n₂ in (t − 8 d, t − 24 h]",
        "ratio",
        1.0,
    ),
    _user(
        "time_since_last_txn",
        "(h, t]",
        "seconds since the last earlier attempt, at most 30 days",
        "seconds",
        2_592_000.0,
    ),
    _merchant("merchant_risk_score", "(M − delay − 30 d, M − delay]", _RISK, "probability", None),
    Feature(
        "country_risk_score",
        "risk",
        _RISK + "; by location_country",
        "probability",
        None,
        "country",
        "(M − delay − 30 d, M − delay]",
    ),
    _merchant("merchant_risk_1d", "(M − delay − 1 d, M − delay]", _RISK, "probability", None),
    _merchant("merchant_risk_7d", "(M − delay − 7 d, M − delay]", _RISK, "probability", None),
    _merchant("merchant_count_1d", "(M − delay − 1 d, M − delay]", f"N of merchant_risk_1d; {_KNOWN}", "count", 0.0),
    _merchant("merchant_count_7d", "(M − delay − 7 d, M − delay]", f"N of merchant_risk_7d; {_KNOWN}", "count", 0.0),
    _merchant(
        "merchant_count_30d", "(M − delay − 30 d, M − delay]", f"N of merchant_risk_score; {_KNOWN}", "count", 0.0
    ),
    _merchant(
        "merchant_recent_known_frauds",
        "(M − delay, M]",
        f"frauds of the window already known at M; {_KNOWN}",
        "count",
        0.0,
    ),
    _merchant(
        "merchant_days_since_known_fraud",
        "(M − 90 d, M]",
        f"days from the merchant's latest fraud known at M to M, at most 90; {_KNOWN}",
        "days",
        90.0,
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
    pairs = [[feature.name, feature.definition_hash] for feature in CATALOGUE]
    return hashlib.blake2b(json.dumps(pairs).encode(), digest_size=8).hexdigest()
