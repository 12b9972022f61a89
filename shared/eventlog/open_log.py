"""The event log that the settings ask for. Adapters are imported when they are chosen."""

from typing import TYPE_CHECKING

from shared.database.pool import Database
from shared.eventlog import EventLog
from shared.eventlog.settings import EventLogSettings
from shared.eventlog.topics import PARTITIONS, ladder_topics
from shared.settings import BadSettingError

if TYPE_CHECKING:
    from shared.eventlog.kafka.connection import KafkaConnection


def open_log(settings: EventLogSettings, database: Database | None) -> EventLog:
    """Not yet running. `database` carries the log where no Kafka is configured.

    Raises BadSettingError when there is neither, and for TLS files that cannot be used.
    """
    if settings.kafka_bootstrap_servers:
        return _kafka(settings)
    if database is None:
        raise BadSettingError("Neither LADDER_KAFKA_BOOTSTRAP_SERVERS nor LADDER_DATABASE_URL is set.")
    from shared.eventlog.postgres.log import DEFAULT_PARTITIONS, PostgresEventLog  # noqa: PLC0415 - only where chosen

    return PostgresEventLog(
        database,
        topics=ladder_topics(settings.kafka_partitions or DEFAULT_PARTITIONS),
        session_seconds=settings.kafka_session_seconds,
    )


def _kafka(settings: EventLogSettings) -> EventLog:
    from shared.eventlog.kafka.connection import KafkaConnection  # noqa: PLC0415 - only where chosen
    from shared.eventlog.kafka.log import KafkaEventLog  # noqa: PLC0415 - only where chosen

    password = settings.kafka_sasl_password
    connection = KafkaConnection(
        bootstrap_servers=settings.kafka_bootstrap_servers or "",
        security_protocol=settings.kafka_security_protocol,
        sasl_mechanism=settings.kafka_sasl_mechanism,
        sasl_username=settings.kafka_sasl_username,
        sasl_password=password.get_secret_value() if password else None,
        tls_ca=settings.kafka_tls_ca,
        tls_cert=settings.kafka_tls_cert,
        tls_key=settings.kafka_tls_key,
    )
    _look_at_files(connection)
    return KafkaEventLog(
        connection,
        topics=ladder_topics(settings.kafka_partitions or PARTITIONS),
        session_seconds=settings.kafka_session_seconds,
        linger_ms=settings.kafka_linger_ms,
    )


def _look_at_files(connection: "KafkaConnection") -> None:
    """Before anything runs: a file that is missing or is no PEM is a sentence with its setting."""
    given = {
        "LADDER_KAFKA_TLS_CA": connection.tls_ca,
        "LADDER_KAFKA_TLS_CERT": connection.tls_cert,
        "LADDER_KAFKA_TLS_KEY": connection.tls_key,
    }
    named = {name: path for name, path in given.items() if path is not None}
    for name, path in named.items():
        try:
            path.read_bytes()
        except OSError as err:
            raise BadSettingError(f"{name}: {path} cannot be read: {err.strerror}.") from err
    try:
        connection.options()
    except (OSError, ValueError) as err:  # ssl.SSLError is an OSError
        files = ", ".join(f"{name}={path}" for name, path in named.items())
        why = getattr(err, "reason", None) or str(err)
        raise BadSettingError(f"{files}: not PEM files that fit together ({why}).") from err
