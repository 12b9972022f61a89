"""The provider's own id of a message: receipts name it, updates of the message need it."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE notifier.delivery ADD COLUMN reference text NOT NULL DEFAULT ''")
    op.execute("""
        CREATE INDEX delivery_reference ON notifier.delivery (channel, reference) WHERE reference <> ''
    """)


def downgrade() -> None:
    op.execute("ALTER TABLE notifier.delivery DROP COLUMN reference")
