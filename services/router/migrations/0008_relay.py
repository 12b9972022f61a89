"""The relay's lead is a lease; what the log refuses for good is kept apart."""

from alembic import op

from shared.outbox import lease

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for statement in lease.ddl("router"):
        op.execute(statement)
