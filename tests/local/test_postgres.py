"""The embedded PostgreSQL through what happens to it on a real machine."""

from __future__ import annotations

import os
import pwd
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg2
import pytest

from sentinel_core.errors import LocalError
from sentinel_core.local import postgres
from sentinel_core.local.identity import Identity
from sentinel_core.local.ports import free_port
from sentinel_core.local.postgres import Cluster, accepts, make_cluster, start_postgres, stop_leftover

pytestmark = pytest.mark.server
PASSWORD = "a password with 'quotes'"


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    """A cluster that was made and never started; tests copy it, since initdb takes a second."""
    return make_cluster(tmp_path_factory.mktemp("fresh"), free_port(), PASSWORD, options=("fsync=off",))


@pytest.fixture
def home(fresh: Cluster, tmp_path: Path) -> Path:
    shutil.copytree(fresh.folder, tmp_path / "postgres")
    return tmp_path


def _cluster(home: Path, password: str = PASSWORD) -> Cluster:
    return make_cluster(home, free_port(), password, options=("fsync=off",))


def _query(cluster: Cluster, statement: str) -> list[tuple[object, ...]]:
    connection = psycopg2.connect(
        host="127.0.0.1", port=cluster.port, user="sentinel", password=PASSWORD, dbname="postgres"
    )
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


def test_wants_the_password_listens_on_loopback_and_speaks_utc(home: Path) -> None:
    cluster = _cluster(home)
    server = start_postgres(cluster, home / "log")
    try:
        settings = ("password_encryption", "listen_addresses", "TimeZone", "synchronous_commit")
        found = [_query(cluster, f"SHOW {name}")[0][0] for name in settings]
        assert found == ["scram-sha-256", "127.0.0.1", "UTC", "on"]
        with pytest.raises(psycopg2.OperationalError, match="password"):
            psycopg2.connect(host="127.0.0.1", port=cluster.port, user="sentinel", dbname="postgres", passfile="")
        stranger = Cluster(cluster.folder, cluster.port, "wrong", cluster.programs, cluster.identity)
        with pytest.raises(LocalError, match=r"to take the password of secrets\.json, it refused"):
            accepts(stranger)
    finally:
        server.stop()
    assert not accepts(cluster)
    assert not (home / "postgres" / "postmaster.pid").exists(), "SIGINT is an orderly stop"


def test_what_was_committed_survives_a_kill(home: Path) -> None:
    cluster = _cluster(home)
    server = start_postgres(cluster, home / "log")
    _query(cluster, "CREATE TABLE kept AS SELECT 42 AS answer")
    server.kill()

    server = start_postgres(cluster, home / "log")
    try:
        assert _query(cluster, "SELECT answer FROM kept") == [(42,)]
    finally:
        server.stop()


def test_a_stale_pid_file_that_names_a_living_process_does_not_block(home: Path) -> None:
    cluster = _cluster(home)
    # After a crash and a reboot the number may belong to anybody: here, to this test.
    (cluster.folder / "postmaster.pid").write_text(f"{os.getpid()}\n{cluster.folder}\n0\n{cluster.port}\n\n127.0.0.1\n")
    server = start_postgres(cluster, home / "log")
    try:
        assert accepts(cluster)
    finally:
        server.stop()


def test_a_server_that_outlived_its_supervisor_is_stopped_first(home: Path) -> None:
    cluster = _cluster(home)
    first = start_postgres(cluster, home / "log")
    stop_leftover(Cluster(home / "elsewhere", cluster.port, PASSWORD, cluster.programs, cluster.identity))
    assert first.process.poll() is None, "a server of another directory is nobody's leftover"

    second = start_postgres(cluster, home / "log")
    try:
        assert first.process.wait(1) == 0
        assert second.pid != first.pid
    finally:
        second.stop()


def test_a_killed_initdb_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    remains = tmp_path / "postgres.new-abc" / "data"
    remains.mkdir(parents=True)
    (remains / "PG_VERSION").write_text("18\n")
    cluster = _cluster(tmp_path)
    assert (cluster.folder / "PG_VERSION").exists()
    assert list(tmp_path.glob("postgres.new-*")) == []


def test_a_failing_initdb_says_why_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "initdb").write_text("#!/bin/sh\necho 'initdb: error: No space left on device'\nexit 1\n")
    for name in ("initdb", "postgres"):
        (programs / name).touch()
        (programs / name).chmod(0o755)
    monkeypatch.setattr(postgres, "find_postgres", lambda: postgres.PostgresPrograms(programs))
    with pytest.raises(
        LocalError, match=r"initdb to make .*postgres, it exited with code 1: .*No space left on device"
    ):
        make_cluster(tmp_path / "home", free_port(), PASSWORD, identity=Identity.SELF)
    assert [path.name for path in (tmp_path / "home").iterdir() if path.is_dir()] == []


def test_data_of_another_version_are_refused(home: Path) -> None:
    (home / "postgres" / "PG_VERSION").write_text("11\n")
    with pytest.raises(LocalError, match=r"expected a data directory of PostgreSQL \d+ in .*, found one of 11"):
        _cluster(home)


def test_a_server_that_cannot_start_shows_the_end_of_its_log(home: Path, servers: object) -> None:
    taken = servers.postgres_port  # type: ignore[attr-defined]
    cluster = make_cluster(home, taken, PASSWORD)
    with pytest.raises(LocalError, match=r"refused|exited with code"):
        start_postgres(cluster, home / "log")


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that every account reaches, in place of /var/lib/sentinelml."""
    folder = Path(tempfile.mkdtemp(prefix="sentinel-shared-", dir="/tmp"))
    folder.chmod(0o755)
    monkeypatch.setattr(postgres, "_SHARED", folder)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody")
def test_as_nobody_the_data_lie_where_nobody_gets_to(home: Path, shared: Path) -> None:
    home.parent.chmod(0o700)
    server = start_postgres(_cluster(home), home / "log")
    server.stop()

    cluster = make_cluster(home, free_port(), PASSWORD, identity=Identity.NOBODY)
    assert shared in cluster.folder.parents, "and what lay in the home has moved there"
    server = start_postgres(cluster, home / "log")
    try:
        assert psutil.Process(server.pid).uids().real == pwd.getpwnam("nobody").pw_uid
        assert accepts(cluster)
    finally:
        server.stop()

    # User namespaces are allowed again: the data stay, and belong to root again.
    cluster = make_cluster(home, free_port(), PASSWORD)
    assert shared in cluster.folder.parents
    server = start_postgres(cluster, home / "log")
    server.stop()
