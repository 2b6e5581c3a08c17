"""The merchants, where fraud gathers among them, and the countries that attackers work from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from sentinel_core.synthetic.difficulty import Difficulty
from sentinel_core.synthetic.vocabulary import (
    CATEGORY_SHARE,
    CUSTOMER_SHARE,
    N_CATEGORIES,
    N_COUNTRIES,
    WORLDWIDE,
    Floats,
    IntArray,
)

DAY_US: Final = 86_400_000_000
WINDOW_DAYS: Final = 90
WARM_UP_DAYS: Final = 30
POPULARITY: Final = 2.0
"""A merchant's rank in its pool is ⌊size · u^2⌋: a power law in which the first of 25 takes a fifth of the trade."""


@dataclass(frozen=True, slots=True)
class Clock:
    """The simulated time in microseconds since the epoch: rows lie in [start, end), the warm-up before them."""

    end: int
    days: int = WINDOW_DAYS

    @property
    def start(self) -> int:
        return self.end - self.days * DAY_US

    @property
    def simulated_days(self) -> int:
        """Days of the window and of the warm-up."""
        return self.days + WARM_UP_DAYS

    @property
    def warm_start(self) -> int:
        return self.start - WARM_UP_DAYS * DAY_US

    def day(self, time: IntArray) -> IntArray:
        """Give the number of whole days since the warm-up began, cut to the days that exist."""
        return np.clip((time - self.warm_start) // DAY_US, 0, self.simulated_days - 1)


@dataclass(frozen=True, slots=True)
class World:
    """Merchants as arrays, their pools by (category, country), where fraud gathers by day, attackers' countries.

    `pool_first` and `pool_size` [categories, countries] index merchants; a worldwide category has one pool.
    `gatherings` [categories, slots, days] names the merchants where fraud gathers, `gathering_slots` how many count.
    """

    category: npt.NDArray[np.int8]
    log_price: npt.NDArray[np.float32]
    pool_first: IntArray
    pool_size: IntArray
    gatherings: IntArray
    gathering_slots: IntArray
    attacker_share: Floats
    ring_country: IntArray

    @property
    def n_merchants(self) -> int:
        return len(self.category)

    def popular(self, category: IntArray, country: IntArray, uniform: Floats) -> IntArray:
        """Choose a merchant of the category that sells in the country, popular ones more often."""
        size = self.pool_size[category, country]
        return self.pool_first[category, country] + (size * uniform**POPULARITY).astype(np.int64)

    def gathering(self, category: IntArray, day: IntArray, uniform: Floats) -> IntArray:
        """Choose one of the category's merchants where fraud gathers on that day."""
        slot = (self.gathering_slots[category] * uniform).astype(np.int64)
        return self.gatherings[category, slot, day]


def make_world(rng: np.random.Generator, n_users: int, rings: int, clock: Clock, hard: Difficulty) -> World:
    """Draw the merchants of `n_users` customers, where fraud gathers among them and when, and attackers' countries."""
    first, size, category = _pools(n_users)
    price = rng.normal(0.0, 0.25, len(category)).astype(np.float32)
    slots = np.maximum(2, np.rint(np.bincount(category, minlength=N_CATEGORIES) * hard.gathering_merchants))
    gathering_slots = slots.astype(np.int64)
    attackers = np.exp(rng.normal(0.0, hard.attack_country_sigma, N_COUNTRIES))
    attackers *= np.where(CUSTOMER_SHARE > 0, hard.attacks_among_customers, 1.0)
    return World(
        category=category,
        log_price=price,
        pool_first=first,
        pool_size=size,
        gatherings=_gatherings(rng, first, size, gathering_slots, clock, hard),
        gathering_slots=gathering_slots,
        attacker_share=attackers / attackers.sum(),
        ring_country=rng.choice(N_COUNTRIES, rings, p=attackers / attackers.sum()),
    )


def _pools(n_users: int) -> tuple[IntArray, IntArray, npt.NDArray[np.int8]]:
    local = 500 + 0.2 * n_users
    weight = np.outer(CATEGORY_SHARE, np.maximum(CUSTOMER_SHARE, 0.02))
    size = np.maximum(2, np.rint(local * weight)).astype(np.int64)
    worldwide = np.maximum(8, np.rint(local * CATEGORY_SHARE[WORLDWIDE])).astype(np.int64)
    size[WORLDWIDE] = 0
    size[WORLDWIDE, 0] = worldwide
    first = (np.cumsum(size.ravel()) - size.ravel()).reshape(size.shape)
    category = np.repeat(np.arange(N_CATEGORIES, dtype=np.int8), size.sum(axis=1))
    first[WORLDWIDE] = first[WORLDWIDE, :1]
    size[WORLDWIDE] = size[WORLDWIDE, :1]
    return first, size, category


def _gatherings(
    rng: np.random.Generator, first: IntArray, size: IntArray, slots: IntArray, clock: Clock, hard: Difficulty
) -> IntArray:
    """Fill each slot with spells, each at a merchant drawn anew; the warm-up settles their phases.

    Fraud hides in trade: it gathers where the customers are, at popular merchants more often.
    """
    days, (shortest, longest) = clock.simulated_days, hard.gathering_days
    gatherings = np.zeros((N_CATEGORIES, int(slots.max()), days), dtype=np.int64)
    share = hard.gathering_among_customers
    countries = share * CUSTOMER_SHARE + (1.0 - share) / N_COUNTRIES
    for kind in range(N_CATEGORIES):
        shape = (int(slots[kind]), days // shortest + 2)
        ends = np.cumsum(rng.integers(shortest, longest + 1, shape), axis=1)
        ends -= rng.integers(0, shortest, (shape[0], 1))
        country = rng.choice(N_COUNTRIES, shape, p=countries)
        rank = (size[kind, country] * rng.random(shape) ** POPULARITY).astype(np.int64)
        spell = (np.arange(days)[None, None, :] >= ends[:, :, None]).sum(axis=1)
        gatherings[kind, : shape[0]] = np.take_along_axis(first[kind, country] + rank, spell, axis=1)
    return gatherings


def merchant_names(n_merchants: int) -> list[str]:
    """Give the ids of all merchants: merchant_00000, merchant_00001, …"""
    return [f"merchant_{number:05d}" for number in range(n_merchants)]
