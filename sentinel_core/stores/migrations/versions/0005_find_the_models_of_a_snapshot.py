"""Find the models of a snapshot without reading every model's metrics."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE INDEX ix_model_metrics_snapshot ON model_metrics ((details ->> 'snapshot'))")


def downgrade() -> None:
    op.execute("DROP INDEX ix_model_metrics_snapshot")
