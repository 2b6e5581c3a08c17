"""Features: a snapshot's rows become the vectors that a model is trained on."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from sentinel_core.datasets.events import categories, label_arrays, micros, to_events, to_labels
from sentinel_core.datasets.files import GIGABYTE
from sentinel_core.datasets.snapshot import Snapshot, load_snapshot
from sentinel_core.errors import TrainingError
from sentinel_core.features.build import build_offline
from sentinel_core.features.catalog import catalogue_hash
from sentinel_core.features.entities import USER, EntityKind
from sentinel_core.features.events import Events
from sentinel_core.features.risk import RiskHistory, RiskTable, served_midnight
from sentinel_core.flows import Progress, silent
from sentinel_core.flows.database import known_labels
from sentinel_core.flows.logged import Taken, open_logged, put_logged
from sentinel_core.schema import CATEGORY_COLUMNS, MICROS_PER_SECOND, to_micros
from sentinel_core.settings import Settings
from sentinel_core.training.data import Exploration
from sentinel_core.training.maturity import judged_whole

if TYPE_CHECKING:
    import pandas as pd

VALUES: Final = "values.npy"
META: Final = "meta.parquet"
RISK: Final = "risk.npz"
TAKEN: Final = "logged.json"
CHUNK_ROWS: Final = 1 << 18
MEMORY_A_BYTE: Final = 10
"""Bytes of memory that a build in memory takes for each byte of a file, about."""


@dataclass(frozen=True, slots=True)
class FeatureSet:
    """The vectors of a snapshot under one catalogue, as they lie in `path`.

    `values` float32 [n, len(FEATURE_NAMES)], mapped from disk; the other arrays have an element a row: user hash, time
    and known_at (µs), cents, is_fraud int8 (-1 unknown, or not to be counted: `judged_whole`), is_fraud_true int8 or
    None, weight float64 and stood_for bool as in `TrainingData`; `categories` the columns that the data has. `risk` is
    the table of training's clock, `logged` what of the vectors was logged, None where nothing was.
    """

    path: Path
    snapshot: Snapshot
    values: NDArray[np.float32]
    user: NDArray[np.uint64]
    time: NDArray[np.int64]
    cents: NDArray[np.int64]
    is_fraud: NDArray[np.int8]
    known_at: NDArray[np.int64]
    is_fraud_true: NDArray[np.int8] | None
    weight: NDArray[np.float64] | None
    stood_for: NDArray[np.bool_] | None
    categories: Mapping[str, NDArray[Any]]
    risk: RiskTable
    logged: Taken | None = None


def build_features(
    settings: Settings, snapshot: str, *, models: Sequence[str], tracked: bool = True, progress: Progress = silent
) -> list[dict[str, Any]]:
    """Build the vectors of a snapshot for training and return a job for each model: {"features", "model", "run"}.

    `run` is the pipeline's run in MLflow, opened here: training begins. It is None where the training is not `tracked`:
    then no later step needs MLflow. Raises `TrainingError` for an unknown model,
    and for a snapshot without labels or with labels of one kind only.
    """
    from sentinel_core.flows.runs import open_pipeline_run
    from sentinel_core.training.candidates import candidate

    if not models:
        raise TrainingError("expected at least one model, got none.", remedy="Name one, or leave the choice out.")
    for name in models:
        candidate(name)
    taken = load_snapshot(settings.home, snapshot)
    _require_labels(taken)
    identity = build_feature_set(settings, snapshot, progress=progress)
    manifest = taken.manifest
    tags = {
        "snapshot": snapshot,
        "data_hash": manifest["content_hash"],
        "profile": manifest["profile"],
        "source": manifest["source"]["kind"],
        "features": identity,
    }
    run = open_pipeline_run(settings, f"training on {manifest['profile']}", tags) if tracked else None
    return [{"features": identity, "model": name, "run": run} for name in models]


def build_feature_set(settings: Settings, snapshot: str, *, progress: Progress = silent) -> str:
    """Build the vectors of a snapshot under SENTINEL_HOME/features and return their id, <snapshot>-<catalogue hash>.

    Where the snapshot has logged vectors they are taken, feature by feature, as far as definitions are those of today;
    everything else is computed (docs/decisions/0024). What was built before is not built again; the folder appears
    whole or not at all. Raises `DataError` for a snapshot that is not there or holds an amount out of bounds.
    """
    kind = replace(USER, cap=settings.user_history_cap)
    identity = f"{snapshot}-{catalogue_hash()}" + (f"-cap{kind.cap}" if kind != USER else "")
    target = settings.home / "features" / identity
    if not target.exists():
        taken = load_snapshot(settings.home, snapshot)
        progress(f"building features of {taken.manifest['rows']:,} rows")
        target.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=".making-", dir=target.parent))
        try:
            _build(taken, made, kind)
            made.chmod(0o755)
            made.rename(target)
        except OSError:
            # Somebody built the same first: theirs are as good as ours.
            if not target.exists():
                raise
        finally:
            shutil.rmtree(made, ignore_errors=True)
    return identity


def load_feature_set(settings: Settings, identity: str) -> FeatureSet:
    """Open what `build_feature_set` made; raises `DataError` where its snapshot is gone."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = settings.home / "features" / identity
    snapshot = load_snapshot(settings.home, identity.partition("-")[0])
    meta = pq.read_table(path / META)
    column = {name: meta.column(name).to_numpy(zero_copy_only=False) for name in meta.column_names}
    return FeatureSet(
        path=path,
        snapshot=snapshot,
        values=np.load(path / VALUES, mmap_mode="r"),
        user=column["user"],
        time=column["time"],
        cents=column["cents"],
        is_fraud=column["is_fraud"],
        known_at=column["known_at"],
        is_fraud_true=column.get("is_fraud_true"),
        weight=column.get("weight"),
        stood_for=column.get("stood_for"),
        # A dictionary's nulls would come out as its first value.
        categories={
            name: meta.column(name).cast(pa.string()).to_numpy(zero_copy_only=False)
            for name in CATEGORY_COLUMNS
            if name in column
        },
        risk=RiskTable.from_bytes((path / RISK).read_bytes()),
        logged=_taken(path),
    )


def fits_memory(settings: Settings, file: Path) -> bool:
    """Whether a file may be read whole: within SENTINEL_MAX_FILE_GB, and a tenth of the memory that is free now.

    For Parquet what it unpacks to counts. What cannot be opened may as well be read whole: that tells what is
    wrong.
    """
    import psutil
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        size = file.stat().st_size
        meta = pq.read_metadata(file)
        size = max(size, sum(meta.row_group(i).total_byte_size for i in range(meta.num_row_groups)))
    except OSError:
        return True
    except pa.ArrowInvalid:
        pass
    return size <= min(settings.max_file_gb * GIGABYTE, psutil.virtual_memory().available / MEMORY_A_BYTE)


def write_features(settings: Settings, snapshot: str, out: Path, *, progress: Progress = silent) -> int:
    """Write transaction_id, a float32 column for each feature in catalogue order, then the raw categories, as Parquet.

    Returns the number of rows. The file appears whole or not at all.
    """
    from sentinel_core.flows.parts import VECTORS, vectors_table
    from sentinel_core.flows.vectors import vector_file

    identity = build_feature_set(settings, snapshot, progress=progress)
    values = np.load(settings.home / "features" / identity / VALUES, mmap_mode="r")
    frame = load_snapshot(settings.home, snapshot).frame()
    ids, raw = frame["transaction_id"].to_numpy(), categories(frame)
    with vector_file(out, VECTORS) as writer:
        for start in range(0, len(ids), CHUNK_ROWS):
            part = slice(start, start + CHUNK_ROWS)
            writer.write_table(vectors_table(ids[part], values[part], {name: raw[name][part] for name in raw}))
    return len(ids)


def _require_labels(snapshot: Snapshot) -> None:
    labels = snapshot.manifest.get("labels")
    if labels is None:
        raise TrainingError(
            f"expected the column is_fraud in the snapshot {snapshot.id}, found none: nothing can be learned.",
            remedy='Map it: [columns] is_fraud = "their name".',
        )
    for kind in ("fraud", "legitimate"):
        if not labels[kind]:
            raise TrainingError(
                f"expected fraud and legitimate rows in the column is_fraud of the snapshot {snapshot.id}, got "
                f"{labels['fraud']:,} frauds, {labels['legitimate']:,} legitimate, {labels['unknown']:,} unlabelled.",
                remedy="Check how is_fraud is mapped, or bring a longer history.",
            )


def _build(snapshot: Snapshot, folder: Path, kind: EntityKind) -> None:
    import pandas as pd

    frame = snapshot.frame()
    delay = pd.Timedelta(days=snapshot.manifest["label_delay_days"]).to_pytimedelta()
    events = to_events(frame, ids=False)
    delay_us = int(delay.total_seconds() * MICROS_PER_SECOND)
    # A table of a past midnight is made as it was for the service.
    labels = known_labels(frame, delay) if "label_window_days" in snapshot.manifest else to_labels(frame, delay)
    risk = RiskHistory(events, labels, delay_us)
    np.save(folder / VALUES, _vectors(snapshot, folder, events, risk, kind))
    # What serving falls back to: the table that serves the moment at which training stood.
    clock = int(served_midnight(to_micros(snapshot.as_of)))
    (folder / RISK).write_bytes(risk.at(clock).to_bytes())
    time = micros(frame["timestamp"])
    columns: dict[str, Any] = {
        "transaction_id": frame["transaction_id"],
        "user": events.user,
        "time": time,
        "cents": events.cents,
        **_labels(snapshot, frame, time, delay_us),
    }
    if "is_fraud_true" in frame:
        columns["is_fraud_true"] = frame["is_fraud_true"].astype("Int8").fillna(-1).astype("int8")
    columns |= {name: frame[name].astype("category") for name in _present(frame, CATEGORY_COLUMNS)}
    pd.DataFrame(columns).to_parquet(folder / META, index=False, compression="zstd")


def _vectors(
    snapshot: Snapshot, folder: Path, events: Events, risk: RiskHistory, kind: EntityKind
) -> NDArray[np.float32]:
    """Compute the vectors of all rows, take what was logged instead, and note how much that was."""
    threads = os.cpu_count() or 1
    logged = open_logged(snapshot)
    if logged is None:
        return build_offline(events, risk, kind=kind, threads=threads).values
    try:
        # A feature that is computed for a vector which was logged looks risks up where that one did.
        as_of = served_midnight(events.time)
        as_of[logged.rows] = logged.risk_as_of
        values = build_offline(events, risk, kind=kind, risk_as_of=as_of, threads=threads).values
        taken = put_logged(values, logged)
    finally:
        logged.close()
    (folder / TAKEN).write_text(json.dumps(taken.to_dict()) + "\n", encoding="utf-8")
    return values


def _taken(folder: Path) -> Taken | None:
    try:
        return Taken.from_dict(json.loads((folder / TAKEN).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None


def _labels(snapshot: Snapshot, frame: pd.DataFrame, time: NDArray[np.int64], delay_us: int) -> dict[str, Any]:
    """Return the columns of what each row turned out to be, and of how much it counts where some were explored."""
    is_fraud, known_at = label_arrays(frame, timedelta(microseconds=delay_us))
    columns = {"is_fraud": is_fraud, "known_at": known_at}
    if "outcome" not in frame:
        return columns
    outcome = np.array(frame["outcome"].fillna(""), dtype=object)
    if "label_window_days" in snapshot.manifest:
        window_us = int(timedelta(days=snapshot.manifest["label_window_days"]) / timedelta(microseconds=1))
        judged = judged_whole(is_fraud, known_at, time, outcome, label_window=window_us, label_delay=delay_us)
        columns = dict(zip(columns, judged, strict=True))
    if "propensity" in frame:
        propensity = frame["propensity"].to_numpy(np.float64, na_value=np.nan)
        explored = Exploration.of(outcome, propensity, time)
        columns |= {} if explored is None else {"weight": explored.weight, "stood_for": explored.stood_for}
    return columns


def _present(frame: pd.DataFrame, names: Iterable[str]) -> list[str]:
    return [name for name in names if name in frame]
