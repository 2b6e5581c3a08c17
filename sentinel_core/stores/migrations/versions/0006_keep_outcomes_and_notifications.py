"""Keep what became of a payment, each message about an alert, and checks of drift that could not judge."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE outcomes (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    transaction_id TEXT NOT NULL,
    outcome TEXT NOT NULL,
    propensity DOUBLE PRECISION,
    decided_at TIMESTAMP WITH TIME ZONE NOT NULL,
    source TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_outcomes PRIMARY KEY (id),
    CONSTRAINT uq_outcomes_transaction_id_decided_at_source_outcome
        UNIQUE (transaction_id, decided_at, source, outcome),
    CONSTRAINT ck_outcomes_outcome_known CHECK (outcome IN ('approved', 'challenged', 'declined', 'explored')),
    CONSTRAINT ck_outcomes_propensity_range CHECK (propensity BETWEEN 0 AND 1),
    CONSTRAINT fk_outcomes_transaction_id_transactions FOREIGN KEY(transaction_id)
        REFERENCES transactions (transaction_id)
);
CREATE TABLE notifications (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    alert_id BIGINT NOT NULL,
    channel TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    reason TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_notifications PRIMARY KEY (id),
    CONSTRAINT ck_notifications_state_known CHECK (state IN ('sent', 'failed')),
    CONSTRAINT fk_notifications_alert_id_alerts FOREIGN KEY(alert_id) REFERENCES alerts (id)
);
CREATE INDEX ix_notifications_alert_id ON notifications (alert_id);
"""
VERDICTS = "'drift', 'suspected', 'no_drift', 'not_enough_data', 'not_judged'"


def upgrade() -> None:
    op.execute(TABLES)
    for table in ("outcomes", "notifications"):
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
    op.execute("ALTER TABLE drift_reports DROP CONSTRAINT ck_drift_reports_verdict_known")
    op.execute(
        f"ALTER TABLE drift_reports ADD CONSTRAINT ck_drift_reports_verdict_known CHECK (verdict IN ({VERDICTS}))"
    )


def downgrade() -> None:
    op.execute("DROP TABLE notifications, outcomes")
    op.execute("ALTER TABLE drift_reports DROP CONSTRAINT ck_drift_reports_verdict_known")
    op.execute(
        "ALTER TABLE drift_reports ADD CONSTRAINT ck_drift_reports_verdict_known "
        "CHECK (verdict IN ('drift', 'no_drift', 'not_enough_data')) NOT VALID"
    )
