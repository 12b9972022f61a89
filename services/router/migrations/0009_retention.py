"""What finds the rows that are old enough to go, and lets vacuum keep up with it."""

from alembic import op

from shared.outbox import processed_messages

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

# Rows are written once and deleted in the order of their age: vacuum after a share of a day, not of the table.
_PASSING = (
    "autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 10000, "
    "autovacuum_vacuum_cost_delay = 1"
)

STATEMENTS: tuple[str, ...] = (
    *processed_messages.retention_ddl("router"),
    "CREATE INDEX incident_closed ON router.incident (closed_at) WHERE status = 'closed'",
    # beside incident_policy_hash, which knows those that are not closed: together, whether anything names it
    "CREATE INDEX incident_closed_policy ON router.incident (policy_hash) WHERE status = 'closed'",
    "CREATE INDEX policy_loaded ON router.policy (loaded_at)",
    "CREATE INDEX override_over ON router.override (ends)",
    "CREATE INDEX set_aside_at ON router.set_aside (at)",
    "CREATE INDEX outbox_refused_at ON router.outbox_refused (at)",
    *(
        f"ALTER TABLE router.{table} SET ({_PASSING})"
        for table in ("timeline", "idempotency", "orphan", "stay")
    ),
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
