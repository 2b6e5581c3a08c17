"""The hot path's own connection: one pipeline out, its replies back, nothing between.

A pooled call of the client library takes a connection, checks it, reads its replies one by one through a stream, and
reports to its telemetry: some 200 µs of the event loop's time for each call, more than the scripts take.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple

import hiredis
import redis.asyncio
from redis._parsers.base import BaseParser
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import TimeoutError as RedisTimeoutError

STALL_SECONDS: Final = 0.005
"""A timer that comes later than this says that the loop had no time to listen."""
_INCOMPLETE: Final = object()


class PackedConnection(redis.asyncio.Connection):
    """A connection whose commands hiredis packs, which is several times faster than the library's own packing."""

    def pack_command(self, *args: Any) -> list[bytes]:
        """Pack one command; the library writes the names of some as two words."""
        return [hiredis.pack_command((*str(args[0]).split(), *args[1:]))]

    def pack_commands(self, commands: Iterable[Iterable[Any]]) -> list[bytes]:
        """Pack a pipeline into one piece."""
        return [b"".join(part for command in commands for part in self.pack_command(*command))]


class Wire:
    """One connection, kept open. Calls are sent as they come and answered in that order, so that they overlap.

    While the server works on one, the next is on its way and the caller is free.
    """

    def __init__(self, client: Any) -> None:
        self._pool = client.connection_pool
        self._link: _Link | None = None
        self._connecting = asyncio.Lock()

    async def exchange(self, commands: Sequence[tuple[Any, ...]], seconds: float) -> list[Any]:
        """Send commands in one piece, return a reply for each; an error of one command stands in its place.

        A connection that was dropped is made anew, once: what is sent must bear being done twice. A call that is
        cancelled leaves its replies unread to nobody's harm. Raises `RedisError`, also where `seconds` pass without the
        replies; calls that were under way on the same connection are then sent again. A loop that stood still while
        the time ran out could not have heard an answer, and listens as long once more.
        """
        data = b"".join(map(hiredis.pack_command, commands))
        try:
            return await self._once(data, len(commands), seconds)
        except Disconnected:
            return await self._once(data, len(commands), seconds)

    async def _once(self, data: bytes, expected: int, seconds: float) -> list[Any]:
        link = self._link
        if link is None or link.closed:
            link = await self._connect(seconds)
        return await link.exchange(data, expected, seconds)

    async def _connect(self, seconds: float) -> _Link:
        try:
            async with asyncio.timeout(seconds), self._connecting:
                if self._link is None or self._link.closed:
                    connection = await self._pool.get_connection()
                    self._link = _Link(connection, self._pool.release)
                return self._link
        except TimeoutError:
            raise _silent(seconds) from None


class _Call(NamedTuple):
    expected: int
    replies: list[Any]
    done: asyncio.Future[list[Any]]


class _Link(asyncio.Protocol):
    """The transport of a connection that the library opened and logged in, read without its streams."""

    def __init__(self, connection: Any, release: Callable[[Any], Any]) -> None:
        self._connection = connection
        self._release = release
        self._reader = hiredis.Reader(replyError=BaseParser.parse_error, notEnoughData=_INCOMPLETE)
        self._calls: deque[_Call] = deque()
        self._loop = asyncio.get_running_loop()
        # The library has no door to it; tests/stores/test_wire.py tells when a new version moves it.
        self._transport: asyncio.Transport = connection._writer.transport
        self._before = self._transport.get_protocol()
        self._transport.set_protocol(self)
        self.closed = self._transport.is_closing()

    async def exchange(self, data: bytes, expected: int, seconds: float) -> list[Any]:
        if not expected:
            return []
        if self.closed:
            raise Disconnected("The connection was closed.")
        call = _Call(expected, [], self._loop.create_future())
        self._calls.append(call)
        self._transport.write(data)
        timer = _Timer(self._loop, seconds, lambda: self._give_up(call, seconds))
        try:
            return await call.done
        finally:
            timer.cancel()

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        try:
            self._deliver()
        except (hiredis.ProtocolError, IndexError):
            # Not Redis, or replies that nobody asked for: nothing that follows can be told apart.
            self._transport.abort()

    def _deliver(self) -> None:
        while (reply := self._reader.gets()) is not _INCOMPLETE:
            if isinstance(reply, hiredis.PushNotification):
                continue
            call = self._calls[0]
            call.replies.append(reply)
            if len(call.replies) == call.expected:
                self._calls.popleft()
                if not call.done.done():
                    call.done.set_result(call.replies)

    def connection_lost(self, error: Exception | None) -> None:
        self.closed = True
        self._before.connection_lost(error)
        for call in self._calls:
            if not call.done.done():
                call.done.set_exception(Disconnected(str(error or "The server closed the connection.")))
        self._calls.clear()
        self._loop.create_task(self._let_go())

    async def _let_go(self) -> None:
        await self._connection.disconnect(nowait=True)
        await self._release(self._connection)

    def _give_up(self, call: _Call, seconds: float) -> None:
        if not call.done.done():
            call.done.set_exception(_silent(seconds))
        self.closed = True
        self._transport.abort()


class _Timer:
    """Call `end` after `seconds`; where the loop stood still at that time, after as many more."""

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float, end: Callable[[], None]) -> None:
        self._loop = loop
        self._end = end
        self._seconds = seconds
        self._due = loop.time() + seconds
        self._handle = loop.call_at(self._due, self._first)

    def cancel(self) -> None:
        self._handle.cancel()

    def _first(self) -> None:
        if self._loop.time() - self._due > STALL_SECONDS:
            self._handle = self._loop.call_later(self._seconds, self._end)
        else:
            self._end()


def _silent(seconds: float) -> RedisTimeoutError:
    return RedisTimeoutError(f"no answer within {seconds * 1000:.0f} ms")
