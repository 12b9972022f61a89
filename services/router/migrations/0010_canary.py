"""The canary's own table, so that it stands in no list, report or count of incidents."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # ordinal: what the notifier sees as its version; name: after its moment, claimed by whoever is first
    op.execute("""
        CREATE TABLE router.canary (
            ordinal integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            name text NOT NULL UNIQUE,
            page_id text NOT NULL UNIQUE,
            let_in_at timestamptz NOT NULL,
            taken_at timestamptz NOT NULL,
            arrived_at timestamptz,
            incident json NOT NULL
        )
    """)


def downgrade() -> None:
    op.execute("DROP TABLE IF EXISTS router.canary")
