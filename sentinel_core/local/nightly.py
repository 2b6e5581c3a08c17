"""Steps by the clock where no Airflow runs: the same as the DAGs risk_refresh, performance_check, alert_check, …

The process waits and starts another for each step, so that what a step needs in memory is gone after it. One step at a
time: alerts wait while a nightly one is under way. A training is not waited for.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sentinel_core.errors import SentinelError
from sentinel_core.settings import Settings, load_settings

DAY: Final = timedelta(days=1)
_RETRY: Final = timedelta(minutes=10)
_NAP_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Step:
    """What is done, first so long after midnight UTC, then again after each `every`; a day is a multiple of that."""

    after_midnight: timedelta
    do: Callable[[Settings, datetime], Mapping[str, Any]]
    every: timedelta = DAY


def _refresh_risk(settings: Settings, now: datetime) -> Mapping[str, Any]:
    from sentinel_core.flows.risk import refresh_risk

    return refresh_risk(settings, now=now)


def _measure_performance(settings: Settings, now: datetime) -> Mapping[str, Any]:
    from sentinel_core.flows.performance import measure_performance

    return {"measured": measure_performance(settings, now=now)["measured"]}


def _check_alerts(settings: Settings, now: datetime) -> Mapping[str, Any]:
    from sentinel_core.flows.alerts import check_alerts

    return {one["rule"]: one["change"] or one["state"] for one in check_alerts(settings, now=now)}


def _check_drift(settings: Settings, now: datetime) -> Mapping[str, Any]:
    from sentinel_core.flows.drift import check_drift

    made = check_drift(settings, now=now)
    return {name: made[name] for name in ("verdict", "reason", "report_path")}


def _check_retraining(settings: Settings, now: datetime) -> Mapping[str, Any]:
    from sentinel_core.flows.retrain import check_retraining
    from sentinel_core.local.retraining import train_beside

    made = check_retraining(settings, now=now, start=train_beside)
    return {name: made[name] for name in ("decision", "reason", "run_id")}


STEPS: Final[Mapping[str, Step]] = {
    "risk-refresh": Step(timedelta(minutes=30), _refresh_risk),
    "performance-check": Step(timedelta(minutes=90), _measure_performance),
    "alert-check": Step(timedelta(0), _check_alerts, every=timedelta(minutes=5)),
    "drift-check": Step(timedelta(minutes=5), _check_drift, every=timedelta(hours=1)),
    "retrain-check": Step(timedelta(minutes=20), _check_retraining, every=timedelta(hours=1)),
}


def next_time(now: datetime, step: Step) -> datetime:
    """Return the first moment after `now` (aware) at which a step is due."""
    moment = now.astimezone(UTC)
    first = moment.replace(hour=0, minute=0, second=0, microsecond=0) + step.after_midnight - DAY
    return first + step.every * ((moment - first) // step.every + 1)


def once(name: str) -> int:
    """Do one step now; return an exit code."""
    try:
        made = STEPS[name].do(load_settings(), datetime.now(UTC))
    except SentinelError as error:
        sys.stderr.write(f"{name}: {error}\n")
        return 1
    sys.stderr.write(f"{name}: {dict(made)}\n")
    return 0


def by_the_clock() -> None:
    """Do each step at the start and then whenever it is due; one that fails is tried again within ten minutes."""
    due = dict.fromkeys(STEPS, datetime.now(UTC))
    while True:
        for name, step in STEPS.items():
            if due[name] <= datetime.now(UTC):
                done = subprocess.run([sys.executable, "-m", "sentinel_core.local.nightly", name], check=False)
                now = datetime.now(UTC)
                due[name] = next_time(now, step)
                if done.returncode != 0:
                    due[name] = min(due[name], now + _RETRY)
        left = (min(due.values()) - datetime.now(UTC)).total_seconds()
        time.sleep(min(max(left, 0.0), _NAP_SECONDS))  # in short naps: a laptop that slept wakes up late


if __name__ == "__main__":
    if len(sys.argv) == 2:
        sys.exit(once(sys.argv[1]))
    by_the_clock()
