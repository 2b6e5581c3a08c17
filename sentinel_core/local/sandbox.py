"""Servers for one command alone: a PostgreSQL, a Redis and an MLflow that nobody else sees, gone when it ends."""

from __future__ import annotations

import secrets
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from sentinel_core.local.mlflow import start_mlflow
from sentinel_core.local.ports import free_port
from sentinel_core.local.postgres import USER, make_cluster, start_postgres
from sentinel_core.local.redis import RedisServer, start_redis
from sentinel_core.settings import Settings
from sentinel_core.stores.postgres import migrate


@contextmanager
def sandbox(settings: Settings, folder: Path) -> Iterator[Settings]:
    """Run servers with their data in `folder` until the end of the block; yield the settings that name them.

    What else `settings` say stays. The database is migrated. What is in there is lost with the machine's power: fsync
    is off. In the main thread, a SIGTERM ends the block as Ctrl-C does: nobody else would stop the servers. Raises
    `LocalError` where a server does not start.
    """
    password = secrets.token_urlsafe(24)
    with ExitStack() as running:
        if threading.current_thread() is threading.main_thread():
            running.callback(signal.signal, signal.SIGTERM, signal.signal(signal.SIGTERM, _leave))
        cluster = make_cluster(folder, free_port(), password, options=("fsync=off",))
        running.callback(start_postgres(cluster, folder / "postgres.log").stop)
        store = RedisServer(folder / "redis", free_port(), password)
        running.callback(start_redis(store, folder / "redis.log").stop)
        port = free_port()
        running.callback(start_mlflow(folder / "mlflow", port).stop)
        named = settings.model_copy(
            update={
                "home": folder / "home",
                "database_url_given": f"postgresql://{USER}:{password}@127.0.0.1:{cluster.port}/sentinel",
                "redis_url_given": f"redis://:{password}@127.0.0.1:{store.port}/0",
                "mlflow_tracking_uri_given": f"http://127.0.0.1:{port}",
            }
        )
        migrate(named)
        yield named


def _leave(number: int, _: Any) -> None:
    sys.exit(128 + number)
