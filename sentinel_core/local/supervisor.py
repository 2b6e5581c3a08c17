"""The supervisor: supervisord, with a configuration made from `processes`, spoken to over its unix socket.

Why supervisord: docs/decisions/0002. Its configuration holds no secret: a program is `sentinel run NAME`.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import subprocess
import sys
import tempfile
import time
import xmlrpc.client
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil

from sentinel_core.errors import LocalError
from sentinel_core.local.child import last_line
from sentinel_core.local.environment import process_environment
from sentinel_core.local.files import write_private
from sentinel_core.local.paths import Layout, project_root
from sentinel_core.local.processes import Process
from sentinel_core.settings import Settings

NAME: Final = "supervisord"
_SOCKET_LENGTH: Final = 90  # 104 on macOS; supervisord binds a longer, temporary name first
_START_SECONDS: Final = 20.0
_STOP_SECONDS: Final = 60.0
_ACTIVE: Final = ("STARTING", "RUNNING", "BACKOFF", "STOPPING")


@dataclass(frozen=True, slots=True)
class ProcessState:
    """What the supervisor knows of one process."""

    name: str
    state: str
    """STOPPED, STARTING, RUNNING, BACKOFF, STOPPING, EXITED or FATAL."""
    pid: int | None

    @property
    def running(self) -> bool:
        """Whether it runs, or has just begun to."""
        return self.state in ("STARTING", "RUNNING")

    @property
    def active(self) -> bool:
        """Whether there is, or soon will be, something to stop."""
        return self.state in _ACTIVE


class Supervisor:
    """The supervisor of one home; it runs on its own, and this object only speaks to it."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._socket = socket_path(layout)

    def alive(self) -> bool:
        """Whether it answers."""
        try:
            self._call("supervisor.getState")
        except LocalError:
            return False
        return True

    def start(self, settings: Settings, processes: Sequence[Process]) -> None:
        """Start it with these programs, all stopped; where it is alive, add those it lacks and stop those left out.

        Raises `LocalError` where it does not answer within 20 s.
        """
        write_private(self._layout.run / "supervisord.conf", configuration(self._layout, self._socket, processes))
        if self.alive():
            self._adapt({process.name for process in processes})
            return
        self._socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check_owner(self._socket.parent)
        log = self._layout.log(NAME)
        command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(self._layout.run / "supervisord.conf")]
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=process_environment(settings, NAME, {}),
            check=False,
        )
        deadline = time.monotonic() + _START_SECONDS
        while not self.alive():
            if done.returncode != 0 or time.monotonic() > deadline:
                reason = done.stderr.strip().splitlines()[:1] or [last_line(log)]
                raise LocalError(f"expected the supervisor to start, it did not: {reason[0]}.", remedy=f"See {log}.")
            time.sleep(0.05)

    def _adapt(self, wanted: set[str]) -> None:
        known = self.states()
        self._call("supervisor.reloadConfig")
        for name in sorted(wanted - known.keys()):
            self._call("supervisor.addProcessGroup", name)
        for name in sorted(known.keys() - wanted):
            if known[name].active:
                self._call("supervisor.stopProcess", name, True)
            self._call("supervisor.removeProcessGroup", name)

    def states(self) -> dict[str, ProcessState]:
        """Return the state of every program, by name."""
        return {
            row["name"]: ProcessState(row["name"], row["statename"], row["pid"] or None)
            for row in self._call("supervisor.getAllProcessInfo")
        }

    def launch(self, name: str) -> None:
        """Start a program unless it runs; returns at once, but waits for one that is about to stop."""
        deadline = time.monotonic() + _STOP_SECONDS
        while (found := self.states()[name]).state == "STOPPING" and time.monotonic() < deadline:
            time.sleep(0.05)
        if found.state == "BACKOFF":
            # It died before and waits, longer each time: begin afresh.
            self._call("supervisor.stopProcess", name, True)
        if not found.running:
            self._call("supervisor.startProcess", name, False)

    def halt(self, name: str) -> None:
        """Ask a program to stop unless it is; returns at once."""
        if self.states()[name].active:
            self._call("supervisor.stopProcess", name, False)

    def shutdown(self) -> None:
        """Stop it and what it still runs, and wait for its end."""
        pid = int(self._call("supervisor.getPID"))
        self._call("supervisor.shutdown")
        with suppress(psutil.NoSuchProcess):
            psutil.Process(pid).wait(_STOP_SECONDS)

    def _call(self, method: str, *arguments: Any) -> Any:
        from supervisor.xmlrpc import SupervisorTransport

        transport = SupervisorTransport("", "", f"unix://{self._socket}")
        try:
            with xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport) as proxy:
                return getattr(proxy, method)(*arguments)
        except (OSError, xmlrpc.client.ProtocolError) as error:
            raise LocalError(
                f"expected the supervisor to answer at {self._socket}, and got: {error}.",
                remedy="Start it: `sentinel up`.",
            ) from error
        except xmlrpc.client.Fault as error:
            raise LocalError(
                f"expected the supervisor to do {method}{arguments}, it answered: {error.faultString}.",
                remedy=f"See {self._layout.log(NAME)}.",
            ) from error


def socket_path(layout: Layout) -> Path:
    """Return the supervisor's socket: in the home, or in a short temporary folder where that path is too long."""
    near = layout.run / "supervisor.sock"
    if len(os.fsencode(near)) <= _SOCKET_LENGTH:
        return near
    digest = hashlib.blake2b(os.fsencode(layout.home), digest_size=6).hexdigest()
    base = Path(tempfile.gettempdir())
    if len(os.fsencode(base)) > _SOCKET_LENGTH // 2:
        base = Path("/tmp")  # noqa: S108  # macOS hides its own far away; the folder below is ours alone
    return base / f"sentinel-{os.geteuid()}-{digest}" / "supervisor.sock"


def configuration(layout: Layout, socket: Path, processes: Sequence[Process]) -> str:
    """Return supervisord's configuration with one stopped program for each process."""
    lines = [
        "[unix_http_server]",
        f"file={_escape(socket)}",
        "chmod=0700",
        "[rpcinterface:supervisor]",
        "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface",
        "[supervisord]",
        f"logfile={_escape(layout.log(NAME))}",
        f"pidfile={_escape(layout.run / 'supervisord.pid')}",
        f"directory={_escape(project_root())}",
        "logfile_maxbytes=5MB",
        "logfile_backups=1",
        "silent=true",
    ]
    if os.geteuid() == 0:
        lines.append("user=root")  # said, so that it does not warn of it
    for process in processes:
        lines += _program(layout, process)
    return "\n".join(lines) + "\n"


def _program(layout: Layout, process: Process) -> list[str]:
    command = shlex.join([sys.executable, "-m", "sentinel_core.cli", "run", process.name])
    # PostgreSQL's children take a signal to the group for a request of their own.
    group = "false" if process.name == "postgres" else "true"
    return [
        f"[program:{process.name}]",
        f"command={_escape(command)}",
        f"priority={process.order}",
        "autostart=false",
        "autorestart=true",
        "startsecs=1",
        "startretries=20",
        f"stopsignal={process.stop_signal.name.removeprefix('SIG')}",
        f"stopwaitsecs={process.stop_seconds}",
        f"stopasgroup={group}",
        "killasgroup=true",
        "redirect_stderr=true",
        f"stdout_logfile={_escape(_escape(layout.log(process.name)))}",  # this one it expands twice
        "stdout_logfile_maxbytes=10MB",
        "stdout_logfile_backups=3",
    ]


def _escape(value: object) -> str:
    return str(value).replace("%", "%%")


def _check_owner(folder: Path) -> None:
    status = folder.stat()
    if status.st_uid != os.geteuid() or status.st_mode & 0o077:
        raise LocalError(
            f"expected {folder} to be ours alone, found it owned by user {status.st_uid} "
            f"with mode {status.st_mode & 0o777:o}.",
            remedy="Remove it, or choose a shorter SENTINEL_HOME.",
        )
