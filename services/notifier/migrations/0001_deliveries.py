"""Deliveries, the incidents they belong to, the stored inbox, and the notifier's own inbox and outbox."""

from alembic import op

from shared.outbox import outbox, processed_messages

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(processed_messages.ddl("notifier"))
    op.execute(outbox.ddl("notifier"))
    op.execute("""
        CREATE TABLE notifier.incident (
            id text PRIMARY KEY,
            version integer NOT NULL,
            -- pages of an earlier version than this one are no longer wanted; 0 = never settled
            settled_version integer NOT NULL DEFAULT 0,
            settled_at timestamptz,
            settled_why text NOT NULL DEFAULT '',
            settled_by text NOT NULL DEFAULT '',
            updated_at timestamptz NOT NULL
        )
    """)
    op.execute("CREATE INDEX incident_updated ON notifier.incident (updated_at)")
    op.execute("""
        CREATE TABLE notifier.delivery (
            id uuid PRIMARY KEY,
            incident_id text NOT NULL,
            version integer NOT NULL,
            page_id text NOT NULL DEFAULT '',
            notice_id text NOT NULL DEFAULT '',
            recipient_kind text NOT NULL,
            recipient text NOT NULL,
            channel text NOT NULL,
            contact text NOT NULL,
            address text NOT NULL,
            secret text NOT NULL DEFAULT '',
            event text NOT NULL,
            endpoint text NOT NULL,
            host text NOT NULL,
            state text NOT NULL CHECK (
                state IN ('pending', 'sending', 'sent', 'delivered', 'failed', 'cancelled')
            ),
            attempts integer NOT NULL DEFAULT 0,
            next_attempt_at timestamptz NOT NULL,
            give_up_at timestamptz NOT NULL,
            lease_until timestamptz,
            -- the log's partition while that is behind: an acknowledgement may stand further on in it
            held integer,
            content json NOT NULL,
            last_error text NOT NULL DEFAULT '',
            created_at timestamptz NOT NULL,
            caused_at timestamptz,
            first_attempt_at timestamptz,
            sent_at timestamptz,
            CHECK ((page_id = '') <> (notice_id = '')),
            CHECK ((state = 'sending') = (lease_until IS NOT NULL))
        ) WITH (fillfactor = 80)
    """)
    # pages before notices, then by due time: the order in which they are claimed
    op.execute("""
        CREATE INDEX delivery_due ON notifier.delivery ((page_id = ''), next_attempt_at)
        WHERE state = 'pending'
    """)
    op.execute("CREATE INDEX delivery_held ON notifier.delivery (held) WHERE held IS NOT NULL")
    op.execute("CREATE INDEX delivery_leased ON notifier.delivery (lease_until) WHERE state = 'sending'")
    op.execute("CREATE INDEX delivery_incident ON notifier.delivery (incident_id)")
    op.execute("CREATE INDEX delivery_created ON notifier.delivery (created_at, id)")
    op.execute("""
        CREATE TABLE notifier.inbox_message (
            seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            id uuid NOT NULL UNIQUE,
            "user" text NOT NULL,
            at timestamptz NOT NULL,
            event text NOT NULL,
            title text NOT NULL,
            text text NOT NULL,
            reason text NOT NULL DEFAULT '',
            incident_id text NOT NULL,
            page_id text NOT NULL DEFAULT '',
            links json NOT NULL
        )
    """)
    op.execute('CREATE INDEX inbox_message_user ON notifier.inbox_message ("user", seq DESC)')
    op.execute("CREATE INDEX inbox_message_at ON notifier.inbox_message (at)")
    op.execute("""
        CREATE TABLE notifier.endpoint_disabled (
            endpoint text PRIMARY KEY,
            at timestamptz NOT NULL,
            reason text NOT NULL
        )
    """)


def downgrade() -> None:
    for table in ("endpoint_disabled", "inbox_message", "delivery", "incident", "outbox", "inbox"):
        op.execute(f"DROP TABLE IF EXISTS notifier.{table}")
