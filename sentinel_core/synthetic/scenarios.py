"""What stolen cards, account takeovers and card testing look like, step by step; and their genuine lookalikes."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from sentinel_core.synthetic import vocabulary as v
from sentinel_core.synthetic.behaviour import CENTS, round_to_tens
from sentinel_core.synthetic.difficulty import STOLEN, TAKEOVER, TESTING
from sentinel_core.synthetic.sequences import Plan, Scene, Steps, draw_sequences, spell_out, tools
from sentinel_core.synthetic.stream import Stream, concat, make_stream
from sentinel_core.synthetic.vocabulary import Floats, IntArray

ATTACK_ONLINE_SHARE: Final = np.where(v.ONLINE_SHARE > 0, np.maximum(v.ONLINE_SHARE, 0.6), 0.0)
"""Share of a category's purchases that attackers make online: most, where it sells online at all."""
ROUND_TRANSFER: Final = 0.5
"""Share of a takeover's transfers in whole tens, as among genuine ones."""
SUBSCRIPTION_SHARE: Final = 0.85
"""Share of card-testing runs at a subscription merchant; the others hit digital goods."""
SAME_MERCHANT: Final = 0.8
"""Share of card-testing attempts that stay at the run's merchant."""
STEP_SPREAD: Final = {STOLEN: 0.5, TAKEOVER: 0.3}
"""Log-scale spread of the amounts within a sequence; for a stolen card a factor on the category's own."""
SECOND_CARD_EVERY: Final = 7


def attack(rng: np.random.Generator, scene: Scene, plan: Plan) -> Stream:
    """Play sequences until exactly `plan.rows` of their steps lie in the window; unsorted, marked with the scenario."""
    parts: list[Stream] = []
    while plan.rows > 0:
        part = _batch(rng, scene, plan)
        parts.append(part)
        plan = replace(plan, rows=plan.rows - len(part), first_sequence=plan.first_sequence + len(part))
    return concat(parts) if parts else make_stream(0)


def _batch(rng: np.random.Generator, scene: Scene, plan: Plan) -> Stream:
    drawn = draw_sequences(rng, scene, plan, int(1.2 * plan.rows / plan.cues.mean_steps) + 3)
    steps = spell_out(rng, scene, plan, drawn)
    city = drawn.city[steps.of]
    category, merchant = _merchants(rng, scene, plan, steps, v.CITY_COUNTRY[city], drawn.gathering[steps.of])
    payment = _payments(rng, category)
    used = tools(rng, scene, plan, drawn, steps)
    return make_stream(
        len(steps.of),
        time=steps.time,
        user=scene.population.first + steps.victim,
        merchant=merchant,
        category=category,
        cents=_amounts(rng, scene, plan, steps, level=drawn.level[steps.of], merchant=merchant, category=category),
        type=payment,
        device=used.device,
        device_type=used.device_type,
        address=used.address,
        city=city,
        card=np.where(payment == v.TRANSFER, -1, steps.sequence % SECOND_CARD_EVERY == 0),
        scenario=plan.scenario,
        sequence=steps.sequence,
    )


def _merchants(
    rng: np.random.Generator,
    scene: Scene,
    plan: Plan,
    steps: Steps,
    country: IntArray,
    gathers: npt.NDArray[np.bool_],
) -> tuple[IntArray, IntArray]:
    """Choose each step's category and merchant: where fraud gathers that day, or any of the attacker's country."""
    n, sequences = len(steps.of), int(steps.of.max(initial=-1)) + 1
    choice = rng.random(n)
    if plan.scenario == TESTING:
        category = _either(rng.random(sequences)[steps.of] < SUBSCRIPTION_SHARE, "subscription", "digital_goods")
        stays = np.full(n, True) if plan.burst else rng.random(n) < SAME_MERCHANT
        choice = np.where(stays, rng.random(sequences)[steps.of], choice)
    elif plan.scenario == TAKEOVER:
        category = np.full(n, v.CATEGORY["transfer"])
    else:
        category = rng.choice(v.N_CATEGORIES, n, p=v.THEFT_SHARE)
    gathering = scene.world.gathering(category, scene.clock.day(steps.time), choice)
    return category, np.where(gathers, gathering, scene.world.popular(category, country, choice))


def _either(first: npt.NDArray[np.bool_], name: str, other: str) -> IntArray:
    return np.where(first, v.CATEGORY[name], v.CATEGORY[other])


def _payments(rng: np.random.Generator, category: IntArray) -> IntArray:
    online = rng.random(len(category)) < ATTACK_ONLINE_SHARE[category]
    payment = np.where(online, v.ONLINE, v.PURCHASE)
    payment[category == v.CATEGORY["cash"]] = v.WITHDRAWAL
    payment[category == v.CATEGORY["transfer"]] = v.TRANSFER
    return payment


def _amounts(
    rng: np.random.Generator,
    scene: Scene,
    plan: Plan,
    steps: Steps,
    *,
    level: Floats,
    merchant: IntArray,
    category: IntArray,
) -> IntArray:
    n = len(category)
    if plan.scenario == TESTING:
        low, high = (round(100 * amount) for amount in scene.hard.testing_amount)
        return rng.integers(low, high + 1, n)
    spread = STEP_SPREAD[plan.scenario] * rng.standard_normal(n)
    if plan.scenario == STOLEN:
        log = v.LOG_MEDIAN[category] + scene.world.log_price[merchant] + spread * v.SIGMA[category]
        tens = category == v.CATEGORY["cash"]
    else:
        log = 0.5 * scene.population.log_scale[steps.victim] + spread
        tens = rng.random(n) < ROUND_TRANSFER
    cents = np.rint(np.exp(log) * plan.cues.amount * level * 100).astype(np.int64)
    return np.clip(np.where(tens, round_to_tens(cents), cents), *CENTS)
