"""The gate, from stores and registry: the hold-out, the champion's scores on it, and earlier attempts."""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

from sentinel_core.errors import BundleError
from sentinel_core.evaluation.contest import Contender
from sentinel_core.evaluation.judge import Interval, Scored
from sentinel_core.evaluation.metrics import average_precision
from sentinel_core.evaluation.segments import segments
from sentinel_core.features.catalog import POSITION
from sentinel_core.flows import Progress
from sentinel_core.flows.features import FeatureSet, load_feature_set
from sentinel_core.flows.train import BUNDLE, read_facts, threshold_policy, training_data
from sentinel_core.flows.validate import is_valid
from sentinel_core.registry.bundle import LoadedBundle, load_bundle
from sentinel_core.registry.rest import MlflowRegistry
from sentinel_core.schema import from_micros, to_micros
from sentinel_core.settings import Settings
from sentinel_core.stores.gate_attempts import GateAttempt, attempt_of, attempts_on, record_attempt
from sentinel_core.stores.postgres import connected, make_engine
from sentinel_core.training.data import Rows, TrainingData
from sentinel_core.training.fit import train_candidate as fit
from sentinel_core.training.gate import (
    ERROR_RATE,
    Circumstances,
    Contest,
    Verdict,
    judge_challenger,
    judge_first,
    profile_floors,
)
from sentinel_core.training.split import Split, time_split

BASELINE: Final = "logistic_regression"
TIMED_ROWS: Final = 200
CHUNK_ROWS: Final = 50_000


@dataclass(frozen=True, slots=True)
class Holdout:
    """The rows that a version is judged on, where they come from, and the newest day whose labels were mature."""

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
        """The newest day whose labels were mature."""
        return from_micros(self.split.windows["test"].end - 1).date()


def judge_version(
    settings: Settings, registered: Mapping[str, Any], *, repeated: bool, now: datetime, progress: Progress
) -> Verdict:
    """Judge what `register_best` returned and append the attempt to `gate_attempts`; a version is judged once.

    With a model in Production it is judged against that one. A second attempt on a label-day is held, unless
    `repeated` says that it should be made and pay for it. Raises `RegistryError` or `StoreError` where MLflow or
    PostgreSQL is away.
    """
    engine = make_engine(settings)
    version = str(registered["version"])
    try:
        with connected(engine) as conn:
            earlier = attempt_of(conn, settings.model_name, version)
        if earlier is not None:
            return Verdict.from_dict(earlier["verdict"])
        holdout = _holdout(settings, registered["best"]["features"])
        with connected(engine) as conn:
            tried = attempts_on(conn, settings.model_name, holdout.lineage, holdout.start, holdout.end)
        verdict = _judge(settings, registered, holdout, tried, repeated, progress)
        with connected(engine) as conn:
            record_attempt(
                conn,
                GateAttempt(
                    model_name=settings.model_name,
                    model_version=version,
                    champion_version=verdict.champion,
                    lineage=holdout.lineage,
                    holdout_start=holdout.start,
                    holdout_end=holdout.end,
                    label_day=holdout.label_day,
                    number=verdict.attempt,
                    error_rate=verdict.error_rate,
                    outcome=verdict.outcome,
                    verdict=verdict.to_dict(),
                    created_at=now,
                ),
            )
        return verdict
    finally:
        engine.dispose()


def _judge(
    settings: Settings,
    registered: Mapping[str, Any],
    holdout: Holdout,
    tried: list[dict[str, Any]],
    repeated: bool,
    progress: Progress,
) -> Verdict:
    best = registered["best"]
    challenger = load_bundle(Path(best["folder"]) / BUNDLE)
    metrics = {name: Interval(**figure) for name, figure in read_facts(best["folder"])["metrics"]["test"].items()}
    circumstances = Circumstances(
        latency_ms=_latency_ms(challenger, holdout),
        latency_budget_ms=settings.gate_latency_ms,
        validated=is_valid(settings, holdout.features.snapshot.id),
    )
    with tempfile.TemporaryDirectory() as folder:
        champion, name, why_not = _champion(settings, Path(folder) / BUNDLE)
        if name is None or why_not is not None:
            baselines = {} if holdout.floors else _baselines(registered, holdout)
            verdict = judge_first(holdout.profile, holdout.floors, metrics, baselines, circumstances)
            return replace(verdict, reason=f"{verdict.reason}; {why_not}") if why_not else verdict
        same_day = [one for one in tried if one["label_day"] == holdout.label_day]
        if same_day and not repeated:
            return _held(holdout, name, same_day[-1]["model_version"])
        progress(f"comparing with {name} on rows that neither has seen")
        contest = _contest(settings, holdout, challenger, champion)
        return judge_challenger(
            holdout.profile,
            holdout.floors,
            metrics,
            contest,
            circumstances,
            champion=name,
            attempt=len(tried) + 1,
        )


def _holdout(settings: Settings, identity: str) -> Holdout:
    features = load_feature_set(settings, identity)
    manifest = features.snapshot.manifest
    data = training_data(settings, features)
    split = time_split(data.time, data.is_fraud, data.known_at, as_of=data.as_of, label_delay=data.label_delay)
    floors = profile_floors(manifest["profile"], manifest["floors"])
    return Holdout(features, data, split, manifest["profile"], floors, _lineage(manifest))


def _lineage(manifest: Mapping[str, Any]) -> str:
    """Name the history that a snapshot was cut from: other rows of the same one overlap, those of another never do."""
    source = manifest["source"]
    parts = {name: source[name] for name in ("kind", "name", "seed", "rows", "fraud_rate") if name in source}
    return json.dumps({"profile": manifest["profile"], **parts}, sort_keys=True)


def _held(holdout: Holdout, champion: str, earlier: str) -> Verdict:
    reason = (
        f"{earlier} was judged on the labels that were mature on {holdout.label_day}: another look at the same rows"
        " proves nothing. Train again when newer labels are mature, or ask for a repeated attempt, which pays for it"
    )
    return Verdict(holdout.profile, "hold", reason, (), champion, attempt=1, error_rate=ERROR_RATE)


def _champion(settings: Settings, folder: Path) -> tuple[LoadedBundle | None, str | None, str | None]:
    """Load what is in Production; return it with its name, and why it cannot be compared with."""
    with MlflowRegistry.of(settings) as registry:
        version = registry.production_version()
        if version is None:
            return None, None, None
        registry.download(version, folder)
    try:
        return load_bundle(folder), version.name, None
    except BundleError as error:
        # It cannot serve either: the service refuses it for the same reason.
        return None, version.name, f"{version.name} in Production cannot be loaded: {error.args[0]}"


def _contest(settings: Settings, holdout: Holdout, challenger: LoadedBundle, champion: LoadedBundle | None) -> Contest:
    assert champion is not None  # noqa: S101 (a name comes with its bundle)
    data, rows = holdout.data, holdout.split.test
    if champion.manifest.data.profile == holdout.profile:
        seen_upto = to_micros(datetime.fromisoformat(champion.manifest.parts["calibrate"].last))
        rows = rows[data.time[rows] > seen_upto]
    cents = data.cents[rows]
    ours, theirs = (
        Contender(score_rows(bundle, holdout.features, rows), bundle.thresholds(cents))
        for bundle in (challenger, champion)
    )
    categories = {name: column[rows] for name, column in data.categories.items()}
    prior_count = np.asarray(data.values[rows, POSITION["user_prior_count"]])
    return Contest(
        Scored(data.fraud_at(rows), ours.score, data.user[rows], data.time[rows], cents),
        ours,
        theirs,
        threshold_policy(settings).costs,
        segments(cents, prior_count, categories),
    )


def score_rows(bundle: LoadedBundle, features: FeatureSet, rows: Rows) -> Any:
    """Return a bundle's calibrated scores of rows of a feature set, float64 [len(rows)]."""
    parts = []
    for start in range(0, len(rows), CHUNK_ROWS):
        part = rows[start : start + CHUNK_ROWS]
        categories = {
            c.column: features.categories[c.column][part].tolist()
            for c in bundle.encoder.categories
            if c.column in features.categories
        }
        categories |= {c.column: [None] * len(part) for c in bundle.encoder.categories if c.column not in categories}
        parts.append(bundle.score(bundle.select(np.asarray(features.values[part])), categories))
    return np.concatenate(parts) if parts else np.empty(0)


def _latency_ms(bundle: LoadedBundle, holdout: Holdout) -> float:
    """Return the median time of scoring one row, in ms."""
    seconds = []
    for row in holdout.split.test[:TIMED_ROWS]:
        one = np.array([row])
        begun = time.perf_counter()
        score_rows(bundle, holdout.features, one)
        seconds.append(time.perf_counter() - begun)
    return round(statistics.median(seconds) * 1000, 3)


def _baselines(registered: Mapping[str, Any], holdout: Holdout) -> dict[str, float]:
    """PR-AUC on the test part of the amount alone, and of a plain logistic regression where that is not the model."""
    data, test = holdout.data, holdout.split.test
    found = {"the amount alone": average_precision(data.fraud_at(test), data.cents[test])}
    if registered["best"]["model"] != BASELINE:
        trained = [row["pr_auc"] for row in registered["table"] if row["model"] == BASELINE]
        plain = trained[0] if trained else fit(BASELINE, data, seed=0, folds=2).metrics["test"]["pr_auc"].value
        found["a logistic regression"] = plain
    return found
