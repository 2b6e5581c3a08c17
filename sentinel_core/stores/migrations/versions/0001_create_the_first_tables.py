"""Create the first tables.

Plain SQL, so that the revision stays what it was while `tables.py` moves on; a test compares the two.
"""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE alerts (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    rule TEXT NOT NULL,
    severity TEXT NOT NULL,
    state TEXT NOT NULL,
    metric TEXT NOT NULL,
    value DOUBLE PRECISION,
    threshold DOUBLE PRECISION,
    actor TEXT NOT NULL,
    reason TEXT NOT NULL,
    details JSONB DEFAULT '{}'::jsonb NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_alerts PRIMARY KEY (id),
    CONSTRAINT ck_alerts_severity_known CHECK (severity IN ('critical', 'high', 'medium', 'low')),
    CONSTRAINT ck_alerts_state_known CHECK (state IN ('firing', 'resolved', 'acknowledged'))
);
CREATE INDEX ix_alerts_rule_created_at ON alerts (rule, created_at);

CREATE TABLE audit (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    reason TEXT NOT NULL,
    details JSONB DEFAULT '{}'::jsonb NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_audit PRIMARY KEY (id)
);
CREATE INDEX ix_audit_subject_created_at ON audit (subject, created_at);

CREATE TABLE dead_letters (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    stream TEXT NOT NULL,
    entry_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    transaction_id TEXT,
    body BYTEA NOT NULL,
    reason TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_dead_letters PRIMARY KEY (id),
    CONSTRAINT uq_dead_letters_stream_entry_id UNIQUE (stream, entry_id)
);
CREATE INDEX ix_dead_letters_created_at ON dead_letters (created_at);
CREATE INDEX ix_dead_letters_transaction_id ON dead_letters (transaction_id);

CREATE TABLE drift_reports (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    model_version TEXT,
    window_start TIMESTAMP WITH TIME ZONE NOT NULL,
    window_end TIMESTAMP WITH TIME ZONE NOT NULL,
    sample_size INTEGER NOT NULL,
    verdict TEXT NOT NULL,
    severity TEXT,
    reason TEXT NOT NULL,
    figures JSONB DEFAULT '{}'::jsonb NOT NULL,
    report_path TEXT,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_drift_reports PRIMARY KEY (id),
    CONSTRAINT ck_drift_reports_verdict_known CHECK (verdict IN ('drift', 'no_drift', 'not_enough_data'))
);
CREATE INDEX ix_drift_reports_created_at ON drift_reports (created_at);

CREATE TABLE feature_sets (
    id TEXT NOT NULL,
    features JSONB NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_feature_sets PRIMARY KEY (id),
    CONSTRAINT ck_feature_sets_id_length CHECK (char_length(id) BETWEEN 1 AND 128)
);

CREATE TABLE model_metrics (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    model_version TEXT NOT NULL,
    model_name TEXT NOT NULL,
    split TEXT NOT NULL,
    accuracy DOUBLE PRECISION,
    precision DOUBLE PRECISION,
    recall DOUBLE PRECISION,
    f1_score DOUBLE PRECISION,
    roc_auc DOUBLE PRECISION,
    pr_auc DOUBLE PRECISION,
    sample_size INTEGER NOT NULL,
    details JSONB DEFAULT '{}'::jsonb NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_model_metrics PRIMARY KEY (id)
);
CREATE INDEX ix_model_metrics_model_version_split ON model_metrics (model_version, split);

CREATE TABLE promotions (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    model_name TEXT NOT NULL,
    model_version TEXT NOT NULL,
    registry_version TEXT NOT NULL,
    action TEXT NOT NULL,
    from_stage TEXT,
    to_stage TEXT NOT NULL,
    actor TEXT NOT NULL,
    reason TEXT NOT NULL,
    verdict JSONB DEFAULT '{}'::jsonb NOT NULL,
    bundle_hash TEXT,
    run_id TEXT,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_promotions PRIMARY KEY (id),
    CONSTRAINT ck_promotions_action_known CHECK (action IN ('register', 'promote', 'archive', 'rollback', 'observed')),
    CONSTRAINT ck_promotions_to_stage_known CHECK (to_stage IN ('None', 'Staging', 'Production', 'Archived'))
);
CREATE INDEX ix_promotions_model_name_created_at ON promotions (model_name, created_at);

CREATE TABLE retraining_decisions (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    decision TEXT NOT NULL,
    reason TEXT NOT NULL,
    figures JSONB DEFAULT '{}'::jsonb NOT NULL,
    run_id TEXT,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_retraining_decisions PRIMARY KEY (id),
    CONSTRAINT ck_retraining_decisions_decision_known CHECK (decision IN ('train', 'deferred', 'not_needed'))
);
CREATE INDEX ix_retraining_decisions_created_at ON retraining_decisions (created_at);

CREATE TABLE transactions (
    transaction_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    amount NUMERIC(12, 2) NOT NULL,
    merchant_id TEXT NOT NULL,
    merchant_category TEXT,
    transaction_type TEXT,
    timestamp TIMESTAMP WITH TIME ZONE NOT NULL,
    device_id TEXT,
    device_type TEXT,
    ip_address TEXT,
    location_country TEXT,
    location_city TEXT,
    latitude DOUBLE PRECISION,
    longitude DOUBLE PRECISION,
    card_type TEXT,
    card_last_four TEXT,
    currency TEXT,
    arrived_at TIMESTAMP WITH TIME ZONE NOT NULL,
    user_arrival BIGINT,
    late BOOLEAN DEFAULT false NOT NULL,
    payload_hash TEXT,
    source TEXT NOT NULL,
    outcome TEXT,
    propensity DOUBLE PRECISION,
    fraud_score DOUBLE PRECISION,
    model_version TEXT,
    features JSONB,
    feature_set_id TEXT,
    risk_as_of TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_transactions PRIMARY KEY (transaction_id),
    CONSTRAINT ck_transactions_transaction_id_length CHECK (char_length(transaction_id) BETWEEN 1 AND 128),
    CONSTRAINT ck_transactions_user_id_length CHECK (char_length(user_id) BETWEEN 1 AND 128),
    CONSTRAINT ck_transactions_merchant_id_length CHECK (char_length(merchant_id) BETWEEN 1 AND 128),
    CONSTRAINT ck_transactions_device_id_length CHECK (char_length(device_id) BETWEEN 1 AND 128),
    CONSTRAINT ck_transactions_amount_range CHECK (amount BETWEEN 0 AND 9999999.99),
    CONSTRAINT ck_transactions_latitude_range CHECK (latitude BETWEEN -90 AND 90),
    CONSTRAINT ck_transactions_longitude_range CHECK (longitude BETWEEN -180 AND 180),
    CONSTRAINT ck_transactions_propensity_range CHECK (propensity BETWEEN 0 AND 1),
    CONSTRAINT ck_transactions_fraud_score_range CHECK (fraud_score BETWEEN 0 AND 1),
    CONSTRAINT ck_transactions_source_known CHECK (source IN ('live', 'ingested')),
    CONSTRAINT ck_transactions_outcome_known CHECK (outcome IN ('approved', 'challenged', 'declined', 'explored'))
);
CREATE INDEX ix_transactions_created_at ON transactions (created_at);
CREATE INDEX ix_transactions_merchant_id ON transactions (merchant_id);
CREATE INDEX ix_transactions_timestamp ON transactions (timestamp);
CREATE INDEX ix_transactions_user_id ON transactions (user_id);

CREATE TABLE labels (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    transaction_id TEXT NOT NULL,
    is_fraud BOOLEAN NOT NULL,
    labelled_at TIMESTAMP WITH TIME ZONE NOT NULL,
    source TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_labels PRIMARY KEY (id),
    CONSTRAINT uq_labels_transaction_id_labelled_at_source_is_fraud
        UNIQUE (transaction_id, labelled_at, source, is_fraud),
    CONSTRAINT fk_labels_transaction_id_transactions
        FOREIGN KEY(transaction_id) REFERENCES transactions (transaction_id)
);
CREATE INDEX ix_labels_labelled_at ON labels (labelled_at);

CREATE TABLE prediction_logs (
    event_id TEXT NOT NULL,
    transaction_id TEXT NOT NULL,
    prediction_time_ms DOUBLE PRECISION NOT NULL,
    fraud_score DOUBLE PRECISION NOT NULL,
    prediction BOOLEAN NOT NULL,
    confidence TEXT NOT NULL,
    model_version TEXT NOT NULL,
    variant TEXT DEFAULT 'champion' NOT NULL,
    cache_hit BOOLEAN DEFAULT false NOT NULL,
    degraded BOOLEAN DEFAULT false NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_prediction_logs PRIMARY KEY (event_id),
    CONSTRAINT ck_prediction_logs_event_id_length CHECK (char_length(event_id) BETWEEN 1 AND 128),
    CONSTRAINT ck_prediction_logs_fraud_score_range CHECK (fraud_score BETWEEN 0 AND 1),
    CONSTRAINT ck_prediction_logs_confidence_known CHECK (confidence IN ('low', 'medium', 'high')),
    CONSTRAINT fk_prediction_logs_transaction_id_transactions
        FOREIGN KEY(transaction_id) REFERENCES transactions (transaction_id)
);
CREATE INDEX ix_prediction_logs_created_at ON prediction_logs (created_at);
CREATE INDEX ix_prediction_logs_transaction_id ON prediction_logs (transaction_id);
CREATE UNIQUE INDEX uq_prediction_logs_transaction_id_scored ON prediction_logs (transaction_id) WHERE NOT cache_hit;
"""

APPEND_ONLY = (
    "labels",
    "model_metrics",
    "drift_reports",
    "alerts",
    "retraining_decisions",
    "promotions",
    "dead_letters",
    "audit",
)

REFUSE = """
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'expected only INSERT on %, got %: its rows are never changed', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'restrict_violation', HINT = 'Add a row that says what is true now.';
END $$;
"""


def upgrade() -> None:
    op.execute(TABLES)
    op.execute(REFUSE)
    for table in APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )


def downgrade() -> None:
    op.execute("DROP TABLE labels, prediction_logs, transactions")
    op.execute(
        "DROP TABLE feature_sets, model_metrics, drift_reports, alerts, retraining_decisions, promotions, "
        "dead_letters, audit"
    )
    op.execute("DROP FUNCTION refuse_change()")
