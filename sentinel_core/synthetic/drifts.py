"""Changes of the world, laid over finished traffic: prices that rise, and a fraud that nobody has seen before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from sentinel_core.errors import DataError
from sentinel_core.synthetic import vocabulary as v
from sentinel_core.synthetic.difficulty import VOUCHER
from sentinel_core.synthetic.stream import PLAIN, Stream, concat
from sentinel_core.synthetic.vocabulary import Floats, IntArray
from sentinel_core.synthetic.world import World

AMOUNT: Final = "amount"
VOUCHER_FRAUD: Final = "voucher_fraud"
DRIFTS: Final[Mapping[str, float]] = {AMOUNT: 100.0, VOUCHER_FRAUD: 0.1}
"""Known drifts, each above 0 and at most so large: `amount` multiplies every amount, `voucher_fraud` is the share of
the transactions that become frauds of a pattern of its own, on top of the fraud rate."""

VOUCHERS: Final[IntArray] = np.array([2_500, 5_000, 10_000])
VOUCHER_SHARES: Final = (0.5, 0.35, 0.15)
_RUN: Final = (3, 1 / 3, 10)
"""Purchases of a run: the least, the geometric stop beyond it, the most."""
_BEGINS_SECONDS: Final = (120, 2400)
"""A run begins so long after one of the victim's own payments: the malware works while the phone is in use."""
_GAP_SECONDS: Final = (100.0, 0.8)
"""Median and log-scale sigma of the time from one voucher to the next."""


@dataclass(frozen=True, slots=True)
class Ramp:
    """A change that begins at `begin` and is whole from `full` on (both µs, in this order), growing evenly between."""

    begin: int
    full: int

    def share(self, time: IntArray) -> Floats:
        """Return how far the change is at each time (µs): 0 before it, 1 where it is whole."""
        if self.full == self.begin:
            return (time >= self.begin).astype(np.float64)
        return np.clip((time - self.begin) / (self.full - self.begin), 0.0, 1.0)


def check_drifts(drift: Mapping[str, float]) -> None:
    """Raise `DataError` for a drift that is not known, or a size out of its bounds."""
    for name, size in drift.items():
        if name not in DRIFTS:
            raise DataError(
                f"expected one of the drifts {', '.join(DRIFTS)}, got {name!r}.", remedy="Correct its name."
            )
        if not 0.0 < size <= DRIFTS[name]:
            raise DataError(
                f"expected drift {name} between 0 and {DRIFTS[name]:g}, got {size}.",
                remedy="Give a factor such as 1.5." if name == AMOUNT else "Give a share such as 0.02.",
            )


def drifted(
    rng: np.random.Generator, stream: Stream, world: World, drift: Mapping[str, float], ramp: Ramp | None
) -> Stream:
    """Lay drifts over a stream, which keeps its length and comes back in order of time; without `ramp` over all of it.

    Voucher fraud takes the place of as many genuine rows.
    """
    share = np.ones(len(stream)) if ramp is None else ramp.share(stream.time)
    if AMOUNT in drift:
        factor = 1.0 + (drift[AMOUNT] - 1.0) * share
        stream = replace(stream, cents=np.maximum(np.rint(stream.cents * factor).astype(np.int64), 1))
    if VOUCHER_FRAUD in drift:
        stream = _with_vouchers(rng, stream, world, drift[VOUCHER_FRAUD] * share)
    return stream


def _with_vouchers(rng: np.random.Generator, stream: Stream, world: World, share: Floats) -> Stream:
    """Let malware on the phones of customers buy vouchers, until it made `share` of the rows at their time."""
    chance = np.where(stream.scenario == 0, share, 0.0)
    wanted = round(float(chance.sum()))
    if not wanted:
        return stream
    chance /= chance.sum()
    parts: list[Stream] = []
    while (missing := wanted - sum(map(len, parts))) > 0:
        parts.append(_runs(rng, stream, world, rng.choice(len(stream), missing // 4 + 1, p=chance), missing))
    replaced = rng.choice(len(stream), wanted, replace=False, p=chance)
    stayed = np.setdiff1d(np.arange(len(stream)), replaced)
    whole = concat([stream.take(stayed), *parts])
    return whole.take(np.argsort(whole.time, kind="stable"))


def _runs(rng: np.random.Generator, stream: Stream, world: World, base: IntArray, most: int) -> Stream:
    """Make runs of purchases, each after a row of `base`: by that victim's own device, at that address and place."""
    least, stop, longest = _RUN
    size = np.minimum(least - 1 + rng.geometric(stop, len(base)), longest)
    of = np.repeat(np.arange(len(base)), size)
    median, sigma = _GAP_SECONDS
    gap = median * np.exp(sigma * rng.standard_normal(len(of)))
    first = np.cumsum(size) - size
    gap[first] = rng.uniform(*_BEGINS_SECONDS, len(base))
    elapsed = np.cumsum((gap * 1000).astype(np.int64) * 1000)
    elapsed -= (elapsed[first] - (gap[first] * 1000).astype(np.int64) * 1000)[of]
    made = stream.take(base[of])
    category = np.full(len(of), v.CATEGORY["digital_goods"])
    made = replace(
        made,
        time=made.time + elapsed,
        category=category.astype(made.category.dtype),
        merchant=world.popular(category, np.zeros_like(category), rng.random(len(of))).astype(made.merchant.dtype),
        cents=rng.choice(VOUCHERS, len(of), p=VOUCHER_SHARES),
        type=np.full_like(made.type, v.ONLINE),
        card=np.maximum(made.card, 0),
        scenario=np.full_like(made.scenario, VOUCHER),
        visibility=np.full_like(made.visibility, PLAIN),
        negative=np.zeros_like(made.negative),
        sequence=np.full_like(made.sequence, -1),
    )
    return made.take(np.flatnonzero(made.time <= stream.time[-1])[:most])
