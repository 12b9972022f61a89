"""Maintenance in several windows, or in those of a calendar."""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE router.maintenance ADD COLUMN windows json")
