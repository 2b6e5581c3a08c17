"""What a request costs each process, the stores and the network; docs/capacity.md computes from it.

One worker with a small model, its recorder, a real Redis and a real PostgreSQL. Histories of every kind of entity are
loaded by the code that `sentinel ingest` runs.
"""

from __future__ import annotations

import json
import os
import socket
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import psutil
from sqlalchemy import text

from sentinel_core.features.entities import ADDRESS, DEVICE, MERCHANT, RECORD_VERSION, USER, EntityKind
from sentinel_core.schema import to_micros
from sentinel_core.stores.histories import load_histories
from sentinel_core.stores.keys import Keys
from sentinel_core.stores.redis_clients import make_client
from tests.benchmarks.load import bodies, drive
from tests.benchmarks.serving import service_alone
from tests.conftest import Servers, running_servers
from tests.serving.conftest import Service, until

SECONDS: Final = float(os.environ.get("BENCH_CAPACITY_SECONDS", "20"))
ROWS: Final = int(os.environ.get("BENCH_CAPACITY_ROWS", "100000"))
"""At least so many transactions are in PostgreSQL when its size is taken."""
ENTITIES: Final = int(os.environ.get("BENCH_CAPACITY_ENTITIES", "100000"))
HISTORIES: Final = {
    "users_31_events": (USER, 31),
    "users_10_events": (USER, 10),
    "device": (DEVICE, 2),
    "address": (ADDRESS, 2),
    "merchant": (MERCHANT, 4),
}
"""A payment a day fills a user's history with 31; devices and addresses are kept for two days, merchants for two hours.
"""
LOADS: Final = {"1_client": (1, "card"), "32_clients": (32, "card"), "batches": (2, "cards")}
PATHS: Final = {"card": "/api/v1/predict", "cards": "/api/v1/predict/batch"}
SIZES: Final = {"card": 1, "cards": 100}
_SAMPLE: Final = 2_000


def run() -> dict[str, Any]:
    """Return CPU by process and load, Redis' commands, bytes and memory, PostgreSQL's bytes, and those of HTTP."""
    with (
        tempfile.TemporaryDirectory() as folder,
        running_servers(Path(folder)) as servers,
        # On a busy machine Redis is slow rather than away: every answer takes the full path.
        service_alone(Path(folder), servers, redis_deadline_ms=2000) as service,
        make_client(service.settings) as client,
    ):
        http = _http(service)
        cpu, redis = {}, {}
        for name, (clients, body) in LOADS.items():
            cpu[name], found = _driven(service, servers, client, clients=clients, body=body)
            if name == "32_clients":
                redis = found | {"bytes_per_answer": _answer_bytes(client, service)}
        postgres = _postgres(service, servers, client)
        _empty(client)
        memory = {f"{name}_mb_per_million": _memory(client, service, *one) for name, one in HISTORIES.items()}
    return {"cpu": cpu, "redis": redis | memory, "postgres": postgres, "http": http}


def _driven(
    service: Service, servers: Servers, client: Any, *, clients: int, body: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Drive the service, wait until the recorder has all, and return CPU and Redis' work for each transaction."""
    processes = _processes(service, servers)
    _drive(service, clients=clients, body=body, seconds=2)
    _drained(service, client)
    cpu, work = {name: _cpu(one) for name, one in processes.items()}, _work(client)
    found = _drive(service, clients=clients, body=body, seconds=SECONDS)
    _drained(service, client)
    sent = found["sent"] * SIZES[body]
    used = {f"{name}_ms": round((_cpu(one) - cpu[name]) / sent * 1000, 4) for name, one in processes.items()}
    after = {name: round((value - work[name]) / sent, 1) for name, value in _work(client).items()}
    return used | {"per_s": round(sent / SECONDS, 1), "p99_ms": found["p99_ms"]}, after


def _drive(service: Service, *, clients: int, body: str, seconds: float) -> dict[str, Any]:
    found = drive(service.url, PATHS[body], clients=clients, seconds=seconds, body=body)
    if found["errors"]:
        raise RuntimeError(f"expected every request to be answered, {found['errors']} of {found['requests']} were not.")
    return found


def _processes(service: Service, servers: Servers) -> dict[str, psutil.Process]:
    (worker,) = service.workers()
    family = psutil.Process().children(recursive=True)
    recorder = next(one for one in family if "serving.recorder" in one.cmdline())
    redis, postgres = psutil.Process(servers.redis.pid), psutil.Process(servers.postgres.pid)
    return {"worker": worker, "redis": redis, "recorder": recorder, "postgres": postgres}


def _cpu(process: psutil.Process) -> float:
    """Return the CPU seconds of a process and its children, those that ended included."""
    times = process.cpu_times()
    total = times.user + times.system + times.children_user + times.children_system
    return total + sum(sum(one.cpu_times()[:2]) for one in process.children(recursive=True))


def _work(client: Any) -> dict[str, float]:
    stats, commands = client.info("stats"), client.info("commandstats")
    return {
        "commands_per_request": sum(one["calls"] for one in commands.values()),
        "bytes_per_request": stats["total_net_input_bytes"] + stats["total_net_output_bytes"],
    }


def _drained(service: Service, client: Any) -> None:
    streams = Keys.of(service.settings).streams()
    until("the recorder has written all", lambda: not any(client.xlen(one) for one in streams), seconds=600)


def _answer_bytes(client: Any, service: Service) -> int:
    pattern = f"{service.settings.redis_namespace}:*:a:*"
    names = [name for name, _ in zip(client.scan_iter(match=pattern, count=1000), range(_SAMPLE), strict=False)]
    return round(float(np.mean([client.memory_usage(name) for name in names])))


def _postgres(service: Service, servers: Servers, client: Any) -> dict[str, Any]:
    """Fill the tables by batches, and return megabytes and write-ahead log for a million transactions."""
    size = "SELECT sum(pg_total_relation_size(relid)) FROM pg_stat_user_tables"
    log = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')"
    count = "SELECT count(*) FROM transactions"

    def ask(query: str) -> int:
        with service.engine.connect() as conn:
            return int(conn.execute(text(query)).scalar_one())

    before = ask(size), ask(log), ask(count)
    while ask(count) - before[2] < ROWS:
        _drive(service, clients=2, body="cards", seconds=5)
        _drained(service, client)
    rows = ask(count) - before[2]
    by_table = (
        "SELECT relname, pg_total_relation_size(relid) FROM pg_stat_user_tables "
        "WHERE relname IN ('transactions', 'prediction_logs')"
    )
    with service.engine.connect() as conn:
        tables = {name: round(held / ask(count), 1) for name, held in conn.execute(text(by_table))}
    return {
        "rows": rows,
        "mb_per_million": round((ask(size) - before[0]) / rows, 1),
        "wal_mb_per_million": round((ask(log) - before[1]) / rows, 1),
        "bytes_a_row_by_table": tables,
    }


def _memory(client: Any, service: Service, kind: EntityKind, events: int) -> float:
    """Load histories of `ENTITIES` entities and return megabytes for a million of them."""
    before = client.info("memory")["used_memory"]
    now, step = to_micros(datetime.now(UTC)), kind.longest_window_us // (events + 1)
    for first in range(0, ENTITIES, 20_000):
        numbers = np.arange(first, min(first + 20_000, ENTITIES)).repeat(events)
        place = np.arange(len(numbers))
        records = np.zeros(len(numbers), kind.record)
        records["time"] = now - (events - place % events) * step
        records["arrival"] = place % events + 1
        records["id_hash"] = numbers * events + place % events + 1
        records["cents"] = 1000 + place % 977
        records["version"] = RECORD_VERSION
        load_histories(client, service.settings, [f"{kind.name}-{n:012d}" for n in numbers], records, kind=kind)
    taken = client.info("memory")["used_memory"] - before
    _empty(client)
    return round(taken / ENTITIES, 1)


def _empty(client: Any) -> None:
    # Without SYNC the memory is given back later, and would be missing in the next figure.
    client.execute_command("FLUSHDB", "SYNC")


def _http(service: Service) -> dict[str, float]:
    """Return the bytes of requests and answers, headers included, as a client without extra headers sends them."""
    return {
        "bytes_per_request": _exchanged(service.port, PATHS["card"], next(bodies("card", 0))),
        "bytes_per_batched_transaction": _exchanged(service.port, PATHS["cards"], next(bodies("cards", 0))) / 100,
    }


def _exchanged(port: int, path: str, body: bytes) -> int:
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\nConnection: close\r\n"
    request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(request)
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))
    if not answer.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"expected 200, got {answer[:200]!r}")
    return len(request) + len(answer)


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
