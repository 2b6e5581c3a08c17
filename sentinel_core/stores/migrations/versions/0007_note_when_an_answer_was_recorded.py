"""Note when an answer was recorded: what was known then can be told from what came later."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE prediction_logs ADD COLUMN recorded_at TIMESTAMP WITH TIME ZONE")


def downgrade() -> None:
    op.execute("ALTER TABLE prediction_logs DROP COLUMN recorded_at")
