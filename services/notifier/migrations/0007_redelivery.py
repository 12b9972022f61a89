"""Who asked for a delivery to go out once more, and when."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE notifier.delivery ADD COLUMN retried_at timestamptz")
    op.execute("ALTER TABLE notifier.delivery ADD COLUMN retried_by text NOT NULL DEFAULT ''")


def downgrade() -> None:
    for column in ("retried_at", "retried_by"):
        op.execute(f"ALTER TABLE notifier.delivery DROP COLUMN {column}")
