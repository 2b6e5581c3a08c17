"""The audit: what the client was told, against what PostgreSQL holds once everything is written."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import httpx
import numpy as np
from sqlalchemy import Connection, text

from sentinel_core.errors import StoreError
from sentinel_core.features.entities import USER
from sentinel_core.flows.parity import compare
from sentinel_core.local.health import recorder_is_well
from sentinel_core.settings import Settings
from sentinel_core.stores.postgres import connected, make_engine
from sentinel_core.stores.reading import read_training_rows
from sentinel_core.stores.redis_clients import make_client
from sentinel_core.stores.spool import FOLDER, spool_size
from sentinel_core.stores.streams import EventStreams
from tests.chaos.load import AGO, Load

DRAINED_SECONDS: Final = 180.0
_LOOK_SECONDS: Final = 0.5
_IN_A_ROW: Final = 8
"""So many answers of /health reach every worker."""
SAMPLE: Final = 5

_ROWS: Final = text("SELECT transaction_id, fraud_score FROM transactions WHERE starts_with(transaction_id, :prefix)")
_LOGS: Final = text(
    "SELECT transaction_id, degraded FROM prediction_logs WHERE NOT cache_hit AND starts_with(transaction_id, :prefix)"
)
_FOREIGN: Final = text(
    "SELECT transaction_id FROM transactions WHERE starts_with(transaction_id, :prefix) OR created_at >= :begun"
)
_DEAD: Final = text("SELECT transaction_id, kind, reason FROM dead_letters WHERE created_at >= :begun")

_HOURS_OFF: Final = text(
    "SELECT (SELECT COALESCE(sum(predictions), 0) FROM prediction_hours) - (SELECT count(*) FROM prediction_logs)"
)


@dataclass(frozen=True)
class Audit:
    """What was counted; `samples` names a few of each kind of loss."""

    answered: int
    repeated: int
    """Transactions that were sent more than once."""
    degraded_answers: int
    degraded_rows: int
    lost_rows: int
    doubled_rows: int
    lost_logs: int
    doubled_logs: int
    foreign_rows: int
    other_scores: int
    """Rows whose score is not the one that the client was told, undegraded."""
    other_degraded_scores: int
    """The same where the answer was degraded: another attempt may be committed first (docs/decisions/0012)."""
    hours_off: int
    """By how much the totals by hour differ from the log that they count."""
    dead_letters: int
    compared: int
    mismatches: int
    not_compared: dict[str, int]
    samples: dict[str, list[Any]]

    def faultless(self) -> None:
        """Fail where anything was lost, doubled, or is not what the client was told."""
        wrong = (
            *("lost_rows", "doubled_rows", "lost_logs", "doubled_logs"),
            *("foreign_rows", "other_scores", "hours_off", "dead_letters", "mismatches"),
        )
        found = {name: getattr(self, name) for name in wrong if getattr(self, name)}
        assert not found, f"{found}: {self.samples}"
        assert self.compared + self.not_compared.get("degraded", 0) == self.answered, self.not_compared


def wait_until_drained(settings: Settings) -> dict[str, float]:
    """Wait until every worker is healthy and nothing is on its way to PostgreSQL; return the seconds, by reason."""
    began = time.monotonic()
    waited: dict[str, float] = {}
    with httpx.Client(base_url=f"http://127.0.0.1:{settings.serving_port}", trust_env=False) as client:
        while (state := _on_its_way(settings, client)) != "":
            assert time.monotonic() < began + DRAINED_SECONDS, f"not drained after {DRAINED_SECONDS:.0f} s: {state}"
            time.sleep(_LOOK_SECONDS)
            waited[state] = waited.get(state, 0.0) + _LOOK_SECONDS
    return waited


def audit(settings: Settings, load: Load) -> Audit:
    """Count what became of all that `load` was told; call it when everything is drained."""
    engine = make_engine(settings)
    try:
        with connected(engine) as conn:
            since = load.begun - AGO - timedelta(microseconds=USER.longest_window_us + 2 * USER.lateness_us)
            until = datetime.now(UTC) + timedelta(days=1)
            chunks = list(read_training_rows(conn, as_of=until, since=since, prefix=load.prefix, vectors=True))
            logged = {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}
            parity = compare(settings, logged, list(load.answered))
            return _count(conn, load, parity)
    finally:
        engine.dispose()


def _count(conn: Connection, load: Load, parity: dict[str, Any]) -> Audit:
    stored = conn.execute(_ROWS, {"prefix": load.prefix}).all()
    logs = conn.execute(_LOGS, {"prefix": load.prefix}).all()
    present = conn.execute(_FOREIGN, {"prefix": load.prefix, "begun": load.begun}).scalars()
    dead = conn.execute(_DEAD, {"begun": load.begun}).all()
    scores = {row.transaction_id: row.fraud_score for row in stored}
    degraded = {row.transaction_id for row in logs if row.degraded}
    rows_of, logs_of = Counter(row.transaction_id for row in stored), Counter(row.transaction_id for row in logs)
    found = {
        "lost_rows": [one for one in load.answered if one not in rows_of],
        "doubled_rows": [one for one, count in rows_of.items() if count > 1],
        "lost_logs": [one for one in load.answered if one not in logs_of],
        "doubled_logs": [one for one, count in logs_of.items() if count > 1],
        "foreign_rows": [one for one in present if one not in load.answered],
    }
    others = [one for one, told in load.answered.items() if one in scores and scores[one] != told.score]
    found["other_scores"] = [one for one in others if not load.answered[one].degraded]
    found["other_degraded_scores"] = [one for one in others if load.answered[one].degraded]
    samples: dict[str, list[Any]] = {name: ids[:SAMPLE] for name, ids in found.items() if ids}
    for name in ("other_scores", "other_degraded_scores"):
        if found[name]:
            samples[name] = [
                {"id": one, "stored": scores[one], "row_degraded": one in degraded, **asdict(load.answered[one])}
                for one in found[name][:SAMPLE]
            ]
    if parity["mismatch_samples"]:
        samples["mismatches"] = parity["mismatch_samples"]
    if dead:
        samples["dead_letters"] = [tuple(row) for row in dead[:SAMPLE]]
    return Audit(
        answered=len(load.answered),
        repeated=sum(told.tries > 1 for told in load.answered.values()),
        degraded_answers=sum(told.degraded for told in load.answered.values()),
        degraded_rows=len(degraded),
        hours_off=abs(int(conn.execute(_HOURS_OFF).scalar_one())),
        dead_letters=len(dead),
        compared=parity["compared"],
        mismatches=parity["mismatches"],
        not_compared=parity["not_compared"],
        samples=samples,
        **{name: len(ids) for name, ids in found.items()},
    )


def _on_its_way(settings: Settings, client: httpx.Client) -> str:
    """Return what is still under way, or the empty string."""
    if not recorder_is_well(settings):
        return "the recorder is not well"
    spool = spool_size(settings.home / FOLDER)
    if spool.files:
        return f"the spool holds {spool.files} files, {spool.bytes} bytes"
    return _in_the_streams(settings) or _unwell(client)


def _in_the_streams(settings: Settings) -> str:
    redis = make_client(settings, timeout_seconds=5.0)
    try:
        backlog = EventStreams(redis, settings, consumer="audit").backlog()
    except StoreError as error:
        return str(error)
    finally:
        redis.close()
    return f"the streams hold {backlog} entries" if backlog else ""


def _unwell(client: httpx.Client) -> str:
    for _ in range(_IN_A_ROW):
        try:
            # A connection of its own each time, so that each worker has its turn.
            answer = client.get("/health", headers={"Connection": "close"})
        except httpx.TransportError as error:
            return f"/health: {error}"
        if answer.status_code != 200 or answer.json()["status"] != "healthy":
            return f"/health: {answer.text}"
    return ""
