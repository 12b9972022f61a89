"""When each heartbeat came last, when it is late, and when Ladder last looked."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

STATEMENTS: tuple[str, ...] = (
    # every and late_after as the policy in force says; late_at: since when it is late, NULL while it beats
    """
    CREATE TABLE router.heartbeat (
        name text PRIMARY KEY,
        every interval NOT NULL,
        late_after interval NOT NULL,
        since timestamptz NOT NULL,
        beat_at timestamptz,
        by text NOT NULL DEFAULT '',
        due_at timestamptz NOT NULL,
        late_at timestamptz
    ) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000)
    """,
    "CREATE INDEX heartbeat_due ON router.heartbeat (due_at)",
    # one row; whoever holds it looks. looked_at stands still while beats cannot be taken
    """
    CREATE TABLE router.heartbeat_watch (
        only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
        policy_hash text NOT NULL DEFAULT '',
        looked_at timestamptz
    ) WITH (fillfactor = 10)
    """,
    "INSERT INTO router.heartbeat_watch DEFAULT VALUES",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
