"""# drift_check

Every hour: has the traffic changed since the champion's hold-out? Features, categories and scores of the last hour (of
up to a day until there are 500 answers) against `reference.parquet` of the model in Production, at the same hours and
kinds of day. Drift is what two windows that follow each other both reject. The verdict, with figures for each feature,
is a row of `drift_reports`; Evidently's page lies in SENTINEL_HOME/drift. The verdict of Evidently's preset stands
beside ours, in the row, on the page and in the log; how often each is wrong: docs/monitoring.md. `sentinel drift` runs
the same step.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from airflow.sdk import dag, task


@dag(
    schedule="5 * * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    doc_md=__doc__,
    tags=["sentinel", "monitoring"],
)
def drift_check() -> None:
    """Judge the newest answers of the champion; see doc_md."""

    @task
    def check() -> dict[str, Any]:
        from sentinel_core.flows.drift import check_drift
        from sentinel_core.settings import load_settings

        return check_drift(load_settings(), now=datetime.now(UTC), progress=print)

    check()


drift_check()
