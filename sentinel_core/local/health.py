"""Ask each process whether it is well; an answer takes at most a few seconds and never raises."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from http.client import HTTPException
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from sentinel_core.errors import SentinelError
from sentinel_core.local.redis import impatient_client
from sentinel_core.settings import Settings

_TIMEOUT: Final = 3.0
_HEARTBEAT_SECONDS: Final = 15.0


def postgres_is_well(settings: Settings) -> bool:
    """Whether PostgreSQL takes a connection to its maintenance database or to ours."""
    import psycopg2

    for name in ("postgres", settings.db_name):
        try:
            url = settings.database_url_for(name).replace("+psycopg2", "", 1)
            psycopg2.connect(url, connect_timeout=int(_TIMEOUT)).close()
        except (psycopg2.OperationalError, SentinelError):
            continue
        return True
    return False


def redis_is_well(settings: Settings) -> bool:
    """Whether Redis answers and has loaded its data."""
    import redis

    try:
        with impatient_client(settings.redis_url) as client:
            return bool(client.ping())
    except (redis.RedisError, SentinelError):
        return False


def mlflow_is_well(settings: Settings) -> bool:
    """Whether MLflow answers GET /health."""
    return _get(f"{settings.mlflow_tracking_uri}/health") is not None


def api_server_is_well(settings: Settings) -> bool:
    """Whether Airflow's API server answers and reaches its database."""
    return _airflow_state(settings, "metadatabase")


def scheduler_is_well(settings: Settings) -> bool:
    """Whether Airflow's scheduler gave a heartbeat within its own threshold."""
    return _airflow_state(settings, "scheduler")


def dag_processor_is_well(settings: Settings) -> bool:
    """Whether Airflow's DAG processor gave a heartbeat within its own threshold."""
    return _airflow_state(settings, "dag_processor")


def serving_is_well(settings: Settings) -> bool:
    """Whether the service answers GET /health with a model loaded."""
    return _get(f"http://127.0.0.1:{settings.serving_port}/health") is not None


def explainer_is_well(settings: Settings) -> bool:
    """Whether the explain process answers GET /health, whatever it has loaded by then."""
    return _get(f"{settings.explainer_address}/health") is not None


def recorder_is_well(settings: Settings) -> bool:
    """Whether the recorder gave a heartbeat lately and reaches its stores."""
    try:
        beat = json.loads((settings.home / Path("serving") / "recorder.json").read_text(encoding="utf-8"))
        age = datetime.now(UTC) - datetime.fromisoformat(beat["at"])
    except (OSError, ValueError, KeyError):
        return False
    return bool(beat.get("healthy")) and age.total_seconds() < _HEARTBEAT_SECONDS


def _airflow_state(settings: Settings, part: str) -> bool:
    answer = _get(f"{settings.airflow_address}/api/v2/monitor/health")
    try:
        return answer is not None and bool(json.loads(answer)[part]["status"] == "healthy")
    except (ValueError, KeyError, TypeError):
        return False


def _get(url: str) -> bytes | None:
    """Return the body of a successful answer, else None."""
    from urllib.request import ProxyHandler, build_opener

    # A proxy that the environment names is for the world, not for this machine.
    local = urlsplit(url).hostname in ("127.0.0.1", "localhost")
    opener = build_opener(ProxyHandler({})) if local else build_opener()
    try:
        with opener.open(url, timeout=_TIMEOUT) as answer:
            return bytes(answer.read())
    except (OSError, HTTPException):  # a refusal, a time-out, an error status, half an answer
        return None
