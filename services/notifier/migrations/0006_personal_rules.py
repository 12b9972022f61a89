"""The steps of personal rules, and what waits for the end of quiet hours."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        ALTER TABLE notifier.delivery
            -- how many later steps of the personal rules its page has
            ADD COLUMN later smallint NOT NULL DEFAULT 0,
            -- why it did not go out at once, in words
            ADD COLUMN delayed_by text NOT NULL DEFAULT '',
            -- it waits until then for the end of quiet hours
            ADD COLUMN quiet_until timestamptz
    """)


def downgrade() -> None:
    op.execute(
        "ALTER TABLE notifier.delivery DROP COLUMN later, DROP COLUMN delayed_by, DROP COLUMN quiet_until"
    )
