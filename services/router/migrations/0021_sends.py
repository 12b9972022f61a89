"""By which channels people can be reached, as a notifier said last."""

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE router.sends (
            only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
            channels text[] NOT NULL,
            at timestamptz NOT NULL
        )
    """)


def downgrade() -> None:
    op.execute("DROP TABLE IF EXISTS router.sends")
