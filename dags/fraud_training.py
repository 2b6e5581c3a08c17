"""# fraud_training

From rows to a served model: **ingest → validate → features → train (a task for each candidate) → evaluate → register →
promote → package**.

Trigger it with the form: generated rows, a file with its column map, or the transactions of the database. A failing
validation stops it before training; a candidate that misses its floors stays in Staging, and the champion keeps
serving. Tasks hand on references only; the data lies in SENTINEL_HOME, MLflow and the stores. `sentinel train` runs
the same steps. One training at a time: ingest fails while `sentinel train` runs; end says how it went, in any case.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from airflow.sdk import Param, dag, task, teardown

MODELS = ["random_forest", "gradient_boosting", "logistic_regression"]
PARAMS = {
    "source": Param(
        "synthetic", type="string", enum=["synthetic", "file", "database"], description="Where the rows come from"
    ),
    "rows": Param(100_000, type="integer", minimum=1_000, maximum=100_000_000, description="Generated rows"),
    "fraud_rate": Param(0.02, type="number", minimum=0, maximum=0.2, description="Share of fraud among generated rows"),
    "seed": Param(0, type="integer", minimum=0, description="Seed of the generator and of the models"),
    "file": Param(None, type=["null", "string"], description="CSV or Parquet, where the source is a file"),
    "column_map": Param(None, type=["null", "string"], description="MAP.toml: our_name = 'their name', and floors"),
    "as_of": Param(
        None,
        type=["null", "string"],
        format="date-time",
        description="Where the source is the database: train as it would have been at that moment",
    ),
    "models": Param(
        MODELS,
        type="array",
        examples=MODELS,
        items={"type": "string", "enum": MODELS},
        minItems=1,
        description="Candidates to train and compare",
    ),
    "repeat_attempt": Param(
        False,
        type="boolean",
        description="Judge on labels that an earlier version was judged on, and pay for it by a stricter bound",
    ),
    "search": Param(True, type="boolean", description="Search settings inside the train part; else the defaults"),
}


@dag(
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,  # never two trainings at once
    params=PARAMS,
    doc_md=__doc__,
    tags=["sentinel", "training"],
)
def fraud_training() -> None:
    """Train, compare, register, promote and package; see doc_md."""

    @task
    def ingest(params: dict[str, Any], dag_run: Any) -> str:
        from sentinel_core.flows.trainings import Request, begin_training
        from sentinel_core.settings import load_settings

        return begin_training(
            load_settings(), Request.of(params), run=dag_run.run_id, now=datetime.now(UTC), progress=print
        )

    @task
    def validate(snapshot: str) -> dict[str, Any]:
        from sentinel_core.flows.validate import validate_snapshot
        from sentinel_core.settings import load_settings

        return validate_snapshot(load_settings(), snapshot, progress=print)

    @task
    def features(validated: dict[str, Any], params: dict[str, Any]) -> list[dict[str, Any]]:
        from sentinel_core.flows.features import build_features
        from sentinel_core.settings import load_settings

        return build_features(load_settings(), validated["snapshot"], models=params["models"], progress=print)

    @task(map_index_template="{{ task.op_kwargs['job']['model'] }}")
    def train(job: dict[str, Any], params: dict[str, Any]) -> dict[str, Any]:
        from sentinel_core.flows.train import train_candidate
        from sentinel_core.settings import load_settings

        return train_candidate(
            load_settings(),
            job,
            seed=params["seed"],
            searched=params["search"],
            now=datetime.now(UTC),
            progress=print,
        )

    @task
    def evaluate(candidates: list[dict[str, Any]]) -> dict[str, Any]:
        from sentinel_core.flows.evaluate import compare
        from sentinel_core.settings import load_settings

        return compare(load_settings(), list(candidates), progress=print)

    @task
    def register(comparison: dict[str, Any]) -> dict[str, Any]:
        from sentinel_core.flows.register import register_best
        from sentinel_core.settings import load_settings

        return register_best(load_settings(), comparison, now=datetime.now(UTC), progress=print)

    @task
    def promote(registered: dict[str, Any], params: dict[str, Any]) -> dict[str, Any]:
        from sentinel_core.flows.promote import promote_if_good
        from sentinel_core.settings import load_settings

        return promote_if_good(
            load_settings(), registered, repeated=params["repeat_attempt"], now=datetime.now(UTC), progress=print
        )

    @task
    def package(promoted: dict[str, Any]) -> dict[str, Any]:
        from sentinel_core.flows.package import build_bento
        from sentinel_core.settings import load_settings

        return build_bento(load_settings(), promoted, progress=print)

    @teardown(on_failure_fail_dagrun=False)
    @task
    def end(judged: dict[str, Any] | None, dag_run: Any) -> str:
        from sentinel_core.flows.trainings import end_training
        from sentinel_core.settings import load_settings

        return end_training(load_settings(), judged, run=dag_run.run_id, now=datetime.now(UTC))

    jobs = features(validate(ingest()))
    judged = promote(register(evaluate(train.expand(job=jobs))))
    package(judged) >> end(judged)


fraud_training()
