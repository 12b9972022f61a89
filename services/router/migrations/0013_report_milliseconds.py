"""Reports keep times to the millisecond, and tell what a machine took from what a person took.

The seconds stay where they are, so that the last release goes on; the milliseconds beyond them stand beside
them. Rows from before have none, and whoever took them counts as a person, as before.
"""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        ALTER TABLE router.outcome
            ADD COLUMN taken_ms smallint NOT NULL DEFAULT 0,
            ADD COLUMN machine_first boolean NOT NULL DEFAULT false,
            ADD COLUMN person_after integer,
            ADD COLUMN person_ms smallint NOT NULL DEFAULT 0,
            ADD COLUMN solved_ms smallint NOT NULL DEFAULT 0
    """)
    op.execute("ALTER TABLE router.stay ADD COLUMN held_ms smallint NOT NULL DEFAULT 0")


def downgrade() -> None:
    op.execute("ALTER TABLE router.stay DROP COLUMN IF EXISTS held_ms")
    op.execute("""
        ALTER TABLE router.outcome
            DROP COLUMN IF EXISTS taken_ms, DROP COLUMN IF EXISTS machine_first,
            DROP COLUMN IF EXISTS person_after, DROP COLUMN IF EXISTS person_ms,
            DROP COLUMN IF EXISTS solved_ms
    """)
