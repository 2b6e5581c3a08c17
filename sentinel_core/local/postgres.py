"""The embedded PostgreSQL: a real server on 127.0.0.1 with a password, from a wheel, as root or not.

Why these binaries, and why a user namespace: docs/decisions/0005.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NoReturn

import psutil

from sentinel_core.errors import LocalError
from sentinel_core.local.binaries import PostgresPrograms, find_postgres
from sentinel_core.local.child import Child, last_line, start_child
from sentinel_core.local.identity import Identity, choose_identity, give, launcher, nobody_reaches

USER: Final = "sentinel"
_SHARED: Final = Path("/var/lib/sentinelml")
_OPTIONS: Final = (
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "max_connections=200",
    "shared_buffers=64MB",  # the system caches files too, and two dozen processes map this one
    "timezone=UTC",
    "log_timezone=UTC",
    "log_min_messages=warning",
)


@dataclass(frozen=True, slots=True)
class Cluster:
    """One PostgreSQL data directory and how its server runs."""

    folder: Path
    port: int
    password: str = field(repr=False)
    programs: PostgresPrograms
    identity: Identity
    options: tuple[str, ...] = ()
    """Further server settings, `name=value`."""


def make_cluster(
    home: Path, port: int, password: str, *, identity: Identity | None = None, options: tuple[str, ...] = ()
) -> Cluster:
    """Choose programs, identity and place for the cluster of a home, and create its data directory where absent.

    The data lie in home/postgres; where only the account `nobody` may run the server and cannot get there (a home
    under /root), in a folder of /var/lib/sentinelml. Raises `LocalError` where PostgreSQL is not to be found, or the
    data directory is of another version or cannot be made.
    """
    who = identity or choose_identity()
    programs = find_postgres()
    home.mkdir(parents=True, exist_ok=True)
    if who is Identity.NOBODY:
        programs = _programs_for_nobody(home, programs)
    place = _place(home, who)
    cluster = Cluster(place / "postgres", port, password, programs, who, options)
    with (place / ".postgres.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not cluster.folder.exists():
            _initialise(cluster)
    _check_version(cluster)
    _own(cluster.folder, who)
    return cluster


def start_postgres(cluster: Cluster, log: Path) -> Child:
    """Start the server as a child and wait until it takes connections; raises `LocalError` where it does not."""
    stop_leftover(cluster)
    return start_child(
        "PostgreSQL",
        _command(cluster),
        log=log,
        ready=lambda: accepts(cluster),
        environment=_environment(cluster),
        stop_signal=signal.SIGINT,
    )


def become_postgres(cluster: Cluster) -> NoReturn:
    """Replace this process by the server, in the foreground."""
    stop_leftover(cluster)
    command = _command(cluster)
    os.execve(command[0], command, _environment(cluster))  # noqa: S606  # no shell is what we want


def accepts(cluster: Cluster) -> bool:
    """Whether the server takes a connection with our password.

    Raises `LocalError` where a server is there and refuses the password.
    """
    import psycopg2

    try:
        psycopg2.connect(
            host="127.0.0.1",
            port=cluster.port,
            user=USER,
            password=cluster.password,
            dbname="postgres",
            connect_timeout=5,
        ).close()
    except psycopg2.OperationalError as error:
        if "password authentication failed" in str(error):
            raise LocalError(
                f"expected the PostgreSQL of {cluster.folder} on port {cluster.port} to take the password of "
                "secrets.json, it refused.",
                remedy="Restore the secrets.json that belongs to this data directory.",
            ) from error
        return False
    return True


def stop_leftover(cluster: Cluster) -> None:
    """Stop a server of this data directory that outlived its supervisor; without one, do nothing."""
    pid = _recorded_pid(cluster.folder)
    if pid is None or not _serves(pid, cluster.folder):
        return
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20)
        except psutil.TimeoutExpired:
            process.send_signal(signal.SIGQUIT)
            process.wait(10)


def _command(cluster: Cluster) -> list[str]:
    options = [part for option in (*_OPTIONS, *cluster.options) for part in ("-c", option)]
    server = [str(cluster.programs.postgres), "-D", str(cluster.folder), "-p", str(cluster.port), *options]
    return launcher(cluster.identity, server)


def _environment(cluster: Cluster) -> dict[str, str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_"))}
    environment["LC_ALL"] = "C"
    stale = _recorded_pid(cluster.folder)
    if stale is not None:
        # Left by a kill; its number may belong to another process by now, and PostgreSQL would refuse to
        # start. It is known not to serve this directory, and a pid that is named here is not asked about.
        environment["PG_GRANDPARENT_PID"] = str(stale)
    return environment


def _recorded_pid(folder: Path) -> int | None:
    try:
        return abs(int((folder / "postmaster.pid").read_text().partition("\n")[0]))
    except (FileNotFoundError, ValueError):
        return None


def _serves(pid: int, folder: Path) -> bool:
    try:
        process = psutil.Process(pid)
        return process.name().startswith("postgres") and Path(process.cwd()) == folder.resolve()
    except psutil.Error:
        return False


def _initialise(cluster: Cluster) -> None:
    """Make the data directory beside its place and rename it: a killed attempt leaves nothing in the way."""
    parent = cluster.folder.parent
    for remains in parent.glob("postgres.new-*"):
        shutil.rmtree(remains, ignore_errors=True)
    temporary = Path(tempfile.mkdtemp(prefix="postgres.new-", dir=parent))
    try:
        password = temporary / "password"
        password.write_text(cluster.password)
        data = temporary / "data"
        data.mkdir(mode=0o700)
        _own(temporary, cluster.identity)
        log = parent / "initdb.log"
        command = [
            str(cluster.programs.initdb),
            *("-D", str(data), "-U", USER, "--pwfile", str(password)),
            *("--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C"),
        ]
        with log.open("wb") as output:
            done = subprocess.run(
                launcher(cluster.identity, command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "LC_ALL": "C"},
                check=False,
            )
        if done.returncode != 0:
            raise LocalError(
                f"expected initdb to make {cluster.folder}, it exited with code {done.returncode}: {last_line(log)}.",
                remedy=f"See {log}; `sentinel doctor` checks disk and memory.",
            )
        data.rename(cluster.folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _check_version(cluster: Cluster) -> None:
    found = (cluster.folder / "PG_VERSION").read_text().strip()
    answer = subprocess.run([cluster.programs.postgres, "--version"], capture_output=True, text=True, check=False)
    installed = answer.stdout.strip().rpartition(" ")[2].partition(".")[0] if answer.returncode == 0 else "?"
    if "(" in answer.stdout:  # Debian's: postgres (PostgreSQL) 15.8 (Debian 15.8-0+deb12u1)
        installed = answer.stdout.partition(") ")[2].partition(".")[0]
    if found != installed:
        raise LocalError(
            f"expected a data directory of PostgreSQL {installed} in {cluster.folder}, found one of {found}.",
            remedy=f"Upgrade it with pg_upgrade, or put PostgreSQL {found} back ({cluster.programs.folder} is used).",
        )


def _own(folder: Path, identity: Identity) -> None:
    """Give the folder to whom the server runs as, where another identity made it."""
    if os.geteuid() != 0:
        return
    account = pwd.getpwnam("nobody")
    user, group = (account.pw_uid, account.pw_gid) if identity is Identity.NOBODY else (0, 0)
    if folder.stat().st_uid != user:
        give(folder, user, group)


def _shared(home: Path) -> Path:
    return _SHARED / hashlib.blake2b(str(home).encode(), digest_size=6).hexdigest()


def _place(home: Path, identity: Identity) -> Path:
    """Return the folder for the data directory: the home, or a shared one where the server cannot get into it.

    Data that lie in the shared one stay there; data that the server cannot reach any more move.
    """
    shared = _shared(home)
    if (shared / "postgres").exists():
        return shared
    if identity is not Identity.NOBODY or nobody_reaches(home):
        return home
    shared.mkdir(parents=True, exist_ok=True)
    if (home / "postgres").exists():
        moving = shared / "postgres.moving"
        shutil.rmtree(moving, ignore_errors=True)
        shutil.copytree(home / "postgres", moving, symlinks=True)
        moving.rename(shared / "postgres")
        shutil.rmtree(home / "postgres")
    return shared


def _programs_for_nobody(home: Path, programs: PostgresPrograms) -> PostgresPrograms:
    """Return programs that the account `nobody` can run, copied where the environment is out of its reach."""
    if nobody_reaches(programs.postgres):
        return programs
    root = programs.folder.parent
    shared = _shared(home)
    copy = shared / root.parent.name / root.name
    if not copy.exists():
        # The wheel's libraries lie beside it and are found by relative path: keep them so.
        libraries = root.parent.with_name(f"{root.parent.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, shared / libraries.name, dirs_exist_ok=True)
        partial = copy.with_name(f"{copy.name}.new")
        shutil.copytree(root, partial, dirs_exist_ok=True)
        partial.rename(copy)
    return PostgresPrograms(copy / programs.folder.name)
