"""Incidents with their timelines, policies, what was set aside, the inbox and the outbox."""

from alembic import op

from shared.outbox import outbox, processed_messages

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# Rows are rewritten with every event: room on the page keeps most rewrites out of the indexes (HOT), and
# cleaning starts after a fixed number of dead rows, so that a table of millions is not left to bloat.
_BUSY = (
    "fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000, "
    "autovacuum_vacuum_cost_delay = 1, autovacuum_analyze_scale_factor = 0.05"
)

STATEMENTS = (
    # state is json, not jsonb: attributes stay as they were sent, in order, whole numbers whole.
    # ordinal: which of two incidents of one key came later, also when one transaction opened both
    f"""
    CREATE TABLE router.incident (
        id uuid PRIMARY KEY,
        ordinal bigint GENERATED ALWAYS AS IDENTITY,
        integration text NOT NULL,
        dedup_key text NOT NULL,
        status text NOT NULL,
        priority smallint NOT NULL,
        tier text NOT NULL,
        customer text NOT NULL,
        customer_value double precision NOT NULL DEFAULT 0,
        service text NOT NULL,
        kind text NOT NULL,
        assignee text NOT NULL,
        title text NOT NULL,
        policy text NOT NULL,
        policy_hash text NOT NULL,
        level text NOT NULL,
        opened_at timestamptz NOT NULL,
        acknowledged_at timestamptz,
        resolved_at timestamptz,
        closed_at timestamptz,
        first_breach_at timestamptz,
        next_due_at timestamptz,
        stuck boolean NOT NULL DEFAULT false,
        version integer NOT NULL,
        events bigint NOT NULL,
        updated_at timestamptz NOT NULL,
        state json NOT NULL,
        CONSTRAINT incident_status CHECK (status IN ('triggered', 'acknowledged', 'resolved', 'closed')),
        CONSTRAINT incident_priority CHECK (priority BETWEEN 1 AND 5),
        CONSTRAINT nothing_stands_still CHECK (status = 'closed' OR next_due_at IS NOT NULL)
    ) WITH ({_BUSY})
    """,
    """
    CREATE UNIQUE INDEX incident_open_key ON router.incident (integration, dedup_key)
    WHERE status IN ('triggered', 'acknowledged')
    """,
    "CREATE INDEX incident_key ON router.incident (integration, dedup_key, ordinal DESC)",
    "CREATE INDEX incident_due ON router.incident (priority, next_due_at) WHERE status <> 'closed'",
    "CREATE INDEX incident_newest ON router.incident (opened_at DESC, id DESC)",
    # the order of sort=pressing; what has no running clock comes last among its priority
    """
    CREATE INDEX incident_pressing ON router.incident
        (priority, COALESCE(first_breach_at, 'infinity'), customer_value DESC, id)
    WHERE status <> 'closed'
    """,
    """
    CREATE INDEX incident_open_newest ON router.incident (opened_at DESC, id DESC)
    WHERE status IN ('triggered', 'acknowledged')
    """,
    "CREATE INDEX incident_customer ON router.incident (customer, opened_at DESC, id DESC) WHERE customer <> ''",
    "CREATE INDEX incident_service ON router.incident (service, opened_at DESC, id DESC) WHERE service <> ''",
    "CREATE INDEX incident_assignee ON router.incident (assignee, opened_at DESC, id DESC) WHERE assignee <> ''",
    "CREATE INDEX incident_stuck ON router.incident (id) WHERE stuck",
    "CREATE INDEX incident_policy_hash ON router.incident (policy_hash) WHERE status <> 'closed'",
    """
    CREATE TABLE router.timeline (
        seq bigint GENERATED ALWAYS AS IDENTITY,
        incident_id uuid NOT NULL,
        at timestamptz NOT NULL,
        kind text NOT NULL,
        actor text NOT NULL,
        text text NOT NULL,
        reason jsonb,
        PRIMARY KEY (incident_id, seq)
    )
    """,
    # events that met no incident; a resolve among them is held against a late trigger (rule 16)
    """
    CREATE TABLE router.orphan (
        seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        integration text NOT NULL,
        dedup_key text NOT NULL,
        action text NOT NULL,
        event_id text NOT NULL,
        at timestamptz NOT NULL,
        occurred_at timestamptz,
        reason text NOT NULL,
        event json NOT NULL
    )
    """,
    "CREATE INDEX orphan_key ON router.orphan (integration, dedup_key)",
    "CREATE INDEX orphan_at ON router.orphan (at)",
    # signals on which `decide` raised: fed again when the incident's next try is due (rule 18)
    """
    CREATE TABLE router.set_aside (
        seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        incident_id uuid NOT NULL,
        at timestamptz NOT NULL,
        kind text NOT NULL,
        signal json NOT NULL,
        error text NOT NULL
    )
    """,
    "CREATE INDEX set_aside_incident ON router.set_aside (incident_id, seq)",
    """
    CREATE TABLE router.dead_letter (
        id text PRIMARY KEY,
        at timestamptz NOT NULL,
        reason text NOT NULL,
        from_topic text NOT NULL,
        partition integer NOT NULL,
        "offset" bigint NOT NULL,
        record_key text NOT NULL
    )
    """,
    "CREATE INDEX dead_letter_at ON router.dead_letter (at)",
    """
    CREATE TABLE router.policy (
        hash text PRIMARY KEY,
        bundle bytea NOT NULL,
        loaded_at timestamptz NOT NULL
    )
    """,
    # one row: every router reads it in each of its transactions
    """
    CREATE TABLE router.policy_in_force (
        only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
        hash text NOT NULL REFERENCES router.policy,
        revision bigint NOT NULL,
        at timestamptz NOT NULL,
        source text NOT NULL,
        by text NOT NULL
    ) WITH (fillfactor = 50)
    """,
    # which contents LADDER_POLICY has brought before: an old file never undoes a newer `ladder apply`
    """
    CREATE TABLE router.policy_source (
        hash text PRIMARY KEY,
        at timestamptz NOT NULL
    )
    """,
    # answers to actions that carried an Idempotency-Key
    """
    CREATE TABLE router.idempotency (
        caller text NOT NULL,
        key text NOT NULL,
        request text NOT NULL,
        at timestamptz NOT NULL,
        answer bytea,
        PRIMARY KEY (caller, key)
    )
    """,
    "CREATE INDEX idempotency_at ON router.idempotency (at)",
    # one row: when last_resort was paged last, and how often that was held back since
    """
    CREATE TABLE router.last_resort (
        only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
        paged_at timestamptz NOT NULL,
        held_back bigint NOT NULL
    ) WITH (fillfactor = 50)
    """,
    "INSERT INTO router.last_resort (paged_at, held_back) VALUES ('-infinity', 0)",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
    for owner in (processed_messages, outbox):
        op.execute(owner.ddl("router"))
