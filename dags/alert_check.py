"""# alert_check

Every five minutes: each alert rule is judged, what begins to fire and what is resolved is written to the table `alerts`
and sent to the channels of SENTINEL_NOTIFY_URLS, once each way. A message that a channel did not take is tried again by
the next run. `sentinel alerts` lists what is open. Without Airflow the supervisor runs the same step.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from airflow.sdk import dag, task


@dag(
    schedule="*/5 * * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    doc_md=__doc__,
    tags=["sentinel", "monitoring"],
)
def alert_check() -> None:
    """Judge the alert rules and send what changed; see doc_md."""

    @task
    def check() -> list[dict[str, Any]]:
        from sentinel_core.flows.alerts import check_alerts
        from sentinel_core.settings import load_settings

        return check_alerts(load_settings(), now=datetime.now(UTC), progress=print)

    check()


alert_check()
