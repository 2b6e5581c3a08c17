"""Keep Evidently's verdict on drift beside ours; checks made before have none."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "ALTER TABLE drift_reports ADD COLUMN evidently_verdict TEXT, ADD COLUMN evidently_share DOUBLE PRECISION, "
        "ADD COLUMN evidently_columns JSONB, ADD COLUMN evidently_reason TEXT, "
        "ADD CONSTRAINT ck_drift_reports_evidently_verdict_known CHECK (evidently_verdict IN ('drift', 'no_drift')), "
        "ADD CONSTRAINT ck_drift_reports_evidently_share_range CHECK (evidently_share BETWEEN 0 AND 1)"
    )


def downgrade() -> None:
    op.execute(
        "ALTER TABLE drift_reports DROP COLUMN evidently_verdict, DROP COLUMN evidently_share, "
        "DROP COLUMN evidently_columns, DROP COLUMN evidently_reason"
    )
