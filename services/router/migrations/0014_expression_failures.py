"""Expressions that could not be evaluated: where, why last, how often, since when."""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # policy: the content hash of the bundle; count: of all replicas; at: when it failed last
    op.execute("""
        CREATE TABLE router.expression_failure (
            policy text NOT NULL,
            place text NOT NULL,
            reason text NOT NULL,
            count bigint NOT NULL,
            since timestamptz NOT NULL,
            at timestamptz NOT NULL,
            PRIMARY KEY (policy, place)
        )
    """)
    op.execute("CREATE INDEX expression_failure_at ON router.expression_failure (at)")


def downgrade() -> None:
    op.execute("DROP TABLE IF EXISTS router.expression_failure")
