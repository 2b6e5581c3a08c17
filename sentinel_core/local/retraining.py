"""Retraining from the command line: through Airflow where it runs, in this process where it does not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sentinel_core.errors import LocalError, SettingsError
from sentinel_core.flows.retrain import Start
from sentinel_core.flows.trainings import DAG
from sentinel_core.local.airflow import airflow_client
from sentinel_core.settings import Settings


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
