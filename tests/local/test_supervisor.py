"""The supervisor with real processes: it restarts what dies, wherever the home lies."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from sentinel_core.errors import LocalError
from sentinel_core.local import orphans
from sentinel_core.local.paths import Layout
from sentinel_core.local.ports import free_port
from sentinel_core.local.processes import PROCESS, PROCESSES
from sentinel_core.local.secrets import ensure_secrets
from sentinel_core.local.start import check_settings, remember_settings, start
from sentinel_core.local.status import memory_mb, status
from sentinel_core.local.supervisor import Supervisor, configuration, socket_path
from sentinel_core.local.up import down
from sentinel_core.settings import Settings, load_settings
from tests.local.reporting import Collected

pytestmark = pytest.mark.server
REDIS = PROCESS["redis"]


def until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def alive(pid: int) -> bool:
    # Where process 1 reaps late, an orphan stays in the list after its end.
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[Settings]:
    """A home so deep that no socket fits into it, with a space and a percent sign on the way."""
    home = tmp_path / "a folder" / "100%" / ("deep" * 15) / "home"
    ports = {"embedded_redis_port": free_port(), "embedded_postgres_port": free_port()}
    settings = load_settings(None, home=home, **ports)
    Layout.of(settings).make()
    ensure_secrets(settings)
    yield settings
    down(settings, Collected())
    assert orphans.find(settings) == []


def test_what_dies_is_restarted_and_down_stops_it(embedded: Settings) -> None:
    supervisor = Supervisor(Layout.of(embedded))
    assert not supervisor.alive()
    supervisor.start(embedded, [REDIS])
    reporter = Collected()
    assert start(embedded, supervisor, [REDIS], reporter) == ["redis"]
    assert start(embedded, supervisor, [REDIS], reporter) == [], "what runs is left alone"
    assert reporter.steps == ["Redis", "Redis"]

    first = supervisor.states()["redis"].pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    until(lambda: supervisor.states()["redis"].pid not in (first, None) and REDIS.healthy(embedded))

    # Status as the command line gives it: what the supervisor does not know is not missed.
    (redis_now,) = [row for row in status(embedded) if row.name == "redis"]
    document = redis_now.to_dict()
    assert list(document) == ["name", "pid", "port", "url", "healthy", "memory_mb"]
    assert (document["healthy"], document["port"]) == (True, embedded.embedded_redis_port)
    assert document["url"] == f"redis://127.0.0.1:{embedded.embedded_redis_port}/0"
    assert 0.5 < document["memory_mb"] < 200

    supervisor.start(embedded, [REDIS, PROCESS["postgres"]])
    assert set(supervisor.states()) == {"redis", "postgres"}, "a program that joins later is added"
    assert supervisor.states()["redis"].running
    start(embedded, supervisor, [PROCESS["postgres"]], reporter)
    supervisor.start(embedded, [REDIS])
    assert set(supervisor.states()) == {"redis"}, "and one that is left out now is stopped"
    assert not PROCESS["postgres"].healthy(embedded)
    assert down(embedded, Collected()) == ["redis"]
    assert down(embedded, Collected()) == []
    assert not REDIS.healthy(embedded)


def test_a_killed_supervisor_leaves_nothing_that_blocks_the_next_start(embedded: Settings) -> None:
    supervisor = Supervisor(Layout.of(embedded))
    processes = [PROCESS["postgres"], REDIS]
    supervisor.start(embedded, processes)
    start(embedded, supervisor, processes, Collected())
    orphaned = {name: state.pid for name, state in supervisor.states().items()}
    pid = int((embedded.home / "run" / "supervisord.pid").read_text())
    os.kill(pid, signal.SIGKILL)
    until(lambda: not alive(pid))
    assert not supervisor.alive()
    assert all(alive(pid) for pid in orphaned.values() if pid)

    # Not even cleaned up by `up`: each process takes over from what is left of itself.
    supervisor.start(embedded, processes)
    assert sorted(start(embedded, supervisor, processes, Collected())) == ["postgres", "redis"]
    until(lambda: not [pid for pid in orphaned.values() if pid and alive(pid)])
    until(lambda: all(process.healthy(embedded) for process in processes))


def test_a_process_that_cannot_start_is_one_line_with_the_reason(embedded: Settings) -> None:
    supervisor = Supervisor(Layout.of(embedded))
    supervisor.start(embedded, [REDIS])
    with socket.create_server(("127.0.0.1", embedded.embedded_redis_port)):
        with pytest.raises(
            LocalError, match=r"expected Redis to start, it exited \d times: .*See `sentinel logs redis`"
        ) as caught:
            start(embedded, supervisor, [REDIS], Collected())
        assert "\n" not in str(caught.value)
    assert start(embedded, supervisor, [REDIS], Collected()) == ["redis"], "and nothing blocks the next try"


def test_the_configuration_holds_no_secret_and_escapes_paths(embedded: Settings) -> None:
    layout = Layout.of(embedded)
    text = configuration(layout, socket_path(layout), PROCESSES)
    for secret in ensure_secrets(embedded).values():
        assert secret not in text
    assert "100%%" in text
    assert "100%/" not in text
    assert text.count("autorestart=true") == len(PROCESSES)


def test_the_socket_lies_in_the_home_where_it_fits(tmp_path: Path) -> None:
    assert socket_path(Layout(Path("/srv/sentinel"))) == Path("/srv/sentinel/run/supervisor.sock")
    far = socket_path(Layout(Path("/srv") / ("deep" * 30)))
    assert len(os.fsencode(far)) < 90
    assert far != socket_path(Layout(Path("/srv") / ("deep" * 31)))


def test_changed_settings_are_refused_while_the_stack_runs(embedded: Settings) -> None:
    check_settings(embedded)
    remember_settings(embedded)
    check_settings(embedded)
    with pytest.raises(LocalError, match=r"found SENTINEL_SERVING_PORT changed\. Run `sentinel down` first"):
        check_settings(embedded.model_copy(update={"serving_port": 1234}))


def test_memory_of_a_process_that_is_gone_is_unknown() -> None:
    assert memory_mb(2**22 + 1) is None
