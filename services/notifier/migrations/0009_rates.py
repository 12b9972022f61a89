"""How often each address is written to, in which order, and which deliveries leave as one message."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # one row for each address that people read, and for each account with a provider that has a limit
    op.execute("""
        CREATE TABLE notifier.bucket (
            name text PRIMARY KEY,
            full_at timestamptz NOT NULL,
            -- the bucket of pages that break through
            breaking_full_at timestamptz NOT NULL DEFAULT '1970-01-01 00:00:00+00',
            -- of the most pressing that the last message told
            rank smallint NOT NULL DEFAULT 0
        ) WITH (fillfactor = 50)
    """)
    op.execute("CREATE INDEX bucket_full ON notifier.bucket (full_at)")
    op.execute("ALTER TABLE notifier.delivery ADD COLUMN rank smallint NOT NULL DEFAULT 5")
    op.execute("ALTER TABLE notifier.delivery ADD COLUMN bucket text NOT NULL DEFAULT ''")
    op.execute("ALTER TABLE notifier.delivery ADD COLUMN message_id uuid")
    # the order in which they are claimed; the release before goes by delivery_due
    op.execute("""
        CREATE INDEX delivery_rank ON notifier.delivery (rank, next_attempt_at) WHERE state = 'pending'
    """)
    op.execute("""
        CREATE INDEX delivery_bucket ON notifier.delivery (bucket) WHERE state = 'pending' AND bucket <> ''
    """)
    op.execute("""
        CREATE INDEX delivery_message ON notifier.delivery (message_id)
        WHERE message_id IS NOT NULL AND state IN ('pending', 'sending')
    """)


def downgrade() -> None:
    op.execute("DROP TABLE IF EXISTS notifier.bucket")
    for column in ("rank", "bucket", "message_id"):
        op.execute(f"ALTER TABLE notifier.delivery DROP COLUMN {column}")
