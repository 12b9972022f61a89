"""Customers added by API or import, and the texts they are known by."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

STATEMENTS: tuple[str, ...] = (
    """
    CREATE TABLE router.customer (
        id text COLLATE "C" PRIMARY KEY,
        name text NOT NULL,
        tier text,
        value double precision,
        owner text,
        match text[] NOT NULL DEFAULT '{}',
        contacts json NOT NULL DEFAULT '{}',
        changed_at timestamptz NOT NULL,
        changed_by text NOT NULL
    )
    """,
    "CREATE INDEX customer_tier ON router.customer (tier, id)",
    "CREATE INDEX customer_owner ON router.customer (owner, id) WHERE owner IS NOT NULL",
    # The texts that events may say, in small letters: every `match` is one customer's only, a name may be shared.
    """
    CREATE TABLE router.customer_name (
        known_as text COLLATE "C" NOT NULL,
        customer_id text COLLATE "C" NOT NULL REFERENCES router.customer ON DELETE CASCADE,
        by_match boolean NOT NULL,
        PRIMARY KEY (known_as, customer_id)
    )
    """,
    "CREATE UNIQUE INDEX customer_match ON router.customer_name (known_as) WHERE by_match",
    "CREATE INDEX customer_name_of ON router.customer_name (customer_id)",
    # An import is laid down here line by line, and taken over in one transaction when all of it is in order.
    """
    CREATE UNLOGGED TABLE router.customer_import (
        import_id uuid NOT NULL,
        line integer NOT NULL,
        at timestamptz NOT NULL,
        id text COLLATE "C" NOT NULL,
        name text NOT NULL,
        called text NOT NULL,
        tier text,
        value double precision,
        owner text,
        match text[] NOT NULL,
        matched text[] NOT NULL,
        contacts text NOT NULL
    )
    """,
    "CREATE INDEX customer_import_of ON router.customer_import (import_id, id)",
    # Grows with every change of a customer; 0: there never was one, nothing needs to be looked up.
    "ALTER TABLE router.office ADD COLUMN customers bigint NOT NULL DEFAULT 0",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
