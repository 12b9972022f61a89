"""Alembic's entry: run inside the caller's connection and transaction, in the owner's schema."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    version_table_schema=context.config.attributes["owner"],
    include_schemas=True,
)
context.run_migrations()
