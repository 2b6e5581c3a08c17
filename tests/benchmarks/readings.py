"""What the results page shows of each benchmark's JSON.

The lines stand here and not in the benchmarks: those import pandas, scikit-learn and SciPy, and a page is written, and
tested, without them.
"""

from __future__ import annotations

from typing import Final

from tests.benchmarks.figures import Figure, Section

_MODELS: Final = {
    "random_forest": ("random forest", (0.92, 0.87, 0.89, 0.88), 45),
    "gradient_boosting": ("gradient boosting", (0.94, 0.89, 0.91, 0.90), 120),
    "logistic_regression": ("logistic regression", (0.85, 0.82, 0.80, 0.81), 5),
}
_QUALITY: Final = {"roc_auc": "ROC-AUC", "precision": "precision", "recall": "recall", "f1": "F1"}
_CHANGES: Final = (
    "amounts × 1.5",
    "10 points of traffic to other countries",
    "30% card testing",
    "fraud rate × 5 at 500 rows",
    "fraud rate × 3 at 1,000 rows",
    "fraud rate × 2 at 5,000 rows",
)
_HOLDOUT: Final = "400 frauds in 20,000 rows"


def _load(name: str, peer: str, peer_is: str) -> tuple[Figure, ...]:
    """Return the lines of one load of the serving benchmark beside those of a rival."""
    loads = {"1_clients": "one client", "32_clients": "32 clients"}
    figures = {"p50_ms": "p50", "p99_ms": "p99", "requests_per_s": "rate"}
    return tuple(
        Figure(
            f"`predict`, {loads[name]}, {said}",
            f"ours/{name}/{path}",
            "requests/s" if path == "requests_per_s" else "ms",
            peer=f"{peer}/{name}/{path}",
            peer_is=peer_is,
            at_most=50 if path == "p99_ms" else None,
        )
        for path, said in figures.items()
    )


READINGS: Final[dict[str, Section]] = {
    "steady500": Section(
        "Load test: Locust, 500 requests a second, the whole stack up",
        (
            Figure("requests", "all/requests"),
            Figure("rate", "all/requests_per_s", "requests/s", at_least=490),
            Figure("failed", "all/failures", at_most=0),
            Figure("degraded predictions", "degraded", of="predictions"),
            Figure("all requests, p50", "all/p50_ms", "ms"),
            Figure("all requests, p99", "all/p99_ms", "ms", at_most=50),
            *(
                Figure(f"{name}, p99", f"by_name/{name}/p99_ms", "ms", at_most=500 if name == "batch" else None)
                for name in ("predict", "predict in a burst", "retry", "batch", "label")
            ),
            Figure("cores that Locust took", "generator_cores"),
        ),
        "Profile `steady500` of tests/load/profiles.toml for 60 seconds: returning cardholders, card testing, retries, "
        "batches of up to 100 and labels. Locust and all servers share the machine.",
    ),
    "serving": Section(
        "The service beside other servers",
        (
            *_load("1_clients", "mlflow", "`mlflow models serve`"),
            *_load("32_clients", "noop_bentoml", "a BentoML service that does nothing"),
            Figure(
                "`predict`, one client, rate",
                "ours/1_clients/requests_per_s",
                "requests/s",
                peer="plain_bentoml/1_clients/requests_per_s",
                peer_is="BentoML with scikit-learn alone",
            ),
            Figure("a stored answer, one client, p50", "ours/cached_retry_1_client/p50_ms", "ms"),
            Figure("batch of 100, one client, p50", "ours/batch_of_100_1_client/p50_ms", "ms"),
            Figure("batch of 100, one client, p99", "ours/batch_of_100_1_client/p99_ms", "ms", at_most=500),
            Figure("in batches", "ratios/transactions_per_s_in_batches", "transactions/s"),
            Figure("memory of a worker", "ours/worker_mb", "MB"),
        ),
        "One worker with a small linear model; ours keeps histories and logs, the others score and forget. "
        "Load generator and servers share the cores.",
    ),
    "stack": Section(
        "The whole stack on one machine",
        (
            Figure("first `make up`, 100,000 rows, environment installed", "first_make_up_seconds", "s", at_most=240),
            Figure("second `make up`", "repeated_make_up_seconds", "s", at_most=30),
            Figure("`make up` after `make down`", "resumed_make_up_seconds", "s"),
            Figure("memory of all processes at rest", "memory_mb_total", "MB", at_most=2300),
            Figure("size of the environment", "environment_mb", "MB", at_most=1800),
            Figure("`GET /health`, p99", "latency_ms/health/p99", "ms", at_most=10),
            Figure("`POST /api/v1/predict`, p99", "latency_ms/predict/p99", "ms", at_most=50),
            Figure("batch of 100, p99", "latency_ms/predict_batch_of_100/p99", "ms", at_most=500),
            Figure("`GET /api/v1/model/info`, p99", "latency_ms/model_info/p99", "ms", at_most=20),
            Figure("`GET /api/v1/monitoring/metrics`, p99", "latency_ms/monitoring_metrics/p99", "ms", at_most=50),
        ),
        "One keep-alive client.",
    ),
    "capacity": Section(
        "What one worker and one machine do",
        (
            Figure("CPU of the worker, one client", "cpu/1_client/worker_ms", "ms a request"),
            Figure("CPU of the worker, 32 clients", "cpu/32_clients/worker_ms", "ms a request"),
            Figure("CPU of the worker, batches of 100", "cpu/batches/worker_ms", "ms a transaction"),
            Figure("CPU of Redis, 32 clients", "cpu/32_clients/redis_ms", "ms a request"),
            Figure("CPU of the recorder, 32 clients", "cpu/32_clients/recorder_ms", "ms a request"),
            Figure("CPU of PostgreSQL, 32 clients", "cpu/32_clients/postgres_ms", "ms a request"),
            Figure("commands in Redis", "redis/commands_per_request", "a request"),
            Figure("bytes to Redis and from it", "redis/bytes_per_request", "a request"),
            Figure("memory of an answer in Redis", "redis/bytes_per_answer", "bytes"),
            Figure("memory of a million users, 31 payments each", "redis/users_31_events_mb_per_million", "MB"),
            Figure("memory of a million users, 10 payments each", "redis/users_10_events_mb_per_million", "MB"),
            Figure("memory of a million devices, 2 payments each", "redis/device_mb_per_million", "MB"),
            Figure("memory of a million addresses, 2 payments each", "redis/address_mb_per_million", "MB"),
            Figure("memory of a million merchants, 4 payments each", "redis/merchant_mb_per_million", "MB"),
            Figure("PostgreSQL for a million transactions", "postgres/mb_per_million", "MB"),
            Figure("its write-ahead log", "postgres/wal_mb_per_million", "MB a million"),
            Figure("HTTP bytes, one transaction", "http/bytes_per_request", "a request"),
            Figure("HTTP bytes, batch of 100", "http/bytes_per_batched_transaction", "a transaction"),
        ),
        "[capacity.md](capacity.md) computes from these figures.",
    ),
    "stores": Section(
        "The stores",
        (
            Figure("histories into Redis from PostgreSQL", "histories/users_per_s", "users/s"),
            Figure("the same in payments", "histories/events_per_s", "payments/s"),
            Figure("a file of a million rows into both stores", "histories/file_to_both_stores_seconds", "s"),
            Figure("Redis after a million rows", "histories/redis_mb", "MB"),
            Figure("the recorder into PostgreSQL", "recorder/transactions_per_s", "transactions/s"),
        ),
    ),
    "generator": Section(
        "The generator",
        (
            Figure("100,000 rows", "100000_rows/transactions_per_s", "transactions/s"),
            Figure("1,000,000 rows", "1000000_rows/transactions_per_s", "transactions/s"),
        ),
    ),
    "features": Section(
        "Features",
        (
            Figure("offline, a million rows", "offline_rows_per_s", "rows/s"),
            Figure("a file of a million rows to its matrix", "file_to_matrix/1000000_rows/rows_per_s", "rows/s"),
            Figure("peak memory of that", "file_to_matrix/1000000_rows/peak_mb", "MB"),
            Figure("online, one transaction", "online_1_users_us/median", "µs"),
            Figure("online, a micro-batch of 100", "online_100_users_us/median", "µs"),
        ),
    ),
    "scan": Section(
        "`sentinel features` on large files",
        tuple(
            Figure(
                f"{rows:,} rows, {said}",
                f"{name}_{rows}/{path}",
                unit,
                peer=peer and f"{peer}_{rows}/{path}",
                peer_is="PySpark, local[2]",
            )
            for rows in (1_000_000, 5_000_000)
            for name, said, peer in (("whole", "whole", ""), ("scan_2_workers", "two workers", "spark_local_2"))
            for path, unit in (("rows_per_s", "rows/s"), ("memory_mb", "MB"))
        ),
    ),
    "windows": Section(
        "The Handbook's windows over its whole file",
        (
            Figure("all cores", "kernel_seconds", "s", peer="pandas_seconds", peer_is="pandas as in the book"),
            Figure("one thread", "kernel_seconds_on_one_thread", "s"),
            Figure("times as fast on one thread", "times_as_fast_on_one_thread"),
        ),
    ),
    "quality": Section(
        "Models on 100,000 generated rows, 2% fraud",
        tuple(
            figure
            for model, (said, bars, seconds) in _MODELS.items()
            for figure in (
                *(
                    Figure(
                        f"{said}, {_QUALITY[metric]}",
                        f"{model}/test/{metric}/value",
                        peer=f"oracle/{metric}",
                        peer_is="oracle",
                        at_least=bar,
                    )
                    for metric, bar in zip(_QUALITY, bars, strict=True)
                ),
                Figure(f"{said}, training with its search", f"{model}/seconds", "s", at_most=seconds),
            )
        ),
        "On the test part. The oracle knows how the data were made, and not more of a transaction than a model does.",
    ),
    "pipeline": Section(
        "Training as a Python call",
        (Figure("`TrainingPipeline(use_mlflow=False)`, 100,000 rows", "seconds", "s", at_most=60),),
        "A random forest: data, validation, features, training, metrics and report, without a server.",
    ),
    "handbook": Section(
        "The public benchmark (Fraud Detection Handbook)",
        tuple(
            Figure(
                f"{protocol}, {said}, {metric}",
                f"{protocol}/ours/models/{model}/{path}/value",
                peer=f"{protocol}/published/{rival}/{path}",
                peer_is=f"published, {rival}",
            )
            for protocol, model, said, rival in (
                ("single split", "random_forest", "random forest", "random forest"),
                ("prequential", "random_forest", "random forest", "random forest, selected"),
                ("prequential", "gradient_boosting", "gradient boosting", "XGBoost, selected"),
            )
            for path, metric in (("roc_auc", "ROC-AUC"), ("pr_auc", "average precision"))
        ),
    ),
    "gate": Section(
        "The promotion gate on simulated challengers",
        tuple(
            Figure(f"promoted: {name}, {_HOLDOUT}", f"promoted/{_HOLDOUT}/{name}/promoted")
            for name in ("equal", "0.03 worse", "0.03 better")
        ),
    ),
    "drift": Section(
        "The drift check",
        (
            Figure("false alarms among windows without drift", "quiet/alarms", of="quiet/windows"),
            *(Figure(f"found: {name}", f"changes/{name}/found", of=f"changes/{name}/runs") for name in _CHANGES),
            Figure("share of windows without drift that Evidently's preset rings on", "quiet/evidently/dataset_drift"),
            Figure("a check without Evidently", "check/verdict_alone/seconds", "s"),
            Figure("a check with Evidently's verdict", "check/with_evidentlys_verdict/seconds", "s"),
            Figure("a check with Evidently's verdict and page", "check/with_the_page/seconds", "s"),
            Figure("peak memory without Evidently", "check/verdict_alone/peak_mb", "MB"),
            Figure("peak memory with Evidently's verdict and page", "check/with_the_page/peak_mb", "MB"),
        ),
    ),
    "endurance": Section(
        "As the service grows old",
        (
            *(
                Figure(f"p99 of `predict`, {users:,} known users", f"one_client_by_known_users/{users}/p99_ms", "ms")
                for users in (100, 10_000, 1_000_000)
            ),
            Figure("memory of the worker at its start", "worker_mb_by_transactions/0", "MB"),
            Figure("after a million transactions", "worker_mb_by_transactions/last", "MB"),
        ),
    ),
    "swap": Section(
        "A new model under load",
        (
            Figure("from a transition to every worker, median", "from_the_call_of_a_transition_s/median", "s"),
            Figure("the longest of ten", "from_the_call_of_a_transition_s/most", "s"),
            Figure("from the call of `sentinel rollback`", "from_the_call_of_sentinel_rollback_s", "s"),
            Figure("failed requests", "failed", of="requests", at_most=0),
        ),
    ),
}
"""By benchmark, in the order of the page."""
