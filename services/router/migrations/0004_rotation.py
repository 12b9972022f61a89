"""Where each round robin stands: a level's name and whom it asked last (docs/rules.md, rule 19)."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

STATEMENTS: tuple[str, ...] = (
    # Many transactions rewrite the same few rows: room on the page keeps them out of the index (HOT).
    """
    CREATE TABLE router.rotation (
        policy text NOT NULL,
        level text NOT NULL,
        name text NOT NULL,
        at timestamptz NOT NULL,
        PRIMARY KEY (policy, level)
    ) WITH (fillfactor = 20)
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
