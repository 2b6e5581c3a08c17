"""Micro-batches without a timer: while one is under way, arrivals gather into the next.

A lone request starts at once and shares its batch with nobody; under load the batches grow by themselves, and
with them the work that one round trip to Redis and one call of the model carry.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from serving.errors import OverloadedError

Item = TypeVar("Item")
Result = TypeVar("Result")


class MicroBatcher(Generic[Item, Result]):
    """Run `run` over gathered groups of items, one batch at a time.

    `run` takes the items of several groups in order of arrival and returns a result for each, in the same order. A
    group is never split; a batch takes groups until it holds `max_items` items or more than one group would pass it.
    A caller that is cancelled stops waiting, and its items are still run to their end. At most `max_waiting` items wait
    for their batch, or one group that is longer than that.
    """

    def __init__(
        self, run: Callable[[list[Item]], Awaitable[Sequence[Result]]], *, max_items: int, max_waiting: int
    ) -> None:
        self._run = run
        self._max_items = max_items
        self._max_waiting = max_waiting
        self._waiting_items = 0
        self._waiting: deque[tuple[Sequence[Item], asyncio.Future[Sequence[Result]]]] = deque()
        self._worker: asyncio.Task[None] | None = None

    @property
    def full(self) -> bool:
        """Whether not even one more item would be taken."""
        return self._waiting_items >= self._max_waiting

    async def submit(self, items: Sequence[Item]) -> Sequence[Result]:
        """Queue a group and wait for its results; raises what `run` raised for the batch.

        Raises `OverloadedError` at once where too many wait: what cannot be answered in time is better refused early.
        """
        if self._waiting and self._waiting_items + len(items) > self._max_waiting:
            raise OverloadedError(
                f"expected at most {self._max_waiting:,} to wait for their turn, and so many do already.",
                remedy="Send the same request again later.",
            )
        done: asyncio.Future[Sequence[Result]] = asyncio.get_running_loop().create_future()
        self._waiting.append((items, done))
        self._waiting_items += len(items)
        if self._worker is None:
            self._worker = asyncio.create_task(self._work())
        return await done

    async def drain(self) -> None:
        """Wait until everything that was submitted has been run."""
        while self._worker is not None:
            await asyncio.shield(self._worker)

    async def _work(self) -> None:
        try:
            while self._waiting:
                await self._run_batch(self._gather())
        finally:
            self._worker = None

    def _gather(self) -> list[tuple[Sequence[Item], asyncio.Future[Sequence[Result]]]]:
        groups = [self._waiting.popleft()]
        size = len(groups[0][0])
        while self._waiting and size + len(self._waiting[0][0]) <= self._max_items:
            groups.append(self._waiting.popleft())
            size += len(groups[-1][0])
        self._waiting_items -= size
        return groups

    async def _run_batch(self, groups: list[tuple[Sequence[Item], asyncio.Future[Sequence[Result]]]]) -> None:
        try:
            results = await self._run([item for items, _ in groups for item in items])
        except Exception as error:  # noqa: BLE001 (nothing is swallowed: every waiter gets it)
            for _, done in groups:
                if not done.done():
                    done.set_exception(error)
            return
        start = 0
        for items, done in groups:
            if not done.done():
                done.set_result(results[start : start + len(items)])
            start += len(items)
