"""# model_rollback

Put the version that was in Production before the present one back there, or one that you name. The service follows
within two seconds, without a restart. Say why: the reason and your name stand in the log of moves (`sentinel models`).
Each run without a version goes one further back; what was rolled back from does not come again.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from airflow.sdk import Param, dag, task

PARAMS = {
    "version": Param(None, type=["null", "string"], description="v<YYYYMMDD>_<HHMMSS>; the previous one without it"),
    "reason": Param("rolled back", type="string", minLength=1, description="Why, for the log of moves"),
}


@dag(
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    params=PARAMS,
    doc_md=__doc__,
    tags=["sentinel", "registry"],
)
def model_rollback() -> None:
    """Put an earlier version back into Production; see doc_md."""

    @task(retries=0)
    def restore(params: dict[str, Any], dag_run: Any) -> dict[str, Any]:
        from sentinel_core.flows.moves import rollback
        from sentinel_core.settings import load_settings

        return rollback(
            load_settings(),
            actor=f"{dag_run.triggering_user_name or 'somebody'} in Airflow",
            to=params["version"],
            reason=params["reason"],
            now=datetime.now(UTC),
        )

    restore()


model_rollback()
