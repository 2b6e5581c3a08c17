"""Starting a retraining: through Airflow where it runs, in a process of its own where it does not."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sentinel_core.errors import LocalError, SentinelError, SettingsError
from sentinel_core.flows.retrain import Start, train_here
from sentinel_core.flows.trainings import DAG
from sentinel_core.local.airflow import airflow_client
from sentinel_core.settings import Settings, load_settings


def active_trainings(settings: Settings) -> int | None:
    """Return how many runs of the training Airflow has, queued or running; None where it does not run here.

    Raises `LocalError` where it runs and does not let us ask.
    """
    from httpx import TransportError

    try:
        with airflow_client(settings) as client:
            return len(client.active_runs(DAG)) if client.knows(DAG) else None
    except SettingsError:
        # Without a password it was never started here.
        return None
    except LocalError as error:
        if isinstance(error.__cause__, TransportError):
            return None
        raise


def train_in_airflow(settings: Settings) -> Start:
    """Return what triggers a run of the training in Airflow and returns its id; raises `LocalError` where it cannot."""

    def start(params: Mapping[str, Any]) -> str:
        conf = {name: value for name, value in params.items() if name != "run_id"}
        with airflow_client(settings) as client:
            return client.trigger(DAG, conf, run_id=str(params["run_id"]))

    return start


def train_beside(params: Mapping[str, Any]) -> str:
    """Start the training in another process and do not wait for it; return its run id."""
    run_id = str(params["run_id"])
    # In our process group: it is stopped with us.
    subprocess.Popen([sys.executable, "-m", "sentinel_core.local.retraining", run_id])
    return run_id


def train_once(run_id: str) -> int:
    """Train on the database in this process; return an exit code."""
    train = train_here(load_settings(), clock=lambda: datetime.now(UTC))
    try:
        version = train({"source": "database", "run_id": run_id})
    except SentinelError as error:
        sys.stderr.write(f"{run_id}: {error}\n")
        return 1
    sys.stderr.write(f"{run_id}: {version}\n")
    return 0


if __name__ == "__main__":
    sys.exit(train_once(sys.argv[1]))
