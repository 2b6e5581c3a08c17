"""Immutable snapshots: the rows that a model was trained on, named by what they hold.

A snapshot is a folder SENTINEL_HOME/snapshots/<id> with data.parquet and manifest.json, and logged.parquet where
vectors of its rows were logged. It appears by one rename, complete or not at all, and is never written again; equal
rows under equal terms, with equal logged vectors, have an equal id.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from sentinel_core.datasets.frames import INDEX, to_frame
from sentinel_core.datasets.logged import LOGGED, LoggedVectors
from sentinel_core.errors import DataError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd

DATA: Final = "data.parquet"
MANIFEST: Final = "manifest.json"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A snapshot on disk: its id, its folder and its manifest.

    The manifest holds source, terms (profile, floors, as_of, label_delay_days), content_hash, rows, columns,
    first and last timestamp, label counts, the cleaning report and created_at; `logged` (rows, content_hash) where
    vectors of its rows were logged.
    """

    id: str
    path: Path
    manifest: Mapping[str, Any]

    def frame(self, columns: list[str] | None = None) -> pd.DataFrame:
        """Read the rows (or only `columns`), in arrival order, indexed by their row in the source."""
        import pyarrow.parquet as pq

        table = pq.read_table(self.path / DATA, columns=None if columns is None else [*columns, INDEX])
        frame = to_frame(table.drop_columns([INDEX]))
        return frame.set_axis(table.column(INDEX).to_numpy(), axis="index").rename_axis(INDEX)

    @property
    def as_of(self) -> datetime:
        """Training's clock: labels that became known later do not count."""
        return datetime.fromisoformat(self.manifest["as_of"])


def write_snapshot(
    frame: pd.DataFrame,
    home: Path,
    *,
    source: Mapping[str, Any],
    terms: Mapping[str, Any],
    cleaning: Mapping[str, Any],
    now: datetime,
    logged: LoggedVectors | None = None,
) -> Snapshot:
    """Write the canonical `frame` under `home`/snapshots and return it; an equal snapshot is returned as it is.

    `terms` is what a training on it depends on besides the rows (profile, floors, as_of, label_delay_days): it takes
    part in the id, together with the hash of the rows and that of the vectors that were `logged` for them. `source` and
    `cleaning` are only recorded.
    """
    content = content_hash(frame)
    vectors = {} if logged is None else {"logged": {"rows": len(logged.rows), "content_hash": logged.content_hash()}}
    canonical = json.dumps({"content": content, **vectors, **terms}, sort_keys=True, separators=(",", ":"))
    identity = hashlib.blake2b(canonical.encode(), digest_size=8).hexdigest()
    target = home / "snapshots" / identity
    if not target.exists():
        manifest = {
            "id": identity,
            "content_hash": content,
            "source": dict(source),
            **terms,
            **vectors,
            **_described(frame),
            "cleaning": dict(cleaning),
            "created_at": now.isoformat(),
        }
        _publish(frame, logged, manifest, target)
    return load_snapshot(home, identity)


def known_snapshots(home: Path) -> list[str]:
    """Return the ids of the snapshots on disk, sorted."""
    return sorted(path.name for path in (home / "snapshots").glob("*") if not path.name.startswith("."))


def load_snapshot(home: Path, identity: str) -> Snapshot:
    """Find a snapshot by its id; raises `DataError` where there is none of that name."""
    path = home / "snapshots" / identity
    try:
        manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        known = known_snapshots(home)
        raise DataError(
            f"expected the snapshot {identity!r} in {home / 'snapshots'}, found none.{did_you_mean(identity, known)}",
            remedy="Make one: sentinel ingest FILE, or sentinel train.",
        ) from None
    return Snapshot(identity, path, manifest)


def content_hash(frame: pd.DataFrame) -> str:
    """BLAKE2b-16 over names, types and values of the columns, in order; equal in every process and version."""
    digest = hashlib.blake2b(digest_size=16)
    for name in frame.columns:
        series = frame[name]
        digest.update(f"{name}:{series.dtype.name}:{len(series)};".encode())
        for block in _bytes_of(series):
            digest.update(block)
    return digest.hexdigest()


def _bytes_of(series: pd.Series[Any]) -> list[bytes]:
    if series.dtype.kind == "M":
        return [series.dt.tz_convert(None).to_numpy("datetime64[us]").astype("<i8").tobytes()]
    if series.dtype.kind == "f":
        return [np.ascontiguousarray(series.to_numpy(), dtype="<f8").tobytes()]
    if series.dtype.kind == "b":
        return [series.fillna(False).to_numpy(bool).tobytes(), series.isna().to_numpy(bool).tobytes()]
    import pyarrow as pa
    import pyarrow.compute as pc

    text = pa.array(series, pa.large_string())
    lengths = pc.fill_null(pc.binary_length(text), -1).to_numpy(zero_copy_only=False).astype("<i8")
    return [lengths.tobytes(), "".join(value for value in text.drop_null().to_pylist()).encode("utf-8")]


def _described(frame: pd.DataFrame) -> dict[str, Any]:
    time = frame["timestamp"]
    described: dict[str, Any] = {
        "rows": len(frame),
        "columns": list(frame.columns),
        "first_timestamp": time.min().isoformat(),
        "last_timestamp": time.max().isoformat(),
    }
    if "is_fraud" in frame:
        counts = frame["is_fraud"].value_counts(dropna=False)
        described["labels"] = {
            "fraud": int(counts.get(True, 0)),
            "legitimate": int(counts.get(False, 0)),
            "unknown": int(frame["is_fraud"].isna().sum()),
        }
    return described


def _publish(frame: pd.DataFrame, logged: LoggedVectors | None, manifest: Mapping[str, Any], target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=".making-", dir=target.parent))
    try:
        frame.rename_axis(INDEX).to_parquet(made / DATA, index=True, compression="zstd")
        if logged is not None:
            logged.write(made / LOGGED)
        (made / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
        for file in made.iterdir():
            _sync(file)
            file.chmod(0o444)
        made.chmod(0o755)
        made.rename(target)
    except OSError:
        # Somebody published the same rows first: theirs are as good as ours.
        if not target.exists():
            raise
    finally:
        if made.exists():
            shutil.rmtree(made)
    _sync(target.parent)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
