"""What finds the ids that are old enough to go, and lets vacuum keep up with it."""

from alembic import op

from shared.outbox import processed_messages

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_PASSING = (
    "autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 10000, "
    "autovacuum_vacuum_cost_delay = 1"
)


def upgrade() -> None:
    for statement in processed_messages.retention_ddl("notifier"):
        op.execute(statement)
    op.execute("CREATE INDEX outbox_refused_at ON notifier.outbox_refused (at)")
    for table in ("delivery", "inbox_message", "incident"):
        op.execute(f"ALTER TABLE notifier.{table} SET ({_PASSING})")
