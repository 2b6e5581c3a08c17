"""A load generator that costs little: keep-alive clients over raw sockets, in a process of its own.

python -m tests.benchmarks.load URL PATH --clients 32 --seconds 5 prints one JSON document.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import count
from typing import Any, Final
from urllib.parse import urlsplit

import numpy as np

from tests.load.traffic import batch, some_cardholder

USERS: Final = 1000
WARM_UP_SHARE: Final = 0.2
BODIES: Final = ("transaction", "batch", "retry", "card", "cards", "frame", "row")


def drive(
    url: str, path: str, *, clients: int, seconds: float, body: str, users: int = USERS, mark: str = ""
) -> dict[str, Any]:
    """Run this module as a process against `url` and return its figures.

    `mark` begins the ids of users and entities, which are new ones without it.
    """
    command = [sys.executable, "-m", "tests.benchmarks.load", url, path, "--clients", str(clients)]
    command += ["--seconds", str(seconds), "--body", body, "--users", str(users), "--mark", mark]
    found: dict[str, Any] = json.loads(subprocess.check_output(command))
    return found


def bodies(kind: str, users: int, mark: str = "") -> Iterator[bytes]:
    """Yield request bodies: `transaction`, `batch` of 100, `retry` (one transaction again and again) or `frame`.

    `card` and `cards` (100 of them) have every field filled, as the load test sends them.
    """
    rng = random.Random(secrets.randbits(32))
    run = secrets.token_hex(4)
    mark = mark or run
    for number in count():
        if kind == "batch":
            yield _json(
                {"transactions": [_transaction(run, mark, 100 * number + place, users) for place in range(100)]}
            )
        elif kind == "card":
            yield _json(some_cardholder(rng).purchase(datetime.now(UTC), rng))
        elif kind == "cards":
            yield _json({"transactions": batch(datetime.now(UTC), rng, 100)})
        elif kind == "frame":
            yield _json({"dataframe_split": {"columns": [f"f{n}" for n in range(37)], "data": [[0.1] * 37]}})
        elif kind == "row":
            yield _json({"values": [[0.1] * 37]})
        else:
            yield _json(_transaction(run, mark, 0 if kind == "retry" else number, users))


def _transaction(run: str, mark: str, number: int, users: int) -> dict[str, Any]:
    user = number * 7919 % users
    return {
        "transaction_id": f"{run}-{number}",
        "user_id": f"{mark}-user-{user}",
        "amount": 10 + number % 90,
        "merchant_id": f"{mark}-merchant-{number * 31 % 500}",
        "merchant_category": "grocery",
        "transaction_type": "purchase",
        "device_id": f"{mark}-device-{user}",
        "ip_address": f"10.{user // 65536}.{user // 256 % 256}.{user % 256}",
        "location_country": "DE",
    }


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


async def _client(host: str, port: int, path: str, body: Callable[[], bytes], until: float, seen: list[Any]) -> None:
    reader, writer = await asyncio.open_connection(host, port)
    head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: ".encode()
    while time.perf_counter() < until:
        content = body()
        begun = time.perf_counter()
        writer.write(head + str(len(content)).encode() + b"\r\n\r\n" + content)
        answer = await reader.readuntil(b"\r\n\r\n")
        status = int(answer[9:12])
        fields = dict(line.split(b":", 1) for line in answer.lower().split(b"\r\n")[1:] if b":" in line)
        await reader.readexactly(int(fields[b"content-length"]))
        seen.append((begun, time.perf_counter() - begun, status))
    writer.close()


async def _main(arguments: argparse.Namespace) -> dict[str, Any]:
    url = urlsplit(arguments.url)
    source = bodies(arguments.body, arguments.users, arguments.mark)
    seen: list[tuple[float, float, int]] = []
    begun = time.perf_counter()
    until = begun + arguments.seconds
    await asyncio.gather(
        *(
            _client(str(url.hostname), int(url.port or 80), arguments.path, lambda: next(source), until, seen)
            for _ in range(arguments.clients)
        )
    )
    warm = [one for one in seen if one[0] > begun + WARM_UP_SHARE * arguments.seconds]
    took = np.array([one[1] for one in warm]) * 1000
    return {
        "sent": len(seen),
        "requests": len(warm),
        "errors": sum(one[2] != 200 for one in warm),
        "requests_per_s": round(len(warm) / ((1 - WARM_UP_SHARE) * arguments.seconds), 1),
        **{
            f"p{name}_ms": round(float(np.percentile(took, q)), 3)
            for name, q in (("50", 50), ("99", 99), ("999", 99.9))
        },
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("path")
    parser.add_argument("--clients", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--body", default="transaction", choices=BODIES)
    parser.add_argument("--users", type=int, default=USERS)
    parser.add_argument("--mark", default="")
    print(json.dumps(asyncio.run(_main(parser.parse_args()))))
