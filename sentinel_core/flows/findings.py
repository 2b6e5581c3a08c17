"""Findings: what a candidate's report is drawn from, as figures; findings.json beside its bundle and in its run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from sentinel_core.errors import BundleError
from sentinel_core.evaluation import curves
from sentinel_core.evaluation.by_segment import judge_segments
from sentinel_core.evaluation.judge import Interval
from sentinel_core.evaluation.metrics import Confusion, confusion
from sentinel_core.evaluation.segments import segments
from sentinel_core.features.catalog import POSITION
from sentinel_core.registry.manifest import CostTerms, Figure
from sentinel_core.training.data import TrainingData
from sentinel_core.training.fit import TrainedCandidate
from sentinel_core.training.gate import MIN_SEGMENT_FRAUDS

FINDINGS: Final = "findings.json"
DRAWS: Final = 200
_PLACES: Final = 6


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Line(_Frozen):
    """A curve's points."""

    x: tuple[float, ...]
    y: tuple[float, ...]

    def curve(self) -> curves.Curve:
        """Return it as it is drawn; the thresholds are not kept."""
        return curves.Curve(np.array(self.x), np.array(self.y), np.full(len(self.x), np.nan))


class Bins(_Frozen):
    """`curves.Reliability` as JSON."""

    score: tuple[float, ...]
    fraud: tuple[float, ...]
    rows: tuple[int | float, ...]

    def reliability(self) -> curves.Reliability:
        """Return it as it is drawn."""
        return curves.Reliability(np.array(self.score), np.array(self.fraud), np.array(self.rows))


class Counts(_Frozen):
    """`curves.Histogram` as JSON."""

    edges: tuple[float, ...]
    legitimate: tuple[int | float, ...]
    fraud: tuple[int | float, ...]

    def histogram(self) -> curves.Histogram:
        """Return it as it is drawn."""
        return curves.Histogram(np.array(self.edges), np.array(self.legitimate), np.array(self.fraud))


class Decisions(_Frozen):
    """`Confusion` as JSON."""

    true_positive: int | float
    false_positive: int | float
    false_negative: int | float
    true_negative: int | float

    def confusion(self) -> Confusion:
        """Return it with its metrics."""
        return Confusion(**self.model_dump())


class Segment(_Frozen):
    """A segment's rows and frauds; no figures where there are too few frauds."""

    name: str
    rows: int
    frauds: int
    figures: dict[str, Figure]


class Findings(_Frozen):
    """What was found about a candidate beside its bundle's metrics; curves, decisions and segments are the test part's.

    `labelled` counts the snapshot's rows with a label, `mature` those whose label training's clock knew, `logged_rows`
    those whose vector was logged; `costs` and `alerts_a_day` are the deployment's, whatever the policy; `notes` is what
    the search and the fit said.
    """

    rows: int
    labelled: int
    mature: int
    fitted_rows: int
    importances: dict[str, float]
    precision_recall: Line
    roc: Line
    reliability: Bins
    histogram: Counts
    decisions: Decisions
    segments: tuple[Segment, ...]
    cross_validation: dict[str, tuple[float, float]]
    costs: CostTerms
    alerts_a_day: float
    notes: tuple[str, ...]
    logged_rows: int | None = None

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read findings.json of a report's folder; raises `BundleError` where it is missing or of another release."""
        path = folder / FINDINGS
        try:
            return cls.model_validate_json(path.read_bytes())
        except (FileNotFoundError, ValidationError) as error:
            raise BundleError(
                f"expected the findings of a training in {path}: {str(error).splitlines()[0]}.",
                remedy="Train again: the candidate is of another release, or was removed.",
            ) from None


def find(data: TrainingData, trained: TrainedCandidate) -> Findings:
    """Gather the findings about a candidate; equal arguments give equal findings.

    `data` are the vectors of the catalogue that it was trained on.
    """
    test, score = trained.split.test, trained.scores["test"]
    rows = data.scored(test, score)
    threshold = trained.choice.at(rows.cents)
    prior_count = np.asarray(data.values[test, POSITION["user_prior_count"]])
    masks = segments(rows.cents, prior_count, {name: column[test] for name, column in data.categories.items()})
    of_segments = judge_segments(rows, threshold, masks, min_frauds=MIN_SEGMENT_FRAUDS, count=DRAWS, seed=trained.seed)
    reliability = curves.reliability(rows.is_fraud, score, rows.weight)
    histogram = curves.histogram(rows.is_fraud, score, rows.weight)
    searched = (f"Settings: {trained.search.note}",) if trained.search else ()
    return Findings(
        rows=len(data.time),
        labelled=int((data.is_fraud >= 0).sum()),
        mature=int(((data.is_fraud >= 0) & (data.known_at <= data.as_of)).sum()),
        fitted_rows=trained.rows,
        logged_rows=data.logged_rows,
        importances=dict(trained.importances),
        precision_recall=_line(curves.precision_recall(rows.is_fraud, score, rows.weight)),
        roc=_line(curves.roc(rows.is_fraud, score, rows.weight)),
        reliability=Bins(
            score=_rounded(reliability.score), fraud=_rounded(reliability.fraud), rows=tuple(reliability.rows.tolist())
        ),
        histogram=Counts(
            edges=_rounded(histogram.edges),
            legitimate=tuple(histogram.legitimate.tolist()),
            fraud=tuple(histogram.fraud.tolist()),
        ),
        decisions=Decisions(**asdict(confusion(rows.is_fraud, score >= threshold, rows.weight))),
        segments=tuple(
            Segment(
                name=segment.name,
                rows=segment.rows,
                frauds=segment.frauds,
                figures=to_figures(segment.figures),
            )
            for segment in of_segments
        ),
        cross_validation=dict(trained.cross_validation),
        costs=CostTerms(**asdict(data.policy.costs)),
        alerts_a_day=data.policy.alerts_a_day,
        notes=(*searched, *trained.notes),
    )


def to_figures(metrics: Mapping[str, Interval]) -> dict[str, Figure]:
    """Return intervals as JSON has them: an end that is not a number is None."""
    return {
        name: Figure(value=figure.value, low=_finite(figure.low), high=_finite(figure.high))
        for name, figure in metrics.items()
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _line(curve: curves.Curve) -> Line:
    thin = curve.thinned()
    return Line(x=_rounded(thin.x), y=_rounded(thin.y))


def _rounded(values: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(np.round(values, _PLACES).tolist())
