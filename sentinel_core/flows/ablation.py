"""Ablation: what each group of features, and each proposal, is worth on a snapshot."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from sentinel_core.datasets.events import to_events
from sentinel_core.errors import TrainingError, did_you_mean
from sentinel_core.features.catalog import CATALOGUE, FEATURE_NAMES, catalogue_hash
from sentinel_core.features.entities import USER
from sentinel_core.features.proposals import PROPOSALS, build_proposals
from sentinel_core.features.travel import TRAVEL, build_travel
from sentinel_core.flows import Progress, silent
from sentinel_core.flows.features import build_feature_set, load_feature_set
from sentinel_core.flows.runs import git_commit
from sentinel_core.flows.train import training_data
from sentinel_core.schema import from_micros
from sentinel_core.settings import Settings
from sentinel_core.training.ablation import MODEL, NOISE, SMALLER, TRAIN_ROWS, Ablation, Finding, Variant, ablate
from sentinel_core.training.data import TrainingData
from sentinel_core.training.split import Window

if TYPE_CHECKING:
    import pandas as pd

CATEGORIES: Final = "categories"
SINGLE: Final = (
    "amount_zscore",
    "amount_to_avg_ratio",
    "amount_to_older_ratio",
    "user_prior_count",
    "txn_velocity_1h",
    "txn_velocity_24h",
    "time_since_last_txn",
    "user_merchant_count_30d",
    "merchant_risk_score",
    "merchant_days_since_known_fraud",
)
"""The catalogue's features that are also left out one by one where no names are asked for."""


def run_ablation(
    settings: Settings,
    snapshot: str,
    *,
    seeds: int = 3,
    folds: int = 3,
    only: Sequence[str] | None = None,
    train_rows: int = TRAIN_ROWS,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Judge groups, single features and proposals on a snapshot and return a document for reports.

    `only` names groups, features of the catalogue or proposals; without it all groups, those of `SINGLE` and all
    proposals are judged. The last fifth of the time is not looked at. Raises `TrainingError` for an unknown name, and
    where the data cannot carry the folds.
    """
    begun = time.perf_counter()
    features = load_feature_set(settings, build_feature_set(settings, snapshot, progress=progress))
    progress("computing the proposals")
    names, values = _proposed(features.snapshot.frame(), settings)
    own = training_data(settings, features)
    data = replace(own, names=(*own.names, *names), values=np.concatenate((own.values, values), axis=1))
    variants = _variants(data, names, only)
    result = ablate(data, variants, seeds=seeds, folds=folds, train_rows=train_rows, progress=progress)
    return {
        "snapshot": snapshot,
        "source": features.snapshot.manifest["source"],
        "rows": len(data.time),
        "git_commit": git_commit(settings),
        "catalogue": catalogue_hash(),
        "model": {"name": MODEL, **SMALLER, "train_rows": train_rows},
        "seeds": seeds,
        "folds": _folds(result),
        "pr_auc": result.precision,
        "findings": [_described(finding) for finding in result.findings],
        "seconds": round(time.perf_counter() - begun, 1),
    }


def _proposed(frame: pd.DataFrame, settings: Settings) -> tuple[tuple[str, ...], NDArray[np.float32]]:
    """Return the names and values of what is proposed, places included where the data has them."""
    events = to_events(frame, ids=False)
    proposals, values = PROPOSALS, build_proposals(events, replace(USER, cap=settings.user_history_cap))
    if "latitude" in frame and "longitude" in frame:
        places = [frame[name].to_numpy(np.float64, na_value=np.nan) for name in ("latitude", "longitude")]
        proposals, values = (*proposals, *TRAVEL), np.concatenate((values, build_travel(events, *places)), axis=1)
    return tuple(feature.name for feature in proposals), values


def _variants(data: TrainingData, proposed: tuple[str, ...], only: Sequence[str] | None) -> tuple[Variant, ...]:
    groups = {group: tuple(f.name for f in CATALOGUE if f.group == group) for group in _in_order()}
    groups[CATEGORIES] = tuple(data.categories)
    known = {
        **{group: Variant(group, "group", columns) for group, columns in groups.items()},
        **{name: Variant(name, "feature", (name,)) for name in FEATURE_NAMES},
        **{name: Variant(name, "proposal", (name,)) for name in proposed},
        "all proposals": Variant("all proposals", "proposal", proposed),
        NOISE: Variant(NOISE, "control", (NOISE,)),
    }
    for name in only or ():
        if name not in known:
            raise TrainingError(
                f"expected a group, a feature or a proposal, got {name!r}.{did_you_mean(name, list(known))}",
                remedy="docs/features.md lists groups and features, docs/ablation.md the proposals.",
            )
    return tuple(known[name] for name in only or (*groups, *SINGLE, *proposed, "all proposals", NOISE))


def _in_order() -> tuple[str, ...]:
    return tuple(dict.fromkeys(feature.group for feature in CATALOGUE))


def _folds(result: Ablation) -> list[dict[str, Any]]:
    return [
        {
            "train": _span(fold.train_window),
            "judge": _span(fold.judge_window),
            "train_rows": len(fold.train),
            "judge_rows": len(fold.judge),
        }
        for fold in result.folds
    ]


def _span(window: Window) -> list[str]:
    return [from_micros(window.start).isoformat(), from_micros(window.end).isoformat()]


def _described(finding: Finding) -> dict[str, Any]:
    """Describe a finding; its figures are null where its columns are constant in the data."""
    figures = {
        "without": finding.without,
        "with": finding.with_it,
        "difference": finding.difference.value,
        "low": finding.difference.low,
        "high": finding.difference.high,
    }
    return {
        "name": finding.variant.name,
        "kind": finding.variant.kind,
        "columns": list(finding.variant.columns),
        **{name: None if np.isnan(value) else round(value, 5) for name, value in figures.items()},
        "seconds": finding.seconds,
    }
