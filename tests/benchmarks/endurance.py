"""Whether the service stays as it was: latency up to a million known users, memory over a million transactions."""

from __future__ import annotations

import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

from sentinel_core.features.entities import RECORD, USER
from sentinel_core.schema import to_micros
from sentinel_core.settings import Settings
from sentinel_core.stores.histories import load_histories
from sentinel_core.stores.redis_clients import make_client
from tests.benchmarks.load import drive
from tests.benchmarks.serving import megabytes, service_alone
from tests.conftest import running_servers
from tests.serving.conftest import Service

USERS: Final = (100, 10_000, 1_000_000)
EVENTS_EACH: Final = 10
TRANSACTIONS: Final = 1_000_000
STEPS: Final = 10
MARK: Final = "known"


def run() -> dict[str, Any]:
    """Return percentiles by number of known users, and megabytes of the worker by transactions scored."""
    with (
        tempfile.TemporaryDirectory() as folder,
        running_servers(Path(folder)) as servers,
        service_alone(Path(folder), servers) as service,
    ):
        by_users = {}
        known = 0
        for users in USERS:
            _know(service.settings, known, users)
            known = users
            by_users[users] = drive(
                service.url, "/api/v1/predict", clients=1, seconds=10, body="transaction", users=users, mark=MARK
            )
        return {"one_client_by_known_users": by_users, "worker_mb_by_transactions": _memory(service)}


def _memory(service: Service) -> dict[int, float]:
    (worker,) = service.workers()
    sent, found = 0, {0: megabytes(worker)}
    while sent < TRANSACTIONS:
        until = sent + TRANSACTIONS // STEPS
        while sent < until:
            done = drive(service.url, "/api/v1/predict/batch", clients=2, seconds=20, body="batch", users=100_000)
            if done["errors"]:
                raise RuntimeError(f"{done['errors']} batches were not answered.")
            sent += 100 * done["sent"]
        found[sent] = megabytes(worker)
    return found


def _know(settings: Settings, first: int, last: int) -> None:
    """Give users `first` to `last` a history of `EVENTS_EACH` events in the last days."""
    client = make_client(settings)
    now = to_micros(datetime.now(UTC))
    for start in range(first, last, 100_000):
        numbers = np.arange(start, min(start + 100_000, last)).repeat(EVENTS_EACH)
        place = np.arange(len(numbers))
        records = np.zeros(len(numbers), RECORD)
        records["time"] = now - (EVENTS_EACH - place % EVENTS_EACH) * 3_600_000_000
        records["arrival"] = place + 1
        records["id_hash"] = numbers * EVENTS_EACH + place % EVENTS_EACH + 1
        records["cents"] = 1000 + place % 977
        records["version"] = 1
        load_histories(client, settings, [f"{MARK}-user-{number}" for number in numbers], records, kind=USER)
    client.close()
    time.sleep(1)
