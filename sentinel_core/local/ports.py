"""TCP ports on the loopback address."""

from __future__ import annotations

import secrets
import socket
from typing import Final

import psutil

_FIRST: Final = 20_000
_LAST: Final = 32_000  # Linux takes local ports from 32768 on, macOS from 49152
_given: Final[set[int]] = set()


def free_port() -> int:
    """Return a port that was free a moment ago, from a range that the system gives to no outgoing connection.

    A process gets each port once: between the answer and the server's start, the port looks free still.
    """
    while True:
        port = _FIRST + secrets.randbelow(_LAST - _FIRST)
        if port not in _given and is_free(port):
            _given.add(port)
            return port


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could listen on the port now."""
    with socket.socket() as probe:
        # As servers do: connections of a server that just stopped (TIME_WAIT) do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def owner(port: int) -> psutil.Process | None:
    """Return the process that listens on the port, where the system lets us see it."""
    try:
        for connection in psutil.net_connections("tcp"):
            listening = connection.status == psutil.CONN_LISTEN and connection.laddr
            if listening and listening.port == port and connection.pid:
                return psutil.Process(connection.pid)
    except (psutil.AccessDenied, psutil.NoSuchProcess):
        return None  # macOS shows other users' sockets to root only
    return None


def describe_owner(port: int) -> str:
    """Say who holds the port, for a message: `pid 123 (python)` or `another process`."""
    process = owner(port)
    if process is None:
        return "another process"
    try:
        return f"pid {process.pid} ({process.name()})"
    except psutil.Error:
        return f"pid {process.pid}"
