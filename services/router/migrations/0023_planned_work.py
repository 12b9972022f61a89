"""Planned work that subscribers were told has begun, until they are told that it is over."""

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE router.planned_work (
            key text PRIMARY KEY,
            name text NOT NULL,
            "when" text NOT NULL,
            "then" text NOT NULL,
            until timestamptz NOT NULL
        )
    """)


def downgrade() -> None:
    op.execute("DROP TABLE IF EXISTS router.planned_work")
