"""Databases and their schemas: ours, MLflow's and Airflow's, before anything starts."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from sentinel_core.errors import LocalError
from sentinel_core.local.airflow import airflow_environment
from sentinel_core.local.child import last_line
from sentinel_core.local.environment import process_environment
from sentinel_core.local.files import write_private
from sentinel_core.local.paths import Layout
from sentinel_core.settings import Settings

NAME: Final = "migrations"


def migrate_installed(settings: Settings) -> None:
    """Do as `migrate_all`, for what is installed here: the image of the service holds neither Airflow nor MLflow."""
    migrate_all(settings, airflow=find_spec("airflow") is not None, mlflow=find_spec("mlflow") is not None)


def migrate_all(settings: Settings, *, airflow: bool, mlflow: bool = True) -> None:
    """Create what databases are absent and bring every schema to its newest revision; repeating it changes nothing.

    MLflow migrates its own schema when it starts. Raises `StoreError` where PostgreSQL refuses, `LocalError` where
    Airflow's migration fails.
    """
    from sentinel_core.stores.postgres import create_database, migrate

    migrate(settings)
    if mlflow and settings.embedded_mlflow:
        create_database(settings, "mlflow")
    if airflow:
        create_database(settings, "airflow")
        _migrate_airflow(settings)


def _migrate_airflow(settings: Settings) -> None:
    """Run Airflow's migration, which costs 10 s, unless this version of Airflow has done it on this database."""
    marker = Layout.of(settings).state / "airflow_schema.json"
    if _read(marker) == _schema(settings):
        return
    log = Layout.of(settings).log(NAME)
    command = [sys.executable, "-m", "airflow", "db", "migrate"]
    environment = process_environment(settings, NAME, airflow_environment(settings))
    with log.open("ab") as output:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment, check=False
        )
    if done.returncode != 0:
        raise LocalError(
            f"expected `airflow db migrate` to succeed, it exited with code {done.returncode}: {last_line(log)}.",
            remedy=f"See {log}.",
        )
    write_private(marker, json.dumps(_schema(settings)))


def _schema(settings: Settings) -> dict[str, str | None]:
    """Airflow's version, and the revision that its database is at (None where it has none)."""
    import psycopg2

    url = settings.database_url_for("airflow").replace("+psycopg2", "", 1)
    connection = psycopg2.connect(url, connect_timeout=5)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT to_regclass('alembic_version') IS NOT NULL")
            if not (cursor.fetchone() or (False,))[0]:
                return {"airflow": version("apache-airflow"), "revision": None}
            cursor.execute("SELECT version_num FROM alembic_version")
            row = cursor.fetchone()
    finally:
        connection.close()
    return {"airflow": version("apache-airflow"), "revision": row[0] if row else None}


def _read(marker: Path) -> object:
    try:
        return json.loads(marker.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
