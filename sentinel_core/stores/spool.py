"""The spool: where answers wait on disk that Redis could not take, until the recorder brings them there.

A file belongs to the process that holds its lock. A worker writes to a file of its own and lets go of it when Redis
answers again; a killed one lets go of it by dying. Whatever nobody holds, the recorder drains (docs/decisions/0012).
"""

from __future__ import annotations

import fcntl
import os
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson

from sentinel_core.errors import DataError, StoreError
from sentinel_core.stores.redis_store import CommitRequest, HotStore, RecordReply, RecordRequest
from sentinel_core.stores.touches import TouchRequest, noted_by

FOLDER: Final = Path("serving") / "spool"
"""Where the files lie under SENTINEL_HOME."""
PATTERN: Final = "*.spool"
REFUSED: Final = "refused.jsonl"
"""Lines that nobody can read, beside the files that they stood in."""
_AT_ONCE: Final = 100


@dataclass(frozen=True, slots=True)
class Spooled:
    """One answer that was given and is not in Redis: what `HotStore.record` and `commit` would have taken.

    `arrival` is the user's arrival number that the score was made with, None where it was made without a history.
    """

    record: RecordRequest
    commit: CommitRequest
    arrival: int | None = None

    def to_line(self) -> bytes:
        """Write it as one line of JSON."""
        record = {**self.record._asdict(), "record": self.record.record.hex()}
        record["touches"] = [(one.kind, one.entity_id, one.record.hex()) for one in self.record.touches]
        body = {"record": record, "commit": self.commit._asdict(), "arrival": self.arrival}
        return orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE)

    @classmethod
    def of_line(cls, line: bytes) -> Spooled:
        """Read what `to_line` wrote; raises `DataError` where it is not that."""
        try:
            body = orjson.loads(line)
            touches = [
                TouchRequest(kind, name, bytes.fromhex(packed)) for kind, name, packed in body["record"]["touches"]
            ]
            packed = bytes.fromhex(body["record"]["record"])
            record = RecordRequest(**{**body["record"], "record": packed, "touches": touches})
            return cls(record, CommitRequest(**body["commit"]), body["arrival"])
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"expected a line of a spool, got {line[:60]!r}… ({error}).") from error


class Spool:
    """One worker's file in `folder`, made when it is needed.

    What `append` wrote outlives the process, and a power cut too where `sync` says so.
    """

    def __init__(self, folder: Path, *, sync: bool = False) -> None:
        self._folder = folder
        self._sync = sync
        self._file: int | None = None

    def append(self, spooled: Sequence[Spooled]) -> None:
        """Write answers, all or none. Raises `StoreError` where the disk does not take them."""
        lines = b"".join(one.to_line() for one in spooled)
        try:
            if self._file is None:
                self._file = self._open()
            self._write(self._file, lines)
        except OSError as error:
            raise StoreError(
                f"expected the spool in {self._folder} to take an answer, and got: {error.strerror or error}.",
                remedy="Make room on that disk.",
            ) from error

    def let_go(self) -> None:
        """Leave what was written to the recorder; the next answer begins another file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _write(self, file: int, lines: bytes) -> None:
        before = os.fstat(file).st_size
        left = memoryview(lines)
        try:
            # A disk that is nearly full takes a part, and refuses the next.
            while left:
                left = left[os.write(file, left) :]
            if self._sync:
                os.fdatasync(file)
        except OSError:
            os.ftruncate(file, before)
            raise

    def _open(self) -> int:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._folder / f"{time.time_ns()}-{secrets.token_hex(4)}.spool"
        # It gets its name when it is locked: nobody takes it for one that is left.
        unnamed = path.with_suffix(".new")
        file = os.open(unnamed, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        fcntl.flock(file, fcntl.LOCK_EX)
        unnamed.rename(path)
        return file


class SpoolSize(NamedTuple):
    """How much waits on disk."""

    files: int
    bytes: int


def spool_size(folder: Path) -> SpoolSize:
    """Return how much waits in `folder`, in files that are written and in those that are left."""
    sizes = []
    for path in folder.glob(PATTERN):
        with suppress(FileNotFoundError):
            sizes.append(path.stat().st_size)
    return SpoolSize(len(sizes), sum(sizes))


class Drained(NamedTuple):
    """What became of the lines of a file: brought to Redis (again), or set aside because nobody can read them."""

    brought: int = 0
    unreadable: int = 0


async def drain(store: HotStore, folder: Path) -> Drained:
    """Bring everything that nobody holds from `folder` to Redis, oldest file first; each file is deleted then.

    Killed on the way, the next call begins that file again: recording and committing twice is doing it once. A torn
    last line is dropped, since its answer was never given. Raises `StoreError` where Redis is away: what is left stays.
    """
    brought = unreadable = 0
    for path in sorted(folder.glob(PATTERN)):
        # Another recorder may be faster.
        with suppress(FileNotFoundError), path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            whole = (line for line in file if line.endswith(b"\n"))
            while lines := list(islice(whole, _AT_ONCE)):
                spooled = list(_readable(lines, folder))
                await _bring(store, spooled)
                brought += len(spooled)
                unreadable += len(lines) - len(spooled)
            path.unlink()
    return Drained(brought, unreadable)


async def _bring(store: HotStore, spooled: Sequence[Spooled]) -> None:
    replies = await store.record([one.record for one in spooled])
    await store.commit(
        [_with_what_was_noted(one, reply) for one, reply in zip(spooled, replies, strict=True) if _open_(reply)]
    )
    await store.report_conflicts(
        [one.record for one, reply in zip(spooled, replies, strict=True) if reply.conflict is not None]
    )


def _open_(reply: RecordReply) -> bool:
    return reply.answer is None and reply.conflict is None


def _with_what_was_noted(spooled: Spooled, reply: RecordReply) -> CommitRequest:
    """Complete an answer with what only the record says; a history that was lost since makes it a degraded one."""
    answered: dict[str, Any] = {**spooled.commit.answered, **noted_by(reply.touches, reply.time)}
    if spooled.arrival != reply.arrival:
        answered["degraded"] = True
    return spooled.commit._replace(answered=answered)


def _readable(lines: Sequence[bytes], folder: Path) -> Iterator[Spooled]:
    for line in lines:
        try:
            yield Spooled.of_line(line)
        except DataError:
            with (folder / REFUSED).open("ab") as refused:
                refused.write(line)
