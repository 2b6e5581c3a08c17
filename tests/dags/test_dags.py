from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.server
ROOT = Path(__file__).parents[2]
DAGS = ROOT / "dags"
# Airflow reads its configuration when it is imported: a process of its own keeps it out of the other tests.
DESCRIBE = """
import json, sys
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(sys.argv[1])
print("RESULT", json.dumps({
    "errors": bag.import_errors,
    "dags": {
        dag.dag_id: {
            "tasks": {task.task_id: sorted(task.upstream_task_ids) for task in dag.tasks},
            "teardowns": [task.task_id for task in dag.tasks if task.is_teardown],
            "retries": {task.task_id: task.retries for task in dag.tasks},
            "mapped": [task.task_id for task in dag.tasks if task.is_mapped],
            "params": dag.params.dump(),
            "schema": {name: dag.params.get_param(name).schema for name in dag.params},
            "max_active_runs": dag.max_active_runs,
            "catchup": dag.catchup,
            "schedule": dag.schedule,
            "doc": dag.doc_md,
            "tags": sorted(dag.tags),
        }
        for dag in bag.dags.values()
    },
}))
"""


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Any:
    home = tmp_path_factory.mktemp("airflow")
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    }
    done = subprocess.run(
        [sys.executable, "-c", DESCRIBE, str(DAGS)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        cwd=home,
    )
    results = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    assert results, done.stdout + done.stderr
    return json.loads(results[0].removeprefix("RESULT "))


def test_every_dag_imports(bag: Any) -> None:
    assert bag["errors"] == {}
    assert sorted(bag["dags"]) == [
        *("alert_check", "drift_check", "fraud_training", "model_moves", "model_rollback", "performance_check"),
        *("retrain_check", "risk_refresh"),
    ]
    for dag in bag["dags"].values():
        assert dag["doc"].startswith("# ")
        assert "sentinel" in dag["tags"]
        assert dag["max_active_runs"] == 1
        assert dag["catchup"] is False


def test_the_training_reads_as_its_pipeline(bag: Any) -> None:
    dag = bag["dags"]["fraud_training"]
    steps = ["ingest", "validate", "features", "train", "evaluate", "register", "promote", "package"]
    pipeline = {step: [before] if before else [] for before, step in zip(["", *steps], steps, strict=False)}
    # Whatever happens, the training says that it ended; that changes nothing about how it did.
    assert dag["tasks"] == {**pipeline, "end": ["package", "promote"]}
    assert dag["teardowns"] == ["end"]
    assert dag["mapped"] == ["train"]
    assert dag["schedule"] is None


def test_the_trigger_form_offers_what_the_flows_take(bag: Any) -> None:
    from sentinel_core.flows.ingest import SOURCES, Request
    from sentinel_core.training.candidates import CANDIDATES

    dag = bag["dags"]["fraud_training"]
    assert Request.of(dag["params"]) == Request()
    assert dag["schema"]["source"]["enum"] == list(SOURCES)
    assert sorted(dag["params"]["models"]) == sorted(CANDIDATES)
    assert dag["schema"]["models"]["items"]["enum"] == dag["schema"]["models"]["examples"] == dag["params"]["models"]


def test_retraining_is_decided_every_hour_and_triggers_the_training(bag: Any) -> None:
    dag = bag["dags"]["retrain_check"]
    assert dag["tasks"] == {"check": [], "is_due": ["check"], "train": ["check", "is_due"]}
    assert dag["retries"]["check"] == 0  # a second try would be a second decision
    assert dag["schedule"] == "20 * * * *"
    assert dag["params"] == {"force_retrain": False, "reason": ""}
    assert dag["schema"]["force_retrain"]["type"] == "boolean"


def test_risk_is_refreshed_before_the_table_of_the_day_serves(bag: Any) -> None:
    dag = bag["dags"]["risk_refresh"]
    assert dag["tasks"] == {"refresh": []}
    assert dag["schedule"] == "30 0 * * *"


def test_live_performance_is_measured_once_the_recorder_had_time_for_the_day(bag: Any) -> None:
    dag = bag["dags"]["performance_check"]
    assert dag["tasks"] == {"measure": []}
    assert dag["schedule"] == "30 1 * * *"


def test_drift_is_checked_every_hour_before_retraining_is(bag: Any) -> None:
    dag = bag["dags"]["drift_check"]
    assert dag["tasks"] == {"check": []}
    assert dag["schedule"] == "5 * * * *"  # the decision on retraining, at 20 past, says what this one saw


def test_alerts_are_checked_every_five_minutes_and_one_check_at_a_time(bag: Any) -> None:
    dag = bag["dags"]["alert_check"]
    assert dag["tasks"] == {"check": []}
    assert dag["schedule"] == "*/5 * * * *"


def test_people_who_move_versions_are_followed_often_and_one_look_at_a_time(bag: Any) -> None:
    dag = bag["dags"]["model_moves"]
    assert dag["tasks"] == {"observe": []}
    assert dag["schedule"] == "*/10 * * * *"


def test_the_form_of_a_rollback_takes_a_version_or_none_and_wants_a_reason(bag: Any) -> None:
    dag = bag["dags"]["model_rollback"]
    assert dag["tasks"] == {"restore": []}
    assert dag["retries"] == {"restore": 0}  # a second try would go one version further back
    assert dag["schedule"] is None
    assert dag["params"] == {"version": None, "reason": "rolled back"}
    assert dag["schema"]["version"]["type"] == ["null", "string"]
    assert dag["schema"]["reason"]["minLength"] == 1


@pytest.mark.parametrize("path", sorted(DAGS.glob("*.py")), ids=lambda path: path.stem)
def test_each_task_calls_one_function_of_the_flows(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    tasks = [f for f in functions if any(_is_task(decorator) for decorator in f.decorator_list)]
    assert tasks
    for task in tasks:
        *imports, last = task.body
        modules = [node.module for node in imports if isinstance(node, ast.ImportFrom)]
        assert len(modules) == len(imports), f"{task.name} does more than import and call"
        flows = [module for module in modules if module and module.startswith("sentinel_core.flows.")]
        assert len(flows) == 1, task.name
        assert sorted(set(modules) - set(flows)) == ["sentinel_core.settings"]
        assert isinstance(last, ast.Return)
        assert isinstance(last.value, ast.Call)


def _is_task(decorator: ast.expr) -> bool:
    named = decorator.func if isinstance(decorator, ast.Call) else decorator
    return isinstance(named, ast.Name) and named.id == "task"


def test_no_dag_imports_the_core_when_it_is_parsed() -> None:
    for path in DAGS.glob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ImportFrom):
                assert not str(node.module).startswith("sentinel_core"), path.name
