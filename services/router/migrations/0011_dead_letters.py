"""Dead letters whole, so that they can be looked at, replayed and dismissed."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

STATEMENTS: tuple[str, ...] = (
    # key, headers and value: NULL until the letter has been read from the log; record_key is for people
    """
    ALTER TABLE router.dead_letter
        ADD COLUMN service text NOT NULL DEFAULT 'router',
        ADD COLUMN key bytea,
        ADD COLUMN headers bytea,
        ADD COLUMN value bytea,
        ADD COLUMN size bigint,
        ADD COLUMN sha256 text NOT NULL DEFAULT '',
        ADD COLUMN state text NOT NULL DEFAULT 'waiting',
        ADD COLUMN decided_at timestamptz,
        ADD COLUMN decided_by text NOT NULL DEFAULT '',
        ADD COLUMN note text NOT NULL DEFAULT ''
    """,
    "CREATE INDEX dead_letter_newest ON router.dead_letter (at DESC, id DESC)",
    "CREATE INDEX dead_letter_waiting ON router.dead_letter (from_topic) WHERE state = 'waiting'",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
