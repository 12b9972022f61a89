"""Since when Ladder has listened to senders, and the groups in which they send alerts."""

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

STATEMENTS: tuple[str, ...] = (
    # the last time from which on events were read without a break up to looked_at
    "ALTER TABLE router.heartbeat_watch ADD COLUMN heard_since timestamptz",
    # NULL: its sender names no group
    "ALTER TABLE router.incident ADD COLUMN alert_group text",
    """
    CREATE INDEX incident_open_alert_group ON router.incident (integration, alert_group, id)
    WHERE alert_group IS NOT NULL AND status IN ('triggered', 'acknowledged')
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
