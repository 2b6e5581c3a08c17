"""# model_rollback

Put the version that was in Production before the present one back there, or one that you name. The service follows
within two seconds, without a restart. Say why: the reason stands in the log of moves (`sentinel models`).
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

    @task
    def restore(params: dict[str, Any]) -> dict[str, Any]:
        from sentinel_core.flows.moves import rollback
        from sentinel_core.settings import load_settings

        return rollback(
            load_settings(),
            actor="model_rollback",
            to=params["version"],
            reason=params["reason"],
            now=datetime.now(UTC),
        )

    restore()


model_rollback()
