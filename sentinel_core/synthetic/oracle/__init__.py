"""An oracle that knows the generator and looks only at the past: how well fraud could be told at all.

Payments are taken as a marked point process. The oracle knows the generator's constants, every customer's true
habits and devices at the start, the merchants where fraud gathers and the rings' countries. It does not know trips, new
phones, attacks or labels, but infers them from the events before, user by user. The score of an event is the share of
fraud in the intensity of events like it, at its time, given that past. Approximate where exactness would need sums over
all pasts: beliefs about the last events are taken one by one, as if independent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sentinel_core.synthetic.oracle.beliefs import Beliefs
from sentinel_core.synthetic.oracle.evidence import read
from sentinel_core.synthetic.vocabulary import Floats

if TYPE_CHECKING:
    from sentinel_core.synthetic.generate import Simulation

__all__ = ["oracle"]


def oracle(simulation: Simulation) -> Floats:
    """Score every row of a simulation, float64 in [0, 1], from the row itself and the rows before it."""
    e = read(simulation)
    beliefs = Beliefs(simulation, e)
    order = np.lexsort((e.time, e.user))
    counts = np.bincount(e.user)
    first = np.cumsum(counts) - counts
    busiest = np.argsort(-counts, kind="stable")
    score = np.zeros(len(e.user))
    for rank in range(int(counts.max())):
        users = busiest[: int(np.searchsorted(-counts[busiest], -rank))]
        rows = order[first[users] + rank]
        score[rows] = beliefs.judge(users, rows)
    return score
