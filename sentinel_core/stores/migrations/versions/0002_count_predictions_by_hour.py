"""Count predictions by hour and model version."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TABLE = """
CREATE TABLE prediction_hours (
    hour TIMESTAMP WITH TIME ZONE NOT NULL,
    model_version TEXT NOT NULL,
    predictions BIGINT NOT NULL,
    flagged BIGINT NOT NULL,
    degraded BIGINT NOT NULL,
    cache_hits BIGINT NOT NULL,
    score_sum DOUBLE PRECISION NOT NULL,
    CONSTRAINT pk_prediction_hours PRIMARY KEY (hour, model_version)
);
INSERT INTO prediction_hours
SELECT date_trunc('hour', created_at, 'UTC'), model_version, count(*), count(*) FILTER (WHERE prediction),
       count(*) FILTER (WHERE degraded), count(*) FILTER (WHERE cache_hit), sum(fraud_score)
FROM prediction_logs GROUP BY 1, 2;
"""


def upgrade() -> None:
    op.execute(TABLE)


def downgrade() -> None:
    op.execute("DROP TABLE prediction_hours")
