"""What became of the posts to each integration, as the replicas of intake count it."""

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # outcome: accepted, ignored, or the kind of problem; at, reason, event: of the last one
    op.execute("""
        CREATE TABLE router.post (
            integration text NOT NULL,
            outcome text NOT NULL,
            count bigint NOT NULL,
            at timestamptz NOT NULL,
            reason text NOT NULL,
            event integer,
            PRIMARY KEY (integration, outcome)
        )
    """)


def downgrade() -> None:
    op.execute("DROP TABLE IF EXISTS router.post")
