"""Topics, partitions, records; groups with their members and leases."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE eventlog.topics (
        name text PRIMARY KEY,
        partitions integer NOT NULL CHECK (partitions > 0),
        compacted boolean NOT NULL
    )
    """,
    # next_offset: taken under this row's lock, so that offsets have no gaps and readers skip nothing
    """
    CREATE TABLE eventlog.partitions (
        topic text NOT NULL REFERENCES eventlog.topics,
        number integer NOT NULL,
        next_offset bigint NOT NULL DEFAULT 0,
        PRIMARY KEY (topic, number)
    ) WITH (fillfactor = 50)
    """,
    """
    CREATE TABLE eventlog.records (
        topic text NOT NULL,
        partition integer NOT NULL,
        "offset" bigint NOT NULL,
        key bytea NOT NULL,
        value bytea NOT NULL,
        headers bytea NOT NULL,
        at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (topic, partition, "offset")
    )
    """,
    # expires_at: a member that has not been heard of until then is taken for dead
    """
    CREATE TABLE eventlog.members (
        consumer_group text NOT NULL,
        member text NOT NULL,
        topics text[] NOT NULL,
        expires_at timestamptz NOT NULL,
        PRIMARY KEY (consumer_group, member)
    ) WITH (fillfactor = 50)
    """,
    # epoch: grows with each change of owner; whoever commits names the epoch it was given
    """
    CREATE TABLE eventlog.leases (
        consumer_group text NOT NULL,
        topic text NOT NULL,
        partition integer NOT NULL,
        owner text,
        epoch bigint NOT NULL DEFAULT 0,
        committed bigint NOT NULL DEFAULT 0,
        PRIMARY KEY (consumer_group, topic, partition)
    ) WITH (fillfactor = 50)
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
