"""The first training: by the DAG `fraud_training`, followed task by task over REST, or by the same steps here."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sentinel_core.errors import LocalError, TrainingError
from sentinel_core.local.airflow import ACTIVE_STATES, AirflowClient, airflow_client
from sentinel_core.local.reporter import Reporter, TaskView
from sentinel_core.settings import Settings

DAG: Final = "fraud_training"
FRAUD_RATE: Final = 0.02
SEED: Final = 0
_POLL_SECONDS: Final = 0.5
_PARSE_SECONDS: Final = 120.0


def train_by_airflow(
    settings: Settings, rows: int, reporter: Reporter, *, resume: bool, models: Sequence[str] | None = None
) -> str:
    """Run the DAG on `rows` generated transactions and follow it to its end; return the id of the run.

    Without `models`, every candidate is trained. With `resume`, a run that is under way is followed; without, it is
    marked as failed first: what executed it is gone. Raises `TrainingError` with the task and its error where the run
    fails, `LocalError` where Airflow cannot.
    """
    with airflow_client(settings) as client:
        with reporter.step("Airflow reads the DAGs"):
            _wait_for_dag(client)
        active = client.active_runs(DAG)
        if not resume:
            for run in active:
                client.fail(DAG, run["dag_run_id"])
            active = []
        if active:
            run_id = str(active[0]["dag_run_id"])
        else:
            # Somebody waits for the first answer: later trainings search.
            conf = {"source": "synthetic", "rows": rows, "fraud_rate": FRAUD_RATE, "seed": SEED, "search": False}
            run_id = client.trigger(DAG, conf | ({"models": list(models)} if models else {}))
        _follow(client, run_id, reporter)
        return run_id


def train_in_process(settings: Settings, rows: int, reporter: Reporter, models: Sequence[str] | None = None) -> None:
    """Run the same steps here, without Airflow. Raises what the steps raise."""
    from sentinel_core.flows.pipeline import MODELS, TrainingPipeline

    with reporter.step(f"Training on {rows:,} generated transactions") as tell:
        TrainingPipeline(settings, progress=tell).run(
            n_samples=rows, fraud_rate=FRAUD_RATE, model_type=models or MODELS, seed=SEED, searched=False
        )


def _wait_for_dag(client: AirflowClient) -> None:
    deadline = time.monotonic() + _PARSE_SECONDS
    while not client.knows(DAG):
        errors = client.import_errors()
        if errors:
            raise LocalError(f"expected the DAGs to import, got: {errors[0]}", remedy="Mend the file; `up` goes on.")
        if time.monotonic() > deadline:
            raise LocalError(
                f"expected Airflow to find the DAG {DAG} within {_PARSE_SECONDS:.0f} s, it did not.",
                remedy="See `sentinel logs airflow-dag-processor`.",
            )
        time.sleep(_POLL_SECONDS)


def _follow(client: AirflowClient, run_id: str, reporter: Reporter) -> None:
    order = client.task_order(DAG)
    title = f"Airflow runs {DAG}"
    while True:
        run = client.run(DAG, run_id)
        tasks = client.tasks(DAG, run_id)
        reporter.tasks(title, views(tasks, order))
        if run["state"] == "success":
            return
        if run["state"] not in ACTIVE_STATES:
            raise _failure(client, run_id, tasks)
        time.sleep(_POLL_SECONDS)


def views(tasks: Sequence[Mapping[str, Any]], order: Sequence[str]) -> list[TaskView]:
    """Return task instances as they are shown: in the order of the DAG, mapped ones numbered or named."""
    place = {name: index for index, name in enumerate(order)}
    rows = sorted(tasks, key=lambda task: (place.get(task["task_id"], len(place)), task["map_index"]))
    return [
        TaskView(_label(task), task["state"] or "waiting", _moment(task["start_date"]), _moment(task["end_date"]))
        for task in rows
    ]


def _label(task: Mapping[str, Any]) -> str:
    if task["map_index"] < 0:
        return str(task["task_id"])
    return f"{task['task_id']} [{task.get('rendered_map_index') or task['map_index']}]"


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _failure(client: AirflowClient, run_id: str, tasks: Sequence[Mapping[str, Any]]) -> TrainingError:
    failed = [task for task in tasks if task["state"] == "failed"]
    if not failed:
        return TrainingError(f"expected the run {run_id} of {DAG} to succeed, it failed.", remedy="See Airflow's page.")
    reason = client.last_log_line(DAG, run_id, failed[0]).rstrip(".") or "see its log in Airflow"
    return TrainingError(
        f"expected the run {run_id} of {DAG} to succeed, its task {_label(failed[0])} failed: {reason}.",
        remedy=f"Its log is at {client.http.base_url}/dags/{DAG}/runs/{run_id}.",
    )
