"""Has the traffic changed since the champion's hold-out? A verdict on one window, with a figure for each variable.

A variable is rejected where its distance to the reference is larger than windows without drift have it, by
Benjamini-Hochberg over all that have a say. One window may be chance: drift is the same variable rejected in two
windows that follow each other and share no row. docs/decisions/0016 has the reasons and what it finds.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from sentinel_core.monitoring.campaigns import link
from sentinel_core.monitoring.discoveries import discoveries
from sentinel_core.monitoring.distances import Band, band, count_codes, ks_p_value
from sentinel_core.monitoring.reference import Quiet, Reference
from sentinel_core.monitoring.sample import Sample
from sentinel_core.monitoring.variables import CAMPAIGNS

RATE: Final = 0.05
"""False-discovery rate within a window."""
CAMPAIGNS_WEIGHT: Final = 4.0
"""The campaigns of alerts are the only witness of a fraud rate that grows, where many see an amount or a country."""
HIGH: Final = 0.98
"""The quantile of windows without drift at which a gamma law has to reach as far as they do: four of 200 lie beyond."""
SHOWN_BINS: Final = 12
Floats = NDArray[np.float64]
Outcome = Literal["drift", "suspected", "no_drift"]


@dataclass(frozen=True, slots=True)
class Figure:
    """What one variable shows. `p_value` is that of the larger surprise of KS and PSI among windows without drift.

    `ks_threshold` and `psi_threshold` are what a single variable has to exceed; `ks_p_value` is the textbook's, for
    independent rows, and decides nothing. `reason` says why a variable has no say. `bins` are the coarse ones: title,
    share in the reference, share in the window.
    """

    name: str
    judged: bool
    reason: str
    ks: float
    ks_p_value: float
    ks_threshold: float
    psi: float
    psi_threshold: float
    band: Band
    p_value: float
    rejected: bool
    bins: tuple[tuple[str, float, float], ...]


@dataclass(frozen=True, slots=True)
class Alerts:
    """The alerts of a window, linked to campaigns: how many there are and are expected.

    `attacks` are the campaigns weighed by their scores. They decide: `threshold` and `p_value` are theirs.
    """

    alerts: int
    campaigns: int
    campaigns_expected: float
    attacks: float
    attacks_expected: float
    threshold: float
    p_value: float
    rejected: bool


@dataclass(frozen=True, slots=True)
class DriftVerdict:
    """The verdict on a window; `severity` is the largest band of PSI among what was rejected."""

    outcome: Outcome
    severity: Band | None
    reason: str
    rows: int
    reference_rows: int
    alerts: Alerts
    figures: tuple[Figure, ...]

    @property
    def rejected(self) -> tuple[str, ...]:
        """The names of what was rejected in this window."""
        names = [figure.name for figure in self.figures if figure.rejected]
        return (*names, CAMPAIGNS) if self.alerts.rejected else tuple(names)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self) | {"rejected": list(self.rejected)}


def judge_window(
    reference: Reference,
    window: Sample,
    *,
    before: Collection[str] | None = None,
    missing: Mapping[str, str] | None = None,
    rate: float = RATE,
    seed: int = 0,
) -> DriftVerdict:
    """Judge a window of at least one row; `before` names what the window before it rejected, None where there is none.

    `missing` names variables that the window does not have (their values are anything), and why: they have no say.
    """
    rows = len(window)
    quiet = reference.quiet(window, seed=seed)
    shares = count_codes(reference.code(window))
    ks, psi = reference.distances(shares, quiet.shares, rows)
    smallest = _least(quiet, rows)
    tails = [_Tail.of(drawn, one) for drawn, one in zip((quiet.ks, quiet.psi), smallest, strict=True)]
    p_values = np.minimum(1.0, 2.0 * np.minimum(tails[0].p_value(ks), tails[1].p_value(psi)))
    reasons = [(missing or {}).get(one.variable.name, one.variable.reason) for one in reference.bins]
    judged = np.array([not reason for reason in reasons])
    linked = link(window, np.zeros(rows, np.int64))
    attacks, law = float(linked.weighed.sum()), _attacks(quiet)
    attacks_p = float(law.p_value(np.array([attacks]))[0])
    all_p = np.append(p_values[judged], attacks_p)
    weights = np.append(np.ones(int(judged.sum())), CAMPAIGNS_WEIGHT)
    found = discoveries(all_p, weights, rate)
    rejected = np.zeros(len(judged), np.bool_)
    rejected[judged] = found[:-1]
    single = rate / weights.sum() / 2
    bounds = [tail.quantile(1 - single) for tail in tails]
    figures = tuple(
        Figure(
            name=bins.variable.name,
            judged=bool(judged[place]),
            reason=reasons[place],
            ks=float(ks[place]),
            ks_p_value=ks_p_value(float(ks[place]), rows, float(quiet.rows[place])),
            ks_threshold=float(bounds[0][place]),
            psi=float(psi[place]),
            psi_threshold=float(bounds[1][place]),
            band=band(float(psi[place])),
            p_value=float(p_values[place]),
            rejected=bool(rejected[place]),
            bins=_shown(bins.titles(), bins.ends, quiet.shares[place], shares[place]),
        )
        for place, bins in enumerate(reference.bins)
    )
    alerts = Alerts(
        alerts=int(window.alert.sum()),
        campaigns=linked.count,
        campaigns_expected=quiet.campaigns,
        attacks=attacks,
        attacks_expected=quiet.attacks,
        threshold=float(law.quantile(1 - rate * CAMPAIGNS_WEIGHT / weights.sum())[0]),
        p_value=attacks_p,
        rejected=bool(found[-1]),
    )
    return _decided(figures, alerts, before, rows, len(reference))


@dataclass(frozen=True, slots=True)
class _Tail:
    """A gamma distribution of the mean and variance that a distance has in windows without drift.

    PSI is a sum of squares, and so is the square of KS near its tail: the gamma is Satterthwaite's (1946) law for both.
    Where the draws reach further than it does at `HIGH`, it is stretched to reach as far.
    """

    shape: NDArray[np.float64]
    scale: NDArray[np.float64]

    @classmethod
    def of(cls, drawn: Floats, smallest: tuple[Floats, Floats]) -> _Tail:
        mean, variance = smallest
        means, variances = np.maximum(drawn.mean(axis=0), mean), np.maximum(drawn.var(axis=0), variance)
        law = cls(means**2 / variances, variances / means)
        # A burst of fifty payments is one unit of a window of 500: the tail is heavier than that of many small ones.
        heavier = np.maximum(np.quantile(drawn, HIGH, axis=0) / law.quantile(HIGH), 1.0)
        return cls(law.shape, law.scale * heavier)

    def p_value(self, value: NDArray[np.float64]) -> NDArray[np.float64]:
        from scipy.special import gammaincc

        p: NDArray[np.float64] = gammaincc(self.shape, np.maximum(value, 0.0) / self.scale)
        return p

    def quantile(self, share: float) -> NDArray[np.float64]:
        from scipy.special import gammaincinv

        bound: NDArray[np.float64] = gammaincinv(self.shape, share) * self.scale
        return bound


def _least(quiet: Quiet, rows: int) -> tuple[tuple[Floats, Floats], tuple[Floats, Floats]]:
    """Return mean and variance of KS and PSI for a value that the reference does not have, as far as it can tell.

    A share of 3/m may well be missing among m rows (Hanley and Lippman-Hand, 1983): a constant that shows another value
    now and then is no drift.
    """
    share = 3.0 / quiet.rows
    variance = share / rows * 3.0
    psi = share * np.log1p(2.0 * rows * share)
    return (share, variance), (psi, psi**2 * variance / share**2)


def _attacks(quiet: Quiet) -> _Tail:
    """Return the law of a window's attacks without drift."""
    mean, variance = quiet.attacks, quiet.attacks_variance
    return _Tail(np.array([mean**2 / variance]), np.array([variance / mean]))


def _shown(
    titles: list[str], ends: NDArray[np.intp], reference: NDArray[np.float64], window: NDArray[np.float64]
) -> tuple[tuple[str, float, float], ...]:
    """Put the coarse bins side by side; of many levels the largest, and the rest together."""
    first = np.append(0, ends[:-1] + 1)
    theirs, ours = np.add.reduceat(reference, first), np.add.reduceat(window, first)
    ours[-1] = window[first[-1] :].sum()
    order = list(range(len(titles)))
    if len(titles) > SHOWN_BINS:
        order = sorted(order, key=lambda place: -max(theirs[place], ours[place]))[:SHOWN_BINS]
    return tuple((titles[place], round(float(theirs[place]), 5), round(float(ours[place]), 5)) for place in order)


def _decided(
    figures: tuple[Figure, ...], alerts: Alerts, before: Collection[str] | None, rows: int, reference_rows: int
) -> DriftVerdict:
    rejected = {figure.name: figure for figure in figures if figure.rejected}
    names = [*rejected, CAMPAIGNS] if alerts.rejected else [*rejected]
    bands: dict[Band, int] = {"none": 0, "moderate": 1, "significant": 2}
    severity = max((figure.band for figure in rejected.values()), key=bands.__getitem__, default=None)
    if not names:
        return DriftVerdict("no_drift", None, "nothing was rejected", rows, reference_rows, alerts, figures)
    said = ", ".join(_said(name, rejected, alerts) for name in names[:5]) + (" …" if len(names) > 5 else "")
    again = [name for name in names if name in (before or ())]
    if again:
        reason = f"rejected in two windows: {', '.join(again[:5])}. Now: {said}"
        return DriftVerdict("drift", severity, reason, rows, reference_rows, alerts, figures)
    reason = f"rejected in this window, not in the one before: {said}"
    if before is None:
        reason = f"rejected in this window, and none before it was judged: {said}"
    return DriftVerdict("suspected", severity, reason, rows, reference_rows, alerts, figures)


def _said(name: str, rejected: Mapping[str, Figure], alerts: Alerts) -> str:
    if name == CAMPAIGNS:
        weighed = f"by their scores {alerts.attacks:.1f} where {alerts.attacks_expected:.1f} are usual"
        return f"{alerts.campaigns} campaigns of alerts, {weighed}"
    return f"{name} (PSI {rejected[name].psi:.3f}, KS {rejected[name].ks:.3f})"
