"""A real service: `bentoml serve` with two workers, a recorder, real stores, and a tiny model."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
from sqlalchemy import Engine

from sentinel_core.local.environment import QUIET, settings_environment
from sentinel_core.local.ports import free_port
from sentinel_core.settings import Settings, load_settings
from sentinel_core.stores.postgres import make_engine
from tests.conftest import Servers
from tests.registry.bundles import tiny_bundle

PAYLOAD: dict[str, Any] = {
    "user_id": "u1",
    "amount": 12.5,
    "merchant_id": "m1",
    "merchant_category": "grocery",
    "transaction_type": "purchase",
}
VERSION = "v20260101_000000"
SERVICE = "serving.service:SentinelService"


def payload(**fields: Any) -> dict[str, Any]:
    """A valid request of a user that no other test has, with some fields changed."""
    return {**PAYLOAD, "user_id": f"user-{secrets.token_hex(8)}", **fields}


@dataclass(frozen=True)
class Service:
    """A running service."""

    url: str
    settings: Settings
    process: subprocess.Popen[bytes]
    log: Path
    http: httpx.Client
    engine: Engine

    @property
    def port(self) -> int:
        return self.settings.serving_port

    def workers(self) -> list[psutil.Process]:
        """The worker processes."""
        family = psutil.Process(self.process.pid).children(recursive=True)
        return [one for one in family if any("worker.service" in word for word in one.cmdline())]

    def predict(self, body: Any) -> httpx.Response:
        return self.http.post("/api/v1/predict", json=body)

    def stored(self, transaction_id: str) -> dict[str, Any]:
        """The stored prediction, which must be there."""
        answer = self.http.get(f"/api/v1/predictions/{transaction_id}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


@contextmanager
def serving(settings: Settings, *, workers: int, target: str = SERVICE) -> Iterator[Service]:
    """Run the service, or the Bento `target`, and a recorder until the end of the block."""
    environment = {
        **os.environ,
        **QUIET,
        **settings_environment(settings),
        "API_WORKERS": str(workers),
        "BENTOML_HOME": str(settings.home / "bentoml"),
        "OMP_NUM_THREADS": "1",
    }
    settings.home.mkdir(parents=True, exist_ok=True)
    command = [
        *(sys.executable, "-m", "bentoml", "serve", target),
        *("--host", "127.0.0.1", "--port", str(settings.serving_port)),
    ]
    log, recorder_log = settings.home / "serving.log", settings.home / "recorder.log"
    url = f"http://127.0.0.1:{settings.serving_port}"
    engine = make_engine(settings)
    with log.open("wb") as out, recorder_log.open("wb") as err, httpx.Client(base_url=url, timeout=30) as http:
        process = subprocess.Popen(command, env=environment, stdout=out, stderr=out)
        recorder = subprocess.Popen([sys.executable, "-m", "serving.recorder"], env=environment, stdout=err, stderr=err)
        try:
            service = Service(url, settings, process, log, http, engine)
            until("the service answers", lambda: _answers(service), seconds=120)
            yield service
        finally:
            for one in (recorder, process):
                one.terminate()
            for one in (recorder, process):
                one.wait(30)
            engine.dispose()


def _answers(service: Service) -> bool:
    assert service.process.poll() is None, service.log.read_text()[-3000:]
    try:
        return service.http.get("/health").status_code == 200
    except httpx.TransportError:
        return False


def until(what: str, condition: Any, seconds: float = 30) -> None:
    """Wait for a condition; fails naming `what` where it does not come."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"expected within {seconds:g} s: {what}"
        time.sleep(0.02)


@contextmanager
def service_settings(servers: Servers, template: str, home: Path, **overrides: Any) -> Iterator[Settings]:
    """Settings with a database and a Redis namespace of their own, and a free port."""
    name = f"serving_{secrets.token_hex(6)}"
    servers.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    yield load_settings(
        None,
        home=home,
        database_url_given=servers.database_url(name),
        redis_url_given=servers.redis_url,
        redis_namespace=name,
        # On a machine that does much else at the time, Redis is slow rather than away.
        redis_deadline_ms=2000,
        serving_port=free_port(),
        # Nobody listens there unless a test starts an explain process.
        explainer_port=free_port(),
        **overrides,
    )
    servers.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def tiny_service(servers: Servers, template: str, home: Path) -> Iterator[Service]:
    """Run the service with a model given as a directory, until the end of the block."""
    tiny_bundle(home / "bundle", model_version=VERSION, weights={"amount_log": 0.8, "user_txn_count_1h": 0.05})
    with (
        service_settings(servers, template, home, bundle=home / "bundle", max_body_bytes=200_000) as settings,
        serving(settings, workers=2) as running,
    ):
        yield running
