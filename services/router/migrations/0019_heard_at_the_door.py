"""Whether senders could come in at all: canaries prove it (services/router/batch/heard_since.py)."""

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

STATEMENTS: tuple[str, ...] = (
    # NULL: canaries are switched off
    "ALTER TABLE router.heartbeat_watch ADD COLUMN canary_every interval",
    # when intake let in the last canary that the router has taken; NULL: none yet
    "ALTER TABLE router.heartbeat_watch ADD COLUMN let_in_at timestamptz",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
