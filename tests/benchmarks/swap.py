"""How long a model takes from the registry into every worker, while requests run; and back by `sentinel rollback`."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, Final

import httpx

from sentinel_core.local.environment import settings_environment
from sentinel_core.local.ports import free_port
from sentinel_core.registry.promotion import move
from sentinel_core.settings import load_settings
from sentinel_core.stores.postgres import migrate
from tests.conftest import running_mlflow, running_servers
from tests.registry.test_promotion import Log, registered
from tests.serving.conftest import Service, serving
from tests.serving.test_hot_swap import Load

SWAPS: Final = 10
WORKERS: Final = 2
ASKED: Final = 24
"""New connections that must all meet the new model: with two workers one is missed once in 10⁷ times."""


def run() -> dict[str, Any]:
    """Return seconds from the call of a move to the last answer of the old model, and how many requests failed."""
    with tempfile.TemporaryDirectory() as folder, running_servers(Path(folder) / "servers") as servers:
        home = Path(folder)
        servers.execute("CREATE DATABASE swap")
        with running_mlflow(home) as uri:
            settings = load_settings(
                None,
                home=home / "home",
                database_url_given=servers.database_url("swap"),
                redis_url_given=servers.redis_url,
                mlflow_tracking_uri_given=uri,
                serving_port=free_port(),
            )
            migrate(settings)
            pair = [registered(settings, home, f"v2026010{n}_000000", Log(), bias=-float(n)) for n in (1, 2)]
            environment = {**os.environ, **settings_environment(settings)}
            with serving(settings, workers=WORKERS) as service:
                _moved(service, pair[0].name, lambda: move_to(settings, pair[0]))
                load = Load(service)
                with load.running():
                    swaps = [
                        _moved(service, pair[n % 2].name, lambda n=n: move_to(settings, pair[n % 2]))
                        for n in range(1, SWAPS + 1)
                    ]
                    # The database has to know what a rollback goes back to.
                    for version in pair:
                        _moved(service, version.name, lambda v=version: _sentinel(environment, "promote", v.name))
                    back = _moved(service, pair[0].name, lambda: _sentinel(environment, "rollback"))
                quiet = []
                for _ in range(3):
                    _moved(service, pair[1].name, lambda: _sentinel(environment, "promote", pair[1].name))
                    quiet.append(_moved(service, pair[0].name, lambda: _sentinel(environment, "rollback")))
        failed = sum(status != httpx.codes.OK for _, status, _ in load.answers)
        return {
            "from_the_call_of_a_transition_s": {"median": statistics.median(swaps), "most": max(swaps)},
            "from_the_call_of_sentinel_rollback_s": back,
            "from_the_call_of_sentinel_rollback_without_load_s": statistics.median(quiet),
            "requests": len(load.answers),
            "failed": failed,
        }


def move_to(settings: Any, version: Any) -> None:
    """Promote a version as the DAG does."""
    move(settings, version, "Production", actor="bench", reason="bench", record=Log())


def _moved(service: Service, name: str, act: Any) -> float:
    begun = time.monotonic()
    acting = threading.Thread(target=act)
    acting.start()
    last_old = begun
    met = 0
    while met < ASKED:
        with httpx.Client(base_url=service.url, timeout=30) as http:
            if http.get("/health").json()["model_version"] == name:
                met += 1
            else:
                met, last_old = 0, time.monotonic()
        if time.monotonic() - begun > 60:
            raise RuntimeError(f"{name} did not come into service within a minute.")
    acting.join()
    return round(last_old - begun, 3)


def _sentinel(environment: dict[str, str], *arguments: str) -> None:
    command = [Path(sys.executable).parent / "sentinel", *arguments]
    subprocess.run(command, env=environment, check=True, capture_output=True)
