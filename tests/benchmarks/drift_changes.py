"""What changes in a watched stretch of a world: transactions change, then vectors, histories and scores follow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sentinel_core.datasets.events import categories, to_events
from sentinel_core.datasets.frames import canonical
from sentinel_core.features.build import build_offline
from sentinel_core.features.catalog import POSITION
from sentinel_core.features.events import Events
from sentinel_core.features.risk import served_midnight
from sentinel_core.monitoring.sample import Sample
from sentinel_core.schema import hash_text
from sentinel_core.synthetic.difficulty import TESTING
from sentinel_core.synthetic.frame import to_frame
from sentinel_core.synthetic.labels import ObservedLabels
from sentinel_core.synthetic.plans import make_plans
from sentinel_core.synthetic.scenarios import attack
from sentinel_core.synthetic.sequences import Plan, Scene
from sentinel_core.synthetic.stream import Stream, concat
from sentinel_core.synthetic.vocabulary import COUNTRY_CODES
from tests.benchmarks.drift_world import DAY, DAYS, FRAUD_RATE, Categories, World, taken

COUNTRY: Final = "location_country"
HISTORY_US: Final = 31 * DAY
"""The longest history of a user, and a day of lateness."""
OTHERS_US: Final = DAY + DAY // 24
"""The longest history of devices, addresses and merchants, and a little."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Transactions in order of time with their raw categories."""

    events: Events
    categories: Categories

    def take(self, rows: Any) -> Rows:
        """Return some of them."""
        return Rows(self.events.take(rows), taken(self.categories, rows))


Rewrite = Callable[[Rows, np.random.Generator], Rows]


@dataclass(frozen=True, slots=True)
class Change:
    """A change from a moment on: attacks beside the traffic (`share` of its rows), rows rewritten, or both nothing.

    `attacks` plays that many rows of attacks over a whole world. With `alone` only one payment of each attack is
    played, of as many more attacks.
    """

    rewrite: Rewrite | None = None
    attacks: Callable[[World, int, np.random.Generator], Stream] | None = None
    share: float = 0.0
    alone: bool = False


def dearer(rows: Rows, _: np.random.Generator, *, factor: float) -> Rows:
    """Multiply every amount."""
    return replace(rows, events=replace(rows.events, cents=np.rint(rows.events.cents * factor).astype(np.int64)))


def elsewhere(rows: Rows, rng: np.random.Generator, *, share: float) -> Rows:
    """Move each payment by this chance to another country, any of the generator's, all with the same chance."""
    own = np.array([COUNTRY_CODES.index(code) if code in COUNTRY_CODES else -1 for code in rows.categories[COUNTRY]])
    other = (own + rng.integers(1, len(COUNTRY_CODES), len(own))) % len(COUNTRY_CODES)
    moved = rng.random(len(own)) < share
    names = np.array(COUNTRY_CODES, object)
    hashes = np.array([hash_text(code) for code in COUNTRY_CODES], np.uint64)
    country = np.where(moved, names[other], rows.categories[COUNTRY])
    events = replace(rows.events, country=np.where(moved, hashes[other], rows.events.country))
    return Rows(events, {**rows.categories, COUNTRY: country})


def frauds(world: World, rows: int, rng: np.random.Generator) -> Stream:
    """Play the world's own mix of attacks; of `rows` frauds the hidden ones, which look like their victim, are none."""
    plans = make_plans(world.simulation.difficulty, rows, 0)
    return concat([attack(rng, _scene(world), plan) for plan in (*plans.plain, *plans.ambiguous)])


def card_testing(world: World, rows: int, rng: np.random.Generator) -> Stream:
    """Play nothing but card testing, runs on one card and bursts over many in the generator's proportion."""
    hard = world.simulation.difficulty
    burst = round(hard.burst_share * rows)
    plans = (
        Plan(TESTING, hard.plain[TESTING - 1], rows - burst, hard.ring_share),
        Plan(TESTING, hard.burst, burst, hard.ring_share, first_sequence=rows, burst=True),
    )
    return concat([attack(rng, _scene(world), plan) for plan in plans])


def fraud_times(factor: float, *, alone: bool = False) -> Change:
    """Let the fraud rate grow: attacks of the same kinds beside those that are there."""
    return Change(attacks=frauds, share=(factor - 1.0) * FRAUD_RATE, alone=alone)


CHANGES: Final[Mapping[str, Change]] = {
    "amounts × 1.5": Change(rewrite=partial(dearer, factor=1.5)),
    "10 points of traffic to other countries": Change(rewrite=partial(elsewhere, share=0.1)),
    "30% card testing": Change(attacks=card_testing, share=0.3 / 0.7),
    "fraud rate × 5 at 500 rows": fraud_times(5),
    "fraud rate × 3 at 1,000 rows": fraud_times(3),
    "fraud rate × 2 at 5,000 rows": fraud_times(2),
    "fraud rate × 5 at 500 rows, no two of one attack": fraud_times(5, alone=True),
    "fraud rate × 3 at 1,000 rows, no two of one attack": fraud_times(3, alone=True),
    "fraud rate × 2 at 5,000 rows, no two of one attack": fraud_times(2, alone=True),
}


def overlay(world: World, change: Change, seed: int) -> Rows | None:
    """Play a change's attacks over the watched days and return them in order of time.

    The generator begins attacks at any hour alike. Here an attack begins with a payment of the traffic, any with the
    same chance: so the attacks are `share` of the rows by day as by night, and 500 rows have as many as they should.
    """
    if change.attacks is None:
        return None
    rng = np.random.default_rng(seed)
    days = float(world.watched.time[-1] - world.watched.time[0]) / DAY
    wanted = round(change.share * len(world.watched))
    stream = change.attacks(world, round(wanted * DAYS / days), rng)
    stream = _begun_with_traffic(world, _chosen(stream, wanted, rng, alone=change.alone), rng)
    stream = _renumbered(world, stream.take(np.argsort(stream.time, kind="stable")))
    truth = np.ones(len(stream), np.bool_)
    played = replace(world.simulation, stream=stream, labels=ObservedLabels(truth, truth, stream.time), name="overlay")
    frame = canonical(to_frame(played))
    return Rows(to_events(frame), categories(frame))


def _chosen(stream: Stream, wanted: int, rng: np.random.Generator, *, alone: bool) -> Stream:
    """Draw whole attacks until they have about `wanted` rows, or that many attacks and of each one row."""
    if alone:
        lot = rng.permutation(len(stream))
        _, one = np.unique(stream.sequence[lot], return_index=True)
        return stream.take(lot[rng.permutation(one)[:wanted]])
    attacks, number = np.unique(stream.sequence, return_inverse=True)
    order = rng.permutation(len(attacks))
    kept = np.zeros(len(attacks), np.bool_)
    kept[order[np.cumsum(np.bincount(number)[order]) <= wanted]] = True
    return stream.take(np.flatnonzero(kept[number]))


def _begun_with_traffic(world: World, stream: Stream, rng: np.random.Generator) -> Stream:
    attacks, number = np.unique(stream.sequence, return_inverse=True)
    first = np.full(len(attacks), np.iinfo(np.int64).max)
    np.minimum.at(first, number, stream.time)
    begin = rng.choice(world.watched.time, len(attacks))
    return replace(stream, time=stream.time + (begin - first)[number])


def changed_windows(
    world: World, change: Change, beside: Rows | None, start: int, rows: int, rng: np.random.Generator
) -> tuple[Sample, Sample]:
    """Return two windows of `rows` rows that follow each other, changed from the first row of the first one on.

    `start` is that row's number in the world. Vectors are built anew from all that they look at; daily risk tables are
    those of the world without the change.
    """
    later = np.arange(start, min(start + 2 * rows, len(world.events)))
    changed = Rows(world.events.take(later), taken(world.categories, later))
    if beside is not None:
        since = np.flatnonzero(beside.events.time >= changed.events.time[0])
        changed = _merged(changed, beside.take(since))
    changed = changed.take(slice(0, 2 * rows))
    if change.rewrite is not None:
        changed = change.rewrite(changed, rng)
    sample = world.champion.sample(changed.events, _vectors(world, changed.events, start), changed.categories)
    return sample.take(np.arange(rows)), sample.take(np.arange(rows, len(sample)))


def _vectors(world: World, later: Events, start: int) -> NDArray[np.float32]:
    """Build the vectors of events that follow those before `start`, from the histories that they look at."""
    time, begin = world.events.time[:start], later.time[0]
    near = time >= begin - OTHERS_US
    own = np.flatnonzero((time >= begin - HISTORY_US) & ~near)
    own = own[np.isin(world.events.user[own], later.user)]
    history = world.events.take(np.concatenate([own, np.flatnonzero(near)]))
    whole = _joined(history, later)
    values = build_offline(replace(whole, arrival=np.arange(len(whole))), None).values[len(history) :].copy()
    for name, column in world.risk.lookup(later, served_midnight(later.time)).items():
        values[:, POSITION[name]] = column
    return values


def _merged(one: Rows, other: Rows) -> Rows:
    joined = Rows(
        _joined(one.events, other.events),
        {name: np.concatenate([column, other.categories[name]]) for name, column in one.categories.items()},
    )
    # A stretch ends with the traffic: attacks beyond it have no traffic beside them.
    order = np.argsort(joined.events.time, kind="stable")
    return joined.take(order[joined.events.time[order] <= one.events.time[-1]])


def _joined(one: Events, other: Events) -> Events:
    return Events(*(np.concatenate([getattr(one, f.name), getattr(other, f.name)]) for f in fields(Events)))


def _scene(world: World) -> Scene:
    simulation = world.simulation
    (population,) = simulation.populations
    return Scene(population, simulation.world, simulation.clock, simulation.codes, simulation.difficulty)


def _renumbered(world: World, stream: Stream) -> Stream:
    """Number sequences on from the world's own: each attack's new device and address is one that nobody has seen."""
    codes = world.simulation.codes
    used = int(world.simulation.stream.sequence.max()) + 1
    _, number = np.unique(stream.sequence, return_inverse=True)
    if used + int(number.max(initial=0)) >= codes.n_sequences:
        raise ValueError(f"expected fewer than {codes.n_sequences - used} attacks, got {int(number.max()) + 1}")
    fresh = stream.device == codes.fresh_device + stream.sequence
    routed = stream.address == codes.fresh_address + stream.sequence
    return replace(
        stream,
        device=np.where(fresh, codes.fresh_device + used + number, stream.device).astype(np.int32),
        address=np.where(routed, codes.fresh_address + used + number, stream.address).astype(np.int32),
        sequence=(used + number).astype(np.int32),
    )
