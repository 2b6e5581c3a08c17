"""Drift: the newest answers of the champion against its reference, judged, drawn and written down.

Evidently's verdict on the same window is stored beside ours (`flows.drift_evidently`).
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sentinel_core.errors import BundleError
from sentinel_core.evaluation.costs import Costs
from sentinel_core.flows import Progress, silent
from sentinel_core.flows.drift_evidently import LEFT_OUT, EvidentlySays, ask_evidently, keep_newest
from sentinel_core.flows.judging import judging
from sentinel_core.monitoring.drift import DriftVerdict, judge_window
from sentinel_core.monitoring.reference import Reference
from sentinel_core.monitoring.sample import Sample
from sentinel_core.monitoring.variables import VARIABLES
from sentinel_core.registry.files import REFERENCE, read_manifest
from sentinel_core.registry.manifest import Manifest
from sentinel_core.registry.rest import MlflowRegistry, VersionRef
from sentinel_core.schema import CATEGORY_COLUMNS, to_micros
from sentinel_core.settings import Settings
from sentinel_core.stores.drift_reports import (
    DriftReport,
    Window,
    get_report,
    list_reports,
    read_window,
    record_report,
    rejected_before,
)
from sentinel_core.stores.feature_sets import get_feature_set
from sentinel_core.stores.postgres import connected, make_engine

LEAST: Final = timedelta(hours=1)
MOST: Final = timedelta(hours=24)
LEAST_REFERENCE: Final = 500
_BUNDLES: Final = "monitoring"
_REPORTS: Final = "drift"
_FIGURES: Final = ("figures", "evidently_columns")
_NO_COMPANY: Final = "its reference does not say which rows belong together: it was trained by an earlier release"


@dataclass(frozen=True, slots=True)
class Champion:
    """What is in Production, with its hold-out: `sample` row by row, and prepared for comparisons."""

    version: str
    manifest: Manifest
    sample: Sample
    reference: Reference


@judging("the newest answers of the champion", "nothing was written down")
def check_drift(
    settings: Settings, *, now: datetime, html: bool = True, evidently: bool = True, progress: Progress = silent
) -> dict[str, Any]:
    """Judge the champion's answers of the last hour, or of up to a day until there are enough; append the report.

    With `evidently`, Evidently's preset judges the same window; with `html` as well, Evidently draws window and
    reference as a page in SENTINEL_HOME/drift. Where Evidently fails, the report says so and holds our verdict. Returns
    the report's row without the figures.

    What cannot be judged is a report, too, which says why: no model in Production, no usable reference, too few
    answers. Raises `StoreError` or `RegistryError` where PostgreSQL or MLflow is away: then nothing is written.
    """
    engine = make_engine(settings)
    try:
        version, champion, why = _champion(settings, progress)
        with connected(engine) as conn:
            if champion is None:
                report = _nothing(version, now, "not_judged", why)
                return _summary(report, record_report(conn, report))
            window = read_window(
                conn,
                champion.version,
                now=now,
                least=LEAST,
                most=MOST,
                wanted=settings.drift_min_rows,
                limit=settings.drift_max_rows,
            )
            if window.rows < settings.drift_min_rows:
                why = (
                    f"not enough data: {window.rows:,} answers of {champion.version} in the last"
                    f" {MOST // LEAST} h that can be judged, {settings.drift_min_rows:,} are needed"
                )
                report = _nothing(champion.version, now, "not_enough_data", why, window)
                return _summary(report, record_report(conn, report))
            names = {one: get_feature_set(conn, one) for one in set(window.columns["feature_set_id"]) if one}
            before = rejected_before(conn, champion.version, start=window.start, oldest=window.start - MOST)
        progress(f"{window.rows:,} answers of {champion.version} since {window.start:%Y-%m-%d %H:%M} UTC")
        sample, missing = _sample(window, names, champion.manifest)
        verdict = judge_window(
            champion.reference,
            sample,
            before=before,
            missing=missing,
            rate=settings.drift_false_discovery_rate,
            seed=to_micros(now) % 2**32,
        )
        says = EvidentlySays(LEFT_OUT)
        if evidently:
            page = settings.home / _REPORTS / f"{now:%Y%m%dT%H%M%SZ}-{champion.version}.html" if html else None
            says = ask_evidently(
                champion.sample,
                champion.reference,
                sample,
                verdict,
                leave_out=missing,
                page=page,
                progress=progress,
            )
            keep_newest(settings.home / _REPORTS, settings.drift_pages_kept)
        report = replace(_report(champion, window, sample, verdict, now), **says.columns(settings.home))
        with connected(engine) as conn:
            number = record_report(conn, report)
        progress(f"{report.verdict}: {report.reason}")
        progress(f"Evidently's preset: {says.text}")
        return _summary(report, number)
    finally:
        engine.dispose()


def read_reports(settings: Settings, *, limit: int = 100) -> list[dict[str, Any]]:
    """Return the newest reports without their figures, newest first."""
    engine = make_engine(settings)
    try:
        with connected(engine) as conn:
            rows = list_reports(conn, limit=limit)
    finally:
        engine.dispose()
    return [{name: value for name, value in row.items() if name not in _FIGURES} for row in rows]


def read_report(settings: Settings, number: int) -> dict[str, Any]:
    """Return one report with its figures; raises `StoreError` where there is none of that number."""
    engine = make_engine(settings)
    try:
        with connected(engine) as conn:
            return get_report(conn, number)
    finally:
        engine.dispose()


def _champion(settings: Settings, progress: Progress) -> tuple[str | None, Champion | None, str]:
    """Return the name of what is in Production, and it with its reference, or why there is none to compare with."""
    with MlflowRegistry.of(settings) as registry:
        version = registry.production_version()
        if version is None:
            return None, None, "no model is in Production: there is no reference"
        folder = settings.home / _BUNDLES / version.key
        if not folder.exists():
            progress(f"fetching the reference of {version.name}")
            try:
                _fetch(registry, version, folder)
            except BundleError as error:
                return version.name, None, f"{version.name} has no usable bundle: {error.args[0]}"
    try:
        manifest = read_manifest(folder)
        sample, reference = _prepared(folder / REFERENCE, manifest.model_dump_json())
    except BundleError as error:
        # What lies here may be damaged: the next check fetches it again.
        shutil.rmtree(folder, ignore_errors=True)
        return version.name, None, f"{version.name} has no usable reference: {error.args[0]}"
    return version.name, Champion(version.name, manifest, sample, reference), ""


def _fetch(registry: MlflowRegistry, version: VersionRef, folder: Path) -> None:
    """Put a bundle's files in place, all at once; others of this room, older than the last few, are removed."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=".making-", dir=folder.parent))
    try:
        registry.download(version, made)
        made.rename(folder)
    except OSError:
        # Somebody fetched the same first.
        if not folder.exists():
            raise
    finally:
        shutil.rmtree(made, ignore_errors=True)
    known = sorted(folder.parent.glob("[!.]*"), key=lambda path: path.stat().st_mtime, reverse=True)
    for old in known[3:]:
        shutil.rmtree(old, ignore_errors=True)


@lru_cache(maxsize=2)
def _prepared(path: Path, manifest: str) -> tuple[Sample, Reference]:
    """Read and prepare a reference; bundles never change, so that the last two are kept."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise BundleError(f"expected a Parquet file at {path.name}, got: {error}.", remedy="Train again.") from error
    if missing := {"timestamp", "score", "user", "merchant"} - set(table.column_names):
        raise BundleError(f"{_NO_COMPANY} (no column {', '.join(sorted(missing))}).", remedy="Train again.")
    if len(table) < LEAST_REFERENCE:
        raise BundleError(f"expected {LEAST_REFERENCE} rows in {path.name}, got {len(table)}.", remedy="Train on more.")
    column = {name: table.column(name).to_numpy(zero_copy_only=False) for name in table.column_names}
    there = [one for one in VARIABLES if one.kind == "score" or one.name in column]
    numbers = {one.name: column[one.name].astype(np.float64) for one in there if one.kind == "number"}
    sample = Sample(
        time=column["timestamp"].astype("datetime64[us]").view(np.int64),
        user=column["user"].astype(np.int64),
        merchant=column["merchant"].astype(np.int64),
        score=column["score"],
        alert=column["score"] >= _thresholds(Manifest.model_validate_json(manifest), numbers["amount"]),
        numbers=numbers,
        categories={one.name: column[one.name] for one in there if one.kind == "category"},
    )
    return sample, Reference(sample, there)


def _thresholds(manifest: Manifest, amount: NDArray[np.float64]) -> NDArray[np.float64]:
    if manifest.policy.costs is None:
        return np.full(len(amount), manifest.threshold)
    return Costs(**manifest.policy.costs.model_dump()).threshold(np.rint(amount * 100).astype(np.int64))


def _sample(
    window: Window, names: Mapping[str, Sequence[Mapping[str, str]] | None], manifest: Manifest
) -> tuple[Sample, dict[str, str]]:
    """Return the window as arrays, and which features it does not have as the champion defines them, and why."""
    import orjson

    wanted = {feature.name: feature.hash for feature in manifest.features}
    column = window.columns
    values = np.zeros((window.rows, len(wanted)))
    lacking: dict[str, int] = dict.fromkeys(wanted, 0)
    for identity in sorted(set(column["feature_set_id"]), key=str):
        rows = np.flatnonzero(column["feature_set_id"] == identity)
        logged = {one["name"]: (place, one["hash"]) for place, one in enumerate(names.get(identity) or ())}
        vectors = np.array([orjson.loads(text) for text in column["features"][rows]], np.float64)
        for place, (name, definition) in enumerate(wanted.items()):
            at, found = logged.get(name, (0, None))
            if found == definition:
                values[rows, place] = vectors[:, at]
            else:
                lacking[name] += len(rows)
    missing = {
        name: f"{count:,} of {window.rows:,} vectors were logged under another definition"
        for name, count in lacking.items()
        if count
    }
    sample = Sample(
        time=column["time"],
        user=_numbered(column["user_id"]),
        merchant=_numbered(column["merchant_id"]),
        score=column["fraud_score"],
        alert=column["prediction"],
        numbers={name: values[:, place] for place, name in enumerate(wanted)},
        categories={name: column[name] for name in CATEGORY_COLUMNS},
    )
    return sample, missing


def _numbered(ids: NDArray[Any]) -> NDArray[np.int64]:
    numbers: NDArray[np.int64] = np.unique(ids.astype(str), return_inverse=True)[1].astype(np.int64)
    return numbers


def _report(champion: Champion, window: Window, sample: Sample, verdict: DriftVerdict, now: datetime) -> DriftReport:
    figures = verdict.to_dict()
    rejected = set(figures["rejected"])
    for figure in figures["figures"]:
        # What each bin holds is kept where somebody will ask: the rest is in the page.
        if figure["name"] not in rejected:
            del figure["bins"]
    return DriftReport(
        model_version=champion.version,
        window_start=window.start,
        window_end=window.end,
        sample_size=window.rows,
        verdict=verdict.outcome,
        severity=verdict.severity,
        reason=verdict.reason,
        created_at=now,
        figures={
            "rejected": figures["rejected"],
            "alerts": figures["alerts"],
            "figures": figures["figures"],
            "reference_rows": verdict.reference_rows,
            "answers": window.counted,
            "volume": champion.reference.volume(sample),
        },
    )


def _nothing(
    version: str | None,
    now: datetime,
    verdict: Any,
    reason: str,
    window: Window | None = None,
) -> DriftReport:
    start, rows = (window.start, window.rows) if window else (now - LEAST, 0)
    return DriftReport(version, start, now, rows, verdict, reason, now)


def _summary(report: DriftReport, number: int) -> dict[str, Any]:
    return {
        "id": number,
        "model_version": report.model_version,
        "window_start": report.window_start.isoformat(),
        "window_end": report.window_end.isoformat(),
        "sample_size": report.sample_size,
        "verdict": report.verdict,
        "severity": report.severity,
        "reason": report.reason,
        "rejected": list(report.figures.get("rejected", ())),
        "report_path": report.report_path,
        "evidently_verdict": report.evidently_verdict,
        "evidently_share": report.evidently_share,
        "evidently_reason": report.evidently_reason,
    }
