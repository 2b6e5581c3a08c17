"""The environment that our processes run in."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pydantic import AliasChoices

from sentinel_core.local.identity import has_account
from sentinel_core.settings import Settings

PROCESS_VARIABLE: Final = "SENTINEL_PROCESS"
"""Names the process in its own environment and in its children's, so that orphans are found after a crash."""

THIS_MACHINE: Final = ("127.0.0.1", "localhost", "::1")

QUIET: Final[Mapping[str, str]] = {
    # No part of the platform reports to its maker.
    "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    "BENTOML_DO_NOT_TRACK": "True",
    "DO_NOT_TRACK": "1",
    "GX_ANALYTICS_ENABLED": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # MLflow's stages are in use here on purpose; git is asked for the commit by ourselves.
    "GIT_PYTHON_REFRESH": "quiet",
    "PYTHONUNBUFFERED": "1",
    # setproctitle keeps off the environment's memory, where PROCESS_VARIABLE is read from.
    "SPT_NOENV": "1",
}


def without_proxy(variables: Mapping[str, str]) -> dict[str, str]:
    """Return NO_PROXY as `variables` hold it and this machine with it: a proxy is for the world outside.

    Both spellings are returned, since some libraries read only one.

    >>> without_proxy({"NO_PROXY": "example.org"})["no_proxy"]
    'example.org,127.0.0.1,localhost,::1'
    """
    given = variables.get("no_proxy") or variables.get("NO_PROXY") or ""
    hosts = [host.strip() for host in given.split(",") if host.strip()]
    if "*" not in hosts:
        hosts += [host for host in THIS_MACHINE if host not in hosts]
    return dict.fromkeys(("NO_PROXY", "no_proxy"), ",".join(hosts))


def settings_environment(settings: Settings) -> dict[str, str]:
    """Return the variables from which `load_settings` makes the same settings in another process.

    Only what was given is passed on; SENTINEL_HOME always is, as an absolute path.
    """
    given = settings.model_fields_set - {"home"}
    variables = {variable(name): str(value) for name in given if (value := getattr(settings, name)) is not None}
    return {**variables, "SENTINEL_HOME": str(settings.home)}


def variable(field: str) -> str:
    """Return the environment variable of a setting.

    >>> variable("db_host"), variable("serving_port")
    ('DB_HOST', 'SENTINEL_SERVING_PORT')
    """
    alias = Settings.model_fields[field].validation_alias
    if isinstance(alias, AliasChoices):
        return str(alias.choices[0])
    return f"SENTINEL_{field.upper()}"


def process_environment(settings: Settings, name: str, extra: Mapping[str, str]) -> dict[str, str]:
    """Return the whole environment of one process: ours, the settings', and its own on top.

    A variable of `extra` that our environment holds already stays: who sets AIRFLOW__CORE__PARALLELISM means it.
    """
    ours = dict(os.environ)
    # Airflow wants its user to have a name, which a container that runs as any number does not give it.
    nameless = {} if has_account() else {"LOGNAME": "sentinel"}
    path = os.pathsep.join([str(Path(sys.executable).parent), ours.get("PATH", os.defpath)])
    return {
        **nameless,
        **extra,
        **ours,
        **without_proxy(ours),
        **QUIET,
        **settings_environment(settings),
        "PATH": path,
        PROCESS_VARIABLE: name,
    }
