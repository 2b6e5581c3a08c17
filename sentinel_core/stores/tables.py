"""Every table of PostgreSQL, as SQLAlchemy Core metadata; the migrations build exactly this.

Times are timestamptz, money is NUMERIC(12,2) in the deployment's one currency, ids are text of 1
to 128 characters. `APPEND_ONLY` tables carry a trigger that refuses UPDATE, DELETE and TRUNCATE
(docs/decisions/0006): what was believed, decided or refused stays as it was said.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Numeric,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from sentinel_core.schema import AMOUNT_MAX
from sentinel_core.stores.columns import between, created_at, details, id_check, metadata, moment, one_of, serial

transactions: Final = Table(
    "transactions",
    metadata,
    Column("transaction_id", Text, primary_key=True),
    Column("user_id", Text, nullable=False),
    Column("amount", Numeric(12, 2), nullable=False),
    Column("merchant_id", Text, nullable=False),
    Column("merchant_category", Text),
    Column("transaction_type", Text),
    moment("timestamp"),
    Column("device_id", Text),
    Column("device_type", Text),
    Column("ip_address", Text),
    Column("location_country", Text),
    Column("location_city", Text),
    Column("latitude", Double),
    Column("longitude", Double),
    Column("card_type", Text),
    Column("card_last_four", Text),
    Column("currency", Text),
    moment("arrived_at"),
    # Position of the event in the history of its user, and of the entities that it touched; null where none is noted.
    Column("user_arrival", BigInteger),
    Column("device_arrival", BigInteger),
    Column("address_arrival", BigInteger),
    Column("merchant_arrival", BigInteger),
    # {"device": …} in µs since 1970, for entities that noted another time than `timestamp`.
    Column("noted_us", JSONB),
    Column("late", Boolean, nullable=False, server_default=text("false")),
    # 16 hexadecimal digits; null where the row came from a file.
    Column("payload_hash", Text),
    Column("source", Text, nullable=False),
    Column("outcome", Text),
    Column("propensity", Double),
    Column("fraud_score", Double),
    Column("model_version", Text),
    # The vector: a JSON array in the order of `feature_sets.features` under `feature_set_id`.
    Column("features", JSONB),
    Column("feature_set_id", Text),
    moment("risk_as_of", nullable=True),
    created_at(),
    id_check("transaction_id"),
    id_check("user_id"),
    id_check("merchant_id"),
    id_check("device_id"),
    between("amount", 0, AMOUNT_MAX),
    between("latitude", -90, 90),
    between("longitude", -180, 180),
    between("propensity", 0, 1),
    between("fraud_score", 0, 1),
    one_of("source", "live", "ingested"),
    one_of("outcome", "approved", "challenged", "declined", "explored"),
    Index(None, "user_id"),
    Index(None, "merchant_id"),
    Index(None, "timestamp"),
    Index(None, "created_at"),
)

feature_sets: Final = Table(
    "feature_sets",
    metadata,
    Column("id", Text, primary_key=True),
    # [{"name": …, "hash": …}, …] in vector order: a logged vector stays readable after the catalogue moved on.
    Column("features", JSONB, nullable=False),
    created_at(),
    id_check("id"),
)

prediction_logs: Final = Table(
    "prediction_logs",
    metadata,
    Column("event_id", Text, primary_key=True),
    Column("transaction_id", Text, ForeignKey(transactions.c.transaction_id), nullable=False),
    Column("prediction_time_ms", Double, nullable=False),
    Column("fraud_score", Double, nullable=False),
    Column("prediction", Boolean, nullable=False),
    Column("confidence", Text, nullable=False),
    Column("model_version", Text, nullable=False),
    Column("variant", Text, nullable=False, server_default="champion"),
    Column("cache_hit", Boolean, nullable=False, server_default=text("false")),
    Column("degraded", Boolean, nullable=False, server_default=text("false")),
    # When it was given; and when it came here, null for those of a release that did not note it.
    created_at(),
    moment("recorded_at", nullable=True),
    id_check("event_id"),
    between("fraud_score", 0, 1),
    one_of("confidence", "low", "medium", "high"),
    Index(None, "transaction_id"),
    Index(None, "created_at"),
    Index(
        "uq_prediction_logs_transaction_id_scored",
        "transaction_id",
        unique=True,
        postgresql_where=text("NOT cache_hit"),
    ),
)

# Kept by the statement that inserts the logs: totals, and the baseline of an hour, cost no scan of the log.
prediction_hours: Final = Table(
    "prediction_hours",
    metadata,
    Column("hour", DateTime(timezone=True), primary_key=True),
    Column("model_version", Text, primary_key=True),
    Column("predictions", BigInteger, nullable=False),
    Column("flagged", BigInteger, nullable=False),
    Column("degraded", BigInteger, nullable=False),
    Column("cache_hits", BigInteger, nullable=False),
    Column("score_sum", Double, nullable=False),
)

labels: Final = Table(
    "labels",
    metadata,
    serial(),
    Column("transaction_id", Text, ForeignKey(transactions.c.transaction_id), nullable=False),
    Column("is_fraud", Boolean, nullable=False),
    moment("labelled_at"),
    Column("source", Text, nullable=False),
    created_at(),
    UniqueConstraint("transaction_id", "labelled_at", "source", "is_fraud"),
    Index(None, "labelled_at"),
)

# What became of a payment; the latest counts, as for labels. Without one, the decision that we gave counts.
outcomes: Final = Table(
    "outcomes",
    metadata,
    serial(),
    Column("transaction_id", Text, ForeignKey(transactions.c.transaction_id), nullable=False),
    Column("outcome", Text, nullable=False),
    # With which an explored one was let through.
    Column("propensity", Double),
    moment("decided_at"),
    Column("source", Text, nullable=False),
    created_at(),
    UniqueConstraint("transaction_id", "decided_at", "source", "outcome"),
    one_of("outcome", "approved", "challenged", "declined", "explored"),
    between("propensity", 0, 1),
)

model_metrics: Final = Table(
    "model_metrics",
    metadata,
    serial(),
    Column("model_version", Text, nullable=False),
    Column("model_name", Text, nullable=False),
    Column("split", Text, nullable=False),
    Column("accuracy", Double),
    Column("precision", Double),
    Column("recall", Double),
    Column("f1_score", Double),
    Column("roc_auc", Double),
    Column("pr_auc", Double),
    Column("sample_size", Integer, nullable=False),
    # Intervals, threshold, judged against observed or true labels.
    details(),
    created_at(),
    Index(None, "model_version", "split"),
    Index("ix_model_metrics_snapshot", text("(details ->> 'snapshot')")),
)

drift_reports: Final = Table(
    "drift_reports",
    metadata,
    serial(),
    Column("model_version", Text),
    moment("window_start"),
    moment("window_end"),
    Column("sample_size", Integer, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("severity", Text),
    Column("reason", Text, nullable=False),
    # One entry a feature: statistics, p-values, thresholds.
    details("figures"),
    Column("report_path", Text),
    # What Evidently's preset says of the same window; without a verdict, evidently_reason says why.
    Column("evidently_verdict", Text),
    Column("evidently_share", Double),
    # One entry a column: its test, value and threshold, and whether it drifts.
    Column("evidently_columns", JSONB(none_as_null=True)),
    Column("evidently_reason", Text),
    created_at(),
    one_of("verdict", "drift", "suspected", "no_drift", "not_enough_data", "not_judged"),
    one_of("evidently_verdict", "drift", "no_drift"),
    between("evidently_share", 0, 1),
    Index(None, "created_at"),
)

alerts: Final = Table(
    "alerts",
    metadata,
    serial(),
    Column("rule", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("metric", Text, nullable=False),
    Column("value", Double),
    Column("threshold", Double),
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False),
    details(),
    created_at(),
    one_of("severity", "critical", "high", "medium", "low"),
    one_of("state", "firing", "resolved", "acknowledged"),
    Index(None, "rule", "created_at"),
)

notifications: Final = Table(
    "notifications",
    metadata,
    serial(),
    Column("alert_id", BigInteger, ForeignKey(alerts.c.id), nullable=False),
    Column("channel", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    # How the last attempt ended.
    Column("reason", Text, nullable=False),
    created_at(),
    one_of("state", "sent", "failed"),
    Index(None, "alert_id"),
)

retraining_decisions: Final = Table(
    "retraining_decisions",
    metadata,
    serial(),
    Column("decision", Text, nullable=False),
    Column("reason", Text, nullable=False),
    details("figures"),
    # The DAG run that the decision started.
    Column("run_id", Text),
    created_at(),
    one_of("decision", "train", "deferred", "not_needed"),
    Index(None, "created_at"),
)

promotions: Final = Table(
    "promotions",
    metadata,
    serial(),
    Column("model_name", Text, nullable=False),
    Column("model_version", Text, nullable=False),
    # The number under which MLflow knows the version, as text.
    Column("registry_version", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("from_stage", Text),
    Column("to_stage", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False),
    # The gate's table of checks.
    details("verdict"),
    Column("bundle_hash", Text),
    Column("run_id", Text),
    created_at(),
    one_of("action", "register", "promote", "archive", "rollback", "observed"),
    one_of("to_stage", "None", "Staging", "Production", "Archived"),
    Index(None, "model_name", "created_at"),
)

gate_attempts: Final = Table(
    "gate_attempts",
    metadata,
    serial(),
    Column("model_name", Text, nullable=False),
    Column("model_version", Text, nullable=False),
    Column("champion_version", Text),
    # The history that the hold-out was cut from, and the hold-out's span.
    Column("lineage", Text, nullable=False),
    moment("holdout_start"),
    moment("holdout_end"),
    # The newest day whose labels were mature.
    Column("label_day", Date, nullable=False),
    Column("number", Integer, nullable=False),
    Column("error_rate", Double, nullable=False),
    Column("outcome", Text, nullable=False),
    details("verdict"),
    created_at(),
    UniqueConstraint("model_name", "model_version"),
    one_of("outcome", "promote", "reject", "hold"),
    Index(None, "model_name", "lineage", "holdout_end"),
)

dead_letters: Final = Table(
    "dead_letters",
    metadata,
    serial(),
    Column("stream", Text, nullable=False),
    Column("entry_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    # Null where the body does not even say it.
    Column("transaction_id", Text),
    # The entry's bytes as they came: they may be what PostgreSQL cannot hold as text.
    Column("body", LargeBinary, nullable=False),
    Column("reason", Text, nullable=False),
    created_at(),
    UniqueConstraint("stream", "entry_id"),
    Index(None, "transaction_id"),
    Index(None, "created_at"),
)

audit: Final = Table(
    "audit",
    metadata,
    serial(),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("reason", Text, nullable=False),
    details(),
    created_at(),
    Index(None, "subject", "created_at"),
)

APPEND_ONLY: Final = (
    labels,
    outcomes,
    model_metrics,
    drift_reports,
    alerts,
    notifications,
    retraining_decisions,
    promotions,
    gate_attempts,
    dead_letters,
    audit,
)
