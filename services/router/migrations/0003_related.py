"""Groups, causes and suppressed incidents; what one incident tells many."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

STATEMENTS: tuple[str, ...] = (
    "ALTER TABLE router.incident ADD COLUMN parent uuid",
    "ALTER TABLE router.incident ADD COLUMN suppressed_by text NOT NULL DEFAULT ''",
    "CREATE INDEX incident_parent ON router.incident (parent, id) WHERE parent IS NOT NULL",
    """
    CREATE INDEX incident_suppressed ON router.incident (suppressed_by, id)
    WHERE suppressed_by <> '' AND status IN ('triggered', 'acknowledged')
    """,
    # what may be the cause of others: the open incidents of the services that others depend on
    """
    CREATE INDEX incident_open_service ON router.incident (service, opened_at DESC)
    WHERE service <> '' AND status IN ('triggered', 'acknowledged')
    """,
    # one row for each group that was ever asked for: whoever asks for it holds its lock until the commit
    """
    CREATE TABLE router.incident_group (
        rule text NOT NULL,
        by_values text NOT NULL,
        parent uuid,
        title text NOT NULL DEFAULT '',
        at timestamptz NOT NULL,
        kept_until timestamptz NOT NULL,
        PRIMARY KEY (rule, by_values)
    ) WITH (fillfactor = 60)
    """,
    "CREATE INDEX incident_group_kept ON router.incident_group (kept_until)",
    # incidents that explain others by a rule of the policy (`while_open`); `ended` is when they ceased to
    """
    CREATE TABLE router.cause (
        rule text NOT NULL,
        incident_id uuid NOT NULL,
        title text NOT NULL,
        opened_at timestamptz NOT NULL,
        under text[] NOT NULL,
        ended timestamptz,
        PRIMARY KEY (rule, incident_id)
    )
    """,
    "CREATE INDEX cause_standing ON router.cause (rule, ended DESC NULLS FIRST, opened_at)",
    "CREATE INDEX cause_ended ON router.cause (ended) WHERE ended IS NOT NULL",
    # something that many incidents have to hear: told in steps, so that no transaction grows with them
    """
    CREATE TABLE router.spread (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        audience text NOT NULL,
        meant text NOT NULL,
        message json NOT NULL,
        at timestamptz NOT NULL,
        after_at timestamptz,
        after_id uuid
    )
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
