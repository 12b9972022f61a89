"""The relay's lead is a lease; what the log refuses for good is kept apart."""

from alembic import op

from shared.outbox import lease

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for statement in lease.ddl("notifier"):
        op.execute(statement)
