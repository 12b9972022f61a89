"""What a member of a consumer group asks of PostgreSQL; group.py says when.

Every statement names its group, the first column of the keys of `members` and `leases`; records are found by
their key: topic, partition, offset.
"""

from sqlalchemy import text

from shared.eventlog.postgres.append import STANDSTILL_MS

# A member that freezes with the group's lock in hand must not keep the others from beating for a session.
LOCK_GROUP = text(f"""
    SELECT set_config('idle_in_transaction_session_timeout', '{STANDSTILL_MS}', true),
           pg_advisory_xact_lock(hashtextextended('eventlog ' || :group, 0))
""")
BEAT = text("""
    INSERT INTO eventlog.members AS m (consumer_group, member, topics, expires_at)
    VALUES (:group, :member, :topics, now() + make_interval(secs => :session))
    ON CONFLICT (consumer_group, member)
    DO UPDATE SET topics = excluded.topics, expires_at = excluded.expires_at
""")
STRIKE_OFF = text("DELETE FROM eventlog.members WHERE consumer_group = :group AND expires_at < now()")
ADD_LEASES = text("""
    INSERT INTO eventlog.leases (consumer_group, topic, partition)
    SELECT :group, topic, number FROM eventlog.partitions WHERE topic = ANY(CAST(:topics AS text[]))
    ON CONFLICT DO NOTHING
""")
FREE_LEASES = text("""
    UPDATE eventlog.leases SET owner = NULL
    WHERE consumer_group = :group AND owner IS NOT NULL
      AND owner NOT IN (SELECT member FROM eventlog.members WHERE consumer_group = :group)
""")
LEASES = text(
    "SELECT topic, partition, owner, epoch, committed FROM eventlog.leases WHERE consumer_group = :group"
)
MEMBERS = text("""
    SELECT member, topics, extract(epoch FROM expires_at - now())::float8 AS seconds
    FROM eventlog.members WHERE consumer_group = :group
""")
GIVE_UP = text("""
    UPDATE eventlog.leases l SET owner = NULL
    FROM unnest(CAST(:topics AS text[]), CAST(:numbers AS integer[])) AS given (topic, number)
    WHERE l.consumer_group = :group AND l.owner = :member
      AND l.topic = given.topic AND l.partition = given.number
""")
ACQUIRE = text("""
    UPDATE eventlog.leases l SET owner = :member, epoch = l.epoch + 1
    FROM unnest(CAST(:topics AS text[]), CAST(:numbers AS integer[])) AS taken (topic, number)
    WHERE l.consumer_group = :group AND l.owner IS NULL
      AND l.topic = taken.topic AND l.partition = taken.number
    RETURNING l.topic, l.partition, l.epoch, l.committed
""")
LEAVE_MEMBER = text("DELETE FROM eventlog.members WHERE consumer_group = :group AND member = :member")
LEAVE_LEASES = text(
    "UPDATE eventlog.leases SET owner = NULL WHERE consumer_group = :group AND owner = :member"
)
NOTIFY = text("SELECT pg_notify(:channel, :payload)")
# `before`: the bytes of the rows ahead of this one, so that one fetch stays within bounds
FETCH = text("""
    SELECT topic, partition, "offset", key, value, headers, at
    FROM (
        SELECT found.*, sum(size) OVER (ORDER BY place, "offset") - size AS before
        FROM (
            SELECT r.*, length(r.value) AS size, mine.place
            FROM unnest(CAST(:topics AS text[]), CAST(:numbers AS integer[]),
                        CAST(:positions AS bigint[]), CAST(:epochs AS bigint[]))
                 WITH ORDINALITY AS mine (topic, number, position, epoch, place)
            JOIN eventlog.leases l
              ON l.consumer_group = :group AND l.topic = mine.topic AND l.partition = mine.number
             AND l.owner = :member AND l.epoch = mine.epoch
            CROSS JOIN LATERAL (
                SELECT * FROM eventlog.records r
                WHERE r.topic = mine.topic AND r.partition = mine.number AND r."offset" >= mine.position
                ORDER BY r."offset" LIMIT :most
            ) AS r
            ORDER BY mine.place, r."offset"
            LIMIT :most
        ) AS found
    ) AS counted
    WHERE before < :bytes
    ORDER BY place, "offset"
""")
COMMIT = text("""
    UPDATE eventlog.leases l SET committed = greatest(l.committed, done.next_offset)
    FROM unnest(CAST(:topics AS text[]), CAST(:numbers AS integer[]),
                CAST(:positions AS bigint[]), CAST(:epochs AS bigint[]))
         AS done (topic, number, next_offset, epoch)
    WHERE l.consumer_group = :group AND l.owner = :member
      AND l.topic = done.topic AND l.partition = done.number AND l.epoch = done.epoch
""")
LAG = text("""
    SELECT mine.topic, mine.number, p.next_offset - mine.position,
           (SELECT extract(epoch FROM clock_timestamp() - r.at)::float8 FROM eventlog.records r
            WHERE r.topic = mine.topic AND r.partition = mine.number AND r."offset" >= mine.position
            ORDER BY r."offset" LIMIT 1)
    FROM unnest(CAST(:topics AS text[]), CAST(:numbers AS integer[]), CAST(:positions AS bigint[]))
         AS mine (topic, number, position)
    JOIN eventlog.partitions p ON p.topic = mine.topic AND p.number = mine.number
""")
