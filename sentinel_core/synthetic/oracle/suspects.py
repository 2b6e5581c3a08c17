"""How likely each event's own marks are as a step of an attack: the oracle's densities of the scenarios."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from sentinel_core.synthetic import vocabulary as v
from sentinel_core.synthetic.difficulty import STOLEN, TAKEOVER, TESTING, Cues
from sentinel_core.synthetic.oracle.evidence import (
    FOREIGN,
    KNOWN,
    OWN,
    UNSEEN,
    Evidence,
    by_category,
    gathering_share,
    join,
    lognormal,
    pays,
    pool_share,
    small_amount,
)
from sentinel_core.synthetic.population import is_night, local_hour
from sentinel_core.synthetic.scenarios import ATTACK_ONLINE_SHARE, STEP_SPREAD, SUBSCRIPTION_SHARE
from sentinel_core.synthetic.sequences import ADDRESSES, DESKTOP_SHARE, NIGHT_HOURS, cue_patterns
from sentinel_core.synthetic.vocabulary import Floats

if TYPE_CHECKING:
    from sentinel_core.synthetic.generate import Simulation

AGAIN: Final = 0.05
"""A rough weight for a second attack by a device that only this user has seen."""
TRIES_A_CARD: Final = 1.5
"""About how many attempts a burst makes with one card."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """One kind of attack: its scenario and cues, expected rows in the window, and how much of it is truly fraud.

    `single_rows` are the attempts of bursts, most of which are the first with their card.
    """

    scenario: int
    cues: Cues
    rows: float
    fraud: float
    ring_share: float
    single_rows: float = 0.0


@dataclass(frozen=True, slots=True)
class Densities:
    """[rows, suspects]: intensities (a day) of a beginning, by the victim's phone or another; next steps' densities.

    `next_step` takes any merchant, `same_merchant` the merchant of the step before.
    """

    begin_by_phone: Floats
    begin_by_other: Floats
    next_step: Floats
    same_merchant: Floats


def suspects(simulation: Simulation) -> tuple[Suspect, ...]:
    """List the kinds of attack with the rows that each has, lookalikes included in the ambiguous ones."""
    hard = simulation.difficulty
    frauds = simulation.fraud_rate * len(simulation.stream)
    plain = frauds * (1.0 - hard.hidden_share - hard.ambiguous_share)
    ambiguous = frauds * hard.ambiguous_share
    found = []
    for scenario, share in enumerate(hard.scenario_shares, start=1):
        bursts = plain * share * hard.burst_share if scenario == TESTING else 0.0
        cues = hard.plain[scenario - 1]
        found.append(Suspect(scenario, cues, plain * share - bursts, 1.0, hard.ring_share, bursts))
    genuine = 1.0 + hard.lookalikes_per_ambiguous
    for scenario, share in enumerate(hard.scenario_shares, start=1):
        cues = hard.ambiguous[scenario - 1]
        found.append(Suspect(scenario, cues, ambiguous * share * genuine, 1.0 / genuine, 0.0))
    return tuple(found)


def densities(simulation: Simulation, e: Evidence, days: int) -> Densities:
    """Give the densities of all suspects' steps; `days` is the length of the window."""
    activity = join(simulation.populations, "rate")
    victim = (activity / activity.sum())[e.user]
    pool, gathering = pool_share(simulation, e, e.country), gathering_share(simulation, e)
    columns: list[tuple[Floats, ...]] = []
    for suspect in suspects(simulation):
        cues = suspect.cues
        step = _step(simulation, e, suspect)
        rate = (suspect.rows / cues.mean_steps + suspect.single_rows / TRIES_A_CARD) * victim
        by_phone, by_other = _beginnings(simulation, e, suspect, pool, gathering)
        chance = sum(weight for pattern, weight in cue_patterns(cues).items() if pattern[2])
        merchant = chance * gathering + (1.0 - chance) * pool
        columns.append((rate / days * step * by_phone, rate / days * step * by_other, step * merchant, step))
    return Densities(*(np.stack(column, axis=1) for column in zip(*columns, strict=True)))


def _step(simulation: Simulation, e: Evidence, suspect: Suspect) -> Floats:
    """Give the density of category, kind of payment and amount."""
    online = pays(e, ATTACK_ONLINE_SHARE)
    if suspect.scenario == TESTING:
        kinds = {"subscription": SUBSCRIPTION_SHARE, "digital_goods": 1.0 - SUBSCRIPTION_SHARE}
        return by_category(kinds)[e.category] * online * small_amount(e.cents)
    if suspect.scenario == STOLEN:
        mean = v.LOG_MEDIAN[e.category] + simulation.world.log_price[e.merchant]
        spread, category = STEP_SPREAD[STOLEN] * v.SIGMA[e.category], v.THEFT_SHARE[e.category]
    else:
        mean, spread = 0.5 * e.log_scale, np.full(len(e.user), STEP_SPREAD[TAKEOVER])
        category = by_category({"transfer": 1.0})[e.category]
    mean = mean + np.log(suspect.cues.amount)
    return category * online * lognormal(e.cents, mean, np.hypot(spread, suspect.cues.amount_sigma))


def _beginnings(
    simulation: Simulation, e: Evidence, suspect: Suspect, pool: Floats, gathering: Floats
) -> tuple[Floats, Floats]:
    """Give the density of a first step's hour, place, merchant and tools: by the victim's phone, by another device."""
    world, ring = simulation.world, suspect.ring_share
    rings = np.bincount(world.ring_country, minlength=v.N_COUNTRIES) / simulation.codes.rings
    attackers = (ring * rings + (1.0 - ring) * world.attacker_share)[e.country]
    at_home = (e.city == e.home_city).astype(float)
    abroad = attackers * np.where(e.country == e.home, at_home, 1.0 / v.CITIES_OF[e.country])
    at_night = is_night(local_hour(e.time, e.home)) * 24.0 / NIGHT_HOURS
    factors = ((at_home, abroad), (pool, gathering), (np.ones(len(at_home)), at_night))
    by_phone, by_other = np.zeros((2, len(at_home)))
    for (new_device, *rest), weight in cue_patterns(suspect.cues).items():
        product = weight * np.prod([pair[on] for pair, on in zip(factors, rest, strict=True)], axis=0)
        target = by_other if new_device else by_phone
        target += product
    desk = DESKTOP_SHARE[suspect.scenario]
    tool = np.choose(e.device_type, [1.0 - desk, desk, 0.0])
    strange = np.select([e.device_class == c for c in (UNSEEN, FOREIGN, KNOWN)], [1.0, max(ring, 1e-6), AGAIN])
    address = _addresses(simulation, e)
    return by_phone * address * (e.device_class != OWN), by_other * address * tool * strange


def _addresses(simulation: Simulation, e: Evidence) -> Floats:
    codes = simulation.codes
    of_customer = e.address < codes.n_users
    proxy = np.where(of_customer, 1e-9, ADDRESSES[0])
    carrier, public = (ADDRESSES[1] - ADDRESSES[0]) / codes.carriers, (1.0 - ADDRESSES[1]) / codes.hotels
    return np.select([e.address >= codes.hotel_address, e.address >= codes.carrier_address], [public, carrier], proxy)
