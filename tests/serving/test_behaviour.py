"""What must hold when requests come at once, twice, or from clients that do not wait."""

from __future__ import annotations

import json
import secrets
import socket
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import numpy as np
from sqlalchemy import Connection, text

from sentinel_core.features.build import build_offline
from sentinel_core.features.catalog import FEATURE_NAMES
from sentinel_core.features.entities import TOUCHED
from sentinel_core.features.events import Events, Stamps, hash_texts
from sentinel_core.schema import BANK_TRANSFER, to_cents, to_micros
from tests.serving.conftest import Service, payload, until


def at_once(calls: list[Callable[[], Any]]) -> list[Any]:
    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]


def post(service: Service, body: dict[str, Any]) -> dict[str, Any]:
    # A connection of its own: the burst must spread over both workers.
    answer = httpx.post(f"{service.url}/api/v1/predict", json=body, timeout=30)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_a_burst_of_one_user_sees_itself_across_workers(service: Service) -> None:
    bodies = [payload(user_id="burst", transaction_id=f"burst-{n}-{secrets.token_hex(4)}") for n in range(24)]
    at_once([lambda body=body: post(service, body) for body in bodies])  # type: ignore[misc]
    counts = [service.stored(body["transaction_id"])["features"]["user_txn_count_1h"] for body in bodies]
    assert sorted(counts) == list(range(1, 25))


def test_one_id_from_many_sides_at_once_is_one_transaction(service: Service) -> None:
    body = payload(transaction_id=secrets.token_hex(8))
    answers = at_once([lambda: post(service, body)] * 16)
    assert sorted(answer["cached"] for answer in answers) == [False] + [True] * 15
    assert len({json.dumps({k: v for k, v in answer.items() if k != "cached"}) for answer in answers}) == 1
    service.stored(body["transaction_id"])
    with service.engine.connect() as conn:
        assert rows_of(conn, body["transaction_id"]) == (1, 1)


def rows_of(conn: Connection, transaction_id: str) -> tuple[int, int]:
    counts = [
        conn.execute(
            text(f"SELECT count(*) FROM {table} WHERE transaction_id = :id"), {"id": transaction_id}
        ).scalar_one()
        for table in ("transactions", "prediction_logs")
    ]
    return counts[0], counts[1]


def test_a_client_that_hangs_up_cancels_nothing(service: Service) -> None:
    ids = [f"hangup-{secrets.token_hex(6)}" for _ in range(20)]
    for transaction_id in ids:
        content = json.dumps(payload(transaction_id=transaction_id)).encode()
        head = f"POST /api/v1/predict HTTP/1.1\r\nHost: x\r\nContent-Length: {len(content)}\r\n\r\n".encode()
        with socket.create_connection(("127.0.0.1", service.port)) as client:
            client.sendall(head + content)
    until("every one of them is stored", lambda: all(_scored(service, one) for one in ids))


def _scored(service: Service, transaction_id: str) -> bool:
    answer = service.http.get(f"/api/v1/predictions/{transaction_id}")
    return answer.status_code == 200 and answer.json()["prediction"] is not None


def test_every_answer_is_one_row_and_its_vector_is_the_offline_one(service: Service) -> None:
    """Simultaneous, late and out-of-order events of a few users, sent at once; then the offline build judges."""
    rng = np.random.default_rng(5)
    start = datetime(2026, 2, 1, tzinfo=UTC)
    mark = secrets.token_hex(4)
    bodies = [
        payload(
            user_id=f"{mark}-{rng.integers(5)}",
            transaction_id=f"{mark}-{n}",
            amount=round(float(rng.gamma(2.0, 30.0)), 2),
            transaction_type=str(rng.choice(["purchase", BANK_TRANSFER])),
            timestamp=(start + timedelta(minutes=int(rng.integers(0, 60 * 60)))).isoformat(),
            device_id=str(rng.choice(["d1", "d2"])) if rng.random() < 0.8 else None,
            location_country=str(rng.choice(["DE", "FR"])) if rng.random() < 0.8 else None,
        )
        for n in range(240)
    ]
    batches = [bodies[start : start + 20] for start in range(0, 120, 20)]
    calls: list[Callable[[], Any]] = [lambda b=b: post(service, b) for b in bodies[120:]]  # type: ignore[misc]
    calls += [
        lambda b=b: httpx.post(f"{service.url}/api/v1/predict/batch", json={"transactions": b}, timeout=30)  # type: ignore[misc]
        for b in batches
    ]
    with ThreadPoolExecutor(8) as pool:
        for future in [pool.submit(call) for call in calls]:
            future.result()
    until("every row is written", lambda: _written(service, mark) == (240, 240))

    with service.engine.connect() as conn:
        rows = (
            conn.execute(
                text("SELECT * FROM transactions WHERE user_id LIKE :users ORDER BY user_arrival, transaction_id"),
                {"users": f"{mark}-%"},
            )
            .mappings()
            .all()
        )
    assert any(row["late"] for row in rows), "expected the sample to hold late events"
    events = Events(
        id_hash=hash_texts([row["transaction_id"] for row in rows]),
        user=hash_texts([row["user_id"] for row in rows]),
        merchant=hash_texts([row["merchant_id"] for row in rows]),
        device=hash_texts([row["device_id"] for row in rows]),
        address=hash_texts([row["ip_address"] for row in rows]),
        country=hash_texts([row["location_country"] for row in rows]),
        time=np.array([to_micros(row["timestamp"]) for row in rows], np.int64),
        cents=np.array([to_cents(row["amount"]) for row in rows], np.int64),
        arrival=np.array([row["user_arrival"] for row in rows], np.int64),
        is_bank_transfer=np.array([row["transaction_type"] == BANK_TRANSFER for row in rows]),
    )
    offline = build_offline(events, None, stamps=noted(rows))
    logged = np.array([row["features"] for row in rows], np.float32)
    assert offline.late.tolist() == [row["late"] for row in rows]
    for position, name in enumerate(FEATURE_NAMES):
        np.testing.assert_array_equal(logged[:, position], offline.values[:, position], err_msg=name)


def noted(rows: Sequence[Mapping[str, Any]]) -> dict[str, Stamps]:
    """What the log says that entities noted of these rows."""
    found = {}
    for kind in TOUCHED:
        arrival = [-1 if (number := row[f"{kind.name}_arrival"]) is None else number for row in rows]
        time = [(row["noted_us"] or {}).get(kind.name, to_micros(row["timestamp"])) for row in rows]
        found[kind.name] = Stamps(np.array(time, np.int64), np.array(arrival, np.int64))
    return found


def _written(service: Service, mark: str) -> tuple[int, int]:
    with service.engine.connect() as conn:
        counts = [
            conn.execute(
                text(f"SELECT count(*) FROM {table} WHERE transaction_id LIKE :ids"), {"ids": f"{mark}-%"}
            ).scalar_one()
            for table in ("transactions", "prediction_logs")
        ]
    return counts[0], counts[1]
