"""Keep every verdict of the gate and the rows that it was judged on."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TABLE = """
CREATE TABLE gate_attempts (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    model_name TEXT NOT NULL,
    model_version TEXT NOT NULL,
    champion_version TEXT,
    lineage TEXT NOT NULL,
    holdout_start TIMESTAMP WITH TIME ZONE NOT NULL,
    holdout_end TIMESTAMP WITH TIME ZONE NOT NULL,
    label_day DATE NOT NULL,
    number INTEGER NOT NULL,
    error_rate DOUBLE PRECISION NOT NULL,
    outcome TEXT NOT NULL,
    verdict JSONB DEFAULT '{}'::jsonb NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_gate_attempts PRIMARY KEY (id),
    CONSTRAINT uq_gate_attempts_model_name_model_version UNIQUE (model_name, model_version),
    CONSTRAINT ck_gate_attempts_outcome_known CHECK (outcome IN ('promote', 'reject', 'hold'))
);
CREATE INDEX ix_gate_attempts_model_name_lineage_holdout_end ON gate_attempts (model_name, lineage, holdout_end);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON gate_attempts
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""


def upgrade() -> None:
    op.execute(TABLE)


def downgrade() -> None:
    op.execute("DROP TABLE gate_attempts")
