"""Genuine customers: sessions of their ordinary life, and the hard negatives among them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from sentinel_core.synthetic import vocabulary as v
from sentinel_core.synthetic.difficulty import Difficulty
from sentinel_core.synthetic.population import (
    COMPUTER,
    NEW_PHONE_DAYS,
    NIGHT_WORK,
    PROFILES,
    SLOTS,
    Population,
    hour_weights,
    is_night,
    local_hour,
)
from sentinel_core.synthetic.stream import GIFT, MICRO, NEW_PHONE, NIGHT, TRAVEL, Codes, Stream, make_stream
from sentinel_core.synthetic.vocabulary import Floats, IntArray
from sentinel_core.synthetic.world import DAY_US, WINDOW_DAYS, Clock, World

HOUR_US: Final = 3_600_000_000
FOLD_US: Final = 84 * DAY_US
"""Twelve weeks: moves a session that fell outside the window back in at the same weekday and hour."""
FAVOURITE: Final = 0.75
FIRST_FAVOURITES: Final = (0.60, 0.85)
MORE_IN_SESSION: Final = 0.28
SESSION_GAP: Final = (360.0, 1.0)
"""Median seconds and log-scale sigma between two payments of one outing."""
QUICK_GAP_SECONDS: Final = 40.0
CENTS_MAX: Final = 2_500_000
GIFT_FACTOR: Final = (4.0, 0.5)

_GIFTS = {"electronics": 0.3, "luxury": 0.25, "travel": 0.15, "marketplace": 0.12, "transfer": 0.18}
_ON_TRIP = {"restaurant": 0.34, "transport": 0.22, "travel": 0.1, "clothing": 0.08, "entertainment": 0.14, "cash": 0.12}


def _cumulative(shares: dict[str, float]) -> tuple[IntArray, Floats]:
    return np.array([v.CATEGORY[name] for name in shares]), np.cumsum(list(shares.values()))


@dataclass(frozen=True, slots=True)
class Sessions:
    """Sessions, one row each: user (of the block), kind (0 or a hard negative's code), size, begin (µs)."""

    user: IntArray
    kind: npt.NDArray[np.int8]
    size: IntArray
    begin: IntArray
    away: npt.NDArray[np.bool_]


def legitimate(
    rng: np.random.Generator, pop: Population, world: World, clock: Clock, codes: Codes, counts: dict[int, int]
) -> Stream:
    """Generate genuine transactions: `counts` of ordinary (0), gift and micro-subscription rows, exactly.

    The set-up sessions of new phones are taken out of the ordinary rows. Unsorted.
    """
    sessions = _sessions(rng, pop, clock, counts)
    of = np.repeat(np.arange(len(sessions.user)), sessions.size)
    offset = _offsets(rng, sessions, of)
    last = np.cumsum(sessions.size) - 1
    begin = np.where(sessions.begin < clock.start, sessions.begin + FOLD_US, sessions.begin)
    late = begin + offset[last] >= clock.end
    begin = np.where(late, begin - FOLD_US, begin)
    time = begin[of] + offset
    user, kind, away = sessions.user[of], sessions.kind[of], sessions.away[of]
    home = pop.country[user]
    city = np.where(away, pop.trip_city[user], pop.city[user])
    country = v.CITY_COUNTRY[city]
    category = _categories(rng, pop, user, kind, away)
    merchant = _merchants(rng, pop, world, user, category, country, away)
    online = (rng.random(len(of), dtype=np.float32) < v.ONLINE_SHARE[category]) & (category != v.CATEGORY["cash"])
    kind_of_payment = np.where(online, v.ONLINE, v.PURCHASE)
    kind_of_payment[category == v.CATEGORY["cash"]] = v.WITHDRAWAL
    kind_of_payment[category == v.CATEGORY["transfer"]] = v.TRANSFER
    device, device_type = _devices(rng, pop, user, time, sessions, of, kind_of_payment)
    return make_stream(
        len(of),
        time=time,
        user=pop.first + user,
        merchant=merchant,
        category=category,
        cents=_amounts(rng, pop, world, user, category, merchant, kind),
        type=kind_of_payment,
        device=device,
        device_type=device_type,
        address=_addresses(rng, pop, codes, user, city, away, device_type),
        city=city,
        card=np.where(kind_of_payment == v.TRANSFER, -1, rng.random(len(of), dtype=np.float32) < 0.15),
        negative=_negatives(pop, user, time, kind, away, home),
        sequence=-1,
    )


def _sessions(rng: np.random.Generator, pop: Population, clock: Clock, counts: dict[int, int]) -> Sessions:
    owner, generation = np.nonzero((pop.phones >= clock.start) & (pop.phones < clock.end - DAY_US))
    setup_size = np.minimum(rng.geometric(0.45, len(owner)), 4)
    keep = np.cumsum(setup_size) <= counts[0]
    owner, generation, setup_size = owner[keep], generation[keep], setup_size[keep]
    ordinary = _sizes(rng, counts[0] - int(setup_size.sum()), MORE_IN_SESSION, 0.5, 8)
    micro = _sizes(rng, counts[MICRO], 1.0, 0.45, 7)
    size = np.concatenate([ordinary, np.ones(counts[GIFT], np.int64), micro, setup_size])
    kinds = np.repeat(
        np.array([0, GIFT, MICRO, NEW_PHONE], np.int8), [len(ordinary), counts[GIFT], len(micro), len(setup_size)]
    )
    share = pop.rate / pop.rate.sum()
    drawn = [np.repeat(np.arange(len(pop)), rng.multinomial(n, share)) for n in (len(ordinary), counts[GIFT], len(micro))]
    user = np.concatenate([*drawn, owner])
    begin = _begins(rng, pop.profile[user], clock) - v.UTC_OFFSET_US[pop.country[user]]
    setup = kinds == NEW_PHONE
    begin[setup] = pop.phones[owner, generation] + rng.integers(60_000_000, 2 * HOUR_US, len(owner))
    away = pop.travels(user, begin) & ~setup
    begin[away] -= (
        v.UTC_OFFSET_US[v.CITY_COUNTRY[pop.trip_city[user[away]]]] - v.UTC_OFFSET_US[pop.country[user[away]]]
    )
    return Sessions(user, kinds, size, begin, away)


def _sizes(rng: np.random.Generator, rows: int, more: float, stop: float, most: int) -> IntArray:
    """Draw session sizes that sum to exactly `rows`: 1, and with chance `more` a geometric number beyond it."""
    extra = np.where(rng.random(rows) < more, np.minimum(rng.geometric(stop, rows), most - 1), 0)
    size = 1 + extra
    total = np.cumsum(size)
    last = int(np.searchsorted(total, rows))
    size = size[: last + 1]
    if rows:
        size[-1] -= total[last] - rows
    return size


def _begins(rng: np.random.Generator, profile: IntArray, clock: Clock) -> IntArray:
    """Draw local times over the window by each profile's weekday and hour."""
    days = WINDOW_DAYS + 2
    first_day = clock.start // DAY_US
    weekday = (first_day + np.arange(days) + 3) % 7
    table = hour_weights()[:, weekday, :].reshape(len(PROFILES), -1)
    table = np.cumsum(table / table.sum(axis=1, keepdims=True), axis=1)
    table[:, -1] = 1.0
    flat = (table + np.arange(len(PROFILES))[:, None]).ravel()
    slot = np.searchsorted(flat, profile + rng.random(len(profile)), side="right") - profile * days * 24
    within = rng.integers(0, 3_600_000, len(profile)) * 1000
    return first_day * DAY_US + slot * HOUR_US + within


def _offsets(rng: np.random.Generator, sessions: Sessions, of: IntArray) -> IntArray:
    n = len(of)
    gap = np.zeros(n)
    follows = np.ones(n, dtype=bool)
    follows[np.cumsum(sessions.size) - sessions.size] = False
    rows = np.nonzero(follows)[0]
    quick = sessions.kind[of[rows]] != 0
    median, sigma = SESSION_GAP
    ordinary = median * np.exp(sigma * rng.standard_normal(len(rows)))
    gap[rows] = np.where(quick, QUICK_GAP_SECONDS * rng.standard_exponential(len(rows)) + 4.0, np.minimum(ordinary, 7200.0))
    total = np.cumsum((gap * 1000).astype(np.int64) * 1000)
    starts = np.cumsum(sessions.size) - sessions.size
    return total - total[starts][of]


def _categories(
    rng: np.random.Generator, pop: Population, user: IntArray, kind: npt.NDArray[np.int8], away: npt.NDArray[np.bool_]
) -> IntArray:
    u = rng.random(len(user), dtype=np.float32)
    category = (pop.mix[user] < u[:, None]).sum(axis=1)
    np.minimum(category, v.N_CATEGORIES - 1, out=category)
    again = rng.random(len(user), dtype=np.float32)
    verifies = (kind == NEW_PHONE) & (again < 0.6)
    small = (kind == MICRO) | verifies
    category[small] = np.where(u[small] < 0.7, v.CATEGORY["subscription"], v.CATEGORY["digital_goods"])
    for rows, shares in ((kind == GIFT, _GIFTS), (away & (kind == 0) & (again < 0.5), _ON_TRIP)):
        names, cumulative = _cumulative(shares)
        category[rows] = names[np.minimum(np.searchsorted(cumulative, u[rows]), len(names) - 1)]
    return category


def _merchants(
    rng: np.random.Generator,
    pop: Population,
    world: World,
    user: IntArray,
    category: IntArray,
    country: IntArray,
    away: npt.NDArray[np.bool_],
) -> IntArray:
    u = rng.random(len(user), dtype=np.float32)
    scaled = u / FAVOURITE
    rank = (scaled > FIRST_FAVOURITES[0]).astype(np.int64) + (scaled > FIRST_FAVOURITES[1])
    merchant = pop.favourites[user, category, rank].astype(np.int64)
    new = np.nonzero((u > FAVOURITE) | (away & ~v.WORLDWIDE[category]))[0]
    merchant[new] = world.popular(category[new], country[new], rng.random(len(new)))
    return merchant


def _devices(
    rng: np.random.Generator,
    pop: Population,
    user: IntArray,
    time: IntArray,
    sessions: Sessions,
    of: IntArray,
    payment: IntArray,
) -> tuple[IntArray, IntArray]:
    """Pay in shops with the phone; online with what the session uses: phone, computer or the household's tablet."""
    device = pop.phone(user, time)
    device_type = np.full(len(user), v.MOBILE)
    owner = sessions.user
    at_desk = (rng.random(len(owner), dtype=np.float32) > pop.online_phone[owner]) & (sessions.kind != NEW_PHONE)
    on_tablet = at_desk & (pop.tablet[owner] >= 0) & (~pop.has_computer[owner] | (rng.random(len(owner)) < 0.4))
    on_computer = at_desk & pop.has_computer[owner] & ~on_tablet
    remote = (payment == v.ONLINE) | (payment == v.TRANSFER)
    rows = remote & on_computer[of]
    device[rows] = (pop.first + user[rows]) * SLOTS + COMPUTER
    device_type[rows] = v.DESKTOP
    rows = remote & on_tablet[of]
    device[rows] = pop.tablet[user[rows]]
    device_type[rows] = v.TABLET
    return device, device_type


def _addresses(
    rng: np.random.Generator,
    pop: Population,
    codes: Codes,
    user: IntArray,
    city: IntArray,
    away: npt.NDArray[np.bool_],
    device_type: IntArray,
) -> IntArray:
    u = rng.random(len(user), dtype=np.float32)
    carrier = codes.carrier_address + v.CITY_COUNTRY[city] * codes.carriers + (u * 1000).astype(np.int64) % codes.carriers
    at_home = ~away & ((device_type != v.MOBILE) | (u < 0.4))
    address = np.where(at_home, pop.first + user, carrier)
    hotel = away & (u < 0.6)
    address[hotel] = codes.hotel_address + city[hotel] * codes.hotels + user[hotel] % codes.hotels
    return address


def _amounts(
    rng: np.random.Generator,
    pop: Population,
    world: World,
    user: IntArray,
    category: IntArray,
    merchant: IntArray,
    kind: npt.NDArray[np.int8],
) -> IntArray:
    n = len(user)
    log = v.LOG_MEDIAN[category] + world.log_price[merchant] + pop.log_scale[user]
    log += v.SIGMA[category] * rng.standard_normal(n, dtype=np.float32)
    gift = np.nonzero(kind == GIFT)[0]
    log[gift] += np.log(GIFT_FACTOR[0]) * 0.5 + GIFT_FACTOR[1] * rng.standard_normal(len(gift))
    cents = np.rint(np.exp(log) * 100).astype(np.int64)
    small = np.nonzero((kind == MICRO) | ((kind == NEW_PHONE) & (category >= v.CATEGORY["digital_goods"])))[0]
    cents[small] = rng.integers(50, 501, len(small))
    cash = category == v.CATEGORY["cash"]
    cents[cash] = np.maximum((cents[cash] + 500) // 1000, 1) * 1000
    rounded = np.nonzero(category == v.CATEGORY["transfer"])[0]
    rounded = rounded[rng.random(len(rounded)) < 0.5]
    cents[rounded] = np.maximum((cents[rounded] + 500) // 1000, 1) * 1000
    return np.clip(cents, 30, CENTS_MAX)


def _negatives(
    pop: Population,
    user: IntArray,
    time: IntArray,
    kind: npt.NDArray[np.int8],
    away: npt.NDArray[np.bool_],
    home: IntArray,
) -> npt.NDArray[np.int8]:
    """Name each row's kind of hard negative: the session's own, else travel, a new phone, night work."""
    replaced = pop.phones[user]
    fresh = ((replaced <= time[:, None]) & (time[:, None] < replaced + NEW_PHONE_DAYS * DAY_US)).any(axis=1)
    at_night = (pop.profile[user] == NIGHT_WORK) & is_night(local_hour(time, home))
    negative = kind.copy()
    for code, rows in ((TRAVEL, away), (NEW_PHONE, fresh), (NIGHT, at_night)):
        negative[(negative == 0) & rows] = code
    return negative


def row_counts(rows: int, frauds: int, lookalikes: int, hard: Difficulty) -> dict[int, int]:
    """Split genuine rows into ordinary, gift and micro-subscription ones; lookalikes come out of the gifts."""
    total = hard.hard_negatives_per_fraud * frauds
    gift = max(round(total * hard.gift_share) - lookalikes, 0)
    micro = round(total * hard.micro_share)
    gift, micro = min(gift, rows // 4), min(micro, rows // 4)
    return {0: rows - gift - micro, GIFT: gift, MICRO: micro}
