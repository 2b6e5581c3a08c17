"""Airflow: configured by environment variables alone, and spoken to by its REST API."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from sentinel_core.errors import LocalError
from sentinel_core.local.files import write_private
from sentinel_core.local.paths import Layout, project_root
from sentinel_core.local.secrets import ensure_secrets
from sentinel_core.settings import Settings

if TYPE_CHECKING:
    import httpx

ADMIN: Final = "admin"
ACTIVE_STATES: Final = ("queued", "running")
PATIENCE_SECONDS: Final = 120.0
"""How long a question may go unanswered: a machine full of work, or the supervisor restarting the server."""


def airflow_environment(settings: Settings) -> dict[str, str]:
    """Return Airflow's configuration: PostgreSQL metadata, LocalExecutor, a login with a generated password."""
    root = project_root()
    secrets = ensure_secrets(settings)
    layout = Layout.of(settings)

    def secret(name: str) -> str:
        return str(getattr(settings, name) or secrets[name])

    return {
        "AIRFLOW_HOME": str(layout.airflow),
        # What a browser on this machine opens, wherever the other parts find the server.
        "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{settings.airflow_port}",
        "AIRFLOW__API__HOST": settings.host,
        "AIRFLOW__API__PORT": str(settings.airflow_port),
        "AIRFLOW__API__SECRET_KEY": secret("airflow_secret_key"),
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API_AUTH__JWT_SECRET": secret("airflow_jwt_secret"),
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(root / "dags"),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{settings.airflow_address}/execution/",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__FERNET_KEY": secret("airflow_fernet_key"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        # The scheduler forks this many workers at once; more than the cores of a small machine only cost memory.
        "AIRFLOW__CORE__PARALLELISM": str(max(2, min(4, os.cpu_count() or 2))),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(root / "plugins"),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(layout.airflow / "passwords.json"),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{ADMIN}:admin",
        "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": settings.database_url_for("airflow"),
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.1",
    }


def write_passwords(settings: Settings) -> None:
    """Write the file in which Airflow's SimpleAuthManager looks up the administrator's password."""
    password = settings.airflow_password or ensure_secrets(settings)["airflow_password"]
    write_private(Layout.of(settings).airflow / "passwords.json", json.dumps({ADMIN: password}))


@dataclass(frozen=True, slots=True)
class AirflowClient:
    """Airflow's REST API, logged in as the administrator."""

    http: httpx.Client

    def run(self, dag: str, run_id: str) -> Mapping[str, Any]:
        """Return one run of a DAG."""
        return dict(self._call("GET", f"/dags/{dag}/dagRuns/{run_id}"))

    def active_runs(self, dag: str) -> list[Mapping[str, Any]]:
        """Return the queued and running runs of a DAG, the newest first."""
        parameters = {"state": list(ACTIVE_STATES), "order_by": "-run_after"}
        return list(self._call("GET", f"/dags/{dag}/dagRuns", params=parameters)["dag_runs"])

    def tasks(self, dag: str, run_id: str) -> list[Mapping[str, Any]]:
        """Return the task instances of a run, those that are mapped one by one."""
        return list(self._call("GET", f"/dags/{dag}/dagRuns/{run_id}/taskInstances")["task_instances"])

    def task_order(self, dag: str) -> list[str]:
        """Return the task ids of a DAG, upstream first."""
        tasks = list(self._call("GET", f"/dags/{dag}/tasks")["tasks"])
        pending = {task["task_id"]: set(task["downstream_task_ids"]) for task in tasks}
        order: list[str] = []
        while pending:
            waiting = {downstream for edges in pending.values() for downstream in edges}
            # An unknown edge never leaves a task behind: what cannot be ordered comes as it is listed.
            ready = [name for name in pending if name not in waiting] or list(pending)
            order += ready
            pending = {name: edges for name, edges in pending.items() if name not in ready}
        return order

    def trigger(self, dag: str, conf: Mapping[str, Any], *, run_id: str | None = None) -> str:
        """Start a run now, under the id given where one is, and return its id."""
        body: dict[str, Any] = {"logical_date": None, "conf": dict(conf)}
        body |= {"dag_run_id": run_id} if run_id else {}
        return str(self._call("POST", f"/dags/{dag}/dagRuns", json=body)["dag_run_id"])

    def fail(self, dag: str, run_id: str) -> None:
        """Mark a run as failed: what executed it is gone."""
        self._call("PATCH", f"/dags/{dag}/dagRuns/{run_id}", json={"state": "failed"})

    def knows(self, dag: str) -> bool:
        """Whether the DAG was parsed and is there to be triggered."""
        return self._patiently("GET", f"/api/v2/dags/{dag}").status_code == HTTPStatus.OK

    def import_errors(self) -> list[str]:
        """Return the errors of DAG files that do not import, the last line of each."""
        errors = self._call("GET", "/importErrors")["import_errors"]
        return [f"{error['filename']}: {error['stack_trace'].strip().splitlines()[-1]}" for error in errors]

    def last_log_line(self, dag: str, run_id: str, task: Mapping[str, Any]) -> str:
        """Return the last error in the log of a task instance, or an empty text."""
        path = f"/dags/{dag}/dagRuns/{run_id}/taskInstances/{task['task_id']}/logs/{max(1, task['try_number'])}"
        lines = self._call("GET", path, params={"map_index": task["map_index"]}).get("content") or []
        errors = [line for line in lines if isinstance(line, dict) and line.get("level") in ("error", "critical")]
        for line in reversed(errors):
            details = line.get("error_detail") or []
            if details:
                return f"{details[0].get('exc_type')}: {details[0].get('exc_value')}"
        return str(errors[-1].get("event", "")) if errors else ""

    def _call(self, method: str, path: str, **options: Any) -> Any:
        response = self._patiently(method, f"/api/v2{path}", **options)
        if response.is_error:
            raise LocalError(
                f"expected Airflow to accept {method} {path}, it answered {response.status_code}: "
                f"{response.text[:300]}",
                remedy="See `sentinel logs airflow-api-server`.",
            )
        return response.json()

    def _patiently(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Ask again while the server is busy or restarts; what changes something is asked for once."""
        from httpx import TransportError

        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return self.http.request(method, path, **options)
            except TransportError:
                if method != "GET" or time.monotonic() > deadline:
                    raise
                time.sleep(0.5)


@contextmanager
def airflow_client(settings: Settings) -> Iterator[AirflowClient]:
    """Log in to Airflow; raises `LocalError` where it is away or refuses."""
    import httpx

    credentials = {"username": ADMIN, "password": settings.secret("airflow_password")}
    try:
        with httpx.Client(base_url=settings.airflow_address, timeout=30, trust_env=False) as http:
            answer = http.post("/auth/token", json=credentials)
            if answer.is_error:
                raise LocalError(
                    f"expected Airflow to let {ADMIN} in, it answered {answer.status_code}: {answer.text[:300]}",
                    remedy="See `sentinel logs airflow-api-server`.",
                )
            http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
            yield AirflowClient(http)
    except httpx.TransportError as error:
        raise LocalError(
            f"expected Airflow to answer at {settings.airflow_address}, and got: {error}.",
            remedy="See `sentinel status` and `sentinel logs airflow-api-server`.",
        ) from error
