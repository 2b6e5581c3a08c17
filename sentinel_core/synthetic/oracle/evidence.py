"""What the oracle sees of each event and knows of its customer, and the densities that both sides share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sentinel_core.synthetic import vocabulary as v
from sentinel_core.synthetic.behaviour import SMALL_CENTS
from sentinel_core.synthetic.codes import COMPUTER, SLOTS
from sentinel_core.synthetic.population import Population
from sentinel_core.synthetic.vocabulary import Floats, IntArray
from sentinel_core.synthetic.world import POPULARITY

if TYPE_CHECKING:
    from sentinel_core.synthetic.generate import Simulation

OWN, PHONE, UNSEEN, KNOWN, FOREIGN = range(5)
"""Classes of devices: own computer or tablet, own phone at the start, never seen, seen with this user only, others'."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """The events as the oracle reads them, one row each, in time order, beside what it knows of each customer.

    `mix` is the customer's share of the category, `phone` the code of the phone at the start of the window.
    """

    user: IntArray
    time: IntArray
    merchant: IntArray
    category: IntArray
    cents: IntArray
    payment: IntArray
    device: IntArray
    device_type: IntArray
    address: IntArray
    city: IntArray
    home_city: IntArray
    country: IntArray
    home: IntArray
    log_scale: Floats
    mix: Floats
    device_class: IntArray
    remote: npt.NDArray[np.bool_]


def join(populations: tuple[Population, ...], name: str) -> npt.NDArray[Any]:
    """Join one of the populations' arrays over all blocks."""
    return np.concatenate([getattr(population, name) for population in populations])


def read(simulation: Simulation) -> Evidence:
    """Read a simulation's visible events; scenario, visibility, sequence and labels are not looked at."""
    s, populations = simulation.stream, simulation.populations
    user, category, device = (column.astype(np.int64) for column in (s.user, s.category, s.device))
    home_city = join(populations, "city")[user]
    payment, city = s.type.astype(np.int64), s.city.astype(np.int64)
    return Evidence(
        user=user,
        time=s.time,
        merchant=s.merchant.astype(np.int64),
        category=category,
        cents=s.cents,
        payment=payment,
        device=device,
        device_type=s.device_type.astype(np.int64),
        address=s.address.astype(np.int64),
        city=city,
        home_city=home_city,
        country=v.CITY_COUNTRY[city],
        home=v.CITY_COUNTRY[home_city],
        log_scale=join(populations, "log_scale")[user].astype(float),
        mix=np.diff(join(populations, "mix"), axis=1, prepend=0.0)[user, category].astype(float),
        device_class=_device_classes(simulation, user, device),
        remote=(payment == v.ONLINE) | (payment == v.TRANSFER),
    )


def phones_at_start(simulation: Simulation) -> IntArray:
    """Give the device code of every user's phone at the start of the window."""
    replaced = join(simulation.populations, "phones") < simulation.clock.start
    codes: IntArray = np.arange(len(replaced)) * SLOTS + replaced.sum(axis=1)
    return codes


def _device_classes(simulation: Simulation, user: IntArray, device: IntArray) -> IntArray:
    """Class each event's device by what was known of it before the event."""
    n, row = len(user), np.arange(len(user))
    first = np.full(int(device.max()) + 1, n)
    np.minimum.at(first, device, row)
    other = np.full(len(first), n)
    strange = user != user[first[device]]
    np.minimum.at(other, device[strange], row[strange])
    seen = np.where(row < other[device], KNOWN, FOREIGN)
    found = np.where(row == first[device], UNSEEN, seen)
    found[device == phones_at_start(simulation)[user]] = PHONE
    own = (device == user * SLOTS + COMPUTER) | (device == join(simulation.populations, "tablet")[user])
    return np.where(own, OWN, found)


def by_category(shares: dict[str, float]) -> Floats:
    """Spread shares by category name over all categories."""
    full = np.zeros(v.N_CATEGORIES)
    full[[v.CATEGORY[name] for name in shares]] = list(shares.values())
    return full


def pays(e: Evidence, online_share: Floats) -> Floats:
    """Give the probability of the kind of payment, given the category."""
    online = online_share[e.category]
    return np.select([e.payment == v.ONLINE, e.payment == v.PURCHASE], [online, 1.0 - online], 1.0)


def lognormal(cents: IntArray, mean: Floats, sigma: Floats) -> Floats:
    """Give the probability of an amount of so many cents whose logarithm (in whole units) is normal."""
    z = (np.log(cents / 100.0) - mean) / sigma
    density: Floats = np.exp(-0.5 * z * z) / (sigma * np.sqrt(2 * np.pi) * cents)
    return density


def small_amount(cents: IntArray) -> Floats:
    """Give the probability of an amount under the uniform distribution from 0.50 to 5.00."""
    low, high = SMALL_CENTS
    return ((cents >= low) & (cents <= high)) / (high - low + 1.0)


def pool_share(simulation: Simulation, e: Evidence, country: IntArray) -> Floats:
    """Give the merchant's share of its category's trade in a country, 0 where it does not sell there."""
    world = simulation.world
    size = world.pool_size[e.category, country].astype(float)
    rank = (e.merchant - world.pool_first[e.category, country]).astype(float)
    inside = (rank >= 0) & (rank < size)
    rank = np.where(inside, rank, 0.0)
    share: Floats = inside * (((rank + 1) / size) ** (1 / POPULARITY) - (rank / size) ** (1 / POPULARITY))
    return share


def gathering_share(simulation: Simulation, e: Evidence) -> Floats:
    """Give the merchant's share among those of its category where fraud gathers on the event's day."""
    world, day = simulation.world, simulation.clock.day(e.time)
    used = world.gathering_slots[e.category]
    slots = np.arange(world.gatherings.shape[1])
    here = (world.gatherings[e.category, :, day] == e.merchant[:, None]) & (slots < used[:, None])
    share: Floats = here.sum(axis=1) / used
    return share
