"""What a drift check costs: the whole flow over a real PostgreSQL and MLflow, in a process of its own."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np

from sentinel_core.datasets.events import to_events, to_labels
from sentinel_core.datasets.frames import canonical
from sentinel_core.features.build import build_offline
from sentinel_core.features.risk import RiskHistory
from sentinel_core.flows.ingest import Request
from sentinel_core.flows.pipeline import TrainingPipeline
from sentinel_core.flows.simulation.answering import record_answers, score_rows
from sentinel_core.registry.bundle import load_bundle
from sentinel_core.registry.rest import MlflowRegistry
from sentinel_core.settings import Settings, load_settings
from sentinel_core.stores.postgres import make_engine, migrate
from sentinel_core.synthetic import generate
from tests.conftest import running_mlflow, running_servers

WORLD_ROWS: Final = 500_000
CURRENT_ROWS: Final = 10_000
END: Final = datetime(2026, 6, 1, tzinfo=UTC)
TRAINED: Final = END - timedelta(days=16)
TIMES: Final = 3
OPTIONS: Final = {"verdict_alone": ["--no-evidently"], "with_evidentlys_verdict": ["--no-html"], "with_the_page": []}


def run_check() -> dict[str, Any]:
    """Return seconds beyond imports and peak memory of a check, with and without Evidently, median of three."""
    with (
        tempfile.TemporaryDirectory(dir=Path.cwd()) as folder,
        running_servers(Path(folder), "fsync=off") as servers,
        running_mlflow(Path(folder)) as mlflow,
    ):
        servers.execute("CREATE DATABASE drift")
        environment = {"DATABASE_URL": servers.database_url("drift"), "MLFLOW_TRACKING_URI": mlflow}
        settings = load_settings(
            None,
            home=Path(folder) / "training",
            database_url_given=environment["DATABASE_URL"],
            mlflow_tracking_uri_given=mlflow,
            redis_url_given=servers.redis_url,
        )
        migrate(settings)
        now = _prepare(settings, Path(folder))
        figures = {
            name: _median([_timed(Path(folder) / f"{name}{n}", environment, now, options) for n in range(TIMES)])
            for name, options in OPTIONS.items()
        }
    return {"seconds_are": "median of three processes, beyond imports, the bundle fetched from MLflow", **figures}


def _prepare(settings: Settings, folder: Path) -> datetime:
    """Train and promote a model, and let it answer as many transactions as one check looks at."""
    frame = canonical(generate(WORLD_ROWS, 0.02, 3, end=END))
    file, column_map = folder / "history.parquet", folder / "map.toml"
    frame[frame["timestamp"] < TRAINED].to_parquet(file, index=False)
    column_map.write_text("[floors]\nroc_auc = 0.5\n")
    request = Request("file", file=str(file), column_map=str(column_map))
    done = TrainingPipeline(settings, clock=lambda: TRAINED).run_on(
        request, models="logistic_regression", searched=False
    )
    if not done["promoted"]:
        raise SystemExit("expected the first model to be promoted")
    with MlflowRegistry.of(settings) as registry:
        version = registry.production_version()
        if version is None:
            raise SystemExit("expected a model in Production")
        registry.download(version, folder / "bundle")
    delay = settings.label_delay
    events = to_events(frame)
    built = build_offline(events, RiskHistory(events, to_labels(frame, delay), delay // timedelta(microseconds=1)))
    rows = np.flatnonzero((frame["timestamp"] >= TRAINED).to_numpy())[:CURRENT_ROWS]
    begin, last = frame["timestamp"].iloc[rows[0]], frame["timestamp"].iloc[rows[-1]]
    # Two days of this stream in one, so that the window has its rows.
    answered = frame.iloc[rows].copy()
    answered["timestamp"] = begin + (answered["timestamp"] - begin) * (timedelta(hours=23) / (last - begin))
    answered["timestamp"] = answered["timestamp"].dt.floor("us")
    answers = score_rows(load_bundle(folder / "bundle"), version.name, built.values[rows], answered)
    engine = make_engine(settings)
    now = begin.to_pydatetime() + timedelta(hours=23, minutes=30)
    with engine.begin() as conn:
        record_answers(conn, answered, built.values[rows], built.risk_as_of[rows], answers, now=now)
    engine.dispose()
    return now


def _timed(home: Path, environment: dict[str, str], now: datetime, options: list[str]) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.benchmarks.drift_check", now.isoformat(), *options]
    done = subprocess.run(
        command,
        env={
            **os.environ,
            **environment,
            "SENTINEL_HOME": str(home),
            "SENTINEL_DRIFT_MIN_ROWS": str(CURRENT_ROWS - 10),
        },
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return measured


def _median(runs: list[dict[str, Any]]) -> dict[str, Any]:
    middle = sorted(runs, key=lambda one: one["seconds"])[len(runs) // 2]
    return {
        **middle,
        "all_seconds": [one["seconds"] for one in runs],
        "all_cpu_seconds": [one["cpu_seconds"] for one in runs],
        "load_average": os.getloadavg()[0],
    }


def main() -> None:
    """Check once, and print what it took."""
    evidently = "--no-evidently" not in sys.argv
    html = evidently and "--no-html" not in sys.argv
    begun = time.perf_counter()
    from sentinel_core.flows.drift import check_drift

    _import(evidently)
    imported, cpu = time.perf_counter(), time.process_time()
    settings = load_settings(None)
    done = check_drift(settings, now=datetime.fromisoformat(sys.argv[1]), html=html, evidently=evidently)
    taken, worked = time.perf_counter() - imported, time.process_time() - cpu
    print(
        json.dumps(
            {
                "seconds": round(taken, 2),
                "cpu_seconds": round(worked, 2),
                "import_seconds": round(imported - begun, 2),
                "peak_mb": _peak_mb(),
                "verdict": done["verdict"],
                "evidently_verdict": done["evidently_verdict"],
                "rows": done["sample_size"],
                "reference_rows": _reference_rows(settings, done["id"]),
            }
        )
    )


def _import(evidently: bool) -> None:
    """Import what a check imports on its way: that is no part of its seconds."""
    names = ("orjson", "psycopg2", "pyarrow.parquet", "scipy.sparse.csgraph", "scipy.special")
    for name in (*names, "evidently.metrics", "pandas") if evidently else names:
        importlib.import_module(name)


def _peak_mb() -> int:
    """Return the peak of this process's own memory: what getrusage says began with the parent's."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


def _reference_rows(settings: Settings, number: int) -> int:
    from sentinel_core.flows.drift import read_report

    return int(read_report(settings, number)["figures"]["reference_rows"])


if __name__ == "__main__":
    main()
