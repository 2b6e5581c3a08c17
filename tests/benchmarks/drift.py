"""How often the drift check cries wolf, what it finds and how fast, on generated worlds; Evidently's preset beside it.

BENCH_DRIFT_WORLDS worlds (60), each with 84 quiet windows and on average 8 runs of every change, from seed
BENCH_DRIFT_SEED on. BENCH_DRIFT_PARTS names what is measured (windows,preset,ideal,check).
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sentinel_core.monitoring.drift import DriftVerdict, judge_window
from sentinel_core.monitoring.sample import Sample
from tests.benchmarks.drift_changes import CHANGES, Rows, changed_windows, overlay
from tests.benchmarks.drift_check import run_check
from tests.benchmarks.drift_ideal import ideal
from tests.benchmarks.drift_preset import preset
from tests.benchmarks.drift_world import FRAUD_RATE, World, make_world

WORLDS: Final = int(os.environ.get("BENCH_DRIFT_WORLDS", "60"))
SEED: Final = int(os.environ.get("BENCH_DRIFT_SEED", "3000000"))
PARTS: Final = os.environ.get("BENCH_DRIFT_PARTS", "windows,preset,ideal,check").split(",")
WORLD_ROWS: Final = (600_000, 75_000, 150_000, 600_000, 300_000, 75_000)
"""Of 90 days, in turn: the largest window needs many rows a day, most deployments have fewer."""
CHAINS: Final = 6
CHAIN: Final = 14
"""Chains of quiet windows of a world, and how many of each count."""
RUNS: Final = round(500 * WORLDS / 60)
"""Runs of every change, over all worlds."""
FEWER: Final = {"fraud rate": 2, "5,000 rows": 2, "no two": 2}
"""So many times fewer of the changes whose names say this: windows with attacks, and large ones, are dear."""
FEWEST: Final = 500
MOST: Final = 5_000
LONGEST_US: Final = 24 * 3_600_000_000
"""A window that takes longer is no window: there is not enough data."""
DAY_SHARE: Final = 0.75
"""The largest window of a world, as a share of its mean day: Sundays have fewer rows."""
SIZES: Final = {
    name: int(name.partition(" at ")[2].partition(" rows")[0].replace(",", "")) for name in CHANGES if " at " in name
}
"""Rows of a window where the change names them."""
PRESET_QUIET: Final = 3
PRESET_RUNS: Final = 0.5
"""A world's windows that Evidently's preset sees too."""


@dataclass(slots=True)
class Tally:
    """What was counted of one kind of windows."""

    windows: int = 0
    found: int = 0
    judged: int = 0
    suspected: int = 0
    named: Counter[str] = field(default_factory=Counter)
    missed: list[dict[str, Any]] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    found_rows: list[int] = field(default_factory=list)
    hours: list[float] = field(default_factory=list)
    seen: list[tuple[bool, bool, bool]] = field(default_factory=list)
    worlds: set[int] = field(default_factory=set)

    def note(self, world: World, window: Sample) -> None:
        """Count a window of a world."""
        self.windows += 1
        self.worlds.add(world.seed)
        self.rows.append(len(window))
        self.hours.append(_span(window.time) / 3_600_000_000)

    def document(self) -> dict[str, Any]:
        """Return what is said about the windows themselves."""
        preset_says = np.array(self.seen, float).reshape(-1, 3)
        return {
            "worlds": len(self.worlds),
            "rows": _spread(self.rows),
            "hours": _spread(self.hours),
            "evidently": {
                "windows": len(preset_says),
                "dataset_drift": _mean(preset_says[:, 0]),
                "any_column": _mean(preset_says[:, 1]),
                "any_column_that_has_a_say": _mean(preset_says[:, 2]),
            },
        }


def run() -> dict[str, Any]:
    """Return alarms among quiet windows, what was found of each change, and the cost of a check."""
    figures: dict[str, Any] = {}
    if "windows" in PARTS:
        figures |= _measured()
    if "ideal" in PARTS:
        figures["an_observer_who_sees_every_attack"] = ideal()
    if "check" in PARTS:
        figures["check"] = run_check()
    return figures


def _measured() -> dict[str, Any]:
    quiet, changed = Tally(), {name: Tally() for name in CHANGES}
    begun = time.monotonic()
    for number in range(WORLDS):
        rows = WORLD_ROWS[number % len(WORLD_ROWS)]
        world = make_world(rows, SEED + number, in_operation=number // len(WORLD_ROWS) % 2 == 1)
        _watch_quiet(world, quiet)
        for name, runs in _orders(number).items():
            _watch_changed(world, name, runs, changed[name])
        _say(number, begun, quiet, changed)
    return {
        "worlds": WORLDS,
        "first_seed": SEED,
        "fraud_rate": FRAUD_RATE,
        "minutes": round((time.monotonic() - begun) / 60, 1),
        "quiet": {
            "windows": quiet.windows,
            "alarms": quiet.found,
            "alarms_in": quiet.missed,
            "rejected_something": round(quiet.suspected / max(quiet.judged, 1), 4),
            "named": dict(quiet.named.most_common()),
            **quiet.document(),
        },
        "changes": {
            name: {
                "runs": tally.windows // 2,
                "found": tally.found,
                "found_by_rows": _by_rows(tally),
                "rejected_something_in_the_first": tally.suspected,
                "named": dict(tally.named.most_common(8)),
                "missed": tally.missed,
                **tally.document(),
            }
            for name, tally in changed.items()
        },
    }


def _watch_quiet(world: World, tally: Tally) -> None:
    """Judge chains of windows that follow each other, each by what the one before it rejected.

    Of two neighbours both have to reject for drift. So every other window is judged first, and the ones between only
    where a neighbour rejected something: the alarms are those of judging all.
    """
    rng = np.random.default_rng((world.seed, 1))
    for _ in range(CHAINS):
        rows, count = _size(world, rng), CHAIN + 1
        windows = [_window(world, start, rows) for start in _starts(world, rows, count, rng)]
        seeds = rng.integers(2**32, size=len(windows)).tolist()
        verdicts = {n: _judge(world, windows[n], (), seeds[n]) for n in range(1, len(windows), 2)}
        tally.judged += len(verdicts)
        tally.suspected += sum(bool(verdict.rejected) for verdict in verdicts.values())
        for verdict in verdicts.values():
            tally.named.update(verdict.rejected)
        for n in range(0, len(windows), 2):
            if any(n + step in verdicts and verdicts[n + step].rejected for step in (-1, 1)):
                verdicts[n] = _judge(world, windows[n], (), seeds[n])
        for n, window in enumerate(windows[1:], start=1):
            tally.note(world, window)
            again = _rejected(verdicts, n) & _rejected(verdicts, n - 1)
            if again:
                tally.found += 1
                tally.missed.append({"seed": world.seed, "rows": rows, "names": sorted(again)})
        if "preset" in PARTS and len(tally.seen) < PRESET_QUIET * len(tally.worlds):
            tally.seen.append(preset(world.holdout, windows[-1], seed=world.seed))


def _rejected(verdicts: Mapping[int, DriftVerdict], n: int) -> set[str]:
    return set(verdicts[n].rejected) if n in verdicts else set()


def _watch_changed(world: World, name: str, runs: int, tally: Tally) -> None:
    """Judge two changed windows that follow each other, again and again."""
    rng = np.random.default_rng((world.seed, 2, list(CHANGES).index(name)))
    change = CHANGES[name]
    beside = overlay(world, change, int(rng.integers(2**32))) if runs else None
    for _ in range(runs):
        rows = SIZES.get(name) or _size(world, rng)
        first, second = _changed(world, name, beside, rows, rng)
        before = _judge(world, first, (), int(rng.integers(2**32)))
        tally.note(world, first)
        tally.note(world, second)
        tally.judged += 1
        tally.suspected += bool(before.rejected)
        # A window is drift by what the one before it rejected: without that there is nothing to ask the second.
        verdict = _judge(world, second, before.rejected, int(rng.integers(2**32))) if before.rejected else before
        if verdict.outcome == "drift":
            tally.found += 1
            tally.found_rows.append(rows)
            tally.named.update(set(before.rejected) & set(verdict.rejected))
        else:
            tally.missed.append({"seed": world.seed, "rows": rows, "first": before.rejected})
        if "preset" in PARTS and len(tally.seen) < PRESET_RUNS * len(tally.worlds):
            tally.seen.append(preset(world.holdout, second, seed=world.seed))


def _changed(
    world: World, name: str, beside: Rows | None, rows: int, rng: np.random.Generator
) -> tuple[Sample, Sample]:
    """Draw a stretch of two windows that are none too long, and change it."""
    while True:
        start = world.first + int(rng.integers(0, len(world.watched) - 2 * rows))
        first, second = changed_windows(world, CHANGES[name], beside, start, rows, rng)
        if len(second) == rows and max(_span(first.time), _span(second.time)) <= LONGEST_US:
            return first, second


def _orders(number: int) -> dict[str, int]:
    """Share the runs of each change out among the worlds that have rows enough for it."""
    able = {name: [n for n in range(WORLDS) if _largest(_rows_a_day(n)) >= SIZES.get(name, 0)] for name in CHANGES}
    orders = {}
    for name, worlds in able.items():
        total, place = _runs(name), worlds.index(number) if number in worlds else None
        share = 0 if place is None else total * (place + 1) // len(worlds) - total * place // len(worlds)
        orders[name] = share
    return orders


def _runs(name: str) -> int:
    return RUNS // math.prod(factor for part, factor in FEWER.items() if part in name)


def _rows_a_day(number: int) -> float:
    return WORLD_ROWS[number % len(WORLD_ROWS)] / 90


def _largest(rows_a_day: float) -> int:
    return int(min(MOST, DAY_SHARE * rows_a_day))


def _size(world: World, rng: np.random.Generator) -> int:
    """Draw the rows of a window, small ones as often as large ones."""
    largest = max(_largest(world.rows_a_day), FEWEST)
    return round(float(np.exp(rng.uniform(np.log(FEWEST), np.log(largest)))))


def _starts(world: World, rows: int, count: int, rng: np.random.Generator) -> list[int]:
    """Draw where windows begin that follow each other, none too long: what is left over of a night stays unjudged."""
    while True:
        starts, place = [], int(rng.integers(0, max(len(world.watched) - count * rows, 1)))
        while place + rows <= len(world.watched) and len(starts) < count:
            if _span(world.watched.time[place : place + rows]) <= LONGEST_US:
                starts.append(place)
                place += rows
            else:
                starts, place = [], place + 1 + rows // 10
        if len(starts) == count or count * rows > len(world.watched):
            return starts
        count -= 1


def _window(world: World, start: int, rows: int) -> Sample:
    return world.watched.take(np.arange(start, start + rows))


def _judge(world: World, window: Sample, before: tuple[str, ...], seed: int) -> DriftVerdict:
    return judge_window(world.reference, window, before=before, seed=seed)


def _span(time: NDArray[np.int64]) -> int:
    return int(time[-1] - time[0])


def _spread(values: list[Any]) -> dict[str, float]:
    if not values:
        return {}
    return {
        name: round(float(value), 1)
        for name, value in zip(("least", "median", "most"), np.quantile(values, (0, 0.5, 1)), strict=True)
    }


def _by_rows(tally: Tally) -> dict[str, list[int]]:
    """Return how many were found, of how many runs, with windows of up to so many rows."""
    runs, found = np.array(tally.rows[::2]), np.array(tally.found_rows)
    counted, least = {}, 0
    for most in (600, 800, 1_000, 2_000, 5_000):
        within = [int(((rows > least) & (rows <= most)).sum()) for rows in (found, runs)]
        counted[f"up to {most:,}"], least = within, most
    return {name: within for name, within in counted.items() if within[1]}


def _mean(values: NDArray[np.float64]) -> float | None:
    return round(float(values.mean()), 3) if len(values) else None


def _say(number: int, begun: float, quiet: Tally, changed: Mapping[str, Tally]) -> None:
    found = ", ".join(_found(changed))
    print(
        f"{number + 1} worlds, {(time.monotonic() - begun) / 60:.1f} min: {quiet.found} alarms in {quiet.windows}"
        f" ({quiet.suspected} of {quiet.judged} rejected something) {quiet.missed[-3:]}; found {found}",
        file=sys.stderr,
        flush=True,
    )


def _found(changed: Mapping[str, Tally]) -> Iterator[str]:
    for tally in changed.values():
        yield f"{tally.found}/{tally.windows // 2}"
