"""Conversations: what was sent first about an incident to one place, so that later messages go beneath it."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE notifier.conversation (
            incident_id text NOT NULL,
            -- stands for channel and address, which may be long
            place uuid NOT NULL,
            channel text NOT NULL,
            address text NOT NULL,
            -- the provider's id of the first message; NULL: none yet, '': this place keeps no conversations
            reference text,
            -- the version of the incident that the first message shows
            shown_version integer NOT NULL DEFAULT 0,
            first json,
            -- the delivery that is about to send the first message, or to change it
            busy uuid,
            busy_until timestamptz,
            updated_at timestamptz NOT NULL,
            PRIMARY KEY (incident_id, place)
        ) WITH (
            fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 10000,
            autovacuum_vacuum_cost_delay = 1
        )
    """)
    op.execute("CREATE INDEX conversation_updated ON notifier.conversation (updated_at)")


def downgrade() -> None:
    op.execute("DROP TABLE notifier.conversation")
