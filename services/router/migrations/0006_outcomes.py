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
    # seconds since the opening; flags and promises are bits: services/router/domain/reporting/report_facts.py
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
# What can be told of incidents that were there before: not who solved them, nor the levels they have left.
BACKFILL: tuple[str, ...] = (
    """
    INSERT INTO router.outcome
    SELECT id, opened_at,
        CAST(floor(EXTRACT(epoch FROM acknowledged_at - opened_at)) AS integer),
        CAST(floor(EXTRACT(epoch FROM resolved_at - opened_at)) AS integer),
        COALESCE(clocks.promises, 0),
        CASE status WHEN 'resolved' THEN 1 WHEN 'closed' THEN 3 ELSE 0 END,
        COALESCE(CAST(state ->> 'reopened' AS integer), 0),
        0, priority, tier, service, customer, policy
    FROM router.incident
    CROSS JOIN LATERAL (
        SELECT bit_or(
            CASE WHEN clock.broken THEN 1 << bit | 1 << bit + 5 ELSE 0 END
            | CASE WHEN clock.state = 'cancelled' THEN 0 ELSE 1 << bit END
            | CASE WHEN clock.state = 'fulfilled' THEN 1 << bit + 10 ELSE 0 END
        ) AS promises
        FROM (
            SELECT array_position(ARRAY['acknowledge', 'respond', 'update', 'resolve', 'close'],
                                  each ->> 'target') - 1 AS bit,
                   COALESCE(each ->> 'state', 'running') AS state,
                   COALESCE(CAST(each ->> 'breached' AS boolean), false) AS broken
            FROM json_array_elements(state -> 'clocks') AS each
        ) AS clock
        WHERE bit IS NOT NULL
    ) AS clocks
    ON CONFLICT DO NOTHING
    """,
    """
    INSERT INTO router.stay
    SELECT id, opened_at, CAST(state -> 'chain' ->> 'since' AS timestamptz), NULL, NULL, 0, priority,
        tier, service, customer, policy, level
    FROM router.incident
    WHERE status IN ('triggered', 'acknowledged') AND policy <> '' AND level <> ''
      AND NOT COALESCE(CAST(state -> 'chain' ->> 'unasked' AS boolean), false)
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS + BACKFILL:
        op.execute(statement)
