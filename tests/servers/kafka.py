"""A real Apache Kafka for tests and benchmarks: one broker in KRaft mode, killed and restarted at will.

The jars come from Maven Central, once, into the project's `.cache/kafka`. Settings follow
https://kafka.apache.org/41/configuration/broker-configs/.
"""

import fcntl
import shutil
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import trustme
from cryptography.hazmat.primitives import serialization

from tests.servers.ports import free_port, listens, wait_until

VERSION: Final = "4.1.1"
USER: Final = "ladder"
PASSWORD: Final = "ladder-test-password"
_CACHE: Final = Path(__file__).parents[2] / ".cache" / "kafka"
_CLUSTER: Final = "bGFkZGVyLXRlc3RzLTAwMA"
_POM: Final = f"""<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>ladder.tests</groupId><artifactId>broker</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{VERSION}</version></dependency>
    <dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId><version>2.25.1</version></dependency>
  </dependencies>
</project>
"""


def has_java() -> bool:
    return shutil.which("java") is not None and (_libs().exists() or shutil.which("mvn") is not None)


def jars() -> Path:
    """The folder with the broker's jars; fetched the first time."""
    _CACHE.mkdir(parents=True, exist_ok=True)
    with (_CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _libs().exists():
            (_CACHE / "pom.xml").write_text(_POM)
            fetched = _CACHE / "fetched"
            command = ["mvn", "-q", "-B", "-f", _CACHE / "pom.xml", "dependency:copy-dependencies"]
            subprocess.run([*command, f"-DoutputDirectory={fetched}"], check=True)
            fetched.rename(_libs())
    return _libs()


def _libs() -> Path:
    return _CACHE / f"libs-{VERSION}"


@dataclass(frozen=True)
class Authority:
    """A certificate authority with one certificate for the broker and one for a client, as PEM files."""

    folder: Path
    ca_file: Path = field(init=False)
    client_cert_file: Path = field(init=False)
    client_key_file: Path = field(init=False)

    def __post_init__(self) -> None:
        authority = trustme.CA()
        for name in ("ca_file", "client_cert_file", "client_key_file"):
            object.__setattr__(self, name, self.folder / f"{name}.pem")
        authority.cert_pem.write_to_path(self.ca_file)
        client = authority.issue_cert("client@ladder.test")
        client.private_key_pem.write_to_path(self.client_key_file)
        client.cert_chain_pems[0].write_to_path(self.client_cert_file)
        broker = authority.issue_cert("127.0.0.1", "localhost", key_type=trustme.KeyType.RSA)
        chain = b"".join(blob.bytes() for blob in broker.cert_chain_pems)
        (self.folder / "broker.pem").write_bytes(_pkcs8(broker.private_key_pem.bytes()) + chain)

    def properties(self) -> dict[str, str]:
        return {
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(self.folder / "broker.pem"),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self.ca_file),
        }


def _pkcs8(key: bytes) -> bytes:
    """The same private key in the only form that Kafka reads."""
    loaded = serialization.load_pem_private_key(key, password=None)
    return loaded.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


class KafkaServer:
    """One broker. `secured` adds listeners with SASL, with TLS and with both."""

    def __init__(
        self, folder: Path, *, secured: Authority | None = None, heap: str = "512m", quick_start: bool = True
    ) -> None:
        self.folder: Final = folder
        names = ["PLAINTEXT"] + (["SASL_PLAINTEXT", "SASL_SSL", "SSL"] if secured else [])
        self.ports: Final = {name: free_port() for name in [*names, "CONTROLLER"]}
        self._secured = secured
        self._java = ["java", f"-Xmx{heap}", "-XX:+UseSerialGC"]
        self._java += ["-XX:TieredStopAtLevel=1"] if quick_start else []
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap_servers(self) -> str:
        return self.address("PLAINTEXT")

    def address(self, listener: str) -> str:
        return f"127.0.0.1:{self.ports[listener]}"

    def start(self) -> None:
        """Start on the same ports and data as before, unless it runs; format the data folder the first time."""
        if self._process is not None:
            return
        properties = self.folder / "server.properties"
        if not properties.exists():
            properties.write_text("".join(f"{name}={value}\n" for name, value in self._properties().items()))
            scram = [
                f"{kind}=[name={USER},password={PASSWORD}]" for kind in ("SCRAM-SHA-256", "SCRAM-SHA-512")
            ]
            options = ["format", "-t", _CLUSTER, "-c", properties]
            options += [part for one in scram for part in ("--add-scram", one)]
            subprocess.run(
                self._command("kafka.tools.StorageTool", *options), check=True, capture_output=True
            )
        with (self.folder / "broker.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command("kafka.Kafka", properties),
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
            )
        wait_until(self._answers, 60, "Kafka answers")

    def kill(self) -> None:
        """The broker vanishes at once, as when its machine fails."""
        self._end(signal.SIGKILL)

    stop = kill

    def freeze(self) -> None:
        """The broker hangs: connections stay, nothing answers."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(60)
            self._process = None

    def _command(self, main: str, *arguments: object) -> list[str]:
        return [*self._java, "-cp", f"{jars()}/*", main, *map(str, arguments)]

    def _answers(self) -> bool:
        if self._process is not None and self._process.poll() is not None:
            raise RuntimeError((self.folder / "broker.log").read_text(errors="replace")[-3000:])
        return all(listens(port) for port in self.ports.values())

    def _properties(self) -> dict[str, str]:
        listeners = ",".join(f"{name}://{self.address(name)}" for name in self.ports)
        advertised = ",".join(f"{name}://{self.address(name)}" for name in self.ports if name != "CONTROLLER")
        basic = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@{self.address('CONTROLLER')}",
            "controller.listener.names": "CONTROLLER",
            "listeners": listeners,
            "advertised.listeners": advertised,
            "listener.security.protocol.map": ",".join(
                f"{name}:{'PLAINTEXT' if name == 'CONTROLLER' else name}" for name in self.ports
            ),
            "inter.broker.listener.name": "PLAINTEXT",
            "log.dirs": str(self.folder / "data"),
            "auto.create.topics.enable": "false",
            "num.partitions": "4",
            "offsets.topic.num.partitions": "4",
            "offsets.topic.replication.factor": "1",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "group.initial.rebalance.delay.ms": "0",
            "group.min.session.timeout.ms": "1000",
            "log.cleaner.dedupe.buffer.size": "16777216",
            "broker.session.timeout.ms": "1000",  # a killed broker may come back after this
            "broker.heartbeat.interval.ms": "250",
        }
        return basic | (self._security() if self._secured else {})

    def _security(self) -> dict[str, str]:
        assert self._secured is not None
        plain = "org.apache.kafka.common.security.plain.PlainLoginModule"
        scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        mechanisms = {"scram-sha-256": scram, "scram-sha-512": scram}
        mechanisms["plain"] = f'{plain} required user_{USER}="{PASSWORD}";'
        return (
            {"sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512"}
            | {
                f"listener.name.{listener}.{mechanism}.sasl.jaas.config": module
                for listener in ("sasl_plaintext", "sasl_ssl")
                for mechanism, module in mechanisms.items()
            }
            | {"listener.name.ssl.ssl.client.auth": "required"}
            | self._secured.properties()
        )
