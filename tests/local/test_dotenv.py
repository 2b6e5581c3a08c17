"""`sentinel env`: the secrets of docker compose."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from dotenv import dotenv_values

from sentinel_core.errors import LocalError
from sentinel_core.local.dotenv import API_KEY, API_KEYS, SECRETS, complete, write_env
from sentinel_core.local.paths import project_root
from sentinel_core.settings import load_settings
from sentinel_core.stores.api_keys import given_keys
from sentinel_core.stores.key_hash import hash_of

WRITTEN = [*SECRETS, API_KEY, API_KEYS]


def test_a_new_file_holds_every_secret_and_is_private(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    assert complete(path) == WRITTEN
    assert path.stat().st_mode & 0o777 == 0o600
    values = dict(line.split("=", 1) for line in path.read_text().splitlines())
    assert set(values) == set(WRITTEN)
    assert len(set(values.values())) == len(WRITTEN)
    before = path.read_text()
    assert complete(path) == []
    assert path.read_text() == before


def test_what_is_there_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text(
        "# mine\nexport DB_PASSWORD=chosen\nREDIS_PASSWORD=\n# SENTINEL_AIRFLOW_PASSWORD=no\nAPI_WORKERS=2\n"
    )
    added = complete(path)
    assert "DB_PASSWORD" not in added
    assert {"REDIS_PASSWORD", "SENTINEL_AIRFLOW_PASSWORD"} <= set(added)
    lines = path.read_text().splitlines()
    assert lines[:2] == ["# mine", "export DB_PASSWORD=chosen"]
    assert "API_WORKERS=2" in lines
    assert "REDIS_PASSWORD=" not in lines


def test_the_hash_is_that_of_the_key(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    complete(path)
    settings = load_settings(path, home=tmp_path)
    assert settings.api_key is not None
    assert [key.sha256 for key in given_keys(settings)] == [hash_of(settings.api_key)]


def test_a_key_that_is_there_gets_its_hash_and_hashes_that_are_there_stay(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text('SENTINEL_API_KEY="mine"\n')
    assert API_KEYS in complete(path) and path.read_text().count(f"{API_KEY}=") == 1
    assert f"{API_KEYS}=compose:{hash_of('mine')}" in path.read_text()
    path.write_text(f"{API_KEYS}=shop:{hash_of('theirs')}\n")
    assert not {API_KEY, API_KEYS} & set(complete(path)), "who names hashes hands out keys by themselves"


def _pythons() -> list[str]:
    """Every Python from 3.9 on that this machine has, and the one that runs the tests."""
    installed = [path for minor in range(9, 14) if (path := shutil.which(f"python3.{minor}"))]
    return [
        sys.executable,
        *installed,
        *(str(path) for path in Path("~/.pyenv/versions").expanduser().glob("3.9.*/bin/python")),
    ]


def test_a_plain_python_from_3_9_on_writes_it_with_nothing_installed(tmp_path: Path) -> None:
    ran = 0
    for number, python in enumerate(_pythons()):
        folder = tmp_path / str(number)
        folder.mkdir()
        # -S: without site-packages, and so without anything that is installed.
        command = [python, "-S", "-m", "sentinel_core.local.dotenv"]
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(project_root())}
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        if "pyenv" in done.stderr:
            continue  # a shim of pyenv for a version that is not selected
        assert done.returncode == 0, f"{python}: {done.stderr}"
        assert set(dotenv_values(folder / ".env")) == set(WRITTEN)
        ran += 1
    assert ran


def test_its_modules_are_written_in_the_language_of_python_3_9() -> None:
    code = (
        "import sys, sentinel_core.local.dotenv\n"
        "print(*(module.__file__ for name, module in sys.modules.items() if 'sentinel' in name))"
    )
    environment = {"PYTHONPATH": str(project_root())}
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    files = done.stdout.split()
    assert len(files) > 5
    for file in files:
        ast.parse(Path(file).read_text(encoding="utf-8"), feature_version=(3, 9))


def test_a_folder_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / ".env").mkdir()
    with pytest.raises(LocalError, match=r"expected to read and write .*\.env, and got: Is a directory\. Check"):
        write_env(tmp_path / ".env")
