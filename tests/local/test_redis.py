"""The embedded Redis: durable, closed to strangers, never evicting."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest
import redis

from sentinel_core.errors import LocalError
from sentinel_core.local.ports import free_port
from sentinel_core.local.redis import RedisServer, accepts, impatient_client, start_redis

pytestmark = pytest.mark.server


def _client(server: RedisServer) -> redis.Redis:
    return redis.Redis(host="127.0.0.1", port=server.port, password=server.password)


def test_every_acknowledged_write_survives_a_kill(tmp_path: Path) -> None:
    server = RedisServer(tmp_path / "redis", free_port(), "secret")
    child = start_redis(server, tmp_path / "log")
    with _client(server) as client:
        for number in range(500):
            client.set(f"key:{number}", number)
    child.kill()

    child = start_redis(server, tmp_path / "log")
    try:
        with _client(server) as client:
            assert client.dbsize() == 500
    finally:
        child.stop()


def test_configuration_and_secrecy(tmp_path: Path) -> None:
    server = RedisServer(tmp_path / "redis with a space", free_port(), "very-secret", appendfsync="always")
    child = start_redis(server, tmp_path / "log")
    try:
        with _client(server) as client:
            found = client.config_get("maxmemory-policy", "appendonly", "appendfsync", "bind", "save")
        assert found == {
            "maxmemory-policy": "noeviction",
            "appendonly": "yes",
            "appendfsync": "always",
            "bind": "127.0.0.1",
            "save": "",
        }
        assert "very-secret" not in " ".join(psutil.Process(child.pid).cmdline())
        assert (tmp_path / "redis with a space").stat().st_mode & 0o777 == 0o700
        with pytest.raises(redis.AuthenticationError), impatient_client(f"redis://127.0.0.1:{server.port}") as stranger:
            stranger.ping()
        with pytest.raises(LocalError, match=r"to take the password of secrets\.json, it refused"):
            accepts(RedisServer(server.folder, server.port, "wrong"))
    finally:
        child.stop()


def test_a_busy_port_is_named_by_the_log(tmp_path: Path) -> None:
    first = RedisServer(tmp_path / "one", free_port(), "one")
    child = start_redis(first, tmp_path / "one.log")
    try:
        with pytest.raises(LocalError, match=r"it refused|exited with code 1"):
            start_redis(RedisServer(tmp_path / "two", first.port, "two"), tmp_path / "two.log")
    finally:
        child.stop()
