"""The platform's own commands where nothing runs yet, or something stands in the way."""

from __future__ import annotations

import errno
import json
import socket
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sentinel_core import cli
from sentinel_core.cli.output import LiveReporter, PlainReporter, print_table
from sentinel_core.local.ports import free_port
from sentinel_core.local.reporter import TaskView
from tests.cli.command import Sentinel

NAMES = [
    "postgres",
    "redis",
    "mlflow",
    "airflow-api-server",
    "airflow-scheduler",
    "airflow-dag-processor",
    "serving",
    "recorder",
    "explainer",
]
HEAVY = ("pandas", "mlflow", "airflow", "sklearn", "sqlalchemy", "onnxruntime", "bentoml", "great_expectations", "rich")


@pytest.fixture
def sentinel(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Sentinel:
    """The command line in an empty home, with ports that nobody uses."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SENTINEL_HOME", str(tmp_path / "home"))
    for name in ("SERVING", "MLFLOW", "AIRFLOW", "EXPLAINER", "EMBEDDED_POSTGRES", "EMBEDDED_REDIS"):
        monkeypatch.setenv(f"SENTINEL_{name}_PORT", str(free_port()))
    return Sentinel(monkeypatch, capsys)


def test_status_of_nothing_lists_every_process(sentinel: Sentinel, tmp_path: Path) -> None:
    processes = sentinel.json("status")["processes"]
    assert [process["name"] for process in processes] == NAMES
    assert {(process["pid"], process["healthy"], process["memory_mb"]) for process in processes} == {
        (None, False, None)
    }
    assert sentinel("status").count("stopped") == len(NAMES)
    assert not (tmp_path / "home").exists(), "looking creates nothing"


def test_down_of_nothing_is_no_failure(sentinel: Sentinel) -> None:
    assert sentinel("down") == "Nothing was running.\n"
    assert sentinel.json("down") == {"stopped": []}


def test_up_says_what_stands_in_the_way_and_leaves_nothing_half_made(
    sentinel: Sentinel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setenv("SENTINEL_AIRFLOW_PORT", str(port))
        line = sentinel.fails("up")
    assert line.startswith(f"sentinel: port {port} (airflow-api-server): expected it to be free, found pid ")
    assert line.endswith("or set SENTINEL_AIRFLOW_PORT to a free port.")
    assert not (tmp_path / "home" / "postgres").exists()
    assert not (tmp_path / "home" / "secrets.json").exists()


def test_a_setting_out_of_bounds_is_one_line(sentinel: Sentinel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTINEL_SERVING_PORT", "99999")
    assert "settings out of bounds: SERVING_PORT" in sentinel.fails("status")


def test_a_home_that_cannot_be_made_is_one_line(
    sentinel: Sentinel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("SENTINEL_HOME", str(tmp_path / "file" / "home"))
    assert "file/home, and got: Not a directory. Set SENTINEL_HOME" in sentinel.fails("up")


def test_only_airflow_can_be_left_out(sentinel: Sentinel) -> None:
    assert "expected --without airflow, got mlflow." in sentinel.fails("up", "--without", "mlflow")


def test_an_unknown_model_is_refused_before_anything_starts(sentinel: Sentinel, tmp_path: Path) -> None:
    said = sentinel.fails("up", "--models", "random_forest,logistic_regresion")
    assert "got 'logistic_regresion'. Did you mean 'logistic_regression'?" in said
    assert not (tmp_path / "home").exists()


def test_an_unknown_process_is_refused(sentinel: Sentinel) -> None:
    assert "expected one of postgres, redis, mlflow" in sentinel.fails("run", "nginx")


def test_logs_end_with_what_was_written_last(sentinel: Sentinel, tmp_path: Path) -> None:
    assert "found none: nothing was started yet" in sentinel.fails("logs", "serving")
    folder = tmp_path / "home" / "logs"
    folder.mkdir(parents=True)
    (folder / "serving.log").write_text("".join(f"line {number}\n" for number in range(5)))
    assert sentinel("logs", "serving", "-n", 2) == "line 3\nline 4\n"
    assert "found serving. Name one of them." in sentinel.fails("logs", "recorder")


def test_doctor_names_each_check_and_fails_with_one_of_them(
    sentinel: Sentinel, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    checks = {check["name"]: check for check in sentinel.json("doctor")["checks"]}
    assert {"python", "packages", "postgres", "redis", "disk", "memory"} <= checks.keys()
    assert sum(name.startswith("port ") for name in checks) == 6
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setenv("SENTINEL_SERVING_PORT", str(taken.getsockname()[1]))
        monkeypatch.setattr(sys, "argv", ["sentinel", "doctor"])
        with pytest.raises(SystemExit) as ended:
            cli.main()
    assert ended.value.code == 1
    assert "SENTINEL_SERVING_PORT to a free port" in capsys.readouterr().out


def test_env_is_written_once(sentinel: Sentinel, tmp_path: Path) -> None:
    assert sentinel("env").startswith(".env: wrote DB_PASSWORD, REDIS_PASSWORD")
    written = (tmp_path / ".env").read_text()
    assert sentinel("env") == ".env: complete already, nothing written.\n"
    assert (tmp_path / ".env").read_text() == written


def test_a_full_disk_is_one_line_and_a_bug_keeps_its_traceback(
    sentinel: Sentinel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full() -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "/data/file")

    monkeypatch.setattr(cli, "make_app", lambda: full)
    assert sentinel.fails("up") == (
        "sentinel: expected space on the disk of /data/file, it is full. Free some, then run the command again."
    )

    def broken() -> None:
        raise PermissionError(errno.EPERM, "no")

    monkeypatch.setattr(cli, "make_app", lambda: broken)
    with pytest.raises(PermissionError):
        cli.main()


def test_the_command_line_imports_nothing_heavy() -> None:
    code = f"import sys, sentinel_core.cli as c; c.make_app(); print([n for n in {HEAVY} if n in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_the_command_line_runs_as_a_module(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sentinel_core.cli", "status", "--json"]
    found = subprocess.run(
        command, capture_output=True, text=True, check=True, env={"SENTINEL_HOME": str(tmp_path / "home")}
    )
    assert len(json.loads(found.stdout)["processes"]) == len(NAMES)


def test_progress_as_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    reporter = PlainReporter()
    with reporter.step("Databases") as tell:
        tell("ours")
    began = datetime(2026, 3, 1, 12, tzinfo=UTC)
    ended = TaskView("ingest", "success", began, began.replace(second=3))
    for _ in range(2):
        reporter.tasks("Training", [ended, TaskView("validate", "waiting")])
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("✓ Databases (0.")
    assert lines[1:] == ["  Training: ingest success 3.0 s"], "a task is told of once, and when it begins"


def test_progress_drawn_in_place(capsys: pytest.CaptureFixture[str]) -> None:
    reporter = LiveReporter()
    began = datetime(2026, 3, 1, 12, tzinfo=UTC)
    reporter.tasks("Training", [TaskView("ingest", "running", began), TaskView("train [x]", "failed", began, began)])
    reporter.close()
    with reporter.step("Serving [1]") as tell:
        tell("waiting for [recorder]")
    drawn = capsys.readouterr().err
    assert "train [x]" in drawn
    assert "✓ Serving [1]" in drawn


def test_a_table_in_a_pipe_is_aligned_and_never_cut(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("what", "where"), [("a", "x" * 300), ("longer", None)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "what    where"
    assert lines[1] == f"a       {'x' * 300}"
    assert lines[2] == "longer"
