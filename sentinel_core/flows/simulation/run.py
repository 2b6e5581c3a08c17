"""A simulation from its first hour to its last: the system in operation, and beside it the same without its loop."""

from __future__ import annotations

import time
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sentinel_core.errors import TrainingError
from sentinel_core.flows import Progress, silent
from sentinel_core.flows.simulation.answering import score_rows
from sentinel_core.flows.simulation.operation import HOUR, Operation
from sentinel_core.flows.simulation.outcome import describe
from sentinel_core.flows.simulation.plan import BEGIN, Plan, operated
from sentinel_core.flows.simulation.world import make_world
from sentinel_core.settings import Settings
from sentinel_core.stores.postgres import make_engine

_TOLD_EVERY: Final = 6


def simulate(settings: Settings, plan: Plan, *, progress: Progress = silent) -> dict[str, Any]:
    """Simulate a plan on the empty servers that `settings` name, and return what happened (`outcome.describe`).

    Real are the model, its training, the gate, the registry, PostgreSQL, the risk tables, the measuring of live
    performance, the checks of drift, alerts and retraining; of the service and the recorder their scoring, exploration
    and inserts. Simulated are the transactions, their labels and the clock. Without the loop the first model scores the
    same vectors to the end. The same plan gives the same figures. Raises `TrainingError` where the history does not
    carry a first model, `StoreError` or `RegistryError` where a server is away from the start.
    """
    begun = time.perf_counter()
    world = make_world(plan, progress)
    ours = operated(settings, plan)
    engine = make_engine(ours)
    try:
        system = Operation(ours, engine, world, plan, progress)
        system.go_into_operation(BEGIN)
        first, version = system.champion, system.version
        if first is None:
            raise TrainingError(
                f"expected the first model to be promoted, it was not: {system.events[-1]['what']}.",
                remedy="Ask for more rows a day or a higher fraud rate.",
            )
        alone: NDArray[np.float64] = np.full(len(world.time), np.nan)
        for number in range(1, plan.days * 24 + 1):
            now = BEGIN + number * HOUR
            system.hour(now)
            rows = world.between(now - HOUR, now)
            if len(rows):
                alone[rows] = score_rows(first, version, system.vectors(rows)[0], world.frame.iloc[rows]).score
            if number % _TOLD_EVERY == 0:
                progress(f"{now:%Y-%m-%d %H:%M}, day {number / 24:.2f} of {plan.days}")
    finally:
        engine.dispose()
    return describe(plan, system, alone, seconds=round(time.perf_counter() - begun, 1))
