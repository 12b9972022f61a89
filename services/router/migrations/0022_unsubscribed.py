"""Who has left a subscription of the policy, and by whose hand."""

from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE router.unsubscribed (
            id uuid PRIMARY KEY,
            subscription text NOT NULL,
            kind text NOT NULL,
            -- empty for a bare address
            name text NOT NULL,
            -- stands for the address; empty for users and rooms
            place text NOT NULL,
            -- the contact's name and the address as people may see it, at that time
            contact text NOT NULL,
            shown text NOT NULL,
            at timestamptz NOT NULL,
            by text NOT NULL,
            UNIQUE (subscription, kind, name, place)
        )
    """)


def downgrade() -> None:
    op.execute("DROP TABLE IF EXISTS router.unsubscribed")
