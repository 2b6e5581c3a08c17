"""Fraud as sequences of events: stolen cards, account takeovers, card testing; and their genuine lookalikes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from sentinel_core.synthetic import vocabulary as v
from sentinel_core.synthetic.behaviour import CENTS, round_to_tens
from sentinel_core.synthetic.codes import RING_DEVICES, Codes
from sentinel_core.synthetic.difficulty import STOLEN, TAKEOVER, TESTING, Cues, Difficulty
from sentinel_core.synthetic.population import Population
from sentinel_core.synthetic.stream import Stream, concat, make_stream
from sentinel_core.synthetic.vocabulary import Floats, IntArray
from sentinel_core.synthetic.world import DAY_US, WINDOW_DAYS, Clock, World

DESKTOP_SHARE: Final = {STOLEN: 0.4, TAKEOVER: 0.5, TESTING: 0.8}
"""Share of attackers' devices that are computers; the others are phones."""
ONLINE_THEFT: Final = 0.6
"""Least share of a stolen card's purchases made online, in categories that sell online at all."""
ROUNDED_TRANSFERS: Final = 0.5
SUBSCRIPTION_SHARE: Final = 0.85
"""Share of card-testing attempts at subscription merchants; the others hit digital goods."""
SAME_MERCHANT: Final = 0.8
"""Share of card-testing attempts that stay at the run's merchant."""
SAME_CARD_IN_BURST: Final = 0.35
BURST: Final = (40.0, 80, 8.0)
"""Mean and largest number of attempts of a burst over many cards, and median seconds between them."""
PACE_SIGMA: Final = 0.5
"""Log-scale spread of the pace from sequence to sequence."""
ADDRESSES: Final = (0.45, 0.70)
"""Cumulative shares of attackers behind a residential proxy and a mobile carrier; the rest use public networks."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What every sequence is played on: the customers of one block, the world, the clock, codes, constants."""

    population: Population
    world: World
    clock: Clock
    codes: Codes
    hard: Difficulty


@dataclass(frozen=True, slots=True)
class Plan:
    """One call's order: so many rows of a scenario under these cues; `ring_share` of sequences by rings."""

    scenario: int
    cues: Cues
    rows: int
    ring_share: float
    first_sequence: int
    burst: bool = False


@dataclass(frozen=True, slots=True)
class Sequences:
    """Sequences, one row each: victim of the block, begin (µs), steps, where, and by whose device.

    `ring` is a ring's number or -1; `own` marks the use of the victim's own phone.
    """

    victim: IntArray
    begin: IntArray
    steps: IntArray
    city: IntArray
    ring: IntArray
    own: npt.NDArray[np.bool_]
    pace: Floats
    level: Floats


def attack(rng: np.random.Generator, scene: Scene, plan: Plan) -> Stream:
    """Play sequences until exactly `plan.rows` of their events lie in the window; unsorted, legitimate or not is the caller's."""
    parts: list[Stream] = []
    missing = plan.rows
    first = plan.first_sequence
    while missing > 0:
        part = _batch(rng, scene, plan, missing, first)
        parts.append(part)
        missing -= len(part)
        first += len(part)
    return concat(parts) if parts else make_stream(0)


def _batch(rng: np.random.Generator, scene: Scene, plan: Plan, rows: int, first_sequence: int) -> Stream:
    drawn = _draw(rng, scene, plan, int(rows * 1.2 / (BURST[0] if plan.burst else plan.cues.mean_steps)) + 3)
    of = np.repeat(np.arange(len(drawn.steps)), drawn.steps)
    time = drawn.begin[of] + _offsets(rng, plan, drawn, of)
    kept = np.nonzero((time >= scene.clock.start) & (time < scene.clock.end))[0][:rows]
    time, of = time[kept], of[kept]
    number = first_sequence + np.cumsum(np.diff(of, prepend=of[:1]) != 0)
    victim = _victims(rng, scene, plan, drawn, of)
    city = drawn.city[of]
    merchant, category = _merchants(rng, scene, plan, of, v.CITY_COUNTRY[city], time)
    payment = _payments(rng, plan.scenario, category)
    device, device_type, address = _devices(rng, scene, plan.scenario, drawn, of, victim, time, number)
    return make_stream(
        len(of),
        time=time,
        user=scene.population.first + victim,
        merchant=merchant,
        category=category,
        cents=_amounts(rng, scene, plan, drawn.level[of], merchant, category, victim),
        type=payment,
        device=device,
        device_type=device_type,
        address=address,
        city=city,
        card=np.where(payment == v.TRANSFER, -1, number % 7 == 0),
        scenario=plan.scenario,
        sequence=number,
    )


def _draw(rng: np.random.Generator, scene: Scene, plan: Plan, n: int) -> Sequences:
    pop, codes, cues = scene.population, scene.codes, plan.cues
    weight = pop.rate**scene.hard.victim_activity_power
    victim = rng.choice(len(pop), n, p=weight / weight.sum())
    home = pop.country[victim]
    ring = np.where(rng.random(n) < plan.ring_share, (codes.rings * rng.random(n) ** 1.5).astype(np.int64), -1)
    country = rng.choice(v.N_COUNTRIES, n, p=scene.world.attacker_share)
    country = np.where(ring >= 0, scene.world.ring_country[ring], country)
    country = np.where(rng.random(n) < cues.foreign, country, home)
    city = np.where(
        country == home,
        pop.city[victim],
        v.FIRST_CITY[country] + (v.CITIES_OF[country] * rng.random(n)).astype(np.int64),
    )
    mean, most = BURST[:2] if plan.burst else (cues.mean_steps, cues.max_steps)
    return Sequences(
        victim=victim,
        begin=_begins(rng, scene.clock, cues.night, home),
        steps=np.minimum(rng.geometric(1.0 / mean, n), most),
        city=city,
        ring=ring,
        own=rng.random(n) >= cues.new_device,
        pace=np.exp(PACE_SIGMA * rng.standard_normal(n)),
        level=np.exp(cues.amount_sigma * rng.standard_normal(n)),
    )


def _begins(rng: np.random.Generator, clock: Clock, night: float, home: IntArray) -> IntArray:
    """Begin at night by the victim's clock with chance `night`, else at any hour; from a day before the window."""
    n = len(home)
    day = rng.integers(-1, WINDOW_DAYS + 1, n)
    hour = np.where(rng.random(n) < night, 22 + 8 * rng.random(n), 24 * rng.random(n))
    midnight = clock.start // DAY_US * DAY_US
    return midnight + day * DAY_US + (hour * 3_600_000).astype(np.int64) * 1000 - v.UTC_OFFSET_US[home]


def _offsets(rng: np.random.Generator, plan: Plan, drawn: Sequences, of: IntArray) -> IntArray:
    median = BURST[2] if plan.burst else plan.cues.gap_seconds
    gap = median * drawn.pace[of] * np.exp(plan.cues.gap_sigma * rng.standard_normal(len(of))) + 1.0
    total = np.cumsum((gap * 1000).astype(np.int64) * 1000)
    starts = np.cumsum(drawn.steps) - drawn.steps
    return total - total[starts][of]


def _victims(rng: np.random.Generator, scene: Scene, plan: Plan, drawn: Sequences, of: IntArray) -> IntArray:
    """Give each attempt its card: the sequence's, or in a burst the next of a list, some tried again at once."""
    if not plan.burst:
        return drawn.victim[of]
    fresh = rng.random(len(of)) >= SAME_CARD_IN_BURST
    cards = rng.integers(0, len(scene.population), len(of))
    return cards[np.maximum.accumulate(np.where(fresh, np.arange(len(of)), 0))]


def _merchants(
    rng: np.random.Generator, scene: Scene, plan: Plan, of: IntArray, country: IntArray, time: IntArray
) -> tuple[IntArray, IntArray]:
    n = len(of)
    world = scene.world
    if plan.scenario == STOLEN:
        category = rng.choice(v.N_CATEGORIES, n, p=v.THEFT_SHARE)
    elif plan.scenario == TAKEOVER:
        category = np.full(n, v.CATEGORY["transfer"])
    else:
        run = rng.random(int(of[-1]) + 1 if n else 0) < SUBSCRIPTION_SHARE
        category = np.where(run[of], v.CATEGORY["subscription"], v.CATEGORY["digital_goods"])
    at_gathering = rng.random(n) < plan.cues.exposed
    choice = rng.random(n)
    if plan.scenario == TESTING:
        stays = np.ones(n, bool) if plan.burst else rng.random(n) < SAME_MERCHANT
        shared = rng.random((2, int(of[-1]) + 1 if n else 0))
        at_gathering = np.where(stays, shared[0][of] < plan.cues.exposed, at_gathering)
        choice = np.where(stays, shared[1][of], choice)
    usual = world.popular(category, country, choice)
    return np.where(at_gathering, world.gathering(category, scene.clock.day(time), choice), usual), category


def _payments(rng: np.random.Generator, scenario: int, category: IntArray) -> IntArray:
    if scenario == TAKEOVER:
        return np.full(len(category), v.TRANSFER)
    sells = v.ONLINE_SHARE[category]
    share = np.where(sells > 0, np.maximum(sells, ONLINE_THEFT), 0.0)
    payment = np.where(rng.random(len(category)) < share, v.ONLINE, v.PURCHASE)
    payment[category == v.CATEGORY["cash"]] = v.WITHDRAWAL
    return payment


def _devices(
    rng: np.random.Generator,
    scene: Scene,
    scenario: int,
    drawn: Sequences,
    of: IntArray,
    victim: IntArray,
    time: IntArray,
    number: IntArray,
) -> tuple[IntArray, IntArray, IntArray]:
    """Act from the victim's phone, one of the ring's devices, or a device that nobody has seen before."""
    codes, n = scene.codes, len(drawn.victim)
    ring = drawn.ring[of]
    tool = (np.maximum(drawn.ring, 0) * RING_DEVICES + rng.integers(0, RING_DEVICES, n))[of]
    desk = (rng.random(n) < DESKTOP_SHARE[scenario])[of]
    device = np.where(ring >= 0, codes.ring_device + tool, codes.fresh_device + number)
    device_type = np.where(ring >= 0, tool % 2, desk)
    route, pick = rng.random(n)[of], rng.integers(0, 1 << 20, n)[of]
    city = drawn.city[of]
    address = np.where(
        route < ADDRESSES[0],
        codes.fresh_address + number,
        np.where(route < ADDRESSES[1], codes.carrier(v.CITY_COUNTRY[city], pick), codes.hotel(city, pick)),
    )
    address = np.where(ring >= 0, codes.ring_address + tool, address)
    own = np.nonzero(drawn.own[of])[0]
    device[own] = scene.population.phone(victim[own], time[own])
    device_type[own] = v.MOBILE
    return device, device_type, address


def _amounts(
    rng: np.random.Generator,
    scene: Scene,
    plan: Plan,
    level: Floats,
    merchant: IntArray,
    category: IntArray,
    victim: IntArray,
) -> IntArray:
    n = len(category)
    if plan.scenario == TESTING:
        low, high = (round(100 * amount) for amount in scene.hard.testing_amount)
        return rng.integers(low, high + 1, n)
    if plan.scenario == STOLEN:
        usual = np.exp(v.LOG_MEDIAN[category] + scene.world.log_price[merchant])
        amount = plan.cues.amount * level * usual * np.exp(0.5 * v.SIGMA[category] * rng.standard_normal(n))
        rounded = category == v.CATEGORY["cash"]
    else:
        usual = np.exp(0.5 * scene.population.log_scale[victim])
        amount = plan.cues.amount * level * usual * np.exp(0.3 * rng.standard_normal(n))
        rounded = rng.random(n) < ROUNDED_TRANSFERS
    cents = np.rint(amount * 100).astype(np.int64)
    cents[rounded] = round_to_tens(cents[rounded])
    return np.clip(cents, *CENTS)
