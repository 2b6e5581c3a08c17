"""One `sentinel up` or `down` at a time in a SENTINEL_HOME."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from sentinel_core.errors import LocalError
from sentinel_core.local.paths import Layout


@contextmanager
def exclusive(layout: Layout) -> Iterator[None]:
    """Hold the home's lock; the system frees it when this process ends, however it ends.

    Raises `LocalError` where another process holds it.
    """
    layout.make()
    with (layout.run / "lock").open("a+", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise LocalError(
                f"expected no other `sentinel up` or `sentinel down` at work in {layout.home}, "
                f"found pid {file.read().strip() or 'unknown'}.",
                remedy="Wait for it, or stop it.",
            ) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield
