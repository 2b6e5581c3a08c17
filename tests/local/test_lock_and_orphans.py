"""What keeps two starts apart, and what cleans up after a killed one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from sentinel_core.errors import LocalError
from sentinel_core.local import orphans
from sentinel_core.local.environment import PROCESS_VARIABLE
from sentinel_core.local.lock import exclusive
from sentinel_core.local.paths import Layout
from sentinel_core.settings import load_settings

pytestmark = pytest.mark.server
HOLD = """
import sys
from pathlib import Path
from sentinel_core.local.lock import exclusive
from sentinel_core.local.paths import Layout
with exclusive(Layout(Path(sys.argv[1]))):
    print("held", flush=True)
    sys.stdin.read()
"""
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


def test_two_starts_do_not_race_and_a_killed_one_frees_the_lock(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(LocalError, match=rf"found pid {holder.pid}\. Wait for it"), exclusive(Layout(tmp_path)):
            pass
        holder.kill()
        holder.wait()
        with exclusive(Layout(tmp_path)):
            assert (tmp_path / "run" / "lock").read_text() == f"{os.getpid()}\n"


def _sleeper(home: Path, name: str, code: str = "print('up', flush=True); import time; time.sleep(60)") -> psutil.Popen:
    environment = {**os.environ, PROCESS_VARIABLE: name, "SENTINEL_HOME": str(home)}
    process = psutil.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"up\n"
    process.stdout.close()
    return process


def test_only_processes_of_this_home_are_reaped_even_stubborn_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orphans, "_PATIENCE_SECONDS", 0.5)
    settings = load_settings(None, home=tmp_path / "ours")
    serving = _sleeper(tmp_path / "ours", "serving", STUBBORN)
    recorder = _sleeper(tmp_path / "ours", "recorder")
    stranger = _sleeper(tmp_path / "theirs", "serving")
    try:
        assert {process.pid for process in orphans.find(settings)} == {serving.pid, recorder.pid}
        assert orphans.reap(settings, "serving") == 1
        assert serving.wait() != 0
        assert recorder.is_running()
        assert orphans.reap(settings) == 1
        assert stranger.poll() is None
        assert orphans.reap(settings) == 0
    finally:
        for process in (serving, recorder, stranger):
            if process.poll() is None:
                process.kill()
            process.wait()


def test_what_we_descend_from_is_never_an_orphan(tmp_path: Path) -> None:
    code = (
        "import sys; from sentinel_core.local import orphans; from sentinel_core.settings import load_settings; "
        "print(len(orphans.find(load_settings(None))))"
    )
    environment = {**os.environ, PROCESS_VARIABLE: "airflow-scheduler", "SENTINEL_HOME": str(tmp_path)}
    shell = f"{sys.executable} -c '{code}'; true"
    found = subprocess.run(["sh", "-c", shell], env=environment, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "0"
