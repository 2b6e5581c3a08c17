"""Messages about alerts: what a channel has not taken yet is sent, and how that ended is written down."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Engine

from sentinel_core.errors import SettingsError
from sentinel_core.flows import Progress
from sentinel_core.monitoring.alert_text import summarise
from sentinel_core.notify.channels import Channel, channels
from sentinel_core.notify.sending import deliver
from sentinel_core.settings import Settings
from sentinel_core.stores.notifications import record_notification, waiting_alerts
from sentinel_core.stores.postgres import connected

REACH: Final = timedelta(hours=24)
"""So long after an alert a channel is tried again; what it did not take by then it never gets."""
MOST_AT_ONCE: Final = 50
MOST_FAILURES: Final = 2
"""After so many messages that a channel did not take, a check lets it be."""


def send_waiting(settings: Settings, engine: Engine, *, now: datetime, progress: Progress) -> list[dict[str, Any]]:
    """Send every waiting message to its channel, oldest first; return what became of each.

    Within a rule the order holds: what is resolved is not said before what began. Whoever calls makes others wait, so
    that no two send the same. Raises `StoreError` where PostgreSQL goes away: what was not written down is sent again.
    """
    found = {channel.name: channel for channel in channels(settings.notify_urls)}
    if not found:
        return []
    with connected(engine) as conn:
        waiting = waiting_alerts(conn, list(found), now=now, reach=REACH, limit=MOST_AT_ONCE)
    done: list[dict[str, Any]] = []
    failed: dict[str, list[str]] = {name: [] for name in found}
    for alert in waiting:
        rules = failed[alert["channel"]]
        if len(rules) >= MOST_FAILURES or alert["rule"] in rules:
            continue
        outcome = _send(engine, found[alert["channel"]], alert, now)
        if not outcome["sent"]:
            rules.append(alert["rule"])
        progress(f"{outcome['channel']}: {outcome['title']}, {outcome['reason']}")
        done.append(outcome)
    return done


def _send(engine: Engine, channel: Channel, alert: dict[str, Any], now: datetime) -> dict[str, Any]:
    message = summarise(alert)
    delivery = deliver(channel, message.title, message.body, message.tone)
    with connected(engine) as conn:
        record_notification(
            conn,
            alert_id=alert["id"],
            channel=channel.name,
            sent=delivery.sent,
            attempts=delivery.attempts,
            reason=delivery.reason,
            at=now,
        )
    return {
        "alert_id": alert["id"],
        "channel": channel.name,
        "title": message.title,
        "sent": delivery.sent,
        "attempts": delivery.attempts,
        "reason": delivery.reason,
    }


def send_test(settings: Settings) -> list[dict[str, Any]]:
    """Send a message to every channel; return {"channel", "sent", "attempts", "reason"} of each.

    Raises `SettingsError` where there is no channel, or one did not take it.
    """
    title, body = "SentinelML: a test", "Somebody tries the channels of SENTINEL_NOTIFY_URLS. Nothing is wrong."
    done = [
        {"channel": channel.name, **asdict(deliver(channel, title, body, "success"))}
        for channel in channels(settings.notify_urls)
    ]
    if not done:
        raise SettingsError(
            "expected channels in SENTINEL_NOTIFY_URLS, found none.",
            remedy="Set it in the environment or .env, see docs/monitoring.md.",
        )
    failed = [f"{one['channel']} ({one['reason']})" for one in done if not one["sent"]]
    if failed:
        raise SettingsError(
            f"expected every channel to take a message, and of {len(done)} these did not: {', '.join(failed)}.",
            remedy="Correct SENTINEL_NOTIFY_URLS.",
        )
    return done
