"""What reports are made of: one narrow row an incident, one a stay at a level.

Fixed-width columns come first and texts compare by bytes: a report reads a million rows within a second.
Rows stay when an incident is deleted one day.
"""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# Rows are rewritten a few times and then never again; no index holds what changes (HOT).
_SETTLING = "fillfactor = 85, autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05"
_NAMES = """
        tier text COLLATE "C" NOT NULL,
        service text COLLATE "C" NOT NULL,
        customer text COLLATE "C" NOT NULL,
        policy text COLLATE "C" NOT NULL
"""

STATEMENTS: tuple[str, ...] = (
    # seconds since the opening; flags and promises are bits: services/router/domain/outcomes.py
    f"""
    CREATE TABLE router.outcome (
        incident_id uuid PRIMARY KEY,
        opened_at timestamptz NOT NULL,
        taken_after integer,
        solved_after integer,
        promises integer NOT NULL,
        flags smallint NOT NULL,
        reopened integer NOT NULL,
        rating smallint NOT NULL,
        priority smallint NOT NULL,
        {_NAMES}
    ) WITH ({_SETTLING})
    """,
    "CREATE INDEX outcome_opened ON router.outcome (opened_at)",
    # ended: how it left, NULL while it is there. opened_at, tier … are the incident's, so that nothing is joined
    f"""
    CREATE TABLE router.stay (
        incident_id uuid NOT NULL,
        opened_at timestamptz NOT NULL,
        entered_at timestamptz NOT NULL,
        held integer,
        ended smallint,
        pages smallint NOT NULL,
        priority smallint NOT NULL,
        {_NAMES},
        level text COLLATE "C" NOT NULL
    ) WITH ({_SETTLING})
    """,
    "CREATE INDEX stay_open ON router.stay (incident_id) WHERE ended IS NULL",
    "CREATE INDEX stay_opened ON router.stay (opened_at)",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
