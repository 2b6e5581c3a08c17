"""Alembic's environment: runs on the connection, and inside the transaction, that `migrate` hands over."""

from alembic import context

from sentinel_core.stores.tables import transactions

context.configure(
    connection=context.config.attributes["connection"], target_metadata=transactions.metadata, compare_type=True
)
context.run_migrations()
