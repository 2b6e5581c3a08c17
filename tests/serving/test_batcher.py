"""The micro-batcher: order, gathering, isolation of callers."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

import pytest

from serving.batcher import MicroBatcher
from serving.errors import OverloadedError


class Recorder:
    """Doubles numbers, remembers the batches, and can hold a batch until it is released."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.release = asyncio.Event()
        self.release.set()

    async def run(self, items: list[int]) -> Sequence[int]:
        self.batches.append(items)
        await self.release.wait()
        if -1 in items:
            raise ValueError("minus one")
        return [2 * item for item in items]


def play(scene: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(scene, 10))


def test_a_lone_request_is_a_batch_of_its_own() -> None:
    async def scene() -> None:
        recorder = Recorder()
        batcher = MicroBatcher(recorder.run, max_items=256, max_waiting=100)
        assert [*await batcher.submit([1]), *await batcher.submit([2])] == [2, 4]
        assert recorder.batches == [[1], [2]]

    play(scene())


def test_arrivals_gather_while_a_batch_is_under_way_and_keep_their_order() -> None:
    async def scene() -> None:
        recorder = Recorder()
        recorder.release.clear()
        batcher = MicroBatcher(recorder.run, max_items=256, max_waiting=100)
        tasks = [asyncio.create_task(batcher.submit([0]))]
        await asyncio.sleep(0.01)
        tasks += [asyncio.create_task(batcher.submit([n, n + 100])) for n in range(1, 6)]
        await asyncio.sleep(0.01)
        recorder.release.set()
        assert [list(r) for r in await asyncio.gather(*tasks)] == [[0]] + [[2 * n, 2 * n + 200] for n in range(1, 6)]
        assert recorder.batches == [[0], [1, 101, 2, 102, 3, 103, 4, 104, 5, 105]]

    play(scene())


def test_a_batch_is_bounded_and_never_splits_a_group() -> None:
    async def scene() -> None:
        recorder = Recorder()
        batcher = MicroBatcher(recorder.run, max_items=4, max_waiting=100)
        await asyncio.gather(*(batcher.submit(list(range(size))) for size in (3, 2, 2, 9, 1)))
        assert [len(batch) for batch in recorder.batches] == [3, 4, 9, 1]

    play(scene())


def test_an_error_reaches_every_caller_of_its_batch_and_no_other() -> None:
    async def scene() -> None:
        recorder = Recorder()
        batcher = MicroBatcher(recorder.run, max_items=2, max_waiting=100)
        outcomes = await asyncio.gather(*(batcher.submit([n]) for n in (1, -1, 3)), return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [ValueError, ValueError, list]

    play(scene())


def test_a_caller_that_hangs_up_cancels_nothing() -> None:
    async def scene() -> None:
        recorder = Recorder()
        recorder.release.clear()
        batcher = MicroBatcher(recorder.run, max_items=256, max_waiting=100)
        first, second = (asyncio.create_task(batcher.submit([n])) for n in (1, 2))
        await asyncio.sleep(0.01)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        recorder.release.set()
        assert list(await second) == [4]
        await batcher.drain()
        assert recorder.batches == [[1, 2]]

    play(scene())


def test_a_full_queue_refuses_at_once_and_takes_again_what_comes_later() -> None:
    async def scene() -> None:
        recorder = Recorder()
        recorder.release.clear()
        batcher = MicroBatcher(recorder.run, max_items=4, max_waiting=5)
        begun = asyncio.create_task(batcher.submit([0]))
        await asyncio.sleep(0.01)
        waiting = [asyncio.create_task(batcher.submit([n, n])) for n in (1, 2)]
        await asyncio.sleep(0.01)
        with pytest.raises(OverloadedError, match="expected at most 5 to wait for their turn"):
            await batcher.submit([3, 3])
        assert await asyncio.gather(begun, *waiting, release_of(recorder)) == [[0], [2, 2], [4, 4], None]
        assert list(await batcher.submit([3, 3])) == [6, 6]

    play(scene())


async def release_of(recorder: Recorder) -> None:
    recorder.release.set()


def test_a_group_longer_than_the_queue_is_taken_where_nobody_waits() -> None:
    async def scene() -> None:
        batcher = MicroBatcher(Recorder().run, max_items=4, max_waiting=2)
        assert list(await batcher.submit([1, 2, 3])) == [2, 4, 6]

    play(scene())
