"""Genuine payments as the oracle expects them: intensities of a beginning, densities of a next payment.

A density is that of an event's category, merchant, payment and amount (per cent), its device, address and hour
(1 on average over a day), given who pays. Factors common to all explanations of an event are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from sentinel_core.synthetic import behaviour as b
from sentinel_core.synthetic import vocabulary as v
from sentinel_core.synthetic.oracle.evidence import (
    OWN,
    UNSEEN,
    Evidence,
    by_category,
    join,
    lognormal,
    pays,
    pool_share,
    small_amount,
)
from sentinel_core.synthetic.population import (
    hour_weights,
    local_hour,
    replacements_a_user,
    trip_chance,
)
from sentinel_core.synthetic.sessions import MICRO_RUN, OUTING, Size
from sentinel_core.synthetic.vocabulary import Floats
from sentinel_core.synthetic.world import DAY_US

if TYPE_CHECKING:
    from sentinel_core.synthetic.generate import Simulation

BY_DAY: Final = (9, 22, 1.84, 0.01)
"""New phones are bought between these hours: their density then, and otherwise."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What customers do, one row an event.

    `begin` [rows, 3] intensities (a day) that an outing (or a gift), a run of small payments or a phone's set-up begins
    with this event, `follow` [rows, 3] the densities of a next payment of each; `trip` the intensity of a trip here.
    """

    begin: Floats
    follow: Floats
    trip: Floats
    at_home: npt.NDArray[np.bool_]


def expected(simulation: Simulation, e: Evidence) -> Expected:
    """Give what is expected of the customers, whose true habits are known."""
    hard, clock, n = simulation.difficulty, simulation.clock, len(e.user)
    frauds = simulation.fraud_rate * n
    hard_share = hard.hard_negatives_per_fraud * simulation.fraud_rate
    lookalikes = hard.ambiguous_share * hard.lookalikes_per_ambiguous * frauds
    gifts = max(hard_share * n * hard.gift_share - lookalikes, 0.0)
    micros = hard_share * n * hard.micro_share
    rate = join(simulation.populations, "rate")
    share = (rate / rate.sum())[e.user] / clock.days
    seen = _genuine(simulation, e)
    outings = (n - frauds - lookalikes - gifts - micros) / mean_size(OUTING) * share * seen.hour
    hour = local_hour(e.time, e.home)
    by_day = np.where((hour >= BY_DAY[0]) & (hour < BY_DAY[1]), BY_DAY[2], BY_DAY[3])
    new_phones = replacements_a_user(hard_share * hard.new_phone_share, clock) / clock.simulated_days * by_day
    setup = (b.VERIFIES * seen.small + (1.0 - b.VERIFIES) * seen.ordinary) * seen.tools
    setup = setup * (e.device_type == v.MOBILE)
    ordinary, small = seen.ordinary * seen.tools, seen.small * seen.tools * e.remote
    begin = [
        outings * ordinary + gifts * share * seen.hour * seen.gift * seen.tools,
        micros / mean_size(MICRO_RUN) * share * seen.hour * small,
        new_phones * setup * (e.device_class == UNSEEN),
    ]
    chance, _ = trip_chance(hard_share * hard.travel_share, clock)
    trips = chance / clock.simulated_days * v.TRIP_WEIGHT / v.TRIP_WEIGHT.sum() / v.CITIES_OF
    at_home = e.city == e.home_city
    return Expected(
        np.stack(begin, axis=1),
        np.stack([ordinary, small, setup], axis=1),
        np.where(at_home, chance / clock.simulated_days, trips[e.country]),
        at_home,
    )


def mean_size(size: Size) -> float:
    """Give the mean number of payments of a session, but for the cut at its largest."""
    return 1.0 + size.more / size.stop


@dataclass(frozen=True, slots=True)
class _Genuine:
    """Densities of a genuine payment: ordinary, a large gift, a small one; by hour; by its device and address."""

    ordinary: Floats
    gift: Floats
    small: Floats
    hour: Floats
    tools: Floats


def _genuine(simulation: Simulation, e: Evidence) -> _Genuine:
    """Give the densities of genuine payments by customers whose habits are known."""
    populations = simulation.populations
    at_home = e.city == e.home_city
    as_at_home = at_home | (e.payment == v.ONLINE)
    pool = pool_share(simulation, e, np.where(as_at_home, e.home, e.country))
    favourite = join(populations, "favourites")[e.user, e.category] == e.merchant[:, None]
    usual = b.FAVOURITE * favourite @ np.diff([0.0, *b.FIRST_FAVOURITES, 1.0]) + (1.0 - b.FAVOURITE) * pool
    merchant = np.where(as_at_home, usual, pool) * pays(e, v.ONLINE_SHARE)
    category = np.where(at_home, e.mix, b.ON_TRIP * by_category(b.TRIP_MIX)[e.category] + (1.0 - b.ON_TRIP) * e.mix)
    mean = v.LOG_MEDIAN[e.category] + simulation.world.log_price[e.merchant] + e.log_scale
    sigma = v.SIGMA[e.category]
    factor, spread = b.GIFT_FACTOR
    gift = by_category(b.GIFT_MIX)[e.category] * lognormal(e.cents, mean + np.log(factor), np.hypot(sigma, spread))
    there = np.where(at_home, e.home, e.country)
    weekday = ((e.time + v.UTC_OFFSET_US[there]) // DAY_US + 3) % 7
    profile = join(populations, "profile")[e.user]
    return _Genuine(
        ordinary=category * merchant * lognormal(e.cents, mean, sigma),
        gift=gift * merchant,
        small=by_category(b.SMALL_MIX)[e.category] * merchant * small_amount(e.cents),
        hour=7 * 24 * hour_weights()[profile, weekday, local_hour(e.time, there)],
        tools=_own_device(simulation, e) * _own_address(simulation, e),
    )


def _own_device(simulation: Simulation, e: Evidence) -> Floats:
    """Give the share of the event's device among the customer's own, taken that it is one of them."""
    by_phone = join(simulation.populations, "online_phone")[e.user].astype(float)
    computer = join(simulation.populations, "has_computer")[e.user]
    tablet = join(simulation.populations, "tablet")[e.user] >= 0
    only_phone = ~e.remote | ~(computer | tablet)
    tablets = np.where(tablet, np.where(computer, b.TABLET_SHARE, 1.0), 0.0)
    desk = (1.0 - by_phone) * np.where(e.device_type == v.TABLET, tablets, 1.0 - tablets)
    own = e.device_class == OWN
    return np.where(own, np.where(only_phone, 0.0, desk), np.where(only_phone, 1.0, by_phone))


def _own_address(simulation: Simulation, e: Evidence) -> Floats:
    codes = simulation.codes
    mobile = e.device_type == v.MOBILE
    cafe = np.where(e.city == e.home_city, b.OTHER_WIFI - b.HOME_WIFI, b.OTHER_WIFI) / codes.hotels
    carrier = np.where(mobile, 1.0 - b.FRIENDS_WIFI, 1.0 - b.DESK_AT_HOME) / codes.carriers
    friends = np.where(mobile, b.FRIENDS_WIFI - b.OTHER_WIFI, 1e-6)
    home = np.where(e.address == e.user, np.where(mobile, b.HOME_WIFI, b.DESK_AT_HOME), friends)
    return np.select([e.address >= codes.hotel_address, e.address >= codes.carrier_address], [cafe, carrier], home)
