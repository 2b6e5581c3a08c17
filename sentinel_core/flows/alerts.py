"""Alerts: every rule judged once, what changed written down and sent, once each way; and who took note of it."""

from __future__ import annotations

import logging
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Engine

from sentinel_core.errors import DataError, SettingsError
from sentinel_core.flows import Progress, silent
from sentinel_core.flows.judging import judging
from sentinel_core.flows.notifications import send_waiting
from sentinel_core.flows.state import read_streaks, write_streaks
from sentinel_core.monitoring.alerting import Reading, State, Step, step
from sentinel_core.monitoring.default_rules import default_rules
from sentinel_core.monitoring.rules import Rule, read_rules
from sentinel_core.settings import Settings
from sentinel_core.stores.alert_metrics import read_metric
from sentinel_core.stores.alerts import CHECK, Alert, acknowledge, list_incidents, record_alert
from sentinel_core.stores.postgres import connected, make_engine, take_turns

MOST_OPEN: Final = 10_000
_log: Final = logging.getLogger(__name__)


def check_alerts(
    settings: Settings, *, now: datetime, progress: Progress = silent, send: bool = True
) -> list[dict[str, Any]]:
    """Judge every rule at `now`, append to `alerts` what begins to fire and what is resolved, and send what waits.

    Returns for each rule {"rule", "severity", "metric", "value", "threshold", "state", "change", "alert_id", "reason"}:
    `state` is ok, pending, firing or not_judged, `change` firing, resolved or None. A rule without a value stays as it
    is and says why. Two checks at once take turns, and a message that went out is not sent again; one that a channel
    did not take is tried again by the next check. Raises `SettingsError` for rules that make no sense, `StoreError`
    that names the rules where PostgreSQL is away: the next check judges anew.
    """
    rules = load_rules(settings)
    with ExitStack() as stack:
        engine = stack.enter_context(_engine(settings))
        with judging(f"the rules {', '.join(rule.name for rule in rules)}", "they stay as they were"):
            take_turns(stack.enter_context(connected(engine)), f"alerts of {settings.model_name}")
            with connected(engine) as conn:
                found, streaks = _judge(conn, settings, rules, now)
        write_streaks(settings, streaks)
        for one in found:
            progress(f"{one['rule']}: {one['change'] or one['state']}, {one['reason']}")
        if send:
            send_waiting(settings, engine, now=now, progress=progress)
    return found


def load_rules(settings: Settings) -> tuple[Rule, ...]:
    """Read the rules of SENTINEL_ALERT_RULES, else the defaults; raises `SettingsError` where they make no sense."""
    path = settings.alert_rules
    if path is None:
        return default_rules()
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(
            f"expected alert rules at {path}, and got: {error.strerror}.", remedy="Correct SENTINEL_ALERT_RULES."
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"expected TOML in {path}: {error}.", remedy="See examples/alerts.toml.") from None
    return read_rules(document, str(path))


def open_alerts(settings: Settings) -> list[dict[str, Any]]:
    """Return the incidents that have not ended, newest first; raises `StoreError` where PostgreSQL is away."""
    return recent_alerts(settings, only_open=True)


def recent_alerts(settings: Settings, *, only_open: bool = False, limit: int = 100) -> list[dict[str, Any]]:
    """Return the newest incidents, newest first; raises `StoreError` where PostgreSQL is away."""
    with _engine(settings) as engine, connected(engine) as conn:
        return list_incidents(conn, only_open=only_open, limit=limit)


def acknowledge_alert(settings: Settings, number: int, *, actor: str, reason: str, now: datetime) -> dict[str, Any]:
    """Write down that somebody took note of an incident; return it, as it is where somebody did so before.

    Raises `DataError` where there is no such alert, `StoreError` where PostgreSQL is away.
    """
    with _engine(settings) as engine, connected(engine) as conn:
        incident = acknowledge(conn, number, actor=actor, reason=reason, now=now)
    if incident is None:
        raise DataError(f"expected the number of an alert, got {number}.", remedy="See sentinel alerts --all.")
    return incident


def _judge(
    conn: Connection, settings: Settings, rules: tuple[Rule, ...], now: datetime
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Judge and record; return what was found, and what the next check has to know."""
    # The oldest open one of a rule counts, though there is only ever one.
    firing = {
        one["rule"]: one for one in list_incidents(conn, only_open=True, limit=MOST_OPEN) if one["actor"] == CHECK
    }
    before = read_streaks(settings)
    found, streaks = [], {}
    for rule in rules:
        incident = firing.pop(rule.name, None)
        reading = read_metric(conn, rule, model_name=settings.model_name, now=now)
        after = step(rule, _state(before.get(rule.name, {}), incident), reading, now)
        number = _record(conn, rule, reading, after, incident, now)
        streaks[rule.name] = _remembered(after.state)
        found.append(_found(rule, reading, after, number))
    for gone in firing.values():
        found.append(_withdraw(conn, gone, now))
    return found, streaks


def _state(streak: Mapping[str, Any], incident: Mapping[str, Any] | None) -> State:
    """Put a state together: the table says whether it fires, the file how far it is from changing that."""
    firing = incident is not None
    since = incident["details"].get("since") if incident else streak.get("since")
    known = streak.get("firing") == firing
    return State(
        firing=firing,
        streak=int(streak["streak"]) if known else 0,
        since=_moment(since) if known or firing else None,
        counted_at=_moment(streak.get("counted_at")),
    )


def _remembered(state: State) -> dict[str, Any]:
    return {
        "firing": state.firing,
        "streak": state.streak,
        "since": state.since.isoformat() if state.since else None,
        "counted_at": state.counted_at.isoformat() if state.counted_at else None,
    }


def _record(
    conn: Connection, rule: Rule, reading: Reading, after: Step, incident: Mapping[str, Any] | None, now: datetime
) -> int | None:
    """Append what changed; return the number of the incident that the rule is in, or was."""
    number = int(incident["id"]) if incident else None
    if after.change is None:
        return number
    _log.warning("%s: %s, %s", rule.name, after.change, after.says)
    since = incident["details"].get("since") if incident else after.state.since and after.state.since.isoformat()
    alert = Alert(
        rule=rule.name,
        severity=rule.severity,
        state=after.change,
        metric=rule.metric.name,
        actor=CHECK,
        reason=after.says,
        created_at=now,
        value=reading.value,
        threshold=rule.threshold,
        details={
            "description": rule.metric.description,
            "unit": rule.metric.unit,
            "comparison": rule.comparison,
            "window": rule.window,
            "count": reading.count,
            "counted": rule.metric.counted,
            "since": since,
            "what_to_do": rule.what_to_do,
            **({"alert_id": number} if number is not None else {}),
            **reading.facts,
        },
    )
    made = record_alert(conn, alert)
    return made if number is None else number


def _withdraw(conn: Connection, incident: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """End an incident whose rule is gone: nobody would ever judge it again."""
    reason = "the rule is no longer configured"
    told = {name: incident[name] for name in ("rule", "severity", "metric", "threshold")}
    details = {**incident["details"], "count": None, "alert_id": incident["id"]}
    record_alert(
        conn, Alert(**told, state="resolved", actor=CHECK, reason=reason, created_at=now, value=None, details=details)
    )
    return {**told, "value": None, "state": "ok", "change": "resolved", "alert_id": incident["id"], "reason": reason}


def _found(rule: Rule, reading: Reading, after: Step, number: int | None) -> dict[str, Any]:
    if after.state.firing:
        state = "firing"
    elif not after.judged:
        state = "not_judged"
    else:
        state = "pending" if after.state.streak else "ok"
    return {
        "rule": rule.name,
        "severity": rule.severity,
        "metric": rule.metric.name,
        "value": reading.value,
        "threshold": rule.threshold,
        "state": state,
        "change": after.change,
        "alert_id": number,
        "reason": after.says,
    }


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


@contextmanager
def _engine(settings: Settings) -> Iterator[Engine]:
    engine = make_engine(settings)
    try:
        yield engine
    finally:
        engine.dispose()
