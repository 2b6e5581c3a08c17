"""Replay: a file through the running service, and the proof that each logged vector is the offline one, bit for bit."""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from sentinel_core.datasets.cleaning import clean
from sentinel_core.datasets.columns import ColumnMap
from sentinel_core.datasets.events import micros
from sentinel_core.datasets.files import read_file
from sentinel_core.errors import DataError, StoreError
from sentinel_core.features.entities import USER
from sentinel_core.flows import Progress, silent
from sentinel_core.flows.parity import compare
from sentinel_core.flows.traffic import Sent, send
from sentinel_core.schema import ID_MAX_LENGTH, REQUEST_COLUMNS, from_micros
from sentinel_core.settings import Settings

if TYPE_CHECKING:
    import pandas as pd

IDENTITIES: Final = ("transaction_id", "user_id", "merchant_id", "device_id")
UNKNOWN: Final = "unknown"
"""What stands for a required field of a request that the file does not have."""
LONGEST_WAIT: Final = timedelta(minutes=2)
"""How long the recorder may take until the last answer is in PostgreSQL."""


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """How to replay.

    `limit` is the number of rows from the beginning, `batch` how many go into one call, `fresh` gives ids a prefix of
    their own, so that what the system knows already plays no part.
    """

    limit: int | None = None
    concurrency: int = 8
    batch: int = 1
    fresh: bool = False

    def __post_init__(self) -> None:
        """Check the numbers; raises `DataError`."""
        for name, value, most in (("concurrency", self.concurrency, 256), ("batch", self.batch, 100)):
            if not 1 <= value <= most:
                raise DataError(f"expected a {name} from 1 to {most}, got {value}.", remedy="Name another number.")
        if self.limit is not None and self.limit < 1:
            raise DataError(f"expected a limit of at least 1 row, got {self.limit}.", remedy="Leave it out for all.")


def replay_file(
    settings: Settings,
    file: Path,
    *,
    url: str,
    columns: Path | None = None,
    options: ReplayOptions | None = None,
    api_key: str | None = None,
    now: datetime,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Send the rows of a file to the service at `url`, then compare what PostgreSQL logged with the offline build.

    `api_key` is what the service wants to know callers by, where it does.
    Returns {"sent", "answered", "cached", "errors", "error_samples", "seconds", "requests_per_s", "p50_ms", "p99_ms",
    "compared", "mismatches", "not_compared" (reason → rows), "mismatch_samples"}. Amounts of time are a request's.
    Raises `DataError` for a file that cannot be read, `StoreError` where PostgreSQL is away.
    """
    options = options or ReplayOptions()
    frame = _rows(settings, file, columns, options.limit, progress)
    prefix = f"r{hashlib.blake2b(f'{now.isoformat()}{file}'.encode(), digest_size=4).hexdigest()}-"
    if options.fresh:
        frame = renamed(frame, prefix)
    requests = to_requests(frame)
    sent = asyncio.run(
        send(
            url,
            requests,
            concurrency=options.concurrency,
            batch=options.batch,
            progress=progress,
            api_key=api_key,
        )
    )
    report = {"sent": len(requests), "fresh": options.fresh, **_traffic(sent)}
    if sent.answered == 0:
        raise DataError(
            f"expected answers from {url}, got none to {len(requests):,} requests ({'; '.join(sent.samples[:1])}).",
            remedy="See `sentinel status`, and name the service by --url.",
        )
    logged = _wait_for_log(settings, frame, prefix if options.fresh else "", sent.answered, now, progress)
    progress(f"comparing {len(logged['transaction_id']):,} logged transactions with the offline build")
    return report | compare(settings, logged, frame["transaction_id"].tolist())


def renamed(frame: pd.DataFrame, prefix: str) -> pd.DataFrame:
    """Return the rows under ids of their own: users, merchants, devices and addresses stay apart as they were."""
    import pandas as pd

    changes: dict[str, Any] = {}
    for name in IDENTITIES:
        if name in frame:
            codes, texts = pd.factorize(frame[name])
            changes[name] = _taken([_own(prefix, str(text)) for text in texts], codes, frame.index)
    if "ip_address" in frame:
        codes, texts = pd.factorize(frame["ip_address"])
        changes["ip_address"] = _taken([_own_address(prefix, str(text)) for text in texts], codes, frame.index)
    return frame.assign(**changes)


def to_requests(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows as bodies of requests; a required field that the file lacks is 'unknown'."""
    names = [name for name in REQUEST_COLUMNS if name in frame]
    rows = json.loads(frame[names].to_json(orient="records", date_format="iso", date_unit="us"))
    required = {"merchant_category": UNKNOWN, "transaction_type": UNKNOWN}
    return [required | {name: value for name, value in row.items() if value is not None} for row in rows]


def _rows(settings: Settings, file: Path, columns: Path | None, limit: int | None, progress: Progress) -> pd.DataFrame:
    progress(f"reading {file.name}")
    reading = read_file(file, ColumnMap.load(columns) if columns else ColumnMap(), max_gb=settings.max_file_gb)
    frame, _ = clean(reading.frame, reading.notes)
    return frame if limit is None else frame.iloc[:limit]


def _own(prefix: str, text: str) -> str:
    name = prefix + text
    if len(name) <= ID_MAX_LENGTH:
        return name
    return prefix + hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _own_address(prefix: str, text: str) -> str:
    # Unique local addresses (RFC 4193) mean nobody.
    digest = hashlib.blake2b((prefix + text).encode("utf-8", "surrogatepass"), digest_size=15).digest()
    return str(ipaddress.IPv6Address(b"\xfd" + digest))


def _taken(texts: list[str], codes: NDArray[Any], index: Any) -> Any:
    import pandas as pd

    # The code of null is -1.
    return pd.Series(
        [None if code < 0 else texts[code] for code in codes.tolist()], index=index, dtype="string[pyarrow]"
    )


def _traffic(sent: Sent) -> dict[str, Any]:
    milliseconds = np.array(sent.milliseconds or [np.nan])
    return {
        "answered": sent.answered,
        "cached": sent.cached,
        "errors": int(sum(sent.errors.values())),
        "error_kinds": dict(sent.errors),
        "error_samples": sent.samples,
        "seconds": round(sent.seconds, 3),
        "requests": len(sent.milliseconds),
        "requests_per_s": round(len(sent.milliseconds) / max(sent.seconds, 1e-9), 1),
        "transactions_per_s": round(sent.answered / max(sent.seconds, 1e-9), 1),
        "p50_ms": round(float(np.percentile(milliseconds, 50)), 3),
        "p99_ms": round(float(np.percentile(milliseconds, 99)), 3),
    }


def _wait_for_log(
    settings: Settings, frame: pd.DataFrame, prefix: str, answered: int, now: datetime, progress: Progress
) -> dict[str, NDArray[Any]]:
    """Read back what was logged, as soon as the recorder has written all answers, or after the longest wait."""
    from sentinel_core.stores.postgres import connected, make_engine
    from sentinel_core.stores.reading import count_answers, read_training_rows

    ids = frame["transaction_id"].tolist()
    first, last = from_micros(int(micros(frame["timestamp"]).min())), from_micros(int(micros(frame["timestamp"]).max()))
    since = first - timedelta(microseconds=USER.longest_window_us + 2 * USER.lateness_us)
    engine = make_engine(settings)
    try:
        with connected(engine) as conn:
            deadline = time.monotonic() + LONGEST_WAIT.total_seconds()
            while (written := count_answers(conn, ids)) < answered and time.monotonic() < deadline:
                progress(f"waiting for the recorder: {written:,} of {answered:,} answers in PostgreSQL")
                time.sleep(0.25)
            until = max(last, now, datetime.now(UTC)) + timedelta(days=1)
            chunks = list(read_training_rows(conn, as_of=until, since=since, prefix=prefix, vectors=True))
    finally:
        engine.dispose()
    if not chunks:
        raise StoreError(
            "expected the replayed transactions in PostgreSQL, found none.",
            remedy="Is the recorder running, and is this the service's database? See `sentinel status`.",
        )
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}
