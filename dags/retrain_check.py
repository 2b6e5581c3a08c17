"""# retrain_check

Every hour: should a new model be trained? Time, new transactions or a drop of precision or recall ask; whether enough
frauds have matured since the last training decides. Each decision is written down with its reason and figures
(`sentinel retrain --list`). Where a training is due, `fraud_training` is triggered on the database; its model goes
through the gate as any other. `force_retrain` skips what has to be new, neither the gate nor the wait for a training
that is under way.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import Param, dag, task

TRAINING = "fraud_training"
PARAMS = {
    "force_retrain": Param(False, type="boolean", description="Train even where there is little new to learn"),
    "reason": Param("", type="string", description="Why, for the log of decisions"),
}


@dag(
    schedule="20 * * * *",  # after the hour's drift check, whose verdict the decision quotes
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    params=PARAMS,
    doc_md=__doc__,
    tags=["sentinel", "training"],
)
def retrain_check() -> None:
    """Decide whether to train again, and trigger what is due; see doc_md."""

    @task(retries=0)
    def check(params: dict[str, Any], dag_run: Any, ti: Any) -> dict[str, Any]:
        from sentinel_core.flows.retrain import check_retraining
        from sentinel_core.settings import load_settings

        return check_retraining(
            load_settings(),
            now=datetime.now(UTC),
            forced=params["force_retrain"],
            actor=f"{dag_run.triggering_user_name or 'retrain_check'} in Airflow",
            why=params["reason"],
            active=ti.get_dr_count(dag_id=TRAINING, states=["queued", "running"]),
            progress=print,
        )

    @task.short_circuit
    def is_due(decision: dict[str, Any]) -> bool:
        return bool(decision["run_id"])

    decision = check()
    is_due(decision) >> TriggerDagRunOperator(
        task_id="train",
        trigger_dag_id=TRAINING,
        trigger_run_id=decision["run_id"],
        conf=decision["params"],
    )


retrain_check()
