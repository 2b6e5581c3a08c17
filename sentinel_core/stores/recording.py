"""The recorder's write: a batch of stream entries into PostgreSQL, exactly once, and no bad row blocks a good one.

A batch is written set-based. Where PostgreSQL refuses it, it is halved until the refused entry stands
alone, and that one goes to `dead_letters` (docs/decisions/0006).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from sentinel_core.stores.dead_letters import DeadLetter, add_dead_letters, dead_transactions
from sentinel_core.stores.feature_sets import insert_feature_set
from sentinel_core.stores.prediction_logs import insert_logs
from sentinel_core.stores.streams import StreamEvent
from sentinel_core.stores.transactions import fill_answers, insert_accepted

PATIENCE: Final = timedelta(minutes=10)
"""How long an answer waits for the transaction that another, perhaps dead, consumer holds."""

# Classes of SQLSTATE that say "these rows", not "this server": data, integrity, limits of a program.
_ROW_ERRORS: Final = ("22", "23", "54")
_LOOK: Final = text(
    """
    SELECT t.transaction_id, COALESCE(t.payload_hash, '') FROM transactions AS t
    WHERE t.transaction_id = ANY(CAST(:ids AS text[]))
    """
)


@dataclass(frozen=True, slots=True)
class WriteResult:
    """What became of a batch: `done` is to be acknowledged, `deferred` to be handed in again with the next batch."""

    done: tuple[StreamEvent, ...]
    deferred: tuple[StreamEvent, ...]
    dead: int


@dataclass(frozen=True, slots=True)
class _Unit:
    """What a batch says about one transaction."""

    accepted: StreamEvent | None
    answered: StreamEvent | None


def write_batch(conn: Connection, events: Sequence[StreamEvent], *, now: datetime) -> WriteResult:
    """Write a batch within the caller's transaction; acknowledge `done` after it is committed.

    `now` is when it counts as recorded. Writing any part of it again, alone or in another batch, changes nothing. An
    answer whose transaction is not there yet (another consumer holds it) is deferred, and dead after `PATIENCE`. Errors
    that do not come from the rows, such as a lost connection, are raised: then nothing of the batch was written.
    """
    writer = _Writer(conn, now)
    writer.write(_units(event for event in events if event.kind in ("accepted", "answered")))
    for event in events:
        if event.kind == "feature_set":
            writer.write_feature_set(event)
        elif event.kind not in ("accepted", "answered"):
            writer.bury(event, f"expected the kind accepted, answered or feature_set, got {event.kind!r}.")
    add_dead_letters(conn, writer.dead)
    waiting = {(event.stream, event.entry_id) for event in writer.deferred}
    done = tuple(event for event in events if (event.stream, event.entry_id) not in waiting)
    return WriteResult(done, tuple(writer.deferred), len(writer.dead))


def _units(events: Iterable[StreamEvent]) -> list[_Unit]:
    accepted: dict[tuple[str, str], StreamEvent] = {}
    answered: dict[tuple[str, str], StreamEvent] = {}
    for event in events:
        # The same entry twice, or a transaction recorded again past its answer's life: the first counts.
        (accepted if event.kind == "accepted" else answered).setdefault((event.transaction_id, event.payload), event)
    keys = dict.fromkeys((*accepted, *answered))
    return [_Unit(accepted.get(key), answered.get(key)) for key in keys]


class _Writer:
    def __init__(self, conn: Connection, now: datetime) -> None:
        self._conn = conn
        self._now = now
        self.dead: list[DeadLetter] = []
        self.deferred: list[StreamEvent] = []

    def write(self, units: Sequence[_Unit]) -> None:
        for wave in _waves(units):
            self._halve(wave)

    def write_feature_set(self, event: StreamEvent) -> None:
        try:
            with self._conn.begin_nested():
                insert_feature_set(self._conn, event.body)
        except (DBAPIError, ValueError) as error:
            self.bury(event, _reason(error))

    def bury(self, event: StreamEvent, reason: str) -> None:
        self.dead.append(DeadLetter(event.stream, event.entry_id, event.kind, event.transaction_id, event.body, reason))

    def _halve(self, units: Sequence[_Unit]) -> None:
        try:
            with self._conn.begin_nested():
                buried, deferred = self._write_all(units)
        except (DBAPIError, ValueError) as error:
            reason = _reason(error)
            if len(units) > 1:
                middle = len(units) // 2
                self._halve(units[:middle])
                self._halve(units[middle:])
            elif units[0].accepted is not None and units[0].answered is not None:
                self._halve([_Unit(units[0].accepted, None)])
                self._halve([_Unit(None, units[0].answered)])
            else:
                event = units[0].accepted or units[0].answered
                if event is not None:
                    self.bury(event, reason)
        else:
            for event, reason in buried:
                self.bury(event, reason)
            self.deferred += deferred

    def _write_all(self, units: Sequence[_Unit]) -> tuple[list[tuple[StreamEvent, str]], list[StreamEvent]]:
        accepted = [unit.accepted for unit in units if unit.accepted is not None]
        together = [unit.answered for unit in units if unit.accepted is not None and unit.answered is not None]
        alone = [unit.answered for unit in units if unit.accepted is None and unit.answered is not None]
        if accepted:
            insert_accepted(self._conn, [e.body for e in accepted], [e.body for e in together], now=self._now)
        known = self._payloads(e.transaction_id for e in (*accepted, *alone))
        buried = [(e, _CONFLICT) for e in (*accepted, *together, *alone) if _differs(e, known)]
        missing = [e for e in alone if e.transaction_id not in known]
        fill = [e for e in alone if e.transaction_id in known and not _differs(e, known)]
        if fill:
            fill_answers(self._conn, [e.body for e in fill])
        logs = [*(e for e in together if not _differs(e, known)), *fill]
        if logs:
            insert_logs(self._conn, [e.body for e in logs], now=self._now)
        lost, deferred = self._without_transaction(missing)
        return buried + lost, deferred

    def _payloads(self, ids: Iterable[str]) -> dict[str, str]:
        rows = self._conn.execute(_LOOK, {"ids": list(ids)})
        return {row[0]: row[1] for row in rows}

    def _without_transaction(
        self, events: Sequence[StreamEvent]
    ) -> tuple[list[tuple[StreamEvent, str]], list[StreamEvent]]:
        if not events:
            return [], []
        dead = dead_transactions(self._conn, [e.transaction_id for e in events])
        dead |= {letter.transaction_id for letter in self.dead if letter.kind == "accepted"}
        lost, deferred = [], []
        for event in events:
            since = event.waiting_since or self._now
            if event.transaction_id in dead:
                lost.append((event, "its accepted entry was refused: see the dead letter of that transaction_id."))
            elif self._now - since > PATIENCE:
                lost.append((event, f"no accepted entry of this transaction_id came within {PATIENCE}."))
            else:
                deferred.append(replace(event, waiting_since=since))
        return lost, deferred


_CONFLICT: Final = "this transaction_id was recorded before with another payload; the first one stays."


def _differs(event: StreamEvent, known: dict[str, str]) -> bool:
    return bool(event.payload) and known.get(event.transaction_id, "") not in ("", event.payload)


def _waves(units: Sequence[_Unit]) -> list[list[_Unit]]:
    """Split units so that no id occurs twice in one statement: two payloads under one id are two units."""
    waves: list[list[_Unit]] = []
    seen: dict[str, int] = {}
    for unit in units:
        event = unit.accepted or unit.answered
        if event is None:
            continue
        number = seen.get(event.transaction_id, 0)
        seen[event.transaction_id] = number + 1
        if number == len(waves):
            waves.append([])
        waves[number].append(unit)
    return waves


def _reason(error: DBAPIError | ValueError) -> str:
    """Say why the rows were refused; an error that is not about the rows is raised again."""
    if isinstance(error, ValueError):
        return str(error)
    state = getattr(error.orig, "pgcode", None)
    if error.connection_invalidated or state is None or state[:2] not in _ROW_ERRORS:
        raise error
    return str(error.orig).strip().partition("\n")[0]
