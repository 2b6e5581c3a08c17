"""Bundling: a trained candidate as the folder that is registered, and the report that people read."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sentinel_core.features.catalog import CATALOGUE, FEATURE_NAMES
from sentinel_core.flows.card import model_document, model_report
from sentinel_core.flows.card_pictures import rate_of
from sentinel_core.flows.features import RISK as RISK_TABLE
from sentinel_core.flows.features import FeatureSet
from sentinel_core.flows.findings import FINDINGS, Findings, to_figures
from sentinel_core.monitoring.thinning import whole_stretches
from sentinel_core.registry import files
from sentinel_core.registry.manifest import Calibration, CostTerms, Data, FeatureRef, Manifest, Part, Policy
from sentinel_core.reports import plots
from sentinel_core.reports.markdown import to_markdown
from sentinel_core.reports.page import to_html
from sentinel_core.schema import from_micros
from sentinel_core.settings import Settings
from sentinel_core.training.export import to_skops
from sentinel_core.training.fit import TrainedCandidate
from sentinel_core.training.floors import profile_floors
from sentinel_core.training.threshold import Choice

PAGE: Final = "report.html"
REFERENCE_ROWS: Final = 50_000
SELF_CHECK_ROWS: Final = 16
LIBRARIES: Final = ("numpy", "scikit-learn", "skl2onnx", "onnx", "onnxruntime")


def write_bundle(
    folder: Path,
    settings: Settings,
    features: FeatureSet,
    trained: TrainedCandidate,
    findings: Findings,
    *,
    commit: str,
    now: datetime,
) -> Manifest:
    """Write the bundle of a candidate as the new `folder` and return its manifest.

    Nothing in it but the manifest's provenance depends on `now`: equal inputs give an equal bundle hash.
    """
    manifest = _manifest(settings, features, trained, commit, now)
    return files.write_bundle(
        folder,
        manifest,
        {
            files.MODEL: trained.onnx,
            files.SELFCHECK: _self_check(features, trained).to_json().encode(),
            files.RISK: (features.path / RISK_TABLE).read_bytes(),
            files.REFERENCE: _reference(features, trained),
            files.CARD: to_markdown(model_document(manifest, findings)).encode(),
            files.ESTIMATOR: to_skops(trained.estimator),
        },
    )


def write_report(folder: Path, manifest: Manifest, findings: Findings) -> None:
    """Write what people look at as the new `folder`: the page, the card, plots, importances and findings.json."""
    folder.mkdir(parents=True)
    heading = f"{manifest.algorithm}, test part"
    ranked = sorted(findings.importances.items(), key=lambda item: (-item[1], item[0]))
    with (folder / "importances.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("input", "share"))
        writer.writerows(ranked)
    drawings = {
        "importances": plots.importance_plot(findings.importances, manifest.algorithm),
        "precision_recall": plots.precision_recall_plot(findings.precision_recall.curve(), rate_of(findings), heading),
        "roc": plots.roc_plot(findings.roc.curve(), heading),
        "reliability": plots.reliability_plot(findings.reliability.reliability(), heading),
        "score_histogram": plots.histogram_plot(findings.histogram.histogram(), heading),
        "confusion_matrix": plots.confusion_plot(findings.decisions.confusion(), heading),
    }
    for name, figure in drawings.items():
        plots.save_png(figure, folder / f"{name}.png")
    (folder / files.CARD).write_text(to_markdown(model_document(manifest, findings)), encoding="utf-8")
    (folder / PAGE).write_text(to_html(model_report(manifest, findings)), encoding="utf-8")
    (folder / FINDINGS).write_text(findings.model_dump_json(indent=1) + "\n", encoding="utf-8")


def _manifest(
    settings: Settings, features: FeatureSet, trained: TrainedCandidate, commit: str, now: datetime
) -> Manifest:
    snapshot = features.snapshot.manifest
    return Manifest(
        model_name=settings.model_name,
        algorithm=trained.algorithm,
        features=tuple(FeatureRef(name=feature.name, hash=feature.definition_hash) for feature in CATALOGUE),
        encoder=trained.encoder.to_dict(),
        calibration=Calibration(
            slope=trained.calibration.slope,
            intercept=trained.calibration.intercept,
            smoothing=trained.calibration.smoothing,
        ),
        threshold=trained.threshold,
        policy=_policy(trained.choice),
        metrics={part: to_figures(metrics) for part, metrics in trained.metrics.items()},
        parts={part: _part(features, rows) for part, rows in trained.split.parts().items()},
        data=Data(
            snapshot=features.snapshot.id,
            content_hash=snapshot["content_hash"],
            profile=snapshot["profile"],
            as_of=snapshot["as_of"],
            label_delay_days=snapshot["label_delay_days"],
            floors=dict(profile_floors(snapshot["profile"], snapshot["floors"])),
        ),
        hyperparameters=dict(trained.hyperparameters),
        seed=trained.seed,
        git_commit=commit,
        libraries={name: version(name) for name in LIBRARIES},
        created_at=now.isoformat(),
    )


def _policy(choice: Choice) -> Policy:
    costs = CostTerms(**asdict(choice.costs)) if choice.costs else None
    return Policy(name=choice.policy, figures=dict(choice.figures), costs=costs)


def _part(features: FeatureSet, rows: NDArray[np.intp]) -> Part:
    return Part(
        rows=len(rows),
        frauds=int((features.is_fraud[rows] == 1).sum()),
        first=from_micros(int(features.time[rows].min())).isoformat(),
        last=from_micros(int(features.time[rows].max())).isoformat(),
    )


def _self_check(features: FeatureSet, trained: TrainedCandidate) -> files.SelfCheck:
    """Take test rows over the whole range of scores, the highest and the lowest among them."""
    score = trained.scores["test"]
    ranks = np.linspace(0, len(score) - 1, min(SELF_CHECK_ROWS, len(score))).astype(np.intp)
    chosen = np.argsort(score, kind="stable")[ranks]
    rows = trained.split.test[chosen]
    categories = {name: column[rows].tolist() for name, column in features.categories.items()}
    return files.SelfCheck(np.asarray(features.values[rows]), categories, score[chosen])


def _reference(features: FeatureSet, trained: TrainedCandidate) -> bytes:
    """Write hold-out rows as Parquet: timestamp, user, merchant, score, is_fraud, the features, the categories.

    Users and merchants are numbered: drift asks which rows belong together, not whose they are.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    test = trained.split.test
    taken = whole_stretches(features.time[test], REFERENCE_ROWS)
    rows = test[taken]
    values = np.asarray(features.values[rows])
    columns: dict[str, Any] = {
        "timestamp": pa.array(features.time[rows], pa.int64()).cast(pa.timestamp("us", tz="UTC")),
        "user": _numbered(features.user[rows]),
        "merchant": _numbered(features.snapshot.frame(["merchant_id"])["merchant_id"].to_numpy()[rows]),
        "score": trained.scores["test"][taken],
        "is_fraud": features.is_fraud[rows] == 1,
        **{name: values[:, position] for position, name in enumerate(FEATURE_NAMES)},
        **{name: pa.array(column[rows], pa.string()) for name, column in features.categories.items()},
    }
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer, compression="zstd")
    return buffer.getvalue()


def _numbered(values: NDArray[Any]) -> NDArray[np.int32]:
    return np.unique(values, return_inverse=True)[1].astype(np.int32)
