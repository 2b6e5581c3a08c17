"""The customers: where they live, how often, when and on what they spend, their devices, cards and trips."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from sentinel_core.synthetic.codes import PHONE, SLOTS, TABLET_SLOT
from sentinel_core.synthetic.difficulty import Difficulty
from sentinel_core.synthetic.vocabulary import (
    CARD_TYPE_WEIGHTS,
    CATEGORY_SHARE,
    CITIES_OF,
    CUSTOMER_SHARE,
    FIRST_CITY,
    N_CATEGORIES,
    N_COUNTRIES,
    TRIP_WEIGHT,
    UTC_OFFSET_US,
    Floats,
    IntArray,
)
from sentinel_core.synthetic.world import DAY_US, Clock, World

FAVOURITES: Final = 3
TRIP_DAYS: Final = 6.0
HOUR_US: Final = 3_600_000_000
SETUP_ROWS: Final = 2.5
"""About how many more payments than usual a new phone brings on its first day."""
NEW_PHONE_DAYS: Final = 3
"""For how long after its replacement a phone counts as new."""

_HOURS = {
    "office": ("122111369666899988aa9853", "432211234689aaaa99999875"),
    "daytime": ("111111247aaaaa9888876532", "111111235799aaa988876532"),
    "evening": ("421111234556677889aaaa97", "643211123456788999aaaa98"),
    "early": ("111137987668889998743211", "111125678899988877654321"),
    "night_work": ("aa98876643222222334678aa", "99766433333344445556789a"),
}
_WEEKDAYS = {
    "office": (9, 9, 9, 10, 12, 13, 9),
    "daytime": (10, 10, 10, 10, 11, 11, 8),
    "evening": (8, 8, 9, 10, 13, 14, 11),
    "early": (10, 10, 10, 10, 11, 10, 7),
    "night_work": (10, 10, 10, 10, 10, 10, 10),
}
PROFILES: Final = tuple(_HOURS)
NIGHT_WORK: Final = PROFILES.index("night_work")
_PROFILE_SHARE = np.array([0.46, 0.22, 0.20, 0.12])


def hour_weights() -> Floats:
    """Give each profile's share of activity by weekday and hour of the day, [profiles, 7, 24], local time, sum 1."""
    table = np.empty((len(PROFILES), 7, 24))
    for index, name in enumerate(PROFILES):
        workday, weekend = (np.array([int(digit, 16) for digit in text]) ** 1.5 for text in _HOURS[name])
        for weekday, weight in enumerate(_WEEKDAYS[name]):
            hours = workday if weekday < 5 else weekend
            table[index, weekday] = weight * hours / hours.sum()
        table[index] /= table[index].sum()
    return table


def is_night(hour: IntArray) -> npt.NDArray[np.bool_]:
    """Say which local hours are night: 22:00 to 06:00."""
    return (hour >= 22) | (hour < 6)


@dataclass(frozen=True, slots=True)
class Population:
    """Customers as arrays, one row each; `first` is the number of the first of this block among all customers.

    `rate` is relative activity, `mix` [users, categories] the cumulative shares of categories, `favourites`
    [users, categories, 3] merchants, `phones` [users, 2] the times of replacement of the phone (µs), `trip`
    [users, 2] the trip's start and end (µs), `tablet` the device code of the household's tablet or -1.
    """

    first: int
    country: IntArray
    city: IntArray
    rate: Floats
    profile: IntArray
    log_scale: npt.NDArray[np.float32]
    mix: npt.NDArray[np.float32]
    favourites: npt.NDArray[np.int32]
    online_phone: npt.NDArray[np.float32]
    has_computer: npt.NDArray[np.bool_]
    tablet: IntArray
    phones: IntArray
    trip: IntArray
    trip_city: IntArray
    cards: npt.NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.country)

    def phone(self, user: IntArray, time: IntArray) -> IntArray:
        """Give the device code of each user's phone in use at that time."""
        generation = (self.phones[user] <= time[:, None]).sum(axis=1)
        device: IntArray = (self.first + user) * SLOTS + PHONE + generation
        return device

    def travels(self, user: IntArray, time: IntArray) -> npt.NDArray[np.bool_]:
        """Say who is on a trip at that time."""
        return np.asarray((self.trip[user, 0] <= time) & (time < self.trip[user, 1]))


def make_population(
    rng: np.random.Generator,
    n_users: int,
    first: int,
    world: World,
    clock: Clock,
    *,
    hard_rows: float,
    hard: Difficulty,
) -> Population:
    """Draw `n_users` customers; night workers, trips and new phones as the share of hard negatives among rows asks."""
    country = rng.choice(N_COUNTRIES, n_users, p=CUSTOMER_SHARE)
    rate = np.exp(rng.normal(0.0, 0.8, n_users))
    rate /= rate.mean()
    household = np.maximum(np.arange(n_users) - rng.integers(0, 3, n_users) * (rng.random(n_users) < 0.5), 0)
    has_tablet = (rng.random(n_users) < 0.25)[household]
    return Population(
        first=first,
        country=country,
        city=FIRST_CITY[country] + (CITIES_OF[country] * rng.random(n_users) ** 1.5).astype(np.int64),
        rate=rate,
        profile=_profiles(rng, rate, hard_rows * hard.night_work_share),
        log_scale=rng.normal(0.0, 0.45, n_users).astype(np.float32),
        mix=_mix(rng, n_users),
        favourites=_favourites(rng, country, world),
        online_phone=rng.beta(7.0, 1.4, n_users).astype(np.float32),
        has_computer=rng.random(n_users) < 0.35,
        tablet=np.where(has_tablet, (first + household) * SLOTS + TABLET_SLOT, -1),
        phones=_phones(rng, country, hard_rows * hard.new_phone_share, clock),
        trip=_trips(rng, n_users, hard_rows * hard.travel_share, clock),
        trip_city=_destinations(rng, country),
        cards=rng.choice(len(CARD_TYPE_WEIGHTS), (n_users, 2), p=CARD_TYPE_WEIGHTS).astype(np.int8),
    )


def _profiles(rng: np.random.Generator, rate: Floats, night_rows: float) -> IntArray:
    """Make night workers of as many users as give that share of all rows at night."""
    profile = rng.choice(len(_PROFILE_SHARE), len(rate), p=_PROFILE_SHARE)
    weights = hour_weights()[NIGHT_WORK].sum(axis=0)
    at_night = weights[is_night(np.arange(24))].sum()
    order = rng.permutation(len(rate))
    rows = np.cumsum(rate[order]) / rate.sum() * at_night
    profile[order[: int(np.searchsorted(rows, night_rows))]] = NIGHT_WORK
    return profile


def _mix(rng: np.random.Generator, n_users: int) -> npt.NDArray[np.float32]:
    taste = np.exp(rng.normal(0.0, 0.6, (n_users, N_CATEGORIES))) * CATEGORY_SHARE
    cumulative = np.cumsum(taste, axis=1)
    return (cumulative / cumulative[:, -1:]).astype(np.float32)


def _favourites(rng: np.random.Generator, country: IntArray, world: World) -> npt.NDArray[np.int32]:
    shape = (len(country), N_CATEGORIES, FAVOURITES)
    category = np.broadcast_to(np.arange(N_CATEGORIES)[None, :, None], shape)
    home = np.broadcast_to(country[:, None, None], shape)
    return world.popular(category, home, rng.random(shape)).astype(np.int32)


def _phones(rng: np.random.Generator, country: IntArray, new_phone_rows: float, clock: Clock) -> IntArray:
    """Draw up to two replacements a user, by day, so that new phones make up the wanted share of rows."""
    chance = min(replacements_a_user(new_phone_rows, clock) / 2, 1.0)
    shape = (len(country), 2)
    midnight = (clock.warm_start // DAY_US + 1 + rng.integers(0, clock.simulated_days - 1, shape)) * DAY_US
    hour = rng.integers(9 * HOUR_US // 1000, 20 * HOUR_US // 1000, shape) * 1000
    times = midnight + hour - UTC_OFFSET_US[country][:, None]
    return np.where(rng.random(shape) < chance, times, clock.end + DAY_US)


def replacements_a_user(new_phone_rows: float, clock: Clock) -> float:
    """Give the mean number of new phones a user over the simulated days, from the share of rows that they make."""
    return new_phone_rows * clock.simulated_days / (NEW_PHONE_DAYS + SETUP_ROWS)


def _trips(rng: np.random.Generator, n_users: int, travel_rows: float, clock: Clock) -> IntArray:
    """Draw at most one trip a user: as many and as long as make up the wanted share of the time."""
    chance, mean_days = trip_chance(travel_rows, clock)
    start = clock.warm_start + rng.integers(0, clock.simulated_days * DAY_US, n_users)
    length = ((0.35 + 0.65 * rng.gamma(3.0, 1.0 / 3.0, n_users)) * mean_days * DAY_US).astype(np.int64)
    start = np.where(rng.random(n_users) < chance, start, clock.end + DAY_US)
    return np.stack([start, start + length], axis=1)


def trip_chance(travel_rows: float, clock: Clock) -> tuple[float, float]:
    """Give the chance of a trip in the simulated days and its mean days, from the share of the time spent away."""
    away = travel_rows * clock.simulated_days
    chance = min(0.6, away / TRIP_DAYS)
    return chance, away / max(chance, 1e-9)


def _destinations(rng: np.random.Generator, home: IntArray) -> IntArray:
    country = rng.choice(N_COUNTRIES, len(home), p=TRIP_WEIGHT / TRIP_WEIGHT.sum())
    country = np.where(country == home, (country + 1) % N_COUNTRIES, country)
    return FIRST_CITY[country] + (CITIES_OF[country] * rng.random(len(home))).astype(np.int64)


def local_hour(time: IntArray, country: IntArray) -> IntArray:
    """Give the hour of the day, 0 to 23, by the country's clock."""
    return (time + UTC_OFFSET_US[country]) // HOUR_US % 24
