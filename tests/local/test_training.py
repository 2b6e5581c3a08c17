"""Following a training over Airflow's REST API, against a server that answers as Airflow does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from sentinel_core.errors import LocalError, TrainingError
from sentinel_core.local import training
from sentinel_core.local.airflow import AirflowClient, airflow_client
from sentinel_core.local.ports import free_port
from sentinel_core.local.training import train_by_airflow
from sentinel_core.settings import Settings, load_settings
from tests.local.reporting import Collected

TASKS = [
    {"task_id": "train", "downstream_task_ids": ["evaluate"]},
    {"task_id": "evaluate", "downstream_task_ids": []},
    {"task_id": "ingest", "downstream_task_ids": ["train"]},
]


def _instance(task_id: str, state: str | None, map_index: int = -1) -> dict[str, Any]:
    started = None if state is None else "2026-03-01T12:00:00Z"
    return {
        "task_id": task_id,
        "map_index": map_index,
        "state": state,
        "start_date": started,
        "end_date": None,
        "try_number": 1,
        "rendered_map_index": "random_forest" if map_index == 0 else None,
    }


class Airflow:
    """Answers like Airflow; the run ends on the third look at it."""

    def __init__(self, *, end: str = "success", active: bool = False, broken: bool = False) -> None:
        self.end = end
        self.active = active
        self.broken = broken
        self.looks = 0
        self.calls: list[tuple[str, str, bytes]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/api/v2")
        self.calls.append((request.method, path, request.content))
        for ending, answer in self._answers().items():
            if path.endswith(ending):
                return answer(request)
        return httpx.Response(404, json={"detail": path})

    def _answers(self) -> dict[str, Callable[[httpx.Request], httpx.Response]]:
        return {
            "/dags/fraud_training": lambda _: httpx.Response(404 if self.broken else 200, json={}),
            "/importErrors": lambda _: _json(
                {"import_errors": [{"filename": "dags/x.py", "stack_trace": "a\nSyntaxError: b\n"}]}
            ),
            "/tasks": lambda _: _json({"tasks": TASKS}),
            "/taskInstances": lambda _: _json({"task_instances": self._instances()}),
            "/logs/1": lambda _: _json(
                {
                    "content": [
                        {"level": "info", "event": "begun"},
                        {
                            "level": "error",
                            "event": "Task failed",
                            "error_detail": [{"exc_type": "ValidationError", "exc_value": "12 rows"}],
                        },
                    ]
                }
            ),
            "/dagRuns": self._runs,
            "/dagRuns/old": lambda _: _json({}),
            "/dagRuns/run": self._run,
        }

    def _runs(self, request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            return _json({"dag_run_id": "run"})
        return _json(
            {"dag_runs": [{"dag_run_id": "run" if self.active else "old"}] if self.active or self.end == "old" else []}
        )

    def _run(self, request: httpx.Request) -> httpx.Response:
        self.looks += 1
        return _json({"dag_run_id": "run", "state": self.end if self.looks > 2 else "running"})

    def _instances(self) -> list[dict[str, Any]]:
        last = {"success": "success", "failed": "failed"}.get(self.end, "success") if self.looks > 2 else "running"
        return [_instance("evaluate", None), _instance("train", last, 0), _instance("ingest", "success")]


def _json(body: Any) -> httpx.Response:
    return httpx.Response(200, json=body)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Callable[[Airflow], None]:
    def use(server: Airflow) -> None:
        @contextmanager
        def client(_: Settings) -> Iterator[AirflowClient]:
            with httpx.Client(base_url="http://airflow", transport=httpx.MockTransport(server)) as http:
                yield AirflowClient(http)

        monkeypatch.setattr(training, "airflow_client", client)
        monkeypatch.setattr(training, "_POLL_SECONDS", 0.0)

    return use


def _bodies(server: Airflow, method: str) -> list[tuple[str, bytes]]:
    return [(path, body) for verb, path, body in server.calls if verb == method]


def test_a_run_is_triggered_and_followed_in_the_order_of_the_dag(quick: Callable[[Airflow], None]) -> None:
    server = Airflow()
    quick(server)
    reporter = Collected()
    assert train_by_airflow(load_settings(None), 5_000, reporter, resume=True) == "run"
    ((path, body),) = _bodies(server, "POST")
    assert path == "/dags/fraud_training/dagRuns"
    assert b'"logical_date":null' in body
    assert b'"rows":5000' in body
    assert b'"models"' not in body, "the DAG's own default: all of them"
    names = [view.name for view in reporter.pictures[-1]]
    assert names == ["ingest", "train [random_forest]", "evaluate"]
    assert [view.state for view in reporter.pictures[-1]] == ["success", "success", "waiting"]


def test_a_run_trains_the_models_that_were_asked_for(quick: Callable[[Airflow], None]) -> None:
    server = Airflow()
    quick(server)
    train_by_airflow(load_settings(None), 5_000, Collected(), resume=True, models=["random_forest"])
    ((_, body),) = _bodies(server, "POST")
    assert b'"models":["random_forest"]' in body


def test_a_run_under_way_is_followed_not_doubled(quick: Callable[[Airflow], None]) -> None:
    server = Airflow(active=True)
    quick(server)
    assert train_by_airflow(load_settings(None), 5_000, Collected(), resume=True) == "run"
    assert _bodies(server, "POST") == []


def test_a_run_whose_tasks_died_with_their_supervisor_is_failed_first(quick: Callable[[Airflow], None]) -> None:
    server = Airflow(active=True)
    quick(server)
    train_by_airflow(load_settings(None), 5_000, Collected(), resume=False)
    ((path, body),) = _bodies(server, "PATCH")
    assert (path, body) == ("/dags/fraud_training/dagRuns/run", b'{"state":"failed"}')
    assert len(_bodies(server, "POST")) == 1


def test_a_failed_task_is_named_with_its_error(quick: Callable[[Airflow], None]) -> None:
    quick(Airflow(end="failed"))
    with pytest.raises(TrainingError, match=r"its task train \[random_forest\] failed: ValidationError: 12 rows"):
        train_by_airflow(load_settings(None), 5_000, Collected(), resume=True)


def test_a_dag_that_does_not_import_is_shown(quick: Callable[[Airflow], None]) -> None:
    quick(Airflow(broken=True))
    with pytest.raises(LocalError, match=r"expected the DAGs to import, got: dags/x\.py: SyntaxError: b"):
        train_by_airflow(load_settings(None), 5_000, Collected(), resume=True)


def test_airflow_that_is_away_is_one_line() -> None:
    settings = load_settings(None, airflow_port=free_port(), airflow_password="x")
    with (
        pytest.raises(LocalError, match=r"expected Airflow to answer at http://127\.0\.0\.1:"),
        airflow_client(settings),
    ):
        pass
