"""# performance_check

Every night: precision, recall, F1 and PR-AUC of each model on the days that became 7, 30 and 60 days old, as they were
known at that age; what earlier nights missed is made up for. `sentinel performance` shows them. Without Airflow the
supervisor runs the same step.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from airflow.sdk import dag, task


@dag(
    schedule="30 1 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    doc_md=__doc__,
    tags=["sentinel", "monitoring"],
)
def performance_check() -> None:
    """Measure the cohorts that reached an age; see doc_md."""

    @task
    def measure() -> dict[str, Any]:
        from sentinel_core.flows.performance import measure_performance
        from sentinel_core.settings import load_settings

        return measure_performance(load_settings(), now=datetime.now(UTC), progress=print)

    measure()


performance_check()
