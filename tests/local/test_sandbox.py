"""Servers for one command alone are there while it runs, and gone however it ends."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from sentinel_core.local import sandbox as room
from sentinel_core.local.sandbox import sandbox
from sentinel_core.settings import Settings, load_settings
from sentinel_core.stores.postgres import connected, make_engine
from sentinel_core.stores.redis_clients import make_client

pytestmark = pytest.mark.slow


def ours(folder: Path) -> Settings:
    return load_settings(None, home=folder / "elsewhere", retrain_min_frauds=7)


def running(folder: Path) -> list[list[str]]:
    """Return the commands of our children that name a folder."""
    children = psutil.Process(os.getpid()).children(recursive=True)
    return [child.cmdline() for child in children if str(folder) in " ".join(child.cmdline())]


def test_all_three_serve_and_a_signal_to_end_ends_them_too(tmp_path: Path) -> None:
    folder = tmp_path / "servers"
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as ended, sandbox(ours(tmp_path), folder) as settings:
        assert (settings.home, settings.retrain_min_frauds) == (folder / "home", 7)
        engine = make_engine(settings)
        with connected(engine) as conn:
            assert conn.exec_driver_sql("SELECT count(*) FROM transactions").scalar_one() == 0
        engine.dispose()
        client = make_client(settings)
        assert client.ping()
        client.close()
        assert httpx.get(f"{settings.mlflow_tracking_uri}/health").status_code == 200
        assert running(folder)
        os.kill(os.getpid(), signal.SIGTERM)
    assert ended.value.code == 128 + signal.SIGTERM
    assert running(folder) == []
    assert signal.getsignal(signal.SIGTERM) is before
    assert not (tmp_path / "elsewhere").exists()


def test_where_one_does_not_start_the_others_are_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("no MLflow today")

    monkeypatch.setattr(room, "start_mlflow", broken)
    with pytest.raises(RuntimeError, match="no MLflow today"), sandbox(ours(tmp_path), tmp_path / "servers"):
        pass
    assert running(tmp_path / "servers") == []
