"""Attacks as sequences: on whom, when, at what pace, from where and by whose device."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations, product
from typing import Final

import numpy as np
import numpy.typing as npt

from sentinel_core.synthetic import vocabulary as v
from sentinel_core.synthetic.codes import RING_DEVICES, Codes
from sentinel_core.synthetic.difficulty import STOLEN, TAKEOVER, TESTING, Cues, Difficulty
from sentinel_core.synthetic.population import HOUR_US, Population
from sentinel_core.synthetic.vocabulary import Floats, IntArray
from sentinel_core.synthetic.world import DAY_US, Clock, World

DESKTOP_SHARE: Final = {STOLEN: 0.4, TAKEOVER: 0.5, TESTING: 0.8}
"""Share of attackers' own devices that are computers; the others are phones."""
ADDRESSES: Final = (0.45, 0.70)
"""Cumulative shares of attackers behind a residential proxy and a mobile carrier; the rest use public networks."""
PACE_SIGMA: Final = 0.5
"""Log-scale spread of the pace from sequence to sequence."""
NIGHT_BEGINS, NIGHT_HOURS = 22.0, 8.0
SAME_CARD_IN_BURST: Final = 0.35
NEW_DEVICE, FOREIGN, GATHERING, NIGHT = range(4)


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
    """One call's order: so many rows of a scenario under these cues, a share of the sequences by rings.

    `first_sequence` numbers the sequences; a `burst` runs over many cards.
    """

    scenario: int
    cues: Cues
    rows: int
    ring_share: float
    first_sequence: int = 0
    burst: bool = False

    def numbered(self, first_sequence: int) -> Plan:
        """Give the same order with its sequences numbered from there on."""
        return replace(self, first_sequence=first_sequence)


@dataclass(frozen=True, slots=True)
class Sequences:
    """Sequences, one row each: victim of the block, begin (µs), steps, city, ring or -1, amount's level.

    `own` says that the victim's phone is used, `gathering` that the merchants are those where fraud gathers. `offset`
    gives each step's time since its sequence began (µs), for the steps of all sequences, first to last.
    """

    victim: IntArray
    begin: IntArray
    steps: IntArray
    city: IntArray
    own: npt.NDArray[np.bool_]
    gathering: npt.NDArray[np.bool_]
    ring: IntArray
    level: Floats
    offset: IntArray


def draw_sequences(rng: np.random.Generator, scene: Scene, plan: Plan, n: int) -> Sequences:
    """Draw n sequences with all that stays the same through each."""
    pop, cues = scene.population, plan.cues
    victim = draw_victims(rng, pop, n)
    home = pop.country[victim]
    ring = (scene.codes.rings * rng.random(n) ** 1.5).astype(np.int64)
    ring = np.where(rng.random(n) < plan.ring_share, ring, -1)
    country = rng.choice(v.N_COUNTRIES, n, p=scene.world.attacker_share)
    country = np.where(ring >= 0, scene.world.ring_country[ring], country)
    shown = draw_cues(rng, cues, n)
    country = np.where(shown[FOREIGN], country, home)
    abroad = v.FIRST_CITY[country] + (v.CITIES_OF[country] * rng.random(n)).astype(np.int64)
    steps = cues.least_steps - 1 + rng.geometric(1.0 / (cues.mean_steps - cues.least_steps + 1), n)
    steps = np.minimum(steps, cues.most_steps)
    return Sequences(
        victim=victim,
        begin=_begins(rng, scene.clock, shown[NIGHT], home),
        steps=steps,
        city=np.where(country == home, pop.city[victim], abroad),
        own=~shown[NEW_DEVICE],
        gathering=shown[GATHERING],
        ring=ring,
        level=np.exp(cues.amount_sigma * rng.standard_normal(n)),
        offset=_offsets(rng, cues, steps),
    )


def cue_chances(cues: Cues) -> Floats:
    """Give the probabilities of the four cues, in the order of `NEW_DEVICE`, `FOREIGN`, `GATHERING`, `NIGHT`."""
    return np.array([cues.new_device, cues.foreign, cues.gathering, cues.night or 0.0])


def cue_patterns(cues: Cues) -> dict[tuple[bool, ...], float]:
    """Give the probability of every set of cues that `draw_cues` can draw."""
    chances = cue_chances(cues)
    patterns: dict[tuple[bool, ...], float] = {}
    for drawn in product((False, True), repeat=len(chances)):
        weight = float(np.prod(np.where(drawn, chances, 1.0 - chances)))
        on = [cue for cue in range(len(chances)) if drawn[cue]]
        off = [cue for cue in range(len(chances)) if not drawn[cue] and chances[cue] > 0]
        least = min(cues.least_cues, len(on) + len(off))
        kept = combinations(on, min(len(on), cues.most_cues))
        ways = [{*some, *more} for some in kept for more in combinations(off, max(least - len(on), 0))]
        for way in ways:
            shown = tuple(cue in way for cue in range(len(chances)))
            patterns[shown] = patterns.get(shown, 0.0) + weight / len(ways)
    return {shown: weight for shown, weight in patterns.items() if weight > 0}


def draw_cues(rng: np.random.Generator, cues: Cues, n: int) -> npt.NDArray[np.bool_]:
    """Draw which cues each of n sequences shows, [4, n]: each by its chance, then more or fewer by lot."""
    chances = cue_chances(cues)[:, None]
    drawn, lot = rng.random((2, len(chances), n))
    drawn = drawn < chances
    lot = np.where(drawn, lot, np.where(chances > 0, lot + 1.0, 3.0))
    count = np.clip(drawn.sum(axis=0), cues.least_cues, cues.most_cues)
    shown: npt.NDArray[np.bool_] = np.argsort(np.argsort(lot, axis=0), axis=0) < count
    return shown


def _begins(rng: np.random.Generator, clock: Clock, night: npt.NDArray[np.bool_], home: IntArray) -> IntArray:
    """Begin at night by the victim's clock, or at any hour; from two days before the window."""
    n = len(home)
    day = clock.start // DAY_US + rng.integers(-2, clock.days + 1, n)
    hour = np.where(night, NIGHT_BEGINS + NIGHT_HOURS * rng.random(n), 24 * rng.random(n))
    return day * DAY_US + (hour * (HOUR_US // 1000)).astype(np.int64) * 1000 - v.UTC_OFFSET_US[home]


def _offsets(rng: np.random.Generator, cues: Cues, steps: IntArray) -> IntArray:
    of = np.repeat(np.arange(len(steps)), steps)
    pace = np.exp(PACE_SIGMA * rng.standard_normal(len(steps)))[of]
    gap = cues.gap_seconds * pace * np.exp(cues.gap_sigma * rng.standard_normal(len(of))) + 1.0
    total = np.cumsum((gap * 1000).astype(np.int64) * 1000)
    offset: IntArray = total - total[np.cumsum(steps) - steps][of]
    return offset


def draw_victims(rng: np.random.Generator, pop: Population, n: int) -> IntArray:
    """Draw n victims in proportion to their activity: cards that are used more leak more."""
    return rng.choice(len(pop), n, p=pop.rate / pop.rate.sum())


def cards_tried(rng: np.random.Generator, pop: Population, n: int) -> IntArray:
    """Give the users whose cards n attempts of bursts try: one after another, some twice in a row."""
    fresh = rng.random(n) >= SAME_CARD_IN_BURST
    tried: IntArray = draw_victims(rng, pop, n)[np.maximum.accumulate(np.where(fresh, np.arange(n), 0))]
    return tried


@dataclass(frozen=True, slots=True)
class Tools:
    """What an attack's steps are made with, one row a step: device and address codes, device type."""

    device: IntArray
    device_type: IntArray
    address: IntArray


def tools(rng: np.random.Generator, scene: Scene, plan: Plan, drawn: Sequences, steps: Steps) -> Tools:
    """Act from the victim's phone, one of the ring's devices, or a device that nobody has seen before."""
    codes, of, n = scene.codes, steps.of, len(drawn.victim)
    by_ring = drawn.ring[of] >= 0
    tool = (np.maximum(drawn.ring, 0) * RING_DEVICES + rng.integers(0, RING_DEVICES, n))[of]
    desk = (rng.random(n) < DESKTOP_SHARE[plan.scenario])[of]
    route, pick, city = rng.random(n)[of], rng.integers(0, 1 << 20, n)[of], drawn.city[of]
    address = np.where(route < ADDRESSES[1], codes.carrier(v.CITY_COUNTRY[city], pick), codes.hotel(city, pick))
    address = np.where(route < ADDRESSES[0], codes.fresh_address + steps.sequence, address)
    own = drawn.own[of]
    device = np.where(by_ring, codes.ring_device + tool, codes.fresh_device + steps.sequence)
    phone = scene.population.phone(steps.victim, steps.time)
    return Tools(
        device=np.where(own, phone, device),
        device_type=np.where(own, v.MOBILE, np.where(by_ring, tool % 2, desk)),
        address=np.where(by_ring, codes.ring_address + tool, address),
    )


@dataclass(frozen=True, slots=True)
class Steps:
    """The steps that lie in the window, one row each: index into the sequences, its number, time (µs), victim."""

    of: IntArray
    sequence: IntArray
    time: IntArray
    victim: IntArray


def spell_out(rng: np.random.Generator, scene: Scene, plan: Plan, drawn: Sequences) -> Steps:
    """Spell sequences out by steps, in the order of the sequences: the first `plan.rows` that lie in the window."""
    of = np.repeat(np.arange(len(drawn.steps)), drawn.steps)
    time = drawn.begin[of] + drawn.offset
    kept = np.nonzero((time >= scene.clock.start) & (time < scene.clock.end))[0][: plan.rows]
    of, time = of[kept], time[kept]
    sequence = plan.first_sequence + np.cumsum(np.diff(of, prepend=of[:1]) != 0)
    victim = cards_tried(rng, scene.population, len(of)) if plan.burst else drawn.victim[of]
    return Steps(of, sequence, time, victim)
