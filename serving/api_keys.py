"""Which client is it? The keys that the service knows, without a restart."""

from __future__ import annotations

import hashlib
import hmac
import time
from typing import Final

from sentinel_core.errors import SettingsError
from sentinel_core.settings import Settings
from sentinel_core.stores.api_keys import given_keys, kept_keys, keys_file
from serving.logs import get_logger

LOOK_SECONDS: Final = 1.0
"""After how long the file is looked at again: a revoked key is refused from then on."""
_Stamp = tuple[int, int, int]
log = get_logger(__name__)


class KnownKeys:
    """The keys of SENTINEL_API_KEYS and of SENTINEL_HOME/api_keys.json.

    Raises `SettingsError` where SENTINEL_API_KEYS is malformed. A file that cannot be read leaves the keys as they
    were, and at the start leaves none.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._path = keys_file(settings)
        self._given = [(one.name, bytes.fromhex(one.sha256)) for one in given_keys(settings)]
        self._keys = list(self._given)
        self._stamp: _Stamp | None = None
        self._looked = 0.0
        self._look()

    def __len__(self) -> int:
        """Count the known keys."""
        return len(self._keys)

    def name_of(self, key: bytes) -> str | None:
        """Return the name of a presented key, or None; an unknown one is looked for in the file once more.

        The time depends on how many keys there are, never on how much of one was guessed.
        """
        presented = hashlib.sha256(key).digest()
        if time.monotonic() - self._looked > LOOK_SECONDS:
            self._look()
        name = self._match(presented)
        if name is None and self._look():
            name = self._match(presented)
        return name

    def _match(self, presented: bytes) -> str | None:
        found = None
        for name, known in self._keys:
            if hmac.compare_digest(known, presented):
                found = name
        return found

    def _look(self) -> bool:
        """Read the file where it is another one than before; return whether it was read."""
        self._looked = time.monotonic()
        stamp = self._read_stamp()
        if stamp == self._stamp:
            return False
        self._stamp = stamp
        try:
            kept = kept_keys(self._settings)
        except SettingsError as error:
            log.warning("keys not read", reason=str(error))
            return False
        self._keys = [*self._given, *((one.name, bytes.fromhex(one.sha256)) for one in kept)]
        return True

    def _read_stamp(self) -> _Stamp | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        # A file is replaced as a whole: even within one tick of the clock it is another inode.
        return found.st_mtime_ns, found.st_size, found.st_ino
