"""What the oracle believes about each customer's last events, and how it judges the next one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from sentinel_core.synthetic import vocabulary as v
from sentinel_core.synthetic.difficulty import TESTING
from sentinel_core.synthetic.oracle.customers import Expected, expected, mean_size
from sentinel_core.synthetic.oracle.evidence import KNOWN, PHONE, UNSEEN, Evidence, join
from sentinel_core.synthetic.oracle.suspects import Densities, densities, suspects
from sentinel_core.synthetic.population import TRIP_DAYS
from sentinel_core.synthetic.scenarios import SAME_MERCHANT
from sentinel_core.synthetic.sequences import PACE_SIGMA
from sentinel_core.synthetic.sessions import MICRO_RUN, OUTING, OUTING_GAP, QUICK_GAP, SETUP
from sentinel_core.synthetic.vocabulary import Floats, IntArray

if TYPE_CHECKING:
    from sentinel_core.synthetic.generate import Simulation

Flags = npt.NDArray[np.bool_]
DAY_S: Final = 86_400.0
MEMORY: Final = 8
"""How many of a user's last events may be the step before of an attack or an outing."""
STAYS: Final = (0.8, 3.0)
"""The chance, at first, that a traveller is still there, and the days in which it falls by e."""
GENUINE: Final = 3
CONTINUES: Final = np.array([1.0 - 1.0 / mean_size(size) for size in (OUTING, MICRO_RUN, SETUP)])
"""Chance that a payment of an outing, a run of small payments or a phone's set-up is followed by another."""
TINY: Final = 1e-300


@dataclass(frozen=True, slots=True)
class _Links:
    """How the current events of m users hang together with each one's last `MEMORY`, [m, MEMORY], newest first."""

    gap: Floats
    device: Flags
    place: Flags
    merchant: Flags
    address: Flags


class Beliefs:
    """The state of an oracle: each user's last events and what they probably were, whereabouts, trust in devices."""

    def __init__(self, simulation: Simulation, e: Evidence) -> None:
        self._e = e
        self._expected: Expected = expected(simulation, e)
        self._densities: Densities = densities(simulation, e, simulation.clock.days)
        kinds = suspects(simulation)
        cues = [kind.cues for kind in kinds]
        self._fraud = np.array([kind.fraud for kind in kinds])
        self._runs = np.array([kind.scenario == TESTING for kind in kinds])
        self._least = np.array([cue.least_steps for cue in cues])
        self._again = np.array([1.0 - 1.0 / (cue.mean_steps - cue.least_steps + 1.0) for cue in cues])
        self._pace = np.array([cue.gap_seconds for cue in cues])
        self._spread = np.hypot([cue.gap_sigma for cue in cues], PACE_SIGMA)
        self._hidden = simulation.difficulty.hidden_share * simulation.fraud_rate
        n_users = len(join(simulation.populations, "rate"))
        self._time = np.full((n_users, MEMORY), -1e12)
        self._device, self._city, self._merchant, self._address = (np.full((n_users, MEMORY), -1) for _ in range(4))
        self._share = np.zeros((n_users, MEMORY, GENUINE + len(kinds)))
        self._step = np.zeros((n_users, MEMORY, len(kinds)))
        self._trust = np.zeros(int(e.device.max()) + 1)
        self._trust[e.device[e.device_class <= PHONE]] = 1.0
        self._whereabouts = join(simulation.populations, "city").copy()
        self._seen_there = np.full(n_users, simulation.clock.start / 1e6)

    def judge(self, users: IntArray, rows: IntArray) -> Floats:
        """Score one event each of several users, and remember it; a user's events come in the order of time."""
        links = self._links(users, rows)
        trust = self._trust[self._e.device[rows]]
        by_owner = trust[:, None] * self._densities.begin_by_phone[rows]
        begun = by_owner + (1.0 - trust)[:, None] * self._densities.begin_by_other[rows]
        continued, step = self._continued(users, rows, links)
        by_attack = begun + continued
        genuine = self._genuine(users, rows, links)
        total = by_attack.sum(axis=1) + genuine.sum(axis=1) + TINY
        fraud = by_attack @ self._fraud + self._hidden * genuine.sum(axis=1)
        share = np.concatenate([genuine, by_attack], axis=1) / total[:, None]
        step = (begun + continued * (step + 1.0)) / np.maximum(by_attack, TINY)
        own = genuine.sum(axis=1) + by_owner.sum(axis=1) + trust * continued.sum(axis=1)
        self._learn_device(rows, own / total)
        self._remember(users, rows, share, step)
        score: Floats = np.minimum(fraud / total, 1.0)
        return score

    def _links(self, users: IntArray, rows: IntArray) -> _Links:
        e = self._e
        return _Links(
            gap=np.minimum(e.time[rows][:, None] / 1e6 - self._time[users], 1e9),
            device=self._device[users] == e.device[rows][:, None],
            place=self._city[users] == e.city[rows][:, None],
            merchant=self._merchant[users] == e.merchant[rows][:, None],
            address=self._address[users] == e.address[rows][:, None],
        )

    def _continued(self, users: IntArray, rows: IntArray, links: _Links) -> tuple[Floats, Floats]:
        """Give intensities [m, suspects] of an attack continued, and its steps so far."""
        d, share = self._densities, self._share[users][:, :, GENUINE:]
        newest = _none_since(share * links.device[:, :, None])
        steps = self._step[users]
        again = np.where(steps < self._least - 0.5, 1.0, self._again)
        weight = share * newest * again * _walk(links.gap[:, :, None], self._pace, self._spread)
        weight *= (links.device & links.place & links.address)[:, :, None]
        at_same = (weight * links.merchant[:, :, None]).sum(axis=1) * d.same_merchant[rows]
        anywhere = weight.sum(axis=1)
        stays = np.where(self._runs, SAME_MERCHANT, 0.0)
        continued = stays * at_same + (1.0 - stays) * anywhere * d.next_step[rows]
        return continued, (weight * steps).sum(axis=1) / np.maximum(anywhere, TINY)

    def _genuine(self, users: IntArray, rows: IntArray, links: _Links) -> Floats:
        """Give intensities [m, 3] of the kinds of genuine payments."""
        x, share = self._expected, self._share[users][:, :, :GENUINE]
        newest = _none_since(share.sum(axis=2, keepdims=True))[:, :, 0]
        quick = _quick(links.gap)
        follows = np.stack([_walk(links.gap, *OUTING_GAP[:2]) * links.place, quick, quick * links.device], axis=2)
        follows = CONTINUES * (share * newest[:, :, None] * follows).sum(axis=1)
        intensity: Floats = x.begin[rows] + follows * x.follow[rows]
        intensity[:, :2] *= (self._trust[self._e.device[rows]] * self._presence(users, rows))[:, None]
        intensity[:, 2] *= x.at_home[rows]
        return intensity

    def _presence(self, users: IntArray, rows: IntArray) -> Floats:
        """Give the chance that the user is where the event is, from where the user was last."""
        x, city = self._expected, self._e.city[rows]
        days = np.clip((self._e.time[rows] / 1e6 - self._seen_there[users]) / DAY_S, 0.01, 30.0)
        stays = STAYS[0] * np.exp(-days / STAYS[1])
        leaves = x.trip[rows] * np.minimum(days, TRIP_DAYS)
        there = self._whereabouts[users] == city
        at_home = np.where(there, 1.0 - leaves, 1.0 - stays)
        presence: Floats = np.where(x.at_home[rows], at_home, np.where(there, stays, leaves))
        return presence

    def _learn_device(self, rows: IntArray, own: Floats) -> None:
        """Trust a phone that was new to the user as far as its being the user's own explains the event."""
        e = self._e
        learns = (e.device_class[rows] == KNOWN) | (
            (e.device_class[rows] == UNSEEN) & (e.device_type[rows] == v.MOBILE)
        )
        self._trust[e.device[rows[learns]]] = np.clip(own[learns], 1e-6, 0.9999)

    def _remember(self, users: IntArray, rows: IntArray, share: Floats, step: Floats) -> None:
        e = self._e
        for memory, value in (
            (self._time, e.time[rows] / 1e6),
            (self._device, e.device[rows]),
            (self._city, e.city[rows]),
            (self._merchant, e.merchant[rows]),
            (self._address, e.address[rows]),
            (self._share, share),
            (self._step, step),
        ):
            memory[users, 1:] = memory[users, :-1]
            memory[users, 0] = value
        genuine = share[:, :GENUINE].sum(axis=1)
        trusted = users[genuine > 0.5]
        self._whereabouts[trusted] = e.city[rows][genuine > 0.5]
        self._seen_there[trusted] = e.time[rows][genuine > 0.5] / 1e6


def _none_since(share: Floats) -> Floats:
    """Give for each remembered event the chance that none newer than it was of the kind, [m, MEMORY, kinds]."""
    before = np.concatenate([np.ones_like(share[:, :1]), 1.0 - share[:, :-1]], axis=1)
    return np.cumprod(before, axis=1)


def _walk(gap: Floats, median: Floats | float, sigma: Floats | float) -> Floats:
    """Give the density (a day) of a lognormal gap in seconds, lengthened by one second."""
    gap = np.maximum(gap - 1.0, 0.5)
    z = np.log(gap / median) / sigma
    density: Floats = np.exp(-0.5 * z * z) / (sigma * np.sqrt(2 * np.pi) * gap) * DAY_S
    return density


def _quick(gap: Floats) -> Floats:
    """Give the density (a day) of the gap in seconds between quick payments."""
    least, mean = QUICK_GAP
    return np.where(gap >= least, np.exp(-np.maximum(gap - least, 0.0) / mean) / mean, 0.0) * DAY_S
