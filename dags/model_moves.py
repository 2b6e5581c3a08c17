"""# model_moves

Every ten minutes: which versions were moved between stages in MLflow's own pages, by whom nobody knows; each move is
written down, aliases and stages are brought together, and a version that was put into Production against the gate is
named. The service follows such a move at once; this is its record. `sentinel models` looks too.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from airflow.sdk import dag, task


@dag(
    schedule="*/10 * * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    doc_md=__doc__,
    tags=["sentinel", "registry"],
)
def model_moves() -> None:
    """Write down what people moved in MLflow; see doc_md."""

    @task
    def observe() -> list[dict[str, Any]]:
        from sentinel_core.flows.moves import observe_moves
        from sentinel_core.settings import load_settings

        return observe_moves(load_settings(), now=datetime.now(UTC), progress=print)

    observe()


model_moves()
