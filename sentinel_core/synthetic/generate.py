"""`generate`: population → behaviour → fraud → labels, as one frame in the order of time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import numpy as np
import pandas as pd

from sentinel_core.errors import DataError
from sentinel_core.schema import hash_text, to_micros
from sentinel_core.synthetic.behaviour import legitimate
from sentinel_core.synthetic.codes import Codes
from sentinel_core.synthetic.difficulty import DEFAULT_DIFFICULTY, MIMICRY, TESTING, Difficulty
from sentinel_core.synthetic.frame import to_frame
from sentinel_core.synthetic.labels import ObservedLabels, observe
from sentinel_core.synthetic.population import Population, make_population
from sentinel_core.synthetic.scenarios import attack
from sentinel_core.synthetic.sequences import Plan, Scene
from sentinel_core.synthetic.sessions import row_counts
from sentinel_core.synthetic.stream import AMBIGUOUS, HIDDEN, LOOKALIKE, PLAIN, Stream, concat
from sentinel_core.synthetic.world import Clock, World, make_world

USERS_A_ROW: Final = 1500 / 100_000
BLOCK_USERS: Final = 15_000
ROWS_MIN: Final = 100
ROWS_MAX: Final = 30_000_000
FRAUD_RATE_MAX: Final = 0.2
DRIFTS: Final = ("amount",)
"""Known drifts: `amount` multiplies every amount."""


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
) -> pd.DataFrame:
    """Generate exactly `n_rows` transactions of the 90 days before `end`, in time order, with labels.

    Columns are those of `schema.COLUMNS` that the generator has (all but currency, outcome and
    propensity): ids and texts as categories or Arrow strings, timestamp and labelled_at datetime64[us, UTC],
    amount float64 in whole cents, is_fraud (observed) and is_fraud_true bool, fraud_scenario text or null.
    Users grow with the rows (1,500 for 100,000); the same arguments give the same frame. `fraud_rate`
    (0 to 0.2) is the share of true frauds; `drift` maps a drift's name to its size (`{"amount": 1.5}`).

    Raises `DataError` for arguments outside their bounds and `ValueError` for an `end` without zone.
    """
    return to_frame(simulate(n_rows, fraud_rate, seed, end=end, difficulty=difficulty, drift=drift))


def simulate(
    n_rows: int = 100_000,
    fraud_rate: float = 0.02,
    seed: int = 0,
    *,
    end: datetime,
    difficulty: Difficulty = DEFAULT_DIFFICULTY,
    drift: Mapping[str, float] | None = None,
) -> Simulation:
    """Generate what `generate` shows, and all that lies behind it; arguments and errors as there."""
    drift = dict(drift or {})
    _check(n_rows, fraud_rate, drift)
    clock = Clock(to_micros(end) // 1000 * 1000)
    n_users = max(10, round(n_rows * USERS_A_ROW))
    sizes = _blocks(n_users)
    frauds = _share_out(round(n_rows * fraud_rate), sizes)
    reserved = [2 * count + 10 for count in frauds]
    codes = Codes(n_users, sum(reserved))
    sources = np.random.SeedSequence(seed).spawn(3)
    world = make_world(np.random.default_rng(sources[0]), n_users, codes.rings, difficulty)
    rows = _share_out(n_rows, sizes)
    streams, populations, sequence = [], [], 0
    for index, child in enumerate(sources[1].spawn(len(sizes))):
        rng = np.random.default_rng(child)
        population = make_population(rng, sizes[index], sum(sizes[:index]), world, clock, fraud_rate, difficulty)
        scene = Scene(population, world, clock, codes, difficulty)
        streams.append(_block(rng, scene, rows[index], frauds[index], sequence))
        populations.append(population)
        sequence += reserved[index]
    stream = concat(streams)
    stream = stream.take(np.argsort(stream.time, kind="stable"))
    if "amount" in drift:
        stream = replace(stream, cents=np.maximum(np.rint(stream.cents * drift["amount"]).astype(np.int64), 1))
    rng = np.random.default_rng(sources[2])
    labels = observe(rng, stream, difficulty)
    name = f"{hash_text(repr((n_rows, fraud_rate, seed, clock.end, difficulty, sorted(drift.items())))) >> 32:08x}"
    return Simulation(stream, labels, world, tuple(populations), clock, codes, difficulty, fraud_rate, name, seed)


def _block(rng: np.random.Generator, scene: Scene, rows: int, frauds: int, first_sequence: int) -> Stream:
    """Generate one block of users: genuine rows, then the planned sequences, then mimicry among the genuine."""
    hard = scene.hard
    plans, ambiguous_plans, lookalike_plans, hidden = _plans(hard, frauds, first_sequence)
    attacks = [attack(rng, scene, plan) for plan in plans]
    attacks += [_marked(attack(rng, scene, plan), visibility=AMBIGUOUS) for plan in ambiguous_plans]
    genuine_episodes = [_marked(attack(rng, scene, plan), scenario=0, negative=LOOKALIKE) for plan in lookalike_plans]
    sequence_rows = sum(len(part) for part in attacks + genuine_episodes)
    counts = row_counts(rows - sequence_rows, frauds, sum(len(part) for part in genuine_episodes), hard)
    genuine = legitimate(rng, scene.population, scene.world, scene.clock, scene.codes, counts)
    victims = rng.choice(len(genuine), hidden, replace=False)
    genuine.scenario[victims] = MIMICRY
    genuine.visibility[victims] = HIDDEN
    genuine.negative[victims] = 0
    return concat([genuine, *attacks, *genuine_episodes])


def _plans(hard: Difficulty, frauds: int, first: int) -> tuple[list[Plan], list[Plan], list[Plan], int]:
    """Split a block's frauds by visibility and scenario into plans with sequence numbers of their own."""
    hidden = round(hard.hidden_share * frauds)
    ambiguous = round(hard.ambiguous_share * frauds)
    lookalikes = round(hard.lookalikes_per_ambiguous * ambiguous)
    shares = list(hard.scenario_shares)
    groups: list[list[Plan]] = [[], [], []]
    for group, total, cues, ring in (
        (PLAIN, frauds - hidden - ambiguous, hard.plain, hard.ring_share),
        (AMBIGUOUS, ambiguous, hard.ambiguous, 0.0),
        (2, lookalikes, hard.ambiguous, 0.0),
    ):
        for scenario, rows in enumerate(_share_out(total, shares), start=1):
            burst = round(hard.burst_share * rows) if group == PLAIN and scenario == TESTING else 0
            for part, is_burst in ((rows - burst, False), (burst, True)):
                if part:
                    looks = hard.burst if is_burst else cues[scenario - 1]
                    groups[group].append(Plan(scenario, looks, part, ring, first, is_burst))
                    first += part
    return groups[0], groups[1], groups[2], hidden


def _marked(stream: Stream, **values: int) -> Stream:
    for name, value in values.items():
        getattr(stream, name)[:] = value
    return stream


def _blocks(n_users: int) -> list[int]:
    count = -(-n_users // BLOCK_USERS)
    return _share_out(n_users, [1.0] * count)


def _share_out(total: int, weights: list[float] | list[int]) -> list[int]:
    """Split a whole number in proportion to weights, by largest remainders; the parts sum to it."""
    exact = np.array(weights, dtype=float) * (total / sum(weights))
    parts = np.floor(exact).astype(np.int64)
    parts[np.argsort(parts - exact, kind="stable")[: total - int(parts.sum())]] += 1
    return [int(part) for part in parts]


def _check(n_rows: int, fraud_rate: float, drift: dict[str, float]) -> None:
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
    for name, size in drift.items():
        if name not in DRIFTS:
            raise DataError(
                f"expected one of the drifts {', '.join(DRIFTS)}, got {name!r}.", remedy="Correct its name."
            )
        if not 0.0 < size <= 100.0:
            raise DataError(
                f"expected drift {name} between 0 and 100, got {size}.", remedy="Give a factor such as 1.5."
            )
