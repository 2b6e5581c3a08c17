"""Where and how genuine customers pay: merchant, amount, device, address; and which rows are hard negatives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from sentinel_core.synthetic import vocabulary as v
from sentinel_core.synthetic.codes import COMPUTER, SLOTS, Codes
from sentinel_core.synthetic.population import NEW_PHONE_DAYS, NIGHT_WORK, Population, is_night, local_hour
from sentinel_core.synthetic.sessions import Sessions, make_sessions
from sentinel_core.synthetic.stream import GIFT, MICRO, NEW_PHONE, NIGHT, TRAVEL, Stream, make_stream
from sentinel_core.synthetic.vocabulary import IntArray
from sentinel_core.synthetic.world import DAY_US, Clock, World

FAVOURITE: Final = 0.75
"""Share of payments at home, or anywhere at worldwide merchants, that go to one of three favourites."""
FIRST_FAVOURITES: Final = (0.60, 0.85)
"""Cumulative shares of the first two favourites."""
ON_TRIP: Final = 0.5
"""Share of a traveller's payments that follow the trip and not the habits."""
GIFT_FACTOR: Final = (4.0, 0.5)
"""Median and log-scale sigma of the factor by which a large gift exceeds the usual amount."""
VERIFIES: Final = 0.6
"""Share of a new phone's set-up payments that are small ones to verify the card."""
SMALL_CENTS: Final = (50, 500)
SECOND_CARD: Final = 0.15
TABLET_SHARE: Final = 0.4
HOME_WIFI, OTHER_WIFI, FRIENDS_WIFI = 0.40, 0.46, 0.50
"""Cumulative shares of a phone's payments at home, in a café, at friends' (any home); the rest use the carrier."""
DESK_AT_HOME: Final = 0.95
ROUND_TRANSFER: Final = 0.5
CENTS: Final = (30, 2_500_000)

GIFT_MIX: Final = {"electronics": 0.3, "luxury": 0.25, "travel": 0.15, "online_shopping": 0.12, "transfer": 0.18}
TRIP_MIX: Final = {
    "restaurant": 0.34, "transport": 0.22, "travel": 0.1, "clothing": 0.08, "entertainment": 0.14, "cash": 0.12,
}  # fmt: skip
SMALL_MIX: Final = {"subscription": 0.7, "digital_goods": 0.3}


@dataclass(frozen=True, slots=True)
class Rows:
    """Genuine payments under construction, one row each: who, when, the session's kind, on a trip, drawn by chance."""

    user: IntArray
    time: IntArray
    kind: npt.NDArray[np.int8]
    away: npt.NDArray[np.bool_]
    city: IntArray
    category: IntArray
    small: npt.NDArray[np.bool_]


def legitimate(
    rng: np.random.Generator, pop: Population, world: World, clock: Clock, codes: Codes, counts: dict[int, int]
) -> Stream:
    """Generate genuine transactions, unsorted: exactly `counts` of ordinary (0), gift and micro-subscription rows."""
    sessions = make_sessions(rng, pop, clock, counts)
    rows = _rows(rng, pop, sessions)
    n = len(rows.user)
    payment = _payments(rng, rows.category)
    merchant = _merchants(rng, pop, world, rows, payment)
    device, device_type = _devices(rng, pop, rows, sessions, payment)
    return make_stream(
        n,
        time=rows.time,
        user=pop.first + rows.user,
        merchant=merchant,
        category=rows.category,
        cents=_amounts(rng, pop, world, rows, merchant),
        type=payment,
        device=device,
        device_type=device_type,
        address=_addresses(rng, pop, codes, rows, device_type),
        city=rows.city,
        card=np.where(payment == v.TRANSFER, -1, rng.random(n, dtype=np.float32) < SECOND_CARD),
        negative=_negatives(pop, rows),
        sequence=-1,
    )


def _rows(rng: np.random.Generator, pop: Population, sessions: Sessions) -> Rows:
    of = sessions.row_session
    user, kind, away = sessions.user[of], sessions.kind[of], sessions.away[of]
    u, again = rng.random((2, len(of)), dtype=np.float32)
    category = (pop.mix[user] < u[:, None]).sum(axis=1)
    np.minimum(category, v.N_CATEGORIES - 1, out=category)
    small = (kind == MICRO) | ((kind == NEW_PHONE) & (again < VERIFIES))
    for chosen, mix in (
        (small, SMALL_MIX),
        (kind == GIFT, GIFT_MIX),
        (away & (kind == 0) & (again < ON_TRIP), TRIP_MIX),
    ):
        index = np.nonzero(chosen)[0]
        names = np.array([v.CATEGORY[name] for name in mix])
        place = np.searchsorted(np.cumsum(list(mix.values())), u[index])
        category[index] = names[np.minimum(place, len(names) - 1)]
    return Rows(
        user, sessions.row_time, kind, away, np.where(away, pop.trip_city[user], pop.city[user]), category, small
    )


def _merchants(rng: np.random.Generator, pop: Population, world: World, rows: Rows, payment: IntArray) -> IntArray:
    """Pay at a favourite or another merchant of home; away, in shops of the place, but online as at home."""
    u = rng.random(len(rows.user), dtype=np.float32)
    scaled = u / FAVOURITE
    rank = (scaled > FIRST_FAVOURITES[0]).astype(np.int64) + (scaled > FIRST_FAVOURITES[1])
    merchant = pop.favourites[rows.user, rows.category, rank].astype(np.int64)
    in_place = rows.away & (payment != v.ONLINE)
    new = np.nonzero((u > FAVOURITE) | in_place)[0]
    country = np.where(in_place, v.CITY_COUNTRY[rows.city], pop.country[rows.user])[new]
    merchant[new] = world.popular(rows.category[new], country, rng.random(len(new)))
    return merchant


def _payments(rng: np.random.Generator, category: IntArray) -> IntArray:
    online = rng.random(len(category), dtype=np.float32) < v.ONLINE_SHARE[category]
    payment = np.where(online, v.ONLINE, v.PURCHASE)
    payment[category == v.CATEGORY["cash"]] = v.WITHDRAWAL
    payment[category == v.CATEGORY["transfer"]] = v.TRANSFER
    return payment


def _devices(
    rng: np.random.Generator, pop: Population, rows: Rows, sessions: Sessions, payment: IntArray
) -> tuple[IntArray, IntArray]:
    """Pay in shops with the phone; online with what the session uses: phone, computer or the household's tablet."""
    device = pop.phone(rows.user, rows.time)
    device_type = np.full(len(device), v.MOBILE)
    owner = sessions.user
    u, other = rng.random((2, len(owner)), dtype=np.float32)
    at_desk = (u > pop.online_phone[owner]) & (sessions.kind != NEW_PHONE)
    on_tablet = at_desk & (pop.tablet[owner] >= 0) & (~pop.has_computer[owner] | (other < TABLET_SHARE))
    on_computer = at_desk & pop.has_computer[owner] & ~on_tablet
    remote = np.nonzero((payment == v.ONLINE) | (payment == v.TRANSFER))[0]
    of = sessions.row_session[remote]
    index = remote[on_computer[of]]
    device[index] = (pop.first + rows.user[index]) * SLOTS + COMPUTER
    device_type[index] = v.DESKTOP
    index = remote[on_tablet[of]]
    device[index] = pop.tablet[rows.user[index]]
    device_type[index] = v.TABLET
    return device, device_type


def _addresses(rng: np.random.Generator, pop: Population, codes: Codes, rows: Rows, device_type: IntArray) -> IntArray:
    u = rng.random(len(rows.user), dtype=np.float32)
    pick = rng.integers(0, 1 << 20, len(u))
    address = np.where(u < HOME_WIFI, pop.first + rows.user, codes.carrier(v.CITY_COUNTRY[rows.city], pick))
    address = np.where((device_type != v.MOBILE) & (u < DESK_AT_HOME) & ~rows.away, pop.first + rows.user, address)
    friends = np.nonzero((u >= OTHER_WIFI) & (u < FRIENDS_WIFI) & ~rows.away)[0]
    address[friends] = pick[friends] % codes.carrier_address
    public = np.nonzero(np.where(rows.away, u < OTHER_WIFI, (u >= HOME_WIFI) & (u < OTHER_WIFI)))[0]
    address[public] = codes.hotel(rows.city[public], rows.user[public])
    return address


def _amounts(rng: np.random.Generator, pop: Population, world: World, rows: Rows, merchant: IntArray) -> IntArray:
    category, n = rows.category, len(rows.user)
    log = v.LOG_MEDIAN[category] + world.log_price[merchant] + pop.log_scale[rows.user]
    log += v.SIGMA[category] * rng.standard_normal(n, dtype=np.float32)
    gift = np.nonzero(rows.kind == GIFT)[0]
    log[gift] += np.log(GIFT_FACTOR[0]) + GIFT_FACTOR[1] * rng.standard_normal(len(gift))
    cents = np.rint(np.exp(log) * 100).astype(np.int64)
    small = np.nonzero(rows.small)[0]
    cents[small] = rng.integers(SMALL_CENTS[0], SMALL_CENTS[1] + 1, len(small))
    transfer = np.nonzero(category == v.CATEGORY["transfer"])[0]
    transfer = transfer[rng.random(len(transfer)) < ROUND_TRANSFER]
    tens = np.concatenate([np.nonzero(category == v.CATEGORY["cash"])[0], transfer])
    cents[tens] = round_to_tens(cents[tens])
    clipped: IntArray = np.clip(cents, *CENTS)
    return clipped


def round_to_tens(cents: IntArray) -> IntArray:
    """Round amounts in cents to whole tens of the currency, ten at least."""
    rounded: IntArray = np.maximum((cents + 500) // 1000, 1) * 1000
    return rounded


def _negatives(pop: Population, rows: Rows) -> npt.NDArray[np.int8]:
    """Name each row's kind of hard negative: the session's own, else travel, a new phone, night work."""
    replaced = pop.phones[rows.user]
    age = rows.time[:, None] - replaced
    fresh = ((age >= 0) & (age < NEW_PHONE_DAYS * DAY_US)).any(axis=1)
    at_night = (pop.profile[rows.user] == NIGHT_WORK) & is_night(local_hour(rows.time, pop.country[rows.user]))
    negative = rows.kind.copy()
    for code, chosen in ((TRAVEL, rows.away), (NEW_PHONE, fresh), (NIGHT, at_night)):
        negative[(negative == 0) & chosen] = code
    return negative
