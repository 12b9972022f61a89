"""What heartbeats say beside that they beat: runs, failures, their own words."""

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

STATEMENTS: tuple[str, ...] = (
    # failing: late_at is set because it said so; started_at, run: of the run under way; took: of the last one
    """
    ALTER TABLE router.heartbeat
        ADD COLUMN failed_at timestamptz,
        ADD COLUMN failing boolean NOT NULL DEFAULT false,
        ADD COLUMN started_at timestamptz,
        ADD COLUMN run text NOT NULL DEFAULT '',
        ADD COLUMN took interval,
        ADD COLUMN said text NOT NULL DEFAULT ''
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
