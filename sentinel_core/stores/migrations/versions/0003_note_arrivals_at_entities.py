"""Note at which place a transaction arrived at its device, its address and its merchant."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        ALTER TABLE transactions
            ADD COLUMN device_arrival BIGINT,
            ADD COLUMN address_arrival BIGINT,
            ADD COLUMN merchant_arrival BIGINT,
            ADD COLUMN noted_us JSONB
    """)


def downgrade() -> None:
    op.execute("""
        ALTER TABLE transactions
            DROP COLUMN device_arrival,
            DROP COLUMN address_arrival,
            DROP COLUMN merchant_arrival,
            DROP COLUMN noted_us
    """)
