"""How each metric that an alert rule may name is read from PostgreSQL.

Traffic is counted by the hour: a window begins with the full hour in which it would begin, so that `1h` covers one to
two hours. Figures over labels go by when a label became known; `live_…` are stored figures of whole days of events.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from sqlalchemy import Connection, text

from sentinel_core.monitoring.alert_share import BASELINE, Hour, share_ratio
from sentinel_core.monitoring.alerting import Reading
from sentinel_core.monitoring.rules import WINDOWS, Rule
from sentinel_core.stores.live_metrics import COLUMN, newest_metrics
from sentinel_core.stores.monitoring import labelled, traffic

_JUDGED: Final = ("drift", "suspected", "no_drift")
_HOURS: Final = text(
    """
    SELECT hour AS start, CAST(sum(predictions) AS bigint) AS predictions, CAST(sum(flagged) AS bigint) AS flagged
    FROM prediction_hours WHERE hour >= date_trunc('hour', CAST(:since AS timestamptz), 'UTC') AND hour <= :now
    GROUP BY hour ORDER BY hour
    """
)
_DRIFT: Final = text(
    """
    SELECT model_version, verdict, severity, reason, sample_size, created_at,
           evidently_verdict, evidently_share, evidently_reason FROM drift_reports
    WHERE created_at <= :now ORDER BY created_at DESC, id DESC LIMIT 1
    """
)
_DEAD: Final = text("SELECT count(*) FROM dead_letters WHERE created_at > :since AND created_at <= :now")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a reader is asked: a window that ends at `now`, for the deployment's model."""

    conn: Connection
    model_name: str
    now: datetime
    window: timedelta


def read_metric(conn: Connection, rule: Rule, *, model_name: str, now: datetime) -> Reading:
    """Read the metric of a rule over its window."""
    return READERS[rule.metric.name](Asked(conn, model_name, now, WINDOWS[rule.window]))


def _traffic(name: str, asked: Asked) -> Reading:
    seen = traffic(asked.conn, now=asked.now, window=asked.window)
    count = seen.sampled if name.startswith("latency") else seen.predictions
    return Reading(getattr(seen, name), asked.now, count, "" if count else "there was no traffic")


def _predictions(asked: Asked) -> Reading:
    seen = traffic(asked.conn, now=asked.now, window=asked.window)
    if not seen.total:
        return Reading(None, asked.now, why="nothing was ever predicted")
    return Reading(float(seen.predictions), asked.now)


def _alert_share(asked: Asked) -> Reading:
    first = asked.now - asked.window
    rows = asked.conn.execute(_HOURS, {"since": first - BASELINE, "now": asked.now})
    hours = [Hour(row.start, row.predictions, row.flagged) for row in rows]
    begin = first.replace(minute=0, second=0, microsecond=0)
    found = share_ratio([hour for hour in hours if hour.start >= begin], [hour for hour in hours if hour.start < begin])
    return Reading(found.ratio, asked.now, found.predictions, found.why, {"share": asdict(found)})


def _labelled(name: str, asked: Asked) -> Reading:
    truth = labelled(asked.conn, now=asked.now, window=asked.window)
    hits, false_alarms, missed = truth.true_positives, truth.false_positives, truth.false_negatives
    value, count = {
        "precision": (hits, hits + false_alarms),
        "recall": (hits, hits + missed),
        "f1": (2 * hits, 2 * hits + false_alarms + missed),
    }[name]
    if not count:
        return Reading(None, asked.now, 0, "no labels came that say anything about it")
    known = count - hits if name == "f1" else count
    return Reading(value / count, asked.now, known, facts={"labelled": asdict(truth)})


def _live(name: str, asked: Asked) -> Reading:
    rows = [
        row
        for row in newest_metrics(asked.conn, asked.model_name)
        if not row["provisional"] and asked.now - asked.window < _moment(row["known_at"]) <= asked.now
    ]
    if not rows:
        return Reading(None, asked.now, why="no days of events matured within the window")
    row = max(rows, key=lambda row: (row["cohort_day"], row["model_version"]))
    at, figure = _moment(row["known_at"]), row[name]
    facts = {fact: row[fact] for fact in ("model_version", "first_day", "cohort_day", "age_days")}
    if name != "precision" and row["on_approved_traffic"]:
        return Reading(None, at, why="it is known on approved traffic alone", facts=facts)
    count = row["counts"]["alerts" if name == "precision" else "frauds"]
    return Reading(figure["value"] if figure else None, at, count, "" if figure else "it is undefined", facts)


def _drift(column: str, asked: Asked) -> Reading:
    """Read the newest check's verdict from a column: ours, or Evidently's, which a check may lack."""
    row = asked.conn.execute(_DRIFT, {"now": asked.now}).mappings().one_or_none()
    if row is None:
        return Reading(None, asked.now, why="drift was never checked")
    at: datetime = row["created_at"]
    if at <= asked.now - asked.window:
        return Reading(None, at, why=f"the newest check of drift is of {at:%Y-%m-%d %H:%M} UTC")
    facts = {name: value for name, value in row.items() if name != "created_at"}
    if row["verdict"] not in _JUDGED:
        return Reading(None, at, why=f"the newest check of drift says {row['verdict']}: {row['reason']}", facts=facts)
    if row[column] is None:
        why = row["evidently_reason"] or "an earlier release made it"
        return Reading(None, at, why=f"the newest check of drift has no verdict of Evidently: {why}", facts=facts)
    return Reading(float(row[column] == "drift"), at, facts={"drift": facts})


def _dead_letters(asked: Asked) -> Reading:
    count = asked.conn.execute(_DEAD, {"since": asked.now - asked.window, "now": asked.now}).scalar_one()
    return Reading(float(count), asked.now)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


READERS: Final[Mapping[str, Callable[[Asked], Reading]]] = {
    **{name: partial(_traffic, name) for name in ("fraud_rate", "mean_score", "degraded_rate", "cache_hit_rate")},
    **{f"latency_{name}_ms": partial(_traffic, f"latency_{name}_ms") for name in ("p50", "p95", "p99")},
    "alert_share_ratio": _alert_share,
    "predictions": _predictions,
    **{name: partial(_labelled, name) for name in ("precision", "recall", "f1")},
    **{f"live_{name}": partial(_live, COLUMN.get(name, name)) for name in ("precision", "recall", "f1", "pr_auc")},
    "drift": partial(_drift, "verdict"),
    "drift_evidently": partial(_drift, "evidently_verdict"),
    "dead_letters": _dead_letters,
}
"""How each metric of `monitoring.alert_metrics` is read."""
