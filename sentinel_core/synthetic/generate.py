"""`generate`: population → behaviour → fraud → labels, as one frame in the order of time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
import pandas as pd

from sentinel_core.errors import DataError
from sentinel_core.schema import hash_text, to_micros
from sentinel_core.synthetic.behaviour import legitimate
from sentinel_core.synthetic.codes import Codes
from sentinel_core.synthetic.difficulty import DEFAULT_DIFFICULTY, MIMICRY, Difficulty
from sentinel_core.synthetic.drifts import Ramp, check_drifts, drifted
from sentinel_core.synthetic.frame import to_frame
from sentinel_core.synthetic.labels import ObservedLabels, observe
from sentinel_core.synthetic.plans import Plans, make_plans, share_out
from sentinel_core.synthetic.population import Population, make_population
from sentinel_core.synthetic.scenarios import attack
from sentinel_core.synthetic.sequences import Scene
from sentinel_core.synthetic.sessions import row_counts
from sentinel_core.synthetic.stream import AMBIGUOUS, HIDDEN, LOOKALIKE, Stream, concat
from sentinel_core.synthetic.world import WINDOW_DAYS, Clock, World, make_world

USERS_A_ROW: Final = 1500 / 100_000
USERS_MIN: Final = 10
BLOCK_USERS: Final = 15_000
ROWS_MIN: Final = 100
ROWS_MAX: Final = 30_000_000
FRAUD_RATE_MAX: Final = 0.2
DAYS_MAX: Final = 365


@dataclass(frozen=True, slots=True)
class Simulation:
    """Everything that the generator knows: the rows in time order, their labels, and the world behind them."""

    stream: Stream
    labels: ObservedLabels
    world: World
    populations: tuple[Population, ...]
    clock: Clock
    codes: Codes
    difficulty: Difficulty
    fraud_rate: float
    name: str
    seed: int


def generate(
    n_rows: int = 100_000,
    fraud_rate: float = 0.02,
    seed: int = 0,
    *,
    end: datetime,
    difficulty: Difficulty = DEFAULT_DIFFICULTY,
    drift: Mapping[str, float] | None = None,
    ramp: Ramp | None = None,
    days: int = WINDOW_DAYS,
) -> pd.DataFrame:
    """Generate exactly `n_rows` transactions of the `days` (90 to 365) before `end`, in time order, with labels.

    Columns are those of `schema.COLUMNS` that the generator has (all but currency, outcome and
    propensity): ids and texts as categories or Arrow strings, timestamp and labelled_at datetime64[us, UTC],
    amount float64 in whole cents, is_fraud (observed) and is_fraud_true bool, fraud_scenario text or null.
    Users grow with the rows a day (1,500 for 100,000 in 90 days); the same arguments give the same frame. `fraud_rate`
    (0 to 0.2) is the share of true frauds; `drift` maps a drift's name to its size (`{"amount": 1.5}`, see `DRIFTS` in
    drifts.py), and `ramp` says from when on it holds, where not from the first row on.

    Raises `DataError` for arguments outside their bounds and `ValueError` for an `end` without zone.
    """
    return to_frame(
        simulate(n_rows, fraud_rate, seed, end=end, difficulty=difficulty, drift=drift, ramp=ramp, days=days)
    )


def simulate(
    n_rows: int = 100_000,
    fraud_rate: float = 0.02,
    seed: int = 0,
    *,
    end: datetime,
    difficulty: Difficulty = DEFAULT_DIFFICULTY,
    drift: Mapping[str, float] | None = None,
    ramp: Ramp | None = None,
    days: int = WINDOW_DAYS,
) -> Simulation:
    """Generate what `generate` shows, and all that lies behind it; arguments and errors as there."""
    drift = dict(drift or {})
    _check(n_rows, fraud_rate, drift, days)
    clock = Clock(to_micros(end) // 1000 * 1000, days)
    n_users = max(USERS_MIN, round(n_rows * USERS_A_ROW * WINDOW_DAYS / days))
    users = share_out(n_users, [1] * -(-n_users // BLOCK_USERS))
    rows, frauds = share_out(n_rows, users), share_out(round(n_rows * fraud_rate), users)
    reserved = [2 * count + 10 for count in frauds]
    codes = Codes(n_users, sum(reserved))
    for_world, for_blocks, for_labels, for_drift = np.random.SeedSequence(seed).spawn(4)
    world = make_world(np.random.default_rng(for_world), n_users, codes.rings, clock, difficulty)
    hard_rows = difficulty.hard_negatives_per_fraud * fraud_rate
    streams, populations = [], []
    for block, source in enumerate(for_blocks.spawn(len(users))):
        rng, first = np.random.default_rng(source), sum(users[:block])
        people = make_population(rng, users[block], first, world, clock, hard_rows=hard_rows, hard=difficulty)
        plans = make_plans(difficulty, frauds[block], sum(reserved[:block]))
        streams.append(_play(rng, Scene(people, world, clock, codes, difficulty), plans, rows[block], frauds[block]))
        populations.append(people)
    stream = concat(streams)
    stream = stream.take(np.argsort(stream.time, kind="stable"))
    stream = drifted(np.random.default_rng(for_drift), stream, world, drift, ramp)
    labels = observe(np.random.default_rng(for_labels), stream, difficulty)
    told: tuple[object, ...] = (n_rows, fraud_rate, seed, clock.end, difficulty, sorted(drift.items()))
    # What came later is told where it is used, so that everything else keeps its ids.
    told += (*([ramp] if ramp else []), *([days] if days != WINDOW_DAYS else []))
    name = f"{hash_text(repr(told)) >> 32:08x}"
    return Simulation(stream, labels, world, tuple(populations), clock, codes, difficulty, fraud_rate, name, seed)


def _play(rng: np.random.Generator, scene: Scene, plans: Plans, rows: int, frauds: int) -> Stream:
    """Generate one block of users: the planned sequences, genuine rows beside them, mimicry among the genuine."""
    attacks = [attack(rng, scene, plan) for plan in plans.plain]
    attacks += [_marked(attack(rng, scene, plan), visibility=AMBIGUOUS) for plan in plans.ambiguous]
    lookalikes = [_marked(attack(rng, scene, plan), scenario=0, negative=LOOKALIKE) for plan in plans.lookalikes]
    among_lookalikes = sum(len(part) for part in lookalikes)
    others = rows - among_lookalikes - sum(len(part) for part in attacks)
    counts = row_counts(others, frauds, among_lookalikes, scene.hard)
    genuine = legitimate(rng, scene.population, scene.world, scene.clock, scene.codes, counts)
    victims = rng.choice(len(genuine), plans.hidden, replace=False)
    genuine.scenario[victims] = MIMICRY
    genuine.visibility[victims] = HIDDEN
    genuine.negative[victims] = 0
    return concat([genuine, *attacks, *lookalikes])


def _marked(stream: Stream, **values: int) -> Stream:
    for name, value in values.items():
        getattr(stream, name)[:] = value
    return stream


def _check(n_rows: int, fraud_rate: float, drift: dict[str, float], days: int) -> None:
    if not ROWS_MIN <= n_rows <= ROWS_MAX:
        raise DataError(
            f"expected {ROWS_MIN} to {ROWS_MAX} rows to generate, got {n_rows}.",
            remedy="Ask for a number in that range.",
        )
    if not 0.0 <= fraud_rate <= FRAUD_RATE_MAX:
        raise DataError(
            f"expected a fraud rate from 0 to {FRAUD_RATE_MAX}, got {fraud_rate}.",
            remedy="Give a share, such as 0.02 for 2%.",
        )
    if not WINDOW_DAYS <= days <= DAYS_MAX:
        raise DataError(
            f"expected {WINDOW_DAYS} to {DAYS_MAX} days to generate, got {days}.",
            remedy="Ask for a number in that range.",
        )
    check_drifts(drift)
