"""The champion's reference, prepared for many comparisons: what traffic without drift looks like, season by season."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sentinel_core.monitoring.binning import FINE, Bins, cut
from sentinel_core.monitoring.campaigns import Campaigns, link
from sentinel_core.monitoring.distances import Distances
from sentinel_core.monitoring.sample import Sample
from sentinel_core.monitoring.seasons import CELLS, cells, like, like_half_weeks, mix
from sentinel_core.monitoring.variables import VARIABLES, Variable

GROUPS: Final = 32
"""Groups of users that are drawn when the reference itself is resampled."""
DRAWS: Final = 200
SHOWN_ROWS: Final = 5_000
_HOUR: Final = 3_600_000_000
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Part:
    """Variables with the same seasons: their columns, and what stands for a season, with the hours beside and alone."""

    columns: NDArray[np.intp]
    spread: Floats
    exact: Floats


@dataclass(frozen=True, slots=True)
class Quiet:
    """What windows without drift look like: a draw each, with its distances to a reference that is drawn as well.

    `ks`, `psi` float64 [draws, variables]; `shares` [variables, FINE] is the reference at the window's seasons, of
    `rows` [variables] effective rows (Kish, 1965). A window is expected to have `campaigns` ones; weighed by their
    scores they are `attacks`, with that variance.
    """

    ks: Floats
    psi: Floats
    shares: Floats
    rows: Floats
    campaigns: float
    attacks: float
    attacks_variance: float


class Reference:
    """Hold-out rows of the champion, of which windows are drawn and with which windows are compared.

    Holds about 60 MB for 60 variables, whatever the number of rows, and a byte for each row and variable.
    """

    def __init__(self, sample: Sample, variables: Sequence[Variable] = VARIABLES) -> None:
        self.bins: tuple[Bins, ...] = tuple(cut(variable, sample) for variable in variables)
        self.distances = Distances(self.bins)
        self._sample = sample
        self._codes = self.code(sample).astype(np.uint8)
        self._cell = cells(sample.time)
        self._rows = np.bincount(self._cell, minlength=CELLS).astype(np.float64)
        _, user = np.unique(sample.user, return_inverse=True)
        self._place = (user % GROUPS) * CELLS + self._cell
        self._group_rows = np.bincount(self._place, minlength=GROUPS * CELLS).reshape(GROUPS, CELLS).astype(np.float64)
        self._counts = self._count()
        steady = np.array([one.steady for one in variables])
        parts = (
            _Part(np.flatnonzero(~steady), *(like(self._rows, spread=spread) for spread in (True, False))),
            _Part(np.flatnonzero(steady), *(like_half_weeks(self._rows, spread=spread) for spread in (True, False))),
        )
        self._spread, self._rare = parts[0].spread, parts[1].spread
        self._parts = [part for part in parts if len(part.columns)]

    def __len__(self) -> int:
        return len(self._sample)

    def code(self, sample: Sample) -> NDArray[np.intp]:
        """Return the fine bin of each row and variable, intp [n, variables]."""
        return np.stack([bins.code(sample) for bins in self.bins], axis=1)

    def quiet(self, window: Sample, *, seed: int, draws: int = DRAWS) -> Quiet:
        """Draw windows without drift, as long, as large and at the same hours as `window`, out of the reference.

        What is drawn are users with all that they did in a stretch of the window's length, together with those to whom
        an alert links them. The reference is drawn too, by groups of users: it is a sample as well.
        """
        rng = np.random.default_rng(seed)
        season, rows = mix(window.time), len(window)
        stretch = _stretches(self._sample.time, window.time)
        linked = link(self._sample, stretch)
        times = np.vstack([np.ones(GROUPS), rng.multinomial(GROUPS, np.full(GROUPS, 1 / GROUPS), draws)])
        shares, drawn = (np.empty((n, len(self.bins), FINE)) for n in (draws + 1, draws))
        effective = np.empty(len(self.bins))
        for part in self._parts:
            shares[:, part.columns] = self._resampled(season @ part.spread, times, part.columns)
            drawn[:, part.columns] = self._windows(season @ part.exact, part.columns, linked.unit, rows, draws, rng)
            effective[part.columns] = self._effective_rows(season @ part.spread)
        ks, psi = self.distances(drawn, shares[1:], rows)
        attacks, variance = self._attacks(season, stretch, linked, times, rows)
        return Quiet(
            ks=ks,
            psi=psi,
            shares=shares[0],
            rows=effective,
            campaigns=float(self._rates(season, times[:1], linked.counted)[0]) * rows,
            attacks=attacks,
            attacks_variance=variance,
        )

    def season_rows(self, window: Sample, *, seed: int, rows: int = SHOWN_ROWS) -> NDArray[np.intp]:
        """Draw reference rows at the seasons of a window, with replacement: what the eye should compare it with."""
        chance = ((mix(window.time) @ self._spread) / np.maximum(self._rows, 1.0))[self._cell]
        drawn = np.random.default_rng(seed).choice(len(self), min(rows, len(self)), p=chance / chance.sum())
        return np.sort(drawn)

    def volume(self, window: Sample) -> list[dict[str, float]]:
        """Return rows by hour of the day (UTC), each a share of the window's and of the reference's rows."""
        hours = [np.bincount((time // _HOUR) % 24, minlength=24) for time in (window.time, self._sample.time)]
        return [
            {"hour": hour, "window": round(ours / len(window), 5), "reference": round(theirs / len(self), 5)}
            for hour, (ours, theirs) in enumerate(zip(*(counts.tolist() for counts in hours), strict=True))
        ]

    def _count(self) -> NDArray[np.float32]:
        """Count fine bins by group and season, float32 [GROUPS · CELLS, variables, FINE]."""
        counts = np.zeros((GROUPS * CELLS, self._codes.shape[1], FINE), np.float32)
        for variable in range(self._codes.shape[1]):
            flat = self._place * FINE + self._codes[:, variable]
            counts[:, variable] = np.bincount(flat, minlength=GROUPS * CELLS * FINE).reshape(GROUPS * CELLS, FINE)
        return counts

    def _resampled(self, season: Floats, times: Floats, columns: NDArray[np.intp]) -> Floats:
        """Return shares [draws, columns, FINE], each group counted so many times."""
        of_group = self._of_group(season, times)
        # A window of some hours asks for few of the seasons: the others weigh nothing.
        asked = np.flatnonzero(of_group.any(axis=0))
        counts = self._counts[np.ix_(asked, columns)].reshape(len(asked), -1)
        shares = (of_group[:, asked].astype(np.float32) @ counts).astype(np.float64)
        return shares.reshape(len(times), len(columns), FINE)

    def _of_group(self, season: Floats, times: Floats) -> Floats:
        """Return the weight of a row by group and season, [draws, GROUPS · CELLS], each group counted so many times."""
        rows = times @ self._group_rows
        weight = np.where(rows > 0, season / np.maximum(rows, 1.0), 0.0)
        weight /= (weight * rows).sum(axis=1, keepdims=True)
        return (times[:, :, None] * weight[:, None, :]).reshape(len(times), -1)

    def _rates(self, season: Floats, times: Floats, counted: Floats) -> Floats:
        """Return what is counted of campaigns a row [draws] at a window's seasons, each group counted so many times."""
        in_group = np.bincount(self._place, counted, minlength=GROUPS * CELLS)
        return self._of_group(season @ self._rare, times) @ in_group

    def _attacks(
        self, season: Floats, stretch: NDArray[np.int64], linked: Campaigns, times: Floats, rows: int
    ) -> tuple[float, float]:
        """Return how many attacks a window of `rows` rows is expected to have, and the variance of their number."""
        rates = self._rates(season, times, linked.weighed)
        # Sums of unequal weights vary by the mean square of a weight over its mean, as independent ones do.
        weighed = linked.weighed.sum()
        least = float(linked.weighed @ linked.weight / weighed) if weighed > 0 else 1.0
        expected = max(float(rates[0]) * rows, 0.5 * least)
        dispersion = max(least, self._dispersion(stretch, linked.weighed, least))
        return expected, dispersion * expected + float(np.var(rates[1:])) * rows**2

    def _windows(
        self,
        season: Floats,
        columns: NDArray[np.intp],
        unit: NDArray[np.intp],
        rows: int,
        draws: int,
        rng: np.random.Generator,
    ) -> Floats:
        """Draw units with replacement, by how well their hours fit, until a window has `rows` rows; return shares."""
        fitting = np.flatnonzero(season[self._cell] > 0)
        order = fitting[np.argsort(unit[fitting], kind="stable")]
        begin = np.flatnonzero(np.diff(unit[order], prepend=-1))
        size = np.diff(np.append(begin, len(order)))
        chance = np.add.reduceat((season / np.maximum(self._rows, 1.0))[self._cell[order]], begin) / size
        cumulative = np.cumsum(chance / chance.sum())
        at_once = int(1.5 * rows / (size @ chance / chance.sum())) + 50
        flat = self._codes[np.ix_(order, columns)] + np.arange(len(columns)) * FINE
        shares = np.empty((draws, len(columns), FINE))
        for draw in range(draws):
            taken = np.empty(0, np.intp)
            while size[taken].sum() < rows:
                more = np.searchsorted(cumulative, rng.random(at_once))
                taken = np.append(taken, np.minimum(more, len(begin) - 1))
            taken = taken[: int(np.searchsorted(np.cumsum(size[taken]), rows)) + 1]
            length = size[taken]
            first = np.repeat(begin[taken] - np.cumsum(length) + length, length)
            taken_rows = flat.take(first + np.arange(length.sum()), axis=0)
            counts = np.bincount(taken_rows.ravel(), minlength=len(columns) * FINE)
            shares[draw] = counts.reshape(len(columns), FINE) / len(taken_rows)
        return shares

    def _effective_rows(self, season: Floats) -> float:
        weight = np.where(self._rows > 0, season / np.maximum(self._rows, 1.0), 0.0)
        return float((weight @ self._rows) ** 2 / (weight**2 @ self._rows))

    def _dispersion(self, stretch: NDArray[np.int64], counted: Floats, least: float) -> float:
        """Return variance over mean of what is counted in stretches, 0 where none of them expects enough to tell."""
        in_cell = np.bincount(self._cell, counted, minlength=CELLS)
        rate = (self._rare @ in_cell) / np.maximum(self._rare @ self._rows, 1.0)
        _, number = np.unique(stretch, return_inverse=True)
        found, expected = np.bincount(number, counted), np.bincount(number, rate[self._cell])
        enough = expected > 0.5 * least
        if not enough.any():
            return 0.0
        return float(((found - expected)[enough] ** 2).sum() / expected[enough].sum())


def _stretches(time: NDArray[np.int64], window: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number stretches of time as long as the window, an hour at least."""
    length = max(int(window.max()) - int(window.min()), _HOUR)
    stretches: NDArray[np.int64] = (time - int(time.min())) // length
    return stretches
