"""The spool: what was answered while Redis was away comes to it once, whoever was killed on the way."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import redis

from sentinel_core.errors import StoreError
from sentinel_core.settings import Settings
from sentinel_core.stores.keys import Keys
from sentinel_core.stores.redis_clients import make_async_client
from sentinel_core.stores.redis_store import HotStore
from sentinel_core.stores.spool import PATTERN, REFUSED, Drained, Spool, Spooled, drain, spool_size
from tests.stores.makers import commit_request, record_request


def spooled(name: str, **fields: Any) -> Spooled:
    return Spooled(record_request(name, **fields), commit_request(name))


def drained(settings: Settings, folder: Path) -> Drained:
    async def main() -> Drained:
        client = make_async_client(settings)
        try:
            return await drain(HotStore(client, settings), folder)
        finally:
            await client.aclose()

    return asyncio.run(main())


def entries(client: redis.Redis, settings: Settings) -> list[tuple[str, str]]:
    found = [fields for stream in Keys.of(settings).streams() for _, fields in client.xrange(stream)]
    return sorted((fields[b"kind"].decode(), fields[b"id"].decode()) for fields in found)


def test_a_line_reads_as_what_was_written() -> None:
    one = spooled("é\n1")
    assert Spooled.of_line(one.to_line()).to_line() == one.to_line()
    assert Spooled.of_line(one.to_line()).record.record == one.record.record


def test_what_a_worker_holds_is_its_own_and_what_it_left_is_drained(
    settings: Settings, redis_client: redis.Redis, tmp_path: Path
) -> None:
    spool = Spool(tmp_path)
    spool.append([spooled("a"), spooled("b")])
    assert drained(settings, tmp_path) == (0, 0)
    assert spool_size(tmp_path).files == 1
    spool.let_go()
    spool.append([spooled("c")])
    assert drained(settings, tmp_path) == (2, 0)
    spool.let_go()
    assert drained(settings, tmp_path) == (1, 0)
    assert list(tmp_path.iterdir()) == []
    assert entries(redis_client, settings) == [(kind, name) for kind in ("accepted", "answered") for name in "abc"]
    # The entities noted them too, and the answers say as which.
    bodies = [fields[b"body"] for stream in Keys.of(settings).streams() for _, fields in redis_client.xrange(stream)]
    noted = [json.loads(body)["arrival"] for body in bodies if b"fraud_score" in body]
    assert all(noted) and len(noted) == 3


def test_a_killed_worker_leaves_its_file_and_a_torn_line_is_dropped(
    settings: Settings, redis_client: redis.Redis, tmp_path: Path
) -> None:
    lines = tmp_path / "lines"
    lines.write_bytes(spooled("a").to_line() + spooled("b").to_line() + spooled("c").to_line()[:-40])
    code = (
        "import os, pathlib, sys; from sentinel_core.stores.spool import Spool; s = Spool(pathlib.Path(sys.argv[1]));"
        "s.append([]); os.write(s._file, pathlib.Path(sys.argv[2]).read_bytes()); os.kill(os.getpid(), 9)"
    )
    folder = tmp_path / "spool"
    assert subprocess.run([sys.executable, "-c", code, folder, lines], check=False).returncode == -9
    assert drained(settings, folder) == (2, 0)
    assert list(folder.iterdir()) == []
    assert entries(redis_client, settings) == [(kind, name) for kind in ("accepted", "answered") for name in "ab"]


def test_draining_the_same_lines_again_changes_nothing(
    settings: Settings, redis_client: redis.Redis, tmp_path: Path
) -> None:
    spool = Spool(tmp_path)
    spool.append([spooled("a"), spooled("a"), spooled("b")])
    spool.let_go()
    (file,) = tmp_path.glob(PATTERN)
    copy = file.read_bytes()
    drained(settings, tmp_path)
    file.write_bytes(copy)
    assert drained(settings, tmp_path) == (3, 0)
    assert entries(redis_client, settings) == [(kind, name) for kind in ("accepted", "answered") for name in "ab"]


def test_an_id_with_another_payload_becomes_an_entry_for_the_dead_letters(
    settings: Settings, redis_client: redis.Redis, tmp_path: Path
) -> None:
    spool = Spool(tmp_path)
    spool.append([spooled("a"), spooled("a", amount=99.0)])
    spool.let_go()
    drained(settings, tmp_path)
    assert entries(redis_client, settings) == [("accepted", "a"), ("accepted", "a"), ("answered", "a")]
    payloads = {
        fields[b"payload"]
        for stream in Keys.of(settings).streams()
        for _, fields in redis_client.xrange(stream)
        if fields[b"kind"] == b"accepted"
    }
    assert len(payloads) == 2


def test_a_line_that_nobody_can_read_is_set_aside_and_blocks_nothing(
    settings: Settings, redis_client: redis.Redis, tmp_path: Path
) -> None:
    foreign = b'{"record": 1}\n'
    (tmp_path / "1.spool").write_bytes(spooled("a").to_line() + foreign + spooled("b").to_line())
    assert drained(settings, tmp_path) == (2, 1)
    assert [path.name for path in tmp_path.iterdir()] == [REFUSED]
    assert (tmp_path / REFUSED).read_bytes() == foreign


def test_without_redis_everything_stays(tmp_path: Path, settings: Settings) -> None:
    (tmp_path / "1.spool").write_bytes(spooled("a").to_line())
    with pytest.raises(StoreError):
        drained(settings.model_copy(update={"redis_url_given": "redis://127.0.0.1:1/0"}), tmp_path)
    assert spool_size(tmp_path).files == 1


def test_a_full_disk_takes_all_or_nothing(
    settings: Settings, redis_client: redis.Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path)
    spool.append([spooled("a")])
    before = spool_size(tmp_path)
    write, calls = os.write, iter((True, False))

    def nearly_full(file: int, data: Any) -> int:
        if next(calls):
            return write(file, bytes(data)[:100])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", nearly_full)
    with pytest.raises(StoreError, match=r"No space left on device\. Make room"):
        spool.append([spooled("b")])
    monkeypatch.undo()
    assert spool_size(tmp_path) == before
    spool.append([spooled("c")])
    spool.let_go()
    assert drained(settings, tmp_path) == (2, 0)
    assert {name for _, name in entries(redis_client, settings)} == {"a", "c"}
