"""The embedded Redis (Valkey): on 127.0.0.1 with a password, append-only, never evicting."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn
from urllib.parse import quote

from sentinel_core.errors import LocalError
from sentinel_core.local.binaries import find_redis
from sentinel_core.local.child import Child, start_child

if TYPE_CHECKING:
    from redis import Redis

_CONFIGURATION: Final = """\
bind 127.0.0.1
port {port}
requirepass "{password}"
protected-mode yes
dir "{folder}"
maxmemory-policy noeviction
appendonly yes
appendfsync {appendfsync}
aof-load-truncated yes
save ""
set-proc-title no
"""


@dataclass(frozen=True, slots=True)
class RedisServer:
    """One embedded Redis: where its data lie and how it listens."""

    folder: Path
    port: int
    password: str = field(repr=False)
    appendfsync: str = "no"

    def configuration(self) -> str:
        """Return the configuration, given to the server by its standard input: no password in a file or in `ps`."""
        return _CONFIGURATION.format(
            port=self.port, password=self.password, folder=self.folder, appendfsync=self.appendfsync
        )

    def command(self) -> list[str]:
        """Return the command line; raises `LocalError` where no server is installed."""
        return [str(find_redis()), "-"]


def start_redis(server: RedisServer, log: Path) -> Child:
    """Start the server as a child and wait until it has loaded its data; raises `LocalError` where it does not."""
    server.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return start_child(
        "Redis", server.command(), log=log, ready=lambda: accepts(server), configuration=server.configuration()
    )


def become_redis(server: RedisServer) -> NoReturn:
    """Replace this process by the server, in the foreground."""
    server.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    command = server.command()
    readable, writable = os.pipe()
    os.write(writable, server.configuration().encode())  # far below what a pipe holds, so it never blocks
    os.close(writable)
    os.dup2(readable, 0)
    os.execv(command[0], command)  # noqa: S606  # no shell is what we want


def impatient_client(url: str, *, seconds: float = 3.0) -> Redis:
    """Return a client that asks once: by default a refused connection is tried again for seconds."""
    from redis import Redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    retry = Retry(NoBackoff(), 0)
    return Redis.from_url(url, socket_timeout=seconds, socket_connect_timeout=seconds, retry=retry)


def accepts(server: RedisServer) -> bool:
    """Whether the server answers with our password and has loaded its data.

    Raises `LocalError` where a server is there and refuses the password.
    """
    import redis

    client = impatient_client(f"redis://:{quote(server.password, safe='')}@127.0.0.1:{server.port}/0")
    try:
        return bool(client.ping())
    except redis.AuthenticationError as error:
        raise LocalError(
            f"expected the Redis on port {server.port} to take the password of secrets.json, it refused: {error}.",
            remedy="Another Redis listens there: stop it, or set SENTINEL_EMBEDDED_REDIS_PORT to a free port.",
        ) from error
    except (redis.ConnectionError, redis.TimeoutError):  # a server that still loads its data answers so too
        return False
    finally:
        client.close()
