"""The partitioned scan: vectors of a file of any size, a part of it in memory at a time.

The file is read once, block by block, and its rows wait on disk beside the output; Arrow's data set writer deals them
out by entity, so that each partition holds all rows of its users, devices, addresses or merchants. A partition is
built like any table, and the parts of each block are joined in the file's order. Workers take blocks and partitions.
"""

from __future__ import annotations

import multiprocessing
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.dataset as pads
from numpy.typing import NDArray

from sentinel_core.datasets.columns import ColumnMap
from sentinel_core.datasets.files import Source, readable
from sentinel_core.errors import DataError
from sentinel_core.features.entities import ENTITY_KINDS, MERCHANT, EntityKind
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
from sentinel_core.flows.vectors import Written, vector_file
from sentinel_core.schema import MICROS_PER_SECOND
from sentinel_core.settings import Settings

PARTITION_ROWS: Final = 1 << 19
"""Rows of a partition, unless the number of partitions is given: some 300 MB while it is built."""
_IDS: Final = "id_hash"
_BUCKET: Final = "bucket"


@dataclass(frozen=True, slots=True)
class _Work:
    """A scan under way: the opened file, the folder of what is not finished, and the terms of the vectors."""

    source: Source
    folder: Path
    delay_us: int
    user_cap: int

    def block(self, number: int) -> Path:
        """The rows of a block."""
        return self.folder / "rows" / f"{number:06d}.arrow"

    def part(self, kind: str, bucket: int) -> Path:
        """What the histories of a kind tell of the rows of a partition, a record batch for each block."""
        return self.folder / "parts" / kind / f"{bucket:06d}.arrow"

    def dealt(self, key: str) -> Path:
        """The rows dealt out by a column."""
        return self.folder / "dealt" / key


def scan_features(
    settings: Settings,
    file: Path,
    column_map: ColumnMap,
    out: Path,
    *,
    partitions: int | None = None,
    workers: int = 1,
    progress: Progress = silent,
) -> Written:
    """Write the vectors of a file as `features.write_features` does, to the last bit, a part of it in memory at a time.

    `partitions` of each entity kind are built one after the other in each of `workers` processes; without a number
    they hold about `PARTITION_ROWS` rows. Needs about three times the size of the vectors on the output's disk while it
    runs. The rows of one entity are in memory together, as are rows that share their transaction_id with another.
    Raises as reading and cleaning do; `DataError` where a worker was killed.
    """
    with readable(file):
        source = Source.of(file, column_map)
    with (
        tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as folder,
        _pool(workers) as pool,
    ):
        work = _Work(
            source,
            Path(folder),
            int(settings.label_delay.total_seconds() * MICROS_PER_SECOND),
            settings.user_history_cap,
        )
        run = _Run(work, pool, 2 * workers if workers > 1 else 0, progress)
        with readable(file):
            summary = run.scan()
        buckets = partitions or -(-summary.rows // PARTITION_ROWS)
        corrected = run.identify(buckets)
        run.build(summary, corrected, buckets)
        rows, late = run.join(summary, corrected, buckets, out)
    return Written(rows, summary.cleaning(corrected, late), buckets)


@dataclass(frozen=True, slots=True)
class _Run:
    """The steps of a scan, and what they are done with: at most `ahead` tasks wait for whoever takes their results."""

    work: _Work
    pool: Executor
    ahead: int
    progress: Progress

    def scan(self) -> Summary:
        """Convert and clean the file block by block."""
        self.work.block(0).parent.mkdir()
        tasks = ((self.work, i, row, batch) for i, (row, batch) in enumerate(self.work.source.blocks()))
        blocks: list[Scanned] = []
        for block in self._each(_scan, tasks):
            blocks.append(block)
            self.progress(f"reading: {block.first_row + block.rows - 1:,} rows")
        summary = Summary(blocks)
        summary.require_rows()
        return summary

    def identify(self, buckets: int) -> Corrections:
        """Find the rows that share an id, and set them right."""
        self.progress("comparing transaction ids")
        _deal(self.work, _IDS, ("row", _IDS), buckets, Corrections())
        shared = [*self._each(_sharing, ((self.work, bucket) for bucket in range(buckets)))]

        def rows_with(hashes: NDArray[np.int64]) -> NDArray[np.int64]:
            table = pads.dataset(self.work.dealt(_IDS), format="ipc").to_table(filter=pads.field(_IDS).isin(hashes))
            rows: NDArray[np.int64] = table.column("row").to_numpy()
            return rows

        return corrections(np.concatenate(shared), lambda rows: frame_of_rows(self.work.source, rows), rows_with)

    def build(self, summary: Summary, corrected: Corrections, buckets: int) -> None:
        """Deal the rows out by each entity kind and build the partitions."""
        names = [kind.name for kind in ENTITY_KINDS]
        for _ in self._each(_deal, ((self.work, name, NEEDED[name], buckets, corrected) for name in names)):
            self.progress("dealing rows out to partitions")
        counts = LabelCounts.merged(self._each(_count, ((self.work, bucket) for bucket in range(buckets))))
        rates = daily_rates(counts, self.work.delay_us, summary.midnights)
        tasks = [
            (self.work, with_cap(kind, self.work.user_cap), bucket, summary.bounds, rates)
            for kind in ENTITY_KINDS
            for bucket in range(buckets)
        ]
        for number, _ in enumerate(self._each(_build, tasks)):
            self.progress(f"building: {number + 1} of {len(tasks)} partitions")

    def join(self, summary: Summary, corrected: Corrections, buckets: int, out: Path) -> tuple[int, int]:
        """Join the parts block by block and write them; return rows and late rows."""
        rows = late = 0
        tasks = ((self.work, number, corrected, buckets) for number in range(len(summary.blocks)))
        # A thread joins the next block while this one is written.
        with vector_file(out, VECTORS) as writer, ThreadPoolExecutor(1) as pool:
            for table, behind in _each(pool, _join, tasks, min(self.ahead, 1)):
                writer.write_table(table)
                rows, late = rows + table.num_rows, late + behind
                self.progress(f"writing: {rows:,} rows")
        return rows, late

    def _each(self, call: Callable[..., Any], tasks: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
        return _each(self.pool, call, tasks, self.ahead)


def _each(pool: Executor, call: Callable[..., Any], tasks: Iterable[tuple[Any, ...]], ahead: int) -> Iterator[Any]:
    """Yield the results of tasks in order, with no more than `ahead` of them waiting."""
    waiting: deque[Future[Any]] = deque()
    try:
        for task in tasks:
            waiting.append(pool.submit(call, *task))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool:
        raise DataError(
            "expected every worker to finish, one was killed, most likely for want of memory.",
            remedy="Raise --partitions, or lower --workers.",
        ) from None
    finally:
        for future in waiting:
            future.cancel()


class _Here(Executor):
    """Does each task at once, in this process."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Call the function."""
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


def _pool(workers: int) -> Executor:
    # Spawned: Arrow's threads do not survive a fork.
    return ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) if workers > 1 else _Here()


def _scan(work: _Work, number: int, first_row: int, batch: Any) -> Scanned:
    table, scanned = scan_block(work.source, work.delay_us, first_row, batch)
    with pa.OSFile(str(work.block(number)), "wb") as file, _writer(file, table.schema) as writer:
        writer.write_table(table.combine_chunks())
    return scanned


def _writer(file: Any, schema: Any) -> Any:
    return pa.ipc.new_file(file, schema, options=pa.ipc.IpcWriteOptions(compression="lz4"))


def _rows(work: _Work, columns: Iterable[str]) -> Iterator[Any]:
    """Yield the rows of each block."""
    for path in sorted(work.block(0).parent.iterdir()):
        yield pads.dataset(path, format="ipc").to_table(columns=list(columns), use_threads=False)


def _deal(work: _Work, key: str, columns: Iterable[str], buckets: int, corrected: Corrections) -> None:
    """Deal the rows that have an entity out to folders bucket=<i> by its hash."""
    names = list(columns)
    schema = pa.schema([*(ROWS.field(name) for name in names), (_BUCKET, pa.int32())])

    def batches() -> Iterator[Any]:
        for table in _rows(work, names):
            entity = table.column(key).to_numpy().view(np.uint64)
            keep = corrected.keep(table.column("row").to_numpy()) & (entity != 0)
            bucket = pa.array((entity % np.uint64(buckets)).astype(np.int32))
            yield from table.append_column(_BUCKET, bucket).filter(pa.array(keep)).cast(schema).to_batches()

    pads.write_dataset(
        pa.RecordBatchReader.from_batches(schema, batches()),
        work.dealt(key),
        format="ipc",
        partitioning=pads.partitioning(pa.schema([(_BUCKET, pa.int32())]), flavor="hive"),
        max_partitions=max(buckets, 1),
        # What waits for its group is a million rows in all.
        min_rows_per_group=max((1 << 20) // buckets, 1),
        max_rows_per_group=1 << 20,
        use_threads=False,
    )


def _dealt(work: _Work, key: str, bucket: int, columns: Iterable[str]) -> Any:
    folder = work.dealt(key) / f"{_BUCKET}={bucket}"
    if not folder.exists():
        return pa.schema([ROWS.field(name) for name in columns]).empty_table()
    return pads.dataset(folder, format="ipc").to_table(columns=list(columns), use_threads=False)


def _count(work: _Work, bucket: int) -> LabelCounts:
    return count_labels(_dealt(work, MERCHANT.name, bucket, LABELLED), work.delay_us)


def _sharing(work: _Work, bucket: int) -> NDArray[np.int64]:
    """Return the rows of a bucket whose id is that of another row."""
    table = _dealt(work, _IDS, bucket, ("row", _IDS))
    ids, rows = table.column(_IDS).to_numpy(), table.column("row").to_numpy()
    order = ids.argsort(kind="stable")
    same = ids[order][1:] == ids[order][:-1]
    shared: NDArray[np.int64] = rows[order[np.append(same, False) | np.append(False, same)]] if len(rows) else rows
    return shared


def _build(
    work: _Work, kind: EntityKind, bucket: int, bounds: NDArray[np.int64], rates: Mapping[int, DayRates]
) -> None:
    path = work.part(kind.name, bucket)
    path.parent.mkdir(parents=True, exist_ok=True)
    table = _dealt(work, kind.name, bucket, NEEDED[kind.name])
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, PART) as writer:
        for batch in build_parts(table, kind, work.delay_us, rates, bounds):
            writer.write_batch(batch)


def _join(work: _Work, number: int, corrected: Corrections, buckets: int) -> tuple[Any, int]:
    table = pads.dataset(work.block(number), format="ipc").to_table(columns=list(OWN), use_threads=False)
    parts = {kind.name: _parts(work, kind.name, buckets, number) for kind in ENTITY_KINDS}
    return join_block(table, parts, corrected)


def _parts(work: _Work, kind: str, buckets: int, number: int) -> Iterator[Any]:
    """Yield what each partition of a kind tells of a block."""
    for bucket in range(buckets):
        with pa.OSFile(str(work.part(kind, bucket))) as file:
            yield pa.ipc.open_file(file).get_batch(number)
