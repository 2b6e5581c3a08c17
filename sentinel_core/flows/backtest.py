"""Backtest: a history, windows of it, and how models would have done there."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from sentinel_core.features.catalog import catalogue_hash
from sentinel_core.flows import Progress, silent
from sentinel_core.flows.features import FeatureSet, build_feature_set, load_feature_set
from sentinel_core.flows.ingest import Request, make_snapshot
from sentinel_core.flows.runs import git_commit
from sentinel_core.flows.train import training_data
from sentinel_core.flows.whole_file import whole_file
from sentinel_core.schema import MICROS_PER_SECOND, from_micros, to_micros
from sentinel_core.settings import Settings
from sentinel_core.training.backtest import Backtest, Judged, PeriodResult, periods, run_backtest
from sentinel_core.training.split import Window

Span = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to backtest: spans of time [start, end), moved on by `step` for each further fold; models by name.

    `models` maps a candidate's name to hyperparameters that replace its defaults.
    """

    train: Span
    test: Span
    models: Mapping[str, Mapping[str, Any]]
    calibrate: Span | None = None
    label_delay: timedelta | None = None
    folds: int = 1
    step: timedelta = timedelta()
    blend: Sequence[str] = ()
    exclude_known_cards: bool = False
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """The document of a backtest for people and machines, and what it was made of, for `write_scores`."""

    document: dict[str, Any]
    features: FeatureSet = field(repr=False)
    backtest: Backtest = field(repr=False)


def run(settings: Settings, request: Request, plan: Plan, *, now: datetime, progress: Progress = silent) -> Outcome:
    """Read a history, build its features, and train and judge the plan's models in each of its periods.

    A label counts from the moment at which it was known: `labelled_at` where the file has it, else the label delay
    after the transaction. Raises `DataError` or `TrainingError` where the file or the windows do not carry it.
    """
    if plan.label_delay is not None:
        days = plan.label_delay / timedelta(days=1)
        settings = settings.model_copy(update={"label_delay_days": days})
    clock = time.perf_counter
    marks = [clock()]
    snapshot = make_snapshot(settings, request, now=now, progress=progress)
    marks.append(clock())
    features = load_feature_set(settings, build_feature_set(settings, snapshot, progress=progress))
    marks.append(clock())
    data = training_data(settings, features)
    windows = periods(
        _micros(plan.train),
        _micros(plan.test),
        calibrate=_micros(plan.calibrate) if plan.calibrate else None,
        as_of=data.as_of,
        folds=plan.folds,
        step=int(plan.step.total_seconds() * MICROS_PER_SECOND),
    )
    found = run_backtest(
        data,
        windows,
        plan.models,
        blend=plan.blend,
        exclude_known_cards=plan.exclude_known_cards,
        seed=plan.seed,
        progress=progress,
    )
    marks.append(clock())
    read, built, judged = np.diff(marks).round(1).tolist()
    document = {
        "source": features.snapshot.manifest["source"],
        "snapshot": snapshot,
        "rows": len(data.time),
        "label_delay_days": features.snapshot.manifest["label_delay_days"],
        "exclude_known_cards": plan.exclude_known_cards,
        "calibrated_on": "a window of its own" if plan.calibrate else "the training window, out of fold by users",
        "seed": plan.seed,
        "git_commit": git_commit(settings),
        "catalogue": catalogue_hash(),
        "periods": [_described(result) for result in found.periods],
        "models": {name: _model(name, found, plan) for name in found.figures},
        "seconds": {"read": read, "features": built, "models": judged, "total": round(marks[-1] - marks[0], 1)},
    }
    return Outcome(document, features, found)


def write_scores(outcome: Outcome, out: Path) -> int:
    """Write the score of every test row as Parquet and return the number of rows; whole or not at all.

    Columns: model, transaction_id, timestamp, user_id, amount, is_fraud, score; a row for each model, period and test
    row, in that order.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    frame = outcome.features.snapshot.frame()[["transaction_id", "timestamp", "user_id", "amount"]]
    parts = []
    for name in outcome.backtest.figures:
        for period in outcome.backtest.periods:
            part = frame.iloc[period.test].assign(
                model=name, is_fraud=period.models[name].scored.is_fraud, score=period.models[name].scored.score
            )
            columns = ["model", "transaction_id", "timestamp", "user_id", "amount", "is_fraud", "score"]
            parts.append(pa.Table.from_pandas(part[columns], preserve_index=False))
    table = pa.concat_tables(parts)
    with whole_file(out) as made:
        pq.write_table(table, made, compression="zstd")
    return int(table.num_rows)


def _described(result: PeriodResult) -> dict[str, Any]:
    period = result.period
    frauds = next(iter(result.models.values())).scored.is_fraud.sum()
    return {
        "train": _span(period.train),
        "calibrate": _span(period.calibrate) if period.calibrate else None,
        "test": _span(period.test),
        "train_rows": len(result.train),
        "test_rows": len(result.test),
        "test_frauds": int(frauds),
        "left_out": result.left_out,
    }


def _model(name: str, found: Backtest, plan: Plan) -> dict[str, Any]:
    parts = [result.models[name] for result in found.periods]
    return {
        "hyperparameters": dict(found.hyperparameters.get(name, {"of": list(plan.blend)})),
        "metrics": {metric: asdict(interval) for metric, interval in found.figures[name].items()},
        "by_period": [_judged(part) for part in parts],
        "seconds": round(sum(part.seconds for part in parts), 1),
    }


def _judged(part: Judged) -> dict[str, Any]:
    return {
        "metrics": dict(part.figures),
        "threshold": part.choice.threshold,
        "policy": part.choice.policy,
        "seconds": part.seconds,
    }


def _micros(span: Span) -> tuple[int, int]:
    return to_micros(span[0]), to_micros(span[1])


def _span(window: Window) -> list[str]:
    return [from_micros(window.start).isoformat(), from_micros(window.end).isoformat()]
