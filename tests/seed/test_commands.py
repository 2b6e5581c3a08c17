"""The tests' commands as a user types them, and the layout of the directory."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from sentinel_core.local.paths import project_root

LAYOUT = (
    *("dags", "plugins", "sentinel_core", "serving", "great_expectations", "tests"),
    *("docker-compose.yaml", "requirements.txt", "README.md"),
)
PACKAGES = (
    *("apache-airflow", "scikit-learn", "pandas", "mlflow", "evidently", "great-expectations", "sqlalchemy"),
    *("psycopg2-binary", "redis", "bentoml", "pytest"),
)


COMMANDS = ("pytest tests/ -v", 'pytest -m "not slow"', "pytest --cov=sentinel_core --cov-report=term-missing")


@pytest.mark.slow
def test_the_commands_of_the_tests_select_tests(tmp_path: Path) -> None:
    """All words in one run: importing the whole tree takes a minute."""
    words = [word for command in COMMANDS for word in shlex.split(command.removeprefix("pytest"))]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words, "--collect-only", "-p", "no:cacheprovider"],
        capture_output=True,
        text=True,
        check=False,
        cwd=project_root(),
        env={**os.environ, "COVERAGE_FILE": str(tmp_path / "coverage")},
        timeout=550,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    (count,) = re.findall(r"(\d+)(?:/\d+)? tests? collected", done.stdout)
    assert int(count) > 1_000


def test_markers_and_coverage_are_there(pytestconfig: pytest.Config) -> None:
    markers = {line.partition(":")[0] for line in pytestconfig.getini("markers")}
    assert {"slow", "e2e"} <= markers
    assert pytestconfig.getoption("cov_source") is not None
    assert pytestconfig.getini("testpaths") == ["tests"]


@pytest.mark.parametrize("name", LAYOUT)
def test_the_directory_is_laid_out_as_promised(name: str) -> None:
    assert (project_root() / name).exists()


@pytest.mark.parametrize("package", PACKAGES)
def test_each_named_package_is_in_the_lock(package: str) -> None:
    lock = (project_root() / "requirements.txt").read_text(encoding="utf-8")
    assert re.search(rf"^{re.escape(package)}(\[[^\]]*\])?==", lock, re.MULTILINE)


def test_the_service_has_an_image_and_the_settings_an_example() -> None:
    for name in ("pyproject.toml", "Makefile", ".env.example", "LICENSE", "CHANGELOG.md", "deploy"):
        assert (project_root() / name).exists()
    assert (project_root() / "LICENSE").read_text(encoding="utf-8").startswith("MIT License")
