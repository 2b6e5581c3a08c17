"""Bundles on this machine's disk, shared by its workers: SENTINEL_HOME/serving/models/<version>/.

A folder appears complete or not at all, and one worker fetches while the others wait for it. `current.json` names
what was last in service.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Final

from sentinel_core.errors import BundleError, RegistryError
from sentinel_core.registry.bundle import LoadedBundle, load_bundle
from sentinel_core.registry.rest import VersionRef

KEPT: Final = 5
"""How many bundles stay on disk: a rollback finds its own without a download."""
CURRENT: Final = "current.json"
_FETCHING: Final = ".fetching"
_PLAIN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")

Download = Callable[[VersionRef, Path], None]


class BundleCache:
    """The bundles under `root`. Methods raise `RegistryError` where the disk refuses, as if the registry were away."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def directory(self, version: VersionRef) -> Path:
        """Return where the bundle of a version lies, or will lie."""
        # The name comes from a tag that anybody may set: it must not lead out of the folder.
        name = version.key
        return self._root / (name if _PLAIN.fullmatch(name) else hashlib.sha256(name.encode()).hexdigest())

    def load(self, version: VersionRef, download: Download) -> LoadedBundle:
        """Load a version, downloading it where it is not here or not as it was.

        Raises `BundleError` where it is not accepted, `RegistryError` where it cannot be had.
        """
        directory = self.directory(version)
        known = directory.exists()
        with _disk_errors(self._root):
            self._fetch(version, directory, download)
        try:
            return load_bundle(directory)
        except BundleError:
            if not known:
                raise
        # The copy was here before: the disk may have spoilt it.
        with _disk_errors(self._root):
            shutil.rmtree(directory, ignore_errors=True)
            self._fetch(version, directory, download)
        return load_bundle(directory)

    def remember(self, version: VersionRef) -> None:
        """Note that a version is in service."""
        with _disk_errors(self._root):
            fresh = self._root / f".{CURRENT}.{os.getpid()}.{threading.get_ident()}"
            fresh.write_text(json.dumps(asdict(version)), encoding="utf-8")
            fresh.replace(self._root / CURRENT)

    def last(self) -> VersionRef | None:
        """Return the version that was last in service on this machine, or None."""
        try:
            return VersionRef(**json.loads((self._root / CURRENT).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def kept(self, name: str) -> Path | None:
        """Return where a version of this name lies on the disk, of several the newest, or None."""
        if not _PLAIN.fullmatch(name):
            return None
        found = [path for path in self._root.glob(f"{name}.*") if path.is_dir()]
        return max(found, key=lambda path: path.stat().st_mtime, default=None)

    def _fetch(self, version: VersionRef, directory: Path, download: Download) -> None:
        if directory.exists():
            return
        self._root.mkdir(parents=True, exist_ok=True)
        with (self._root / ".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if directory.exists():
                return
            # Whoever holds the lock is the only one who fetches: what lies here was left by one who was killed.
            made = self._root / _FETCHING
            shutil.rmtree(made, ignore_errors=True)
            made.mkdir()
            download(version, made)
            made.rename(directory)
            self._prune(directory)

    def _prune(self, newest: Path) -> None:
        last = self.last()
        spared = {newest, self.directory(last) if last is not None else newest}
        folders = [path for path in self._root.iterdir() if path.is_dir() and not path.name.startswith(".")]
        for path in sorted(folders, key=lambda path: path.stat().st_mtime, reverse=True)[KEPT:]:
            if path not in spared:
                shutil.rmtree(path, ignore_errors=True)


@contextmanager
def _disk_errors(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RegistryError(
            f"expected to keep bundles under {root}, got: {error.strerror or error}.",
            remedy="Check the free space and the owner of that folder.",
        ) from error
