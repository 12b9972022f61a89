"""Which event log, by environment: Kafka where `LADDER_KAFKA_BOOTSTRAP_SERVERS` is set, else PostgreSQL."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, field_validator

from shared.network.host_names import can_be_host
from shared.settings import LadderSettings


class EventLogSettings(LadderSettings):
    """A part of every service's settings. Passwords may come from a file (`…_PASSWORD_FILE`)."""

    kafka_bootstrap_servers: str | None = None  # host:port, comma-separated
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    kafka_sasl_username: str | None = None
    kafka_sasl_password: SecretStr | None = None
    kafka_tls_ca: Path | None = None  # PEM; the system's authorities where it is not set
    kafka_tls_cert: Path | None = None
    kafka_tls_key: Path | None = None
    kafka_linger_ms: int = Field(default=0, ge=0, le=1000)  # how long a record may wait for company
    # How many partitions new topics get (never changed in place); None: 48 on Kafka, 8 on PostgreSQL.
    kafka_partitions: int | None = Field(default=None, ge=1, le=1000)
    # How long a consumer may be silent before its partitions go to others.
    kafka_session_seconds: float = Field(default=6.0, ge=1, le=300)

    @field_validator("kafka_bootstrap_servers")
    @classmethod
    def _names_hosts_and_ports(cls, servers: str | None) -> str | None:
        for server in (servers or "").split(",") if servers else ():
            host, _, port = server.strip().rpartition(":")
            name = host[1:-1] if host.startswith("[") and host.endswith("]") else host
            if not can_be_host(name) or not port.isdecimal() or not 0 < int(port) < 65536:
                raise ValueError(f"{server.strip()!r} is not host:port, such as kafka:9092")
        return servers
