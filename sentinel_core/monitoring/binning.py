"""Bins of a variable, cut where the reference has its quantiles: equal-width ones are blind on amounts.

Fine bins carry the Kolmogorov-Smirnov statistic; they are merged to coarse ones for PSI.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sentinel_core.monitoring.sample import Sample
from sentinel_core.monitoring.variables import Variable

FINE: Final = 64
"""Most fine bins, and most levels of a category: the rarest beyond are merged."""
LEAST_SHARE: Final = 0.01
"""Levels and coarse bins with less of the reference are merged."""
COARSE_CUTS: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98)
SCORE_CUTS: Final = (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9)
"""Bins of a calibrated score: below five percent nothing is told apart, where daily tables move all rows at once."""
_QUANTILES: Final = np.append(np.arange(1, FINE - 4) / (FINE - 4), (0.99, 0.995))


@dataclass(frozen=True, slots=True)
class Bins:
    """Bins of one variable: numbers lie in (edge, edge], `levels` name those of a category, with 0 for all others.

    `ends` are the last fine bins of the coarse ones, ascending.
    """

    variable: Variable
    edges: NDArray[np.float64]
    levels: dict[Any, int]
    ends: NDArray[np.intp]

    def code(self, sample: Sample) -> NDArray[np.intp]:
        """Return the fine bin of each row, intp [n] below `FINE`; a category never seen is among the others."""
        if self.variable.kind == "category":
            column = sample.categories[self.variable.name]
            found: NDArray[np.intp] = np.fromiter((self.levels.get(value, 0) for value in column), np.intp, len(column))
            return found
        bins: NDArray[np.intp] = np.searchsorted(self.edges, _numbers(self.variable, sample), side="left")
        return bins

    def titles(self) -> list[str]:
        """Name the coarse bins, in order."""
        if self.variable.kind == "category":
            named = {code: "unknown" if level is None else str(level) for level, code in self.levels.items()}
            return ["other", *(named[code] for code in sorted(named))]
        upper = [f"{self.edges[end]:.4g}" if end < len(self.edges) else "∞" for end in self.ends.tolist()]
        return [f"({low}, {high}]" for low, high in zip(["-∞", *upper[:-1]], upper, strict=True)]


def cut(variable: Variable, reference: Sample) -> Bins:
    """Cut the bins of a variable by a reference with at least one row."""
    if variable.kind == "category":
        return _levels(variable, reference.categories[variable.name])
    values = np.sort(_numbers(variable, reference))
    if variable.kind == "score":
        edges = np.asarray(SCORE_CUTS)
    else:
        quantiles = values[np.minimum((_QUANTILES * len(values)).astype(np.intp), len(values) - 1)]
        # A bin below the least value, too: what was never seen has to lie somewhere.
        edges = np.unique(np.append(quantiles, np.nextafter(values[0], -np.inf)))
    counts = np.bincount(np.searchsorted(edges, values, side="left"), minlength=len(edges) + 1)
    return Bins(variable, edges, {}, _merged(counts / len(values)))


def _levels(variable: Variable, column: NDArray[Any]) -> Bins:
    import collections

    counts = collections.Counter(column.tolist())
    kept = [level for level, count in counts.most_common(FINE - 1) if count >= LEAST_SHARE * len(column)]
    levels = {level: code for code, level in enumerate(kept, start=1)}
    return Bins(variable, np.empty(0), levels, np.arange(len(levels) + 1))


def _merged(share: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the ends of coarse bins: one for each cut that it reaches, none with less than the least share."""
    total = np.cumsum(share)
    near = np.searchsorted(COARSE_CUTS, total - share / 2)
    ends: list[int] = []
    begun = 0.0
    for place in range(len(share)):
        last = place == len(share) - 1
        if (last or near[place + 1] != near[place]) and (total[place] - begun >= LEAST_SHARE or last):
            if last and ends and total[place] - begun < LEAST_SHARE:
                ends.pop()
            ends.append(place)
            begun = float(total[place])
    return np.asarray(ends, dtype=np.intp)


def _numbers(variable: Variable, sample: Sample) -> NDArray[np.float64]:
    return sample.score if variable.kind == "score" else sample.numbers[variable.name]
