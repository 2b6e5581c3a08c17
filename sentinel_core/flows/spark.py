"""Vectors on a Spark cluster: Spark carries tables of rows between machines, `parts` says what is done with each.

Spark reads nothing and decides nothing about features: a task reads its part of the file as every reading does, hash
partitioning brings the rows of an entity together, and the kernel runs inside Arrow partitions. Scheduling, shuffles
and retries are Spark's. FILE and the output lie where every machine sees them under the same path.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

import sentinel_core
from sentinel_core import errors
from sentinel_core.datasets.cleaning import Removed
from sentinel_core.datasets.columns import ColumnMap
from sentinel_core.datasets.files import Source, readable
from sentinel_core.errors import EngineError, SentinelError
from sentinel_core.features.entities import ENTITY_KINDS, EntityKind
from sentinel_core.features.risk import DayRates
from sentinel_core.features.risk_rates import LabelCounts, daily_rates
from sentinel_core.flows import Progress, silent
from sentinel_core.flows.identities import Corrections, corrections
from sentinel_core.flows.parts import (
    LABELLED,
    NEEDED,
    OWN,
    PART,
    ROWS,
    VECTORS,
    Scanned,
    Summary,
    build_parts,
    count_labels,
    frame_of_rows,
    join_block,
    scan_block,
    with_cap,
)
from sentinel_core.flows.scan import PARTITION_ROWS
from sentinel_core.flows.vectors import Written, vector_file
from sentinel_core.schema import MICROS_PER_SECOND
from sentinel_core.settings import Settings

LOCAL: Final = "local[*]"
BLOCK_ROWS: Final = 1 << 18
"""Rows of the file that one task joins."""
BATCH_ROWS: Final = 1 << 16
MOST_TASKS: Final = 10_000
OLDEST_JAVA: Final = 17
_DDL: Final = {
    pa.int64(): "bigint",
    pa.int8(): "tinyint",
    pa.bool_(): "boolean",
    pa.string(): "string",
    pa.binary(): "binary",
    pa.float32(): "float",
}
_NOTE: Final = pa.field("note", pa.string())
_KIND: Final = pa.field("kind", pa.string())
_LATE: Final = pa.field("late_rows", pa.int64())
_SCANNED: Final = ROWS.append(_NOTE)
_JOINED: Final = VECTORS.append(_LATE)


def spark_features(
    settings: Settings,
    file: Path,
    column_map: ColumnMap,
    out: Path,
    *,
    partitions: int | None = None,
    master: str | None = None,
    progress: Progress = silent,
) -> Written:
    """Write the vectors of a file as `features.write_features` does, to the last bit, on the cluster at `master`.

    Without one, Spark runs on this machine. `partitions` of each entity kind; without a number they hold about
    `scan.PARTITION_ROWS` rows. Parquet is read by row groups side by side, CSV by one task. Raises as reading and
    cleaning do; `EngineError` where PySpark or Java is missing or the cluster does not do its work.
    """
    require_spark()
    with readable(file):
        source = Source.of(file.absolute(), column_map)
    delay_us = int(settings.label_delay.total_seconds() * MICROS_PER_SECOND)
    with (
        tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.absolute().parent) as folder,
        _session(master or LOCAL, Path(folder)) as spark,
    ):
        run = _Run(spark, source, delay_us, settings.user_history_cap, progress)
        summary = run.scan()
        buckets = partitions or max(-(-summary.rows // PARTITION_ROWS), spark.sparkContext.defaultParallelism)
        corrected = run.identify()
        joined = Path(folder) / "joined"
        progress("building and joining")
        run.vectors(summary, corrected, buckets).write.parquet(joined.as_uri())
        rows, late = _gather(joined, out, progress)
    return Written(rows, summary.cleaning(corrected, late), buckets)


def require_spark() -> None:
    """Raise `EngineError` where PySpark or Java is missing, or Java is too old."""
    try:
        import pyspark  # noqa: F401
    except ImportError:
        raise EngineError(
            "expected PySpark for --engine spark, found none in this environment.",
            remedy="Install the extra 'spark': make spark.",
        ) from None
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=f"{home}/bin" if home else None)
    if java is None:
        where = f"JAVA_HOME ({home})" if home else "the PATH"
        raise EngineError(
            f"expected Java {OLDEST_JAVA} or later for --engine spark, found no java in {where}.",
            remedy="Install it from the system: apt-get install default-jre-headless.",
        )
    said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    version = said.partition('"')[2].partition('"')[0]
    major = version.partition(".")[0]
    if not major.isdecimal() or int(major) < OLDEST_JAVA:
        raise EngineError(
            f"expected Java {OLDEST_JAVA} or later for --engine spark, found {version or 'an unknown one'} at {java}.",
            remedy="Install a newer one from the system, or point JAVA_HOME to it.",
        )


@contextmanager
def _session(master: str, folder: Path) -> Iterator[Any]:
    """Yield a session on a cluster; what Spark raises becomes one line, and ours comes back as it was."""
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException
    from pyspark.sql import SparkSession

    if master.startswith("local"):
        # Else the workers take whatever python3 is first on the PATH.
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = (
        SparkSession.builder.master(master)
        .appName("sentinel features")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.log.level", "FATAL")
        .config("spark.sql.execution.arrow.maxRecordsPerBatch", BATCH_ROWS)
    )
    spark = None
    try:
        spark = builder.getOrCreate()
        spark.sparkContext.addPyFile(str(_packed(folder)))
        yield spark
    except (PySparkException, Py4JError) as error:
        raise EngineError(
            f"expected the Spark cluster at {master} to build the vectors, got: {_first_line(error)}",
            remedy="Every machine needs this Python environment, FILE and the output's folder; its own log says more.",
        ) from error
    finally:
        if spark is not None:
            spark.stop()


def _first_line(error: Exception) -> str:
    """Return the line that says what happened: what Java said, where it stands behind Python's own words."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return next((line for line in lines if line.startswith(": ")), lines[0]).removeprefix(": ")[:300]


def _packed(folder: Path) -> Path:
    """Pack our modules for machines that do not have them."""
    root = Path(sentinel_core.__file__).parent
    packed = folder / "sentinel_core.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for path in sorted(root.rglob("*.py")):
            archive.write(path, path.relative_to(root.parent))
    return packed


@dataclass(slots=True)
class _Run:
    """The plan of a build: each step gives Spark a table and one function of `parts`."""

    spark: Any
    source: Source
    delay_us: int
    user_cap: int
    progress: Progress
    rows: Any = None

    def scan(self) -> Summary:
        """Convert and clean the file, a row group a task; the rows stay with Spark, on the disks of its machines."""
        from pyspark import StorageLevel

        self.progress("reading")
        groups = self.spark.range(0, self.source.groups, 1, min(self.source.groups, MOST_TASKS))
        scanned = groups.mapInArrow(partial(_scan, self.source, self.delay_us), _ddl(_SCANNED))
        scanned = scanned.persist(StorageLevel.DISK_ONLY)
        notes = [_read_note(row.note) for row in scanned.where("note is not null").select("note").collect()]
        summary = Summary(sorted(notes, key=lambda block: block.first_row))
        summary.require_rows()
        self.rows = scanned.where("row is not null").drop("note")
        return summary

    def identify(self) -> Corrections:
        """Find the rows that share an id, set them right, and leave out what is repeated."""
        from pyspark.sql.functions import broadcast

        self.progress("comparing transaction ids")
        ids = self.rows.select("row", "id_hash")
        several = ids.groupBy("id_hash").count().where("count > 1").select("id_hash")

        def among(hashes: Any) -> NDArray[np.int64]:
            rows: NDArray[np.int64] = ids.join(hashes, "id_hash", "left_semi").select("row").toArrow()["row"].to_numpy()
            return rows

        def rows_with(hashes: NDArray[np.int64]) -> NDArray[np.int64]:
            return among(self.spark.createDataFrame(pa.table({"id_hash": hashes})))

        corrected = corrections(among(several), partial(frame_of_rows, self.source), rows_with)
        if len(corrected.removed):
            removed = self.spark.createDataFrame(pa.table({"row": corrected.removed}))
            self.rows = self.rows.join(broadcast(removed), "row", "left_anti")
        return corrected

    def vectors(self, summary: Summary, corrected: Corrections, buckets: int) -> Any:
        """Plan the vectors: partitions in the file's order, a row's late events beside it."""
        from pyspark.sql.functions import expr

        counted = self.rows.select(*LABELLED).mapInArrow(partial(_count, self.delay_us), _ddl(pa.schema([_NOTE])))
        counts = LabelCounts.merged([_read_counts(row.note) for row in counted.collect()])
        rates = daily_rates(counts, self.delay_us, summary.midnights)
        end = int(summary.bounds[-1])
        bounds = np.append(np.arange(1, end, BLOCK_ROWS), end)
        together = self.rows.select(*OWN)
        for kind in ENTITY_KINDS:
            build = partial(_build, with_cap(kind, self.user_cap), self.delay_us, rates, bounds)
            entities = self.rows.select(*NEEDED[kind.name]).where(f"{kind.name} != 0")
            parts = entities.repartition(buckets, kind.name).mapInArrow(build, _ddl(PART.append(_KIND)))
            together = together.unionByName(parts, allowMissingColumns=True)
        blocks = together.repartitionById(len(bounds) - 1, expr(f"cast((row - 1) div {BLOCK_ROWS} as int)"))
        return blocks.mapInArrow(partial(_join, corrected), _ddl(_JOINED))


def _scan(source: Source, delay_us: int, numbers: Iterable[Any]) -> Iterator[Any]:
    """Scan row groups: their rows, and for each block a row that holds nothing but its note."""
    for batch in numbers:
        for group in batch.column(0).to_pylist():
            try:
                with readable(source.path):
                    for first_row, block in source.blocks(group if source.unpacked is not None else None):
                        table, scanned = scan_block(source, delay_us, first_row, block)
                        yield from _with(table, _SCANNED).to_batches(BATCH_ROWS)
                        yield _noted(_note(scanned))
            except SentinelError as error:
                # Told rather than raised: Spark would try again, and bury it in its own words.
                yield _noted({"error": type(error).__name__, "message": error.message, "remedy": error.remedy})


def _count(delay_us: int, batches: Iterable[Any]) -> Iterator[Any]:
    counts = LabelCounts.merged(
        [count_labels(ROWS.empty_table(), delay_us), *(count_labels(b, delay_us) for b in batches)]
    )
    form = {field.name: getattr(counts, field.name).tolist() for field in fields(counts)}
    yield pa.RecordBatch.from_pydict({"note": [json.dumps(form)]}, schema=pa.schema([_NOTE]))


def _build(
    kind: EntityKind,
    delay_us: int,
    rates: Mapping[int, DayRates],
    bounds: NDArray[np.int64],
    batches: Iterable[Any],
) -> Iterator[Any]:
    if held := list(batches):
        for part in build_parts(pa.Table.from_batches(held), kind, delay_us, rates, bounds):
            if part.num_rows:
                yield part.append_column("kind", pa.array([kind.name] * part.num_rows))


def _join(corrected: Corrections, batches: Iterable[Any]) -> Iterator[Any]:
    held = list(batches)
    if not held:
        return
    table = pa.Table.from_batches(held)
    kinds = table.column("kind")
    own = table.filter(pc.is_null(kinds)).select(list(OWN)).sort_by("row")
    parts = {kind.name: [table.filter(pc.equal(kinds, kind.name)).select(PART.names)] for kind in ENTITY_KINDS}
    joined, late = join_block(own, parts, corrected)
    late_rows = np.zeros(joined.num_rows, dtype=np.int64)
    late_rows[:1] = late
    yield from joined.append_column(_LATE, pa.array(late_rows)).to_batches(BATCH_ROWS)


def _gather(joined: Path, out: Path, progress: Progress) -> tuple[int, int]:
    """Copy what the tasks wrote, which is in order, to one file; return rows and late rows."""
    rows = late = 0
    with vector_file(out, VECTORS) as writer:
        for path in sorted(joined.glob("part-*")):
            for batch in pq.ParquetFile(path).iter_batches(BLOCK_ROWS):
                table = pa.Table.from_batches([batch])
                late += pc.sum(table.column(_LATE.name)).as_py()
                writer.write_table(table.select(VECTORS.names).cast(VECTORS))
                rows += table.num_rows
                progress(f"writing: {rows:,} rows")
    return rows, late


def _ddl(schema: Any) -> str:
    return ", ".join(f"`{field.name}` {_DDL[field.type]}" for field in schema)


def _with(table: Any, schema: Any) -> Any:
    """Add the columns of a schema that a table lacks, all null."""
    for field in schema:
        if field.name not in table.column_names:
            table = table.append_column(field, pa.nulls(table.num_rows, field.type))
    return table


def _noted(note: Mapping[str, Any]) -> Any:
    alone = pa.Table.from_pydict({"note": [json.dumps(note)]}, schema=pa.schema([_NOTE]))
    return _with(alone, _SCANNED).select(_SCANNED.names).to_batches()[0]


def _note(scanned: Scanned) -> dict[str, Any]:
    form = {field.name: getattr(scanned, field.name) for field in fields(scanned)}
    removed = {reason: [found.count, found.rows] for reason, found in scanned.removed.items()}
    conversions = [[*what, rows] for what, rows in scanned.conversions.items()]
    return {**form, "removed": removed, "conversions": conversions}


def _read_note(note: str) -> Scanned:
    """Read what `_noted` wrote; raises the error that a task told of."""
    form = json.loads(note)
    if "error" in form:
        raise getattr(errors, form["error"])(form["message"], remedy=form["remedy"])
    removed = {reason: Removed(count, tuple(rows)) for reason, (count, rows) in form["removed"].items()}
    conversions = {(column, what): rows for column, what, rows in form["conversions"]}
    return Scanned(**{**form, "removed": removed, "conversions": conversions})


def _read_counts(note: str) -> LabelCounts:
    form = json.loads(note)
    return LabelCounts(
        country=np.array(form["country"], dtype=np.uint64),
        upto=np.array(form["upto"], dtype=np.int64),
        known_upto=np.array(form["known_upto"], dtype=np.int64),
        is_fraud=np.array(form["is_fraud"], dtype=np.bool_),
        count=np.array(form["count"], dtype=np.int64),
    )
