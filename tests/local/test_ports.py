"""Ports: free, taken, and by whom."""

from __future__ import annotations

import os
import socket

from sentinel_core.local.ports import describe_owner, free_port, is_free, owner


def test_a_port_is_free_until_somebody_listens() -> None:
    port = free_port()
    assert is_free(port)
    with socket.create_server(("127.0.0.1", port)):
        assert not is_free(port)
        found = owner(port)
        assert found is not None
        assert found.pid == os.getpid()
        assert f"pid {os.getpid()} (" in describe_owner(port)
    assert is_free(port)
    assert describe_owner(port) == "another process"
