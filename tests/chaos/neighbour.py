"""A neighbour that keeps the disk busy: it writes files and has each brought to the disk, until it is ended.

python tests/chaos/neighbour.py FOLDER
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

MEGABYTES: Final = 4
FILES: Final = 8
_PAUSE_SECONDS: Final = 0.02


@contextmanager
def busy_disk(folder: Path) -> Iterator[None]:
    """Keep the disk of `folder` busy until the end of the block."""
    folder.mkdir()
    neighbour = subprocess.Popen([sys.executable, __file__, str(folder)])
    try:
        yield
        assert neighbour.poll() is None, "the neighbour ended by itself"
    finally:
        neighbour.kill()
        neighbour.wait()


def main() -> None:
    """Write without end; whoever started this being gone is the end too."""
    folder, parent = Path(sys.argv[1]), os.getppid()
    content = secrets.token_bytes(MEGABYTES * 1_000_000)
    number = 0
    while os.getppid() == parent:
        with (folder / f"{number % FILES}").open("wb") as file:
            file.write(content)
            os.fsync(file.fileno())
        number += 1
        time.sleep(_PAUSE_SECONDS)


if __name__ == "__main__":
    main()
