"""Where alerts are sent: the channels of SENTINEL_NOTIFY_URLS, Apprise URLs between spaces or commas.

A URL holds passwords and tokens: outside of this room a channel is known by its name alone, its scheme and its place.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

_BETWEEN: Final = re.compile(r"[\s,]+(?=[A-Za-z][A-Za-z0-9+.-]*://)")
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,31})://")


@dataclass(frozen=True, slots=True)
class Channel:
    """One place to send to; the URL is shown nowhere."""

    name: str
    url: str = field(repr=False)


def channels(urls: str | None) -> tuple[Channel, ...]:
    """Split the setting into channels, in order.

    >>> [channel.name for channel in channels("slack://token-a/token-b, mailto://ann:secret@example.org")]
    ['slack-1', 'mailto-2']
    """
    parts = [part.strip(" ,\t\r\n") for part in _BETWEEN.split(urls or "")]
    return tuple(
        Channel(f"{match[1].lower() if (match := _SCHEME.match(part)) else 'unknown'}-{place}", part)
        for place, part in enumerate(filter(None, parts), start=1)
    )
