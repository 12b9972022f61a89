"""Records go in the order of their offsets: vacuum follows after a share of a day, not of the whole table."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        ALTER TABLE eventlog.records SET (
            autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 20000,
            autovacuum_vacuum_insert_scale_factor = 0.1, autovacuum_vacuum_cost_delay = 1
        )
    """)
