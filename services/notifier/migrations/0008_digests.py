"""Digests: what one subscription tells one address is collected until its time is over."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_PASSING = (
    "autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 10000, "
    "autovacuum_vacuum_cost_delay = 1"
)


def upgrade() -> None:
    op.execute(f"""
        CREATE TABLE notifier.digest (
            -- stands for subscription, words and address
            key uuid PRIMARY KEY,
            begun_at timestamptz NOT NULL,
            ends_at timestamptz NOT NULL
        ) WITH ({_PASSING})
    """)
    op.execute("CREATE INDEX digest_ends ON notifier.digest (ends_at)")
    op.execute(f"""
        CREATE TABLE notifier.digest_item (
            -- of the delivery that it would have been
            id uuid PRIMARY KEY,
            digest uuid NOT NULL REFERENCES notifier.digest ON DELETE CASCADE,
            incident_id text NOT NULL,
            version integer NOT NULL,
            at timestamptz NOT NULL,
            recipient_kind text NOT NULL,
            recipient text NOT NULL,
            channel text NOT NULL,
            contact text NOT NULL,
            address text NOT NULL,
            secret text NOT NULL,
            event text NOT NULL,
            notice_id text NOT NULL,
            content json NOT NULL
        ) WITH ({_PASSING})
    """)
    op.execute("CREATE INDEX digest_item_of ON notifier.digest_item (digest, incident_id, version)")


def downgrade() -> None:
    for table in ("digest_item", "digest"):
        op.execute(f"DROP TABLE IF EXISTS notifier.{table}")
