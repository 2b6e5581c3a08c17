"""The judge of the kernel: each feature in a few slow and obvious lines, in exact arithmetic, one row at a time.

Rows are in order of arrival. Nothing here knows of blocks, prefix sums or histories in Redis.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from functools import cached_property

import numpy as np

from sentinel_core.features.entities import TOUCHED, USER, EntityKind
from sentinel_core.features.events import Events, Labels, hash_texts

SECOND = 1_000_000
HOUR = 3600 * SECOND
DAY = 24 * HOUR


@dataclass(frozen=True)
class Row:
    """A transaction; times in µs since 1970 UTC."""

    user: str
    time: int
    cents: int = 1000
    merchant: str | None = "m"
    device: str | None = None
    country: str | None = None
    address: str | None = None
    is_bank_transfer: bool = False


@dataclass(frozen=True)
class Label:
    """What became known about the row of a number, and when (µs)."""

    row: int
    is_fraud: bool
    known_at: int


@dataclass(frozen=True)
class World:
    """Rows in order of arrival, and what became known about them."""

    rows: Sequence[Row]
    labels: Sequence[Label] = ()
    delay: int = 7 * DAY
    kind: EntityKind = USER
    _late: dict[EntityKind, list[bool]] = field(init=False, repr=False, compare=False, default_factory=dict)

    @property
    def late(self) -> list[bool]:
        """Which rows came more than L behind the newest of their entity, row by row."""
        return self.late_for(self.kind)

    def late_for(self, kind: EntityKind) -> list[bool]:
        """The same for a kind of entities."""
        if kind not in self._late:
            self._late[kind] = self._lateness(kind)
        return self._late[kind]

    def _lateness(self, kind: EntityKind) -> list[bool]:
        newest: dict[str | None, int] = {}
        late = []
        for row in self.rows:
            ahead = newest.get(entity(row, kind), row.time)
            late.append(ahead - row.time > kind.lateness_us)
            newest[entity(row, kind)] = max(ahead, row.time)
        return late

    def arrived_before(self, i: int, kind: EntityKind | None = None) -> list[Row]:
        """Everything that is in the entity's history when row i arrives, untrimmed; the user's without a kind."""
        kind = kind or self.kind
        late, own = self.late_for(kind), entity(self.rows[i], kind)
        return [r for j, r in enumerate(self.rows[:i]) if entity(r, kind) == own and not late[j]]

    def past(self, i: int, kind: EntityKind | None = None) -> list[Row]:
        """What row i may look at, the latest last."""
        kind = kind or self.kind
        row, arrived = self.rows[i], self.arrived_before(i, kind)
        if self.late_for(kind)[i]:
            return []
        newest = max([row.time, *(r.time for r in arrived)])
        oldest = newest - kind.longest_window_us - kind.lateness_us
        history = sorted((r for r in arrived if r.time > oldest), key=lambda r: r.time)[-kind.cap :]
        return [r for r in history if r.time <= row.time]

    def known(self, as_of: int) -> dict[int, bool]:
        """What was known at a moment: row number → whether it was fraud."""
        latest = sorted((label for label in self.labels if label.known_at <= as_of), key=lambda label: label.known_at)
        return {label.row: label.is_fraud for label in latest}

    def events(self) -> Events:
        """The rows as the kernel takes them."""
        return self._events

    @cached_property
    def _events(self) -> Events:
        return to_events(self.rows)

    def label_arrays(self) -> Labels:
        """The labels as the risk tables take them."""
        return Labels.of(
            np.array([label.row for label in self.labels], dtype=np.int64),
            np.array([label.is_fraud for label in self.labels], dtype=np.bool_),
            np.array([label.known_at for label in self.labels], dtype=np.int64),
        )


def entity(row: Row, kind: EntityKind) -> str | None:
    """The id of the entity of a kind that a row belongs to."""
    found: str | None = getattr(row, kind.name)
    return found


def to_events(rows: Sequence[Row]) -> Events:
    return Events(
        id_hash=np.arange(1, len(rows) + 1, dtype=np.uint64),
        user=hash_texts([row.user for row in rows]),
        merchant=hash_texts([row.merchant for row in rows]),
        device=hash_texts([row.device for row in rows]),
        address=hash_texts([row.address for row in rows]),
        country=hash_texts([row.country for row in rows]),
        time=np.array([row.time for row in rows], dtype=np.int64),
        cents=np.array([row.cents for row in rows], dtype=np.int64),
        arrival=np.arange(len(rows), dtype=np.int64),
        is_bank_transfer=np.array([row.is_bank_transfer for row in rows], dtype=np.bool_),
    )


def vector(world: World, i: int, as_of: int | None = None) -> dict[str, float]:
    """Return every feature of row i by name; `as_of` names another midnight than the one that serves it (0: none)."""
    row, past = world.rows[i], world.past(i)
    values = {name: formula(row) for name, formula in OF_THE_TRANSACTION.items()}
    values |= {name: formula(row, past) for name, formula in OF_THE_HISTORY.items()}
    for kind in TOUCHED:
        values |= attempts(row, world.past(i, kind), kind)
    moment = served(row.time) if as_of is None else as_of
    values |= risk(world, row, moment) if moment else dict.fromkeys(RISK, 0.0) | {DAYS_SINCE: 90.0}
    return {name: float(value) for name, value in values.items()}


# The transaction by itself.


def clock(row: Row) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=row.time)


Number = float | Fraction
OF_THE_TRANSACTION: Mapping[str, Callable[[Row], Number]] = {
    "amount": lambda row: Fraction(row.cents, 100),
    "amount_log": lambda row: math.log1p(row.cents / 100),
    "is_small_amount": lambda row: row.cents <= 500,
    "is_round_amount": lambda row: row.cents % 1000 == 0,
    "is_bank_transfer": lambda row: row.is_bank_transfer,
    "hour_of_day": lambda row: clock(row).hour,
    "day_of_week": lambda row: clock(row).weekday(),
    "day_of_month": lambda row: clock(row).day,
    "is_weekend": lambda row: clock(row).weekday() in (5, 6),
    "is_night": lambda row: clock(row).hour >= 22 or clock(row).hour < 6,
}


# The user's past.


def within(past: list[Row], row: Row, window: int, upto: int = 0) -> list[Row]:
    """The earlier rows in (t − window, t − upto]."""
    return [r for r in past if row.time - window < r.time <= row.time - upto]


def mean(past: list[Row]) -> Fraction:
    return Fraction(sum(r.cents for r in past), 100 * len(past)) if past else Fraction(0)


def deviation(past: list[Row]) -> float:
    if not past:
        return 0.0
    center = mean(past)
    return math.sqrt(sum((Fraction(r.cents, 100) - center) ** 2 for r in past) / len(past))


def zscore(row: Row, past: list[Row]) -> Number:
    if len(past) < 3:
        return 0
    center = mean(past)
    spread = max(Fraction(deviation(past)), center / 20, Fraction(1))
    return min(max((Fraction(row.cents, 100) - center) / spread, Fraction(-20)), Fraction(20))


def ratio(row: Row, past: list[Row]) -> Number:
    return Fraction(row.cents, 100) / max(mean(past), Fraction(1, 100)) if past else 1


def velocity(row: Row, past: list[Row], window: int) -> Number:
    recent, baseline = within(past, row, window), within(past, row, 7 * DAY + window, window)
    return (len(recent) + Fraction(1, 4)) / (Fraction(len(baseline) * window, 7 * DAY) + Fraction(1, 4))


def since_last(row: Row, past: list[Row]) -> Number:
    return min(Fraction(row.time - past[-1].time, SECOND), Fraction(30 * 86_400)) if past else 30 * 86_400


def changed(now: str | None, before: str | None) -> bool:
    return now is not None and before is not None and now != before


def same(now: str | None, before: list[str | None]) -> int:
    return 0 if now is None else before.count(now)


OF_THE_HISTORY: Mapping[str, Callable[[Row, list[Row]], Number]] = {
    "user_txn_count_1h": lambda row, past: 1 + len(within(past, row, HOUR)),
    "user_txn_count_24h": lambda row, past: 1 + len(within(past, row, DAY)),
    "user_txn_count_7d": lambda row, past: 1 + len(within(past, row, 7 * DAY)),
    "user_txn_count_30d": lambda row, past: 1 + len(within(past, row, 30 * DAY)),
    "user_avg_amount_7d": lambda row, past: mean(within(past, row, 7 * DAY)),
    "user_avg_amount_30d": lambda row, past: mean(within(past, row, 30 * DAY)),
    "user_std_amount_7d": lambda row, past: deviation(within(past, row, 7 * DAY)),
    "amount_zscore": lambda row, past: zscore(row, within(past, row, 7 * DAY)),
    "amount_to_avg_ratio": lambda row, past: ratio(row, within(past, row, 7 * DAY)),
    "amount_to_older_ratio": lambda row, past: ratio(row, within(past, row, 30 * DAY, upto=14 * DAY)),
    "user_prior_count": lambda row, past: len(past),
    "txn_velocity_1h": lambda row, past: velocity(row, past, HOUR),
    "txn_velocity_24h": lambda row, past: velocity(row, past, DAY),
    "time_since_last_txn": since_last,
    "device_change_flag": lambda row, past: bool(past) and changed(row.device, past[-1].device),
    "location_change_flag": lambda row, past: bool(past) and changed(row.country, past[-1].country),
    "user_device_count_30d": lambda row, past: same(row.device, [r.device for r in within(past, row, 30 * DAY)]),
    "user_country_count_30d": lambda row, past: same(row.country, [r.country for r in within(past, row, 30 * DAY)]),
    "user_merchant_count_30d": lambda row, past: same(row.merchant, [r.merchant for r in within(past, row, 30 * DAY)]),
}


# What was proposed and is in no vector.


def high(row: Row, past: list[Row], window: int) -> int:
    older = within(past, row, 30 * DAY, upto=14 * DAY)
    recent = [*within(past, row, window), row] if older else []
    return sum(Fraction(r.cents, 100) > Fraction(5, 2) * mean(older) for r in recent)


def hour_share(row: Row, past: list[Row]) -> Number:
    near = [r for r in past if (clock(r).hour - clock(row).hour) % 24 in (23, 0, 1)]
    return Fraction(len(near) + 1, len(past) + 8)


PROPOSED: Mapping[str, Callable[[Row, list[Row]], Number]] = {
    "user_high_count_7d": lambda row, past: high(row, past, 7 * DAY),
    "user_high_count_14d": lambda row, past: high(row, past, 14 * DAY),
    "is_first_at_merchant": lambda row, past: (
        row.merchant is not None and not same(row.merchant, [r.merchant for r in past])
    ),
    "user_merchant_distinct_24h": lambda row, past: len({r.merchant for r in [*within(past, row, DAY), row]}),
    "user_hour_share_30d": lambda row, past: hour_share(row, within(past, row, 30 * DAY)),
}


# What the device, the address and the merchant saw of late.

WINDOWS = {"10m": 600 * SECOND, "1h": HOUR, "24h": DAY}


def attempts(row: Row, past: list[Row], kind: EntityKind) -> dict[str, int]:
    values = {}
    for name in ("10m", "1h", "24h") if kind.name != "merchant" else ("10m", "1h"):
        everybody = [*within(past, row, WINDOWS[name]), row]
        values[f"{kind.name}_txn_count_{name}"] = len(everybody)
        values[f"{kind.name}_small_count_{name}"] = sum(r.cents <= 500 for r in everybody)
        if (kind.name, name) == ("device", "24h"):
            values["device_user_count_24h"] = len({r.user for r in everybody})
    return values if entity(row, kind) is not None else dict.fromkeys(values, 0)


# What was known about the merchant and the country at midnight.

DAYS_SINCE = "merchant_days_since_known_fraud"
RISK = (
    "merchant_risk_score",
    "merchant_risk_1d",
    "merchant_risk_7d",
    "merchant_count_1d",
    "merchant_count_7d",
    "merchant_count_30d",
    "merchant_recent_known_frauds",
    DAYS_SINCE,
    "country_risk_score",
)


def served(time: int) -> int:
    return (time - HOUR) // DAY * DAY


def smoothed(labels: list[bool], everybody: list[bool]) -> Number:
    prior = Fraction(sum(everybody), len(everybody)) if everybody else Fraction(0)
    return (sum(labels) + 20 * prior) / (len(labels) + 20)


def risk(world: World, row: Row, as_of: int) -> dict[str, Number]:
    known = [(world.rows[number], is_fraud) for number, is_fraud in world.known(as_of).items()]
    values: dict[str, Number] = {}
    for days, name in ((1, "merchant_risk_1d"), (7, "merchant_risk_7d"), (30, "merchant_risk_score")):
        upto = as_of - world.delay
        window = [(r, is_fraud) for r, is_fraud in known if upto - days * DAY < r.time <= upto]
        everybody = [is_fraud for _, is_fraud in window]
        here = [is_fraud for r, is_fraud in window if row.merchant is not None and r.merchant == row.merchant]
        country = [is_fraud for r, is_fraud in window if row.country is not None and r.country == row.country]
        values[name] = smoothed(here, everybody)
        values[f"merchant_count_{days}d"] = len(here)
        values["country_risk_score"] = smoothed(country, everybody)
    frauds = [r.time for r, is_fraud in known if is_fraud and row.merchant is not None and r.merchant == row.merchant]
    values["merchant_recent_known_frauds"] = sum(as_of - world.delay < time <= as_of for time in frauds)
    latest = max((time for time in frauds if time <= as_of), default=0)
    values[DAYS_SINCE] = min(Fraction(as_of - latest, DAY), Fraction(90))
    return values
