"""PostgreSQL as the service sees it: answers past their life, stored predictions, labels, figures.

None of it is on the path of a new transaction. Every call runs in one of a few threads of its own, so that a slow
database delays nobody else, and no more than `CALLS_MOST` of them gather.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import ProgrammingError

from sentinel_core.errors import StoreError
from sentinel_core.schema import Label, OutcomeReport, Prediction
from sentinel_core.stores.alerts import acknowledge
from sentinel_core.stores.labels import record_labels
from sentinel_core.stores.outcomes import record_outcomes
from sentinel_core.stores.postgres import connected
from sentinel_core.stores.reading import get_prediction
from sentinel_core.stores.statements import StatementResult
from serving.errors import OverloadedError

T = TypeVar("T")
S = TypeVar("S", Label, OutcomeReport)
CATCH_UP_SECONDS: Final = 2.0
"""How long a read waits for the recorder where an entry that it asks for may still be in the streams."""
CALLS_MOST: Final = 64
"""Calls under way or waiting for a thread; what comes beyond is refused rather than kept waiting."""
_THREADS: Final = 4
_PAUSE_SECONDS: Final = 0.05
_ANSWER: Final = {"inference_time_ms": "prediction_time_ms"}
"""The fields of a `Prediction` whose column has another name."""
_SOMETIMES: Final = ("cached", "warning", "explored")
"""Those that a stored answer has not, or only where they are true."""


class Ledger:
    """Reads and writes of PostgreSQL; each raises `StoreError` where it is away, `OverloadedError` where too many wait.

    `backlog` tells how many entries of the streams are not in PostgreSQL yet; `clock` gives aware UTC times;
    `warning_of` tells the warning of a version that was never registered here, as that of a packaged bundle.
    """

    def __init__(
        self,
        engine: Engine,
        backlog: Callable[[], Awaitable[int]],
        clock: Callable[[], datetime],
        warning_of: Callable[[str], str | None],
    ) -> None:
        self._engine = engine
        self._warning_of = warning_of
        self._backlog = backlog
        self._clock = clock
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="ledger")
        self._under_way = 0

    async def ping(self) -> None:
        """Return if PostgreSQL answers."""
        await self._run(lambda conn: conn.execute(text("SELECT 1")))

    async def look_at_tables(self) -> None:
        """Return if the tables are there; raises `StoreError` that tells how to make them."""
        await self._run(lambda conn: conn.execute(text("SELECT FROM transactions, prediction_logs LIMIT 0")))

    async def prediction(self, transaction_id: str) -> dict[str, Any] | None:
        """Return a stored prediction as a row, or None; one that was just answered is waited for."""
        async for _ in self._while_the_recorder_works():
            row = await self._stored(transaction_id)
            if row is not None and row["fraud_score"] is not None:
                break
        return row

    async def _stored(self, transaction_id: str) -> dict[str, Any] | None:
        row = await self._run(lambda conn: get_prediction(conn, transaction_id))
        if row is not None and row["warning"] is None and row["model_version"] is not None:
            row["warning"] = self._warning_of(row["model_version"])
        return row

    async def answer(self, transaction_id: str) -> dict[str, Any] | None:
        """Return the answer that was given to a transaction, in the client's form, or None where there was none."""
        try:
            row = await self._stored(transaction_id)
        except OverloadedError as error:
            # The transaction need not wait for it: scored again it gets the same answer.
            raise StoreError(str(error)) from error
        if row is None or row["fraud_score"] is None or row["prediction"] is None:
            return None
        # In the order of the first answer: a repetition is the same to the byte, wherever it was found.
        named = (name for name in Prediction.model_fields if name not in _SOMETIMES)
        answer = {name: row[_ANSWER.get(name, name)] for name in named}
        return answer | {name: row[name] for name in _SOMETIMES if row.get(name)}

    async def add_labels(self, labels: Sequence[Label]) -> list[StatementResult]:
        """Record labels, return what became of each; transactions that were just answered are waited for."""
        # The clock is read when the write begins: whoever reads later finds what was recorded by now.
        return await self._record(labels, lambda given: lambda conn: record_labels(conn, given, now=self._clock()))

    async def add_outcomes(self, outcomes: Sequence[OutcomeReport]) -> list[StatementResult]:
        """Record outcomes, return what became of each; transactions that were just answered are waited for."""
        return await self._record(outcomes, lambda given: lambda conn: record_outcomes(conn, given, now=self._clock()))

    async def _record(
        self, statements: Sequence[S], record: Callable[[Sequence[S]], Callable[[Connection], list[StatementResult]]]
    ) -> list[StatementResult]:
        results = [StatementResult(one.transaction_id, "unknown_transaction") for one in statements]
        async for _ in self._while_the_recorder_works():
            open_ = [place for place, result in enumerate(results) if result.status == "unknown_transaction"]
            if not open_:
                break
            given = [statements[place] for place in open_]
            found = await self._run(record(given))
            for place, result in zip(open_, found, strict=True):
                results[place] = result
        return results

    async def acknowledge(self, number: int, *, actor: str, reason: str, key: str | None) -> dict[str, Any] | None:
        """Write down that somebody took note of an alert; return it, or None where there is none."""
        details = {"key": key} if key else {}
        now = self._clock()
        return await self._run(
            partial(acknowledge, number=number, actor=actor, reason=reason, now=now, details=details)
        )

    async def read(self, query: Callable[[Connection], T]) -> T:
        """Run any other query."""
        return await self._run(query)

    async def _run(self, query: Callable[[Connection], T]) -> T:
        def call() -> T:
            try:
                with connected(self._engine) as conn:
                    return query(conn)
            except ProgrammingError as error:
                reason = str(error.orig).strip().partition("\n")[0]
                raise StoreError(
                    f"expected the tables of this release in PostgreSQL, and got: {reason}.",
                    remedy="Migrate it: sentinel run migrations.",
                ) from error

        if self._under_way >= CALLS_MOST:
            raise OverloadedError(
                f"expected at most {CALLS_MOST} questions to PostgreSQL under way, and so many are.",
                remedy="Send the same request again later.",
            )
        self._under_way += 1
        asked = asyncio.get_running_loop().run_in_executor(self._threads, call)
        asked.add_done_callback(self._done)
        # Whoever stops waiting, its thread goes on, and counts until it is done.
        return await asyncio.shield(asked)

    def _done(self, asked: asyncio.Future[Any]) -> None:
        self._under_way -= 1
        if not asked.cancelled():
            asked.exception()  # seen, also where nobody waits any more

    async def _while_the_recorder_works(self) -> AsyncIterator[None]:
        """Yield once, and again while entries wait in the streams, for at most `CATCH_UP_SECONDS`.

        A reply comes before its row: a client may ask for what the recorder is about to write.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + CATCH_UP_SECONDS
        waiting = 1
        while waiting:
            # Counted before the attempt: what left the streams by then is in PostgreSQL.
            waiting = await self._waiting() if loop.time() < deadline else 0
            yield
            if waiting:
                await asyncio.sleep(_PAUSE_SECONDS)

    async def _waiting(self) -> int:
        try:
            return await self._backlog()
        except StoreError:
            return 0
