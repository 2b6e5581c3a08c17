"""Run pip and uv: one at a time, with their progress in one line and their output kept for an error."""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

_PROGRESS = re.compile(r"^\s*(Downloading|Resolved|Prepared|Uninstalled|Installed) .*")


class Done(NamedTuple):
    """How a command ended."""

    code: int
    output: str


@contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Hold a folder until the block ends and no child runs any more, even where this process is killed."""
    descriptor = os.open(str(folder), os.O_RDONLY)
    os.set_inheritable(descriptor, True)
    try:
        # A disk without locks (some network shares) is used without.
        with suppress(OSError):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                print("→ Waiting for another installation into this folder …", file=sys.stderr, flush=True)
                fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def run(command: Sequence[str], *, show: bool = False, **variables: str) -> Done:
    """Run a command to its end; on a terminal, `show` draws what it does in one line."""
    child = subprocess.Popen(
        list(command),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={**_environment(), **variables},
        close_fds=False,  # it holds the lock as long as it lives
    )
    drawn = show and sys.stderr.isatty()
    lines = []
    try:
        for line in child.stdout or ():
            lines.append(line)
            if drawn and _PROGRESS.match(line):
                print(f"\r\x1b[K  {line.strip()[:100]}", end="", file=sys.stderr, flush=True)
    finally:
        # Ctrl-C reaches the child too; wait for its end, so that nothing writes after us.
        code = child.wait()
        if drawn:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
    return Done(code, "".join(lines))


def _environment() -> dict[str, str]:
    """Return our environment, in which uv uses the index that pip was given."""
    variables = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    index = variables.get("PIP_INDEX_URL")
    return {"UV_DEFAULT_INDEX": index, **variables} if index else variables
