"""The hot path's own connection: one pipeline out, its replies back, nothing between.

A pooled call of the client library takes a connection, checks it, shields its return and reports to its telemetry:
some 100 µs of the event loop's time for each call, as much as the script itself takes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

import hiredis
import redis.asyncio
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import ResponseError


class PackedConnection(redis.asyncio.Connection):
    """A connection whose commands hiredis packs, which is several times faster than the library's own packing."""

    def pack_command(self, *args: Any) -> list[bytes]:
        """Pack one command; the library writes the names of some as two words."""
        return [hiredis.pack_command((*str(args[0]).split(), *args[1:]))]

    def pack_commands(self, commands: Iterable[Iterable[Any]]) -> list[bytes]:
        """Pack a pipeline into one piece."""
        return [b"".join(part for command in commands for part in self.pack_command(*command))]


class Wire:
    """One connection, kept open. Calls are sent as they come and read in that order, so that they overlap.

    While the server works on one, the next is on its way and the caller is free.
    """

    def __init__(self, client: Any) -> None:
        self._pool = client.connection_pool
        self._connection: Any = None
        self._sending = asyncio.Lock()
        self._read: asyncio.Future[None] | None = None
        """Done when everything that was sent before has been read."""

    async def exchange(self, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Send commands in one piece, return a reply for each; an error of one command stands in its place.

        A connection that was dropped is made anew, once: what is sent must bear being done twice. Cancelled between
        the two, the connection is closed, so that no reply is ever taken for another's; calls that were under way on
        it are sent again. Raises `RedisError`.
        """
        data = b"".join([hiredis.pack_command(command) for command in commands])
        try:
            return await self._once(data, len(commands))
        except Disconnected:
            return await self._once(data, len(commands))

    async def _once(self, data: bytes, expected: int) -> list[Any]:
        async with self._sending:
            if self._connection is None:
                self._connection = await self._pool.get_connection()
            connection = self._connection
            try:
                await connection.send_packed_command(data, check_health=False)
            except BaseException:
                await self._drop(connection)
                raise
            before, mine = self._read, asyncio.get_running_loop().create_future()
            self._read = mine
        try:
            if before is not None:
                await asyncio.shield(before)
            return await self._replies(connection, expected)
        except BaseException:
            await self._drop(connection)
            raise
        finally:
            mine.set_result(None)

    async def _replies(self, connection: Any, expected: int) -> list[Any]:
        if connection is not self._connection:
            raise Disconnected("The call before this one was given up, and the connection with it.")
        replies: list[Any] = []
        while len(replies) < expected:
            try:
                replies.append(await connection.read_response())
            except ResponseError as error:
                replies.append(error)
        return replies

    async def _drop(self, connection: Any) -> None:
        """Close a connection whose replies nobody can tell apart any more."""
        if connection is self._connection:
            self._connection = None
            await connection.disconnect(nowait=True)
            await self._pool.release(connection)
