"""# risk_refresh

Every night: merchant and country risk from the labels known by midnight UTC, published to Redis. The table of a day
serves transactions from 01:00 UTC on; each worker swaps it in whole. Without Airflow the supervisor runs the same step.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from airflow.sdk import dag, task


@dag(
    schedule="30 0 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    doc_md=__doc__,
    tags=["sentinel", "risk"],
)
def risk_refresh() -> None:
    """Publish the risk table of the last midnight; see doc_md."""

    @task
    def refresh() -> dict[str, Any]:
        from sentinel_core.flows.risk import refresh_risk
        from sentinel_core.settings import load_settings

        return refresh_risk(load_settings(), now=datetime.now(UTC), progress=print)

    refresh()


risk_refresh()
