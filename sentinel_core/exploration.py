"""Exploration: a small random share of what the model declines is let through, so that its hits do not hide its errors.

Of declined payments nobody learns what they were. The few that go through stand for all of them: each weighs
1/propensity in training and in live figures (docs/decisions/0018).
"""

from __future__ import annotations

import hashlib
from typing import Final

from sentinel_core.errors import SettingsError
from sentinel_core.settings import Settings

_RANGE: Final = 1 << 64


class Exploration:
    """Draw by transaction_id: a retry, another worker and a replay draw alike, and no client can foresee it.

    `share` is the propensity, 0 to 1, and 0 lets nothing through. The draw is a keyed BLAKE2b hash (RFC 7693): among
    ids it is uniform and independent of everything else that is known of a transaction.
    """

    def __init__(self, share: float, secret: str) -> None:
        self.share = share
        self._key = hashlib.blake2b(secret.encode(), digest_size=32).digest()
        self._below = round(share * _RANGE)

    @classmethod
    def of(cls, settings: Settings) -> Exploration:
        """Make it from the settings; raises `SettingsError` where it is on and there is no key."""
        if not settings.explore_share:
            return cls(0.0, "")
        try:
            return cls(settings.explore_share, settings.secret("explore_key"))
        except SettingsError:
            raise SettingsError(
                f"expected SENTINEL_EXPLORE_KEY beside SENTINEL_EXPLORE_SHARE={settings.explore_share:g}, found none, "
                f"nor a generated one in {settings.home}.",
                remedy="Set it to a long random text, the same for every worker and machine.",
            ) from None

    def lets_through(self, transaction_id: str) -> bool:
        """Whether a transaction goes through though it is declined."""
        if not self._below:
            return False
        drawn = hashlib.blake2b(transaction_id.encode(), key=self._key, digest_size=8).digest()
        return int.from_bytes(drawn, "little") < self._below
