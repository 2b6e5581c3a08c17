"""How fast, and in how little memory, `sentinel features` goes through files: whole, in partitions, on Spark."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import psutil

from sentinel_core.errors import EngineError
from sentinel_core.features.catalog import CATALOGUE
from sentinel_core.flows.generate import write_generated
from sentinel_core.flows.spark import require_spark

SIZES: Final = tuple(int(text) for text in os.environ.get("BENCH_SCAN_ROWS", "1000000,5000000").split(","))
HOW: Final[dict[str, list[str]]] = {
    "whole": [],
    "scan_1_worker": ["--workers", "1"],
    "scan_2_workers": ["--workers", "2"],
    "spark_local_2": ["--engine", "spark", "--master", "local[2]"],
}
TIMES: Final = 3


def run() -> dict[str, Any]:
    """Return for each way and size the median of three: seconds, rows a second, and the peak of memory in MB.

    `memory_mb` is the peak of the proportional set sizes of all processes together, `matrices` what that is in vectors
    of the file (4 bytes a feature and row).
    """
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        for rows in SIZES:
            file = Path(folder) / f"{rows}.parquet"
            end = datetime(2026, 6, 1, tzinfo=UTC)
            write_generated(file, rows=rows, fraud_rate=0.02, seed=1, end=end, drift={})
            for name, options in _possible().items():
                runs = sorted(_timed(Path(folder), file, options) for _ in range(TIMES))
                seconds, memory = runs[TIMES // 2]
                figures[f"{name}_{rows}"] = {
                    "seconds": [round(taken, 1) for taken, _ in runs],
                    "rows_per_s": round(rows / seconds),
                    "memory_mb": memory >> 20,
                    "matrices": round(memory / (rows * len(CATALOGUE) * 4), 1),
                    "load_average": os.getloadavg()[0],
                }
                print(f"{name} {rows:,}: {figures[f'{name}_{rows}']}", file=sys.stderr, flush=True)
    return figures


def _possible() -> dict[str, list[str]]:
    try:
        require_spark()
    except EngineError as missing:
        print(f"Spark is left out: {missing}", file=sys.stderr)
        return {name: options for name, options in HOW.items() if "spark" not in options}
    return HOW


def _timed(folder: Path, file: Path, options: list[str]) -> tuple[float, int]:
    """Run the command in a process of its own, with a home of its own; return seconds and peak bytes."""
    with tempfile.TemporaryDirectory(dir=folder) as home:
        command = [sys.executable, "-m", "sentinel_core.cli", "features", str(file), "--out", f"{home}/out.parquet"]
        begun = time.monotonic()
        process = subprocess.Popen(
            [*command, *options], env={**os.environ, "SENTINEL_HOME": home}, stderr=subprocess.DEVNULL
        )
        peak = 0
        while process.poll() is None:
            peak = max(peak, _memory(process.pid))
            time.sleep(0.1)
        if process.returncode:
            raise SystemExit(f"sentinel features {' '.join(options)} failed with code {process.returncode}")
        return time.monotonic() - begun, peak


def _memory(pid: int) -> int:
    """Return the proportional set sizes of a process and its descendants: what they share counts once."""
    total = 0
    try:
        parent = psutil.Process(pid)
        for process in (parent, *parent.children(recursive=True)):
            total += process.memory_full_info().pss
    except psutil.Error:  # one of them ended meanwhile
        return total
    return total
