"""Overrides, silences and maintenance: what changes from hour to hour."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

STATEMENTS: tuple[str, ...] = (
    """
    CREATE TABLE router.office (
        only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
        revision bigint NOT NULL
    ) WITH (fillfactor = 50)
    """,
    "INSERT INTO router.office (revision) VALUES (0)",
    """
    CREATE TABLE router.override (
        id uuid PRIMARY KEY,
        schedule text NOT NULL,
        "user" text NOT NULL,
        begins timestamptz NOT NULL,
        ends timestamptz NOT NULL,
        comment text NOT NULL DEFAULT '',
        by text NOT NULL,
        made_at timestamptz NOT NULL,
        CONSTRAINT override_not_empty CHECK (begins < ends)
    )
    """,
    "CREATE INDEX override_ends ON router.override (schedule, ends)",
    """
    CREATE TABLE router.silence (
        id uuid PRIMARY KEY,
        "when" text NOT NULL,
        starts timestamptz NOT NULL,
        until timestamptz NOT NULL,
        comment text NOT NULL,
        by text NOT NULL,
        made_at timestamptz NOT NULL,
        told_at timestamptz
    )
    """,
    "CREATE INDEX silence_until ON router.silence (until)",
    """
    CREATE TABLE router.maintenance (
        id uuid PRIMARY KEY,
        name text NOT NULL,
        "when" text NOT NULL,
        "then" text NOT NULL DEFAULT 'page',
        starts timestamptz,
        until timestamptz,
        "window" json,
        by text NOT NULL,
        made_at timestamptz NOT NULL,
        told_at timestamptz
    )
    """,
    "CREATE INDEX maintenance_until ON router.maintenance (until)",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
