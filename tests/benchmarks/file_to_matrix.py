"""From a file of generated rows to the whole float32 matrix: rows a second and peak memory, each size in a process.

python -m tests.benchmarks.file_to_matrix FILE prints one JSON document: what `features` runs.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

SIZES: Final = (1_000_000, 2_000_000, 5_000_000)
DELAY: Final = timedelta(days=7)


def run(sizes: tuple[int, ...] = SIZES) -> dict[str, Any]:
    """Return by number of rows the median of three processes: rows_per_s, seconds by step, peak over the matrix."""
    from sentinel_core.synthetic.generate import generate

    figures = {}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.parquet"
        for rows in sizes:
            generate(rows, 0.02, 1, end=datetime(2026, 6, 30, tzinfo=UTC)).to_parquet(file, index=False)
            command = [sys.executable, "-m", "tests.benchmarks.file_to_matrix", str(file)]
            found = [json.loads(subprocess.check_output(command)) for _ in range(3)]
            figures[f"{rows}_rows"] = sorted(found, key=lambda one: one["rows_per_s"])[1]
    return figures


def measure(file: Path) -> dict[str, Any]:
    """Build once in this process, after its imports."""
    from sentinel_core.datasets.columns import ColumnMap
    from sentinel_core.datasets.events import to_events, to_labels
    from sentinel_core.datasets.files import read_file
    from sentinel_core.features.build import build_offline
    from sentinel_core.features.risk import RiskHistory

    marks = [time.perf_counter()]
    frame = read_file(file, ColumnMap(), max_gb=100).frame
    marks.append(time.perf_counter())
    events, labels = to_events(frame, ids=False), to_labels(frame, DELAY)
    marks.append(time.perf_counter())
    risk = RiskHistory(events, labels, DELAY // timedelta(microseconds=1))
    values = build_offline(events, risk, threads=os.cpu_count() or 1).values
    marks.append(time.perf_counter())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    steps = [round(after - before, 3) for before, after in pairwise(marks)]
    return {
        "rows_per_s": round(len(values) / (marks[-1] - marks[0])),
        "seconds": dict(zip(("read", "hash", "build"), steps, strict=True)),
        "matrix_mb": round(values.nbytes / 1e6),
        "peak_mb": round(peak / 1e6),
        "peak_over_matrix": round(peak / values.nbytes, 2),
    }


if __name__ == "__main__":
    print(json.dumps(measure(Path(sys.argv[1]))))
