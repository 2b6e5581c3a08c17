"""Every table of PostgreSQL, as SQLAlchemy Core metadata; the migrations build exactly this.

Times are timestamptz, money is NUMERIC(12,2) in the deployment's one currency, ids are text of 1
to 128 characters. `APPEND_ONLY` tables carry a trigger that refuses UPDATE, DELETE and TRUNCATE
(docs/decisions/0006): what was believed, decided or refused stays as it was said.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from sentinel_core.schema import AMOUNT_MAX, ID_MAX_LENGTH

metadata: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _id_check(column: str) -> CheckConstraint:
    return CheckConstraint(f"char_length({column}) BETWEEN 1 AND {ID_MAX_LENGTH}", name=f"{column}_length")


def _one_of(column: str, *values: str) -> CheckConstraint:
    return CheckConstraint(f"{column} IN ({', '.join(repr(value) for value in values)})", name=f"{column}_known")


def _between(column: str, low: float, high: float) -> CheckConstraint:
    # NaN sorts above every number in PostgreSQL, so the upper bound refuses it too.
    return CheckConstraint(f"{column} BETWEEN {low} AND {high}", name=f"{column}_range")


def _moment(name: str, *, nullable: bool = False) -> Column[Any]:
    return Column(name, DateTime(timezone=True), nullable=nullable)


def _created_at() -> Column[Any]:
    return Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now())


def _serial() -> Column[Any]:
    return Column("id", BigInteger, Identity(always=True), primary_key=True)


def _details(name: str = "details") -> Column[Any]:
    return Column(name, JSONB, nullable=False, server_default=text("'{}'::jsonb"))


transactions: Final = Table(
    "transactions",
    metadata,
    Column("transaction_id", Text, primary_key=True),
    Column("user_id", Text, nullable=False),
    Column("amount", Numeric(12, 2), nullable=False),
    Column("merchant_id", Text, nullable=False),
    Column("merchant_category", Text),
    Column("transaction_type", Text),
    _moment("timestamp"),
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
    _moment("arrived_at"),
    # Position of the event in its user's history; later entities add a column of their own.
    Column("user_arrival", BigInteger),
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
    _moment("risk_as_of", nullable=True),
    _created_at(),
    _id_check("transaction_id"),
    _id_check("user_id"),
    _id_check("merchant_id"),
    _id_check("device_id"),
    _between("amount", 0, AMOUNT_MAX),
    _between("latitude", -90, 90),
    _between("longitude", -180, 180),
    _between("propensity", 0, 1),
    _between("fraud_score", 0, 1),
    _one_of("source", "live", "ingested"),
    _one_of("outcome", "approved", "challenged", "declined", "explored"),
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
    _created_at(),
    _id_check("id"),
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
    _created_at(),
    _id_check("event_id"),
    _between("fraud_score", 0, 1),
    _one_of("confidence", "low", "medium", "high"),
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
    _serial(),
    Column("transaction_id", Text, ForeignKey(transactions.c.transaction_id), nullable=False),
    Column("is_fraud", Boolean, nullable=False),
    _moment("labelled_at"),
    Column("source", Text, nullable=False),
    _created_at(),
    UniqueConstraint("transaction_id", "labelled_at", "source", "is_fraud"),
    Index(None, "labelled_at"),
)

model_metrics: Final = Table(
    "model_metrics",
    metadata,
    _serial(),
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
    _details(),
    _created_at(),
    Index(None, "model_version", "split"),
)

drift_reports: Final = Table(
    "drift_reports",
    metadata,
    _serial(),
    Column("model_version", Text),
    _moment("window_start"),
    _moment("window_end"),
    Column("sample_size", Integer, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("severity", Text),
    Column("reason", Text, nullable=False),
    # One entry a feature: statistics, p-values, thresholds.
    _details("figures"),
    Column("report_path", Text),
    _created_at(),
    _one_of("verdict", "drift", "no_drift", "not_enough_data"),
    Index(None, "created_at"),
)

alerts: Final = Table(
    "alerts",
    metadata,
    _serial(),
    Column("rule", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("metric", Text, nullable=False),
    Column("value", Double),
    Column("threshold", Double),
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False),
    _details(),
    _created_at(),
    _one_of("severity", "critical", "high", "medium", "low"),
    _one_of("state", "firing", "resolved", "acknowledged"),
    Index(None, "rule", "created_at"),
)

retraining_decisions: Final = Table(
    "retraining_decisions",
    metadata,
    _serial(),
    Column("decision", Text, nullable=False),
    Column("reason", Text, nullable=False),
    _details("figures"),
    # The DAG run that the decision started.
    Column("run_id", Text),
    _created_at(),
    _one_of("decision", "train", "deferred", "not_needed"),
    Index(None, "created_at"),
)

promotions: Final = Table(
    "promotions",
    metadata,
    _serial(),
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
    _details("verdict"),
    Column("bundle_hash", Text),
    Column("run_id", Text),
    _created_at(),
    _one_of("action", "register", "promote", "archive", "rollback", "observed"),
    _one_of("to_stage", "None", "Staging", "Production", "Archived"),
    Index(None, "model_name", "created_at"),
)

dead_letters: Final = Table(
    "dead_letters",
    metadata,
    _serial(),
    Column("stream", Text, nullable=False),
    Column("entry_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    # Null where the body does not even say it.
    Column("transaction_id", Text),
    # The entry's bytes as they came: they may be what PostgreSQL cannot hold as text.
    Column("body", LargeBinary, nullable=False),
    Column("reason", Text, nullable=False),
    _created_at(),
    UniqueConstraint("stream", "entry_id"),
    Index(None, "transaction_id"),
    Index(None, "created_at"),
)

audit: Final = Table(
    "audit",
    metadata,
    _serial(),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("reason", Text, nullable=False),
    _details(),
    _created_at(),
    Index(None, "subject", "created_at"),
)

APPEND_ONLY: Final = (
    labels,
    model_metrics,
    drift_reports,
    alerts,
    retraining_decisions,
    promotions,
    dead_letters,
    audit,
)
