"""The simulated world: every transaction that will happen, what it really is, and what will be said of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sentinel_core.datasets.events import micros, to_events
from sentinel_core.datasets.frames import canonical
from sentinel_core.features.build import build_offline
from sentinel_core.features.events import Events
from sentinel_core.flows import Progress, silent
from sentinel_core.flows.simulation.plan import BEGIN, SCENARIOS, Plan
from sentinel_core.schema import to_micros
from sentinel_core.synthetic import generate

if TYPE_CHECKING:
    import pandas as pd

Rows = NDArray[np.intp]
_ONLY_THE_WORLD_KNOWS = ["is_fraud", "labelled_at", "is_fraud_true", "fraud_scenario"]


@dataclass(frozen=True, slots=True)
class World:
    """All transactions in order of time, history and operation; n rows.

    `frame` is canonical and holds what a request does; `values` float32 [n, catalogue] are their vectors, still without
    risk, which depends on what the system came to know. `reported` bool [n] says whether the cardholder will call it
    fraud, at `reported_at` (µs), should it go through; `is_fraud` bool [n] is the truth, `new` bool [n] which frauds
    are of the pattern that began with the change.
    """

    frame: pd.DataFrame
    events: Events
    values: NDArray[np.float32]
    time: NDArray[np.int64]
    reported: NDArray[np.bool_]
    reported_at: NDArray[np.int64]
    is_fraud: NDArray[np.bool_]
    new: NDArray[np.bool_]
    begin: int

    def between(self, start: datetime, end: datetime) -> Rows:
        """Return the rows of (start, end], in order."""
        first, last = np.searchsorted(self.time, [to_micros(start), to_micros(end)], side="right")
        return np.arange(first, last)

    def history(self) -> pd.DataFrame:
        """Return what happened before the system went into operation, as it is known then: all of it was approved."""
        import pandas as pd

        rows = np.flatnonzero(self.time <= self.begin)
        known = self.reported[rows] & (self.reported_at[rows] <= self.begin)
        said = pd.Series(self.reported_at[rows].view("datetime64[us]")).dt.tz_localize("UTC")
        return canonical(
            self.frame.iloc[rows]
            .reset_index(drop=True)
            .assign(
                outcome="approved",
                is_fraud=pd.Series(known, dtype="boolean").where(known),
                labelled_at=said.where(pd.Series(known)),
            )
        )


def make_world(plan: Plan, progress: Progress = silent) -> World:
    """Generate the world of a plan; the same plan gives the same world."""
    progress(f"generating {plan.rows:,} transactions up to {plan.end:%Y-%m-%d}")
    whole = generate(
        plan.rows,
        plan.fraud_rate,
        plan.seed,
        end=plan.end,
        drift=SCENARIOS[plan.scenario].drift,
        ramp=plan.ramp(),
        days=plan.whole_days,
    )
    frame = canonical(whole)
    events = to_events(frame)
    progress(f"building {len(frame):,} vectors")
    return World(
        frame=frame.drop(columns=_ONLY_THE_WORLD_KNOWS),
        events=events,
        values=build_offline(events, None).values,
        time=events.time,
        reported=whole["is_fraud"].to_numpy(np.bool_),
        reported_at=micros(whole["labelled_at"]),
        is_fraud=whole["is_fraud_true"].to_numpy(np.bool_),
        new=(whole["fraud_scenario"] == "voucher_fraud").to_numpy(np.bool_),
        begin=to_micros(BEGIN),
    )
