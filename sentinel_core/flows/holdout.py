"""The hold-out of the gate: the newest mature rows, and what challenger and champion say of them."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sentinel_core.evaluation.contest import Contender
from sentinel_core.evaluation.segments import segments
from sentinel_core.features.catalog import POSITION
from sentinel_core.flows.features import FeatureSet, load_feature_set
from sentinel_core.flows.train import threshold_policy, training_data
from sentinel_core.registry.bundle import LoadedBundle
from sentinel_core.schema import from_micros, to_micros
from sentinel_core.settings import Settings
from sentinel_core.training.data import Rows, TrainingData
from sentinel_core.training.floors import profile_floors
from sentinel_core.training.gate import Contest
from sentinel_core.training.split import Split

SYNTHETIC: Final = "synthetic"
TIMED_ROWS: Final = 200
CHUNK_ROWS: Final = 50_000


@dataclass(frozen=True, slots=True)
class Holdout:
    """The test part that a version is judged on; `lineage` names the history that it was cut from."""

    features: FeatureSet
    data: TrainingData
    split: Split
    profile: str
    floors: Mapping[str, float]
    lineage: str

    @property
    def start(self) -> datetime:
        """Begin of the test part."""
        return from_micros(self.split.windows["test"].start)

    @property
    def end(self) -> datetime:
        """End of the test part, excluded."""
        return from_micros(self.split.windows["test"].end)

    @property
    def label_day(self) -> date:
        """The newest day whose transactions have mature labels."""
        return from_micros(self.split.windows["test"].end - 1).date()

    @property
    def next_label_day(self) -> datetime:
        """When the labels of the day after `label_day` begin to be mature."""
        midnight = datetime.combine(self.label_day + timedelta(days=1), datetime.min.time(), UTC)
        return midnight + timedelta(microseconds=self.data.label_window or self.data.label_delay)


def load_holdout(settings: Settings, identity: str) -> Holdout:
    """Cut the hold-out from a feature set as its training did; raises `DataError` where its snapshot is gone."""
    features = load_feature_set(settings, identity)
    manifest = features.snapshot.manifest
    data = training_data(settings, features)
    floors = profile_floors(manifest["profile"], manifest["floors"])
    return Holdout(features, data, data.split(), manifest["profile"], floors, _lineage(manifest))


def hold_contest(settings: Settings, holdout: Holdout, challenger: LoadedBundle, champion: LoadedBundle) -> Contest:
    """Let both models score the rows of the test part that neither has seen, each with thresholds of its own."""
    data, rows = holdout.data, _unseen(holdout, champion)
    cents = data.cents[rows]
    ours, theirs = (
        Contender(score_rows(bundle, holdout.features, rows), bundle.thresholds(cents))
        for bundle in (challenger, champion)
    )
    categories = {name: column[rows] for name, column in data.categories.items()}
    prior_count = np.asarray(data.values[rows, POSITION["user_prior_count"]])
    return Contest(
        data.scored(rows, ours.score),
        ours,
        theirs,
        threshold_policy(settings).costs,
        segments(cents, prior_count, categories),
        left_out=len(holdout.split.test) - len(rows),
    )


def score_rows(bundle: LoadedBundle, features: FeatureSet, rows: Rows) -> NDArray[np.float64]:
    """Return a bundle's calibrated scores of rows of a feature set, float64 [len(rows)].

    A category that the data does not have is unknown in every row.
    """
    parts = [np.empty(0)]
    for start in range(0, len(rows), CHUNK_ROWS):
        part = rows[start : start + CHUNK_ROWS]
        categories: dict[str, list[Any]] = {
            category.column: features.categories[category.column][part].tolist()
            if category.column in features.categories
            else [None] * len(part)
            for category in bundle.encoder.categories
        }
        parts.append(bundle.score(bundle.select(np.asarray(features.values[part])), categories))
    return np.concatenate(parts)


def scoring_ms(bundle: LoadedBundle, holdout: Holdout) -> float:
    """Return the median time of scoring one row of the hold-out, in ms."""
    seconds = []
    for row in holdout.split.test[:TIMED_ROWS]:
        begun = time.perf_counter()
        score_rows(bundle, holdout.features, np.array([row]))
        seconds.append(time.perf_counter() - begun)
    return round(statistics.median(seconds) * 1000, 3)


def _unseen(holdout: Holdout, champion: LoadedBundle) -> Rows:
    """Leave out what the champion was fitted or calibrated on.

    By time, not by name: a file that grew may be called otherwise, and the database may hold what a file held. Only
    generated and real rows are never the same. Where both divided their newest days by users, the users of this
    hold-out were in the champion's test part too: it saw theirs from before its newest days alone.
    """
    rows, trained_on = holdout.split.test, champion.manifest.data.profile
    if (trained_on == SYNTHETIC) != (holdout.profile == SYNTHETIC):
        return rows
    parts, time = champion.manifest.parts, holdout.data.time[rows]
    tested_from, seen_upto = (
        to_micros(datetime.fromisoformat(moment)) for moment in (parts["test"].first, parts["calibrate"].last)
    )
    if tested_from <= seen_upto and holdout.data.label_window is not None:
        return rows[time >= tested_from]
    return rows[time > seen_upto]


def _lineage(manifest: Mapping[str, Any]) -> str:
    """Name the history that a snapshot was cut from: other rows of the same one overlap, those of another never do."""
    source = manifest["source"]
    parts = {name: source[name] for name in ("kind", "name", "seed", "rows", "fraud_rate") if name in source}
    return json.dumps({"profile": manifest["profile"], **parts}, sort_keys=True)
