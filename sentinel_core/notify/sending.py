"""Send one message to one channel, by Apprise: a time limit for each attempt, a few attempts, longer and longer waits.

What Apprise logs and answers may quote URLs, hosts and replies of servers: nothing of it leaves this module but a
status.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from sentinel_core.notify.channels import Channel

if TYPE_CHECKING:
    import apprise

ATTEMPTS: Final = 3
ATTEMPT_SECONDS: Final = 15.0
FIRST_WAIT_SECONDS: Final = 1.0
_UNKNOWN: Final = "the URL is none that Apprise knows; see SENTINEL_NOTIFY_URLS"
_STATUS: Final = re.compile(r"\berror=(\d{3})\b")


@dataclass(frozen=True, slots=True)
class Delivery:
    """How it ended: whether the channel took the message, after how many attempts, and what the last one said."""

    sent: bool
    attempts: int
    reason: str


def deliver(
    channel: Channel,
    title: str,
    body: str,
    tone: Literal["failure", "warning", "success", "info"],
    *,
    seconds: float = ATTEMPT_SECONDS,
    sleep: Callable[[float], None] = time.sleep,
) -> Delivery:
    """Send plain text to a channel; a failure is a `Delivery` that says so, never an exception.

    A channel that took the message and whose reply was lost gets it again.
    """
    from tenacity import Retrying, retry_if_result, stop_after_attempt, wait_exponential

    _silence()
    if _service(channel, seconds) is None:
        return Delivery(False, 0, _UNKNOWN)
    attempts = Retrying(
        stop=stop_after_attempt(ATTEMPTS),
        wait=wait_exponential(multiplier=FIRST_WAIT_SECONDS),
        retry=retry_if_result(bool),
        retry_error_callback=lambda last: last.outcome and last.outcome.result(),
        sleep=sleep,
    )
    reason = attempts(_attempt, channel, seconds, title, body, tone)
    return Delivery(not reason, attempts.statistics["attempt_number"], reason or "taken")


def _silence() -> None:
    """Keep out of every log of this process what the libraries say: Apprise names URLs, urllib3 paths with tokens.

    For good: an attempt that was given up may still say something later.
    """
    own, http = logging.getLogger("apprise"), logging.getLogger("urllib3")
    own.propagate = False
    if not own.handlers:
        own.addHandler(logging.NullHandler())  # or Python prints what has no handler
    http.setLevel(max(http.level, logging.WARNING))


def _service(channel: Channel, seconds: float) -> apprise.Apprise | None:
    import apprise

    asset = apprise.AppriseAsset(
        app_id="SentinelML",
        app_desc="SentinelML alerts",
        app_url="",
        async_mode=False,
        storage_mode="memory",
        service_timeout=seconds,
    )
    made = apprise.Apprise(asset=asset)
    return made if made.add(channel.url) else None


def _attempt(channel: Channel, seconds: float, title: str, body: str, tone: str) -> str:
    """Send once; return why it failed, or nothing."""
    from apprise import AppriseResultStatus, NotifyFormat, NotifyType

    # A service that is used again waits for a pause of its own.
    service = _service(channel, seconds)
    if service is None:
        return _UNKNOWN
    result = service.notify(body, title=title, notify_type=NotifyType(tone), body_format=NotifyFormat.TEXT)
    if result:
        return ""
    if result.status == AppriseResultStatus.TIMEOUT:
        return "no answer in time"
    return _refused(result)


def _refused(result: Any) -> str:
    statuses = [match[1] for entry in result.logs() if (match := _STATUS.search(entry.message))]
    return f"refused with status {statuses[-1]}" if statuses else "not reached, or refused"
