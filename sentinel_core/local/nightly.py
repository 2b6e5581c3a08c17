"""The risk tables of each midnight where no Airflow runs: the same step as the DAG `risk_refresh`, at 00:30 UTC.

The process waits and starts another for each refresh, so that what a refresh needs in memory is gone after it.
"""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Final

from sentinel_core.errors import SentinelError
from sentinel_core.settings import load_settings

AFTER_MIDNIGHT: Final = timedelta(minutes=30)
_RETRY_SECONDS: Final = 600.0
_ONCE: Final = "once"


def next_refresh(now: datetime) -> datetime:
    """Return the first 00:30 UTC after `now` (aware)."""
    moment = now.astimezone(UTC)
    today = moment.replace(hour=0, minute=0, second=0, microsecond=0) + AFTER_MIDNIGHT
    return today if moment < today else today + timedelta(days=1)


def refresh_once() -> int:
    """Refresh the tables now; return an exit code."""
    from sentinel_core.flows.risk import refresh_risk

    try:
        made = refresh_risk(load_settings(), now=datetime.now(UTC))
    except SentinelError as error:
        sys.stderr.write(f"risk-refresh: {error}\n")
        return 1
    sys.stderr.write(f"risk-refresh: {made}\n")
    return 0


def refresh_every_night() -> None:
    """Refresh at the start and then every night; one that fails is tried again after ten minutes."""
    while True:
        done = subprocess.run([sys.executable, "-m", "sentinel_core.local.nightly", _ONCE], check=False)
        if done.returncode != 0:
            time.sleep(_RETRY_SECONDS)
            continue
        due = next_refresh(datetime.now(UTC))
        while (left := (due - datetime.now(UTC)).total_seconds()) > 0:
            time.sleep(min(left, 60.0))  # in short naps: a laptop that slept wakes up late


if __name__ == "__main__":
    if sys.argv[1:] == [_ONCE]:
        sys.exit(refresh_once())
    refresh_every_night()
