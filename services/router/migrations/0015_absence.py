"""Whose place an override takes: `absent` is a person who has nothing on any schedule meanwhile."""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # schedule '': on every one; "user" '': nobody. Older releases find no schedule and no user of that name.
    op.execute("ALTER TABLE router.override ADD COLUMN IF NOT EXISTS absent text NOT NULL DEFAULT ''")


def downgrade() -> None:
    op.execute("ALTER TABLE router.override DROP COLUMN IF EXISTS absent")
