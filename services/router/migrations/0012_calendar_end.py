"""When the private addresses of a schedule's calendar were ended, by whom, and whose."""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # holder: user:NAME, api:NAME or everybody; addresses made until ended_at show nothing any more
    op.execute("""
        CREATE TABLE router.calendar_end (
            schedule text NOT NULL,
            holder text NOT NULL,
            ended_at timestamptz NOT NULL,
            ended_by text NOT NULL,
            PRIMARY KEY (schedule, holder)
        )
    """)


def downgrade() -> None:
    op.execute("DROP TABLE IF EXISTS router.calendar_end")
