"""A real PostgreSQL with TLS, and an authority of its own. The wheel's server is built without OpenSSL."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import trustme

from tests.servers.postgres import PostgresServer

_PLACES = "/usr/lib/postgresql"  # Debian's
PASSWORD = "p@ss/w?rd #1:%"
_RULES = """
hostnossl all  locked,certified  all  reject
hostssl   all  locked            all  scram-sha-256
hostssl   all  certified         all  cert
"""


@dataclass(frozen=True)
class Secure:
    """The server and the files of its clients. Its certificate is for `localhost`, and for no address."""

    server: PostgresServer
    authority: Path
    stranger: Path  # another authority
    certificate: Path
    key: Path

    def url(self, role: str = "locked", host: str = "localhost", **parameters: object) -> str:
        query = "&".join(f"{name}={quote(str(value), safe='')}" for name, value in parameters.items())
        password = f":{quote(PASSWORD, safe='')}" if role == "locked" else ""
        return f"postgresql://{role}{password}@{host}:{self.server.port}/postgres?{query}"


def programs() -> Path | None:
    """Those of a release with TLS: the newest of the system's, or LADDER_TEST_TLS_POSTGRES_BIN."""
    chosen = os.environ.get("LADDER_TEST_TLS_POSTGRES_BIN")
    if chosen:
        return Path(chosen)
    found = sorted(Path(_PLACES).glob("*/bin/postgres"), key=lambda each: int(each.parts[-3]))
    return found[-1].parent if found else None


@contextmanager
def secure(folder: Path, there: Path) -> Iterator[Secure]:
    """Started in this folder with these programs, until the end of the block."""
    server = PostgresServer(folder, programs=there)
    server.start()
    try:
        made = _certify(folder, server)
        server.run_sql("CREATE ROLE certified LOGIN")
        server.run_sql(f"CREATE ROLE locked SUPERUSER LOGIN PASSWORD '{PASSWORD}'")
        rules = folder / "data" / "pg_hba.conf"
        rules.write_text(_RULES + rules.read_text())
        server.run_sql("ALTER SYSTEM SET ssl_ca_file = 'authority.pem'")
        server.run_sql("ALTER SYSTEM SET ssl = on")
        server.run_sql("SELECT pg_reload_conf()")
        yield made
    finally:
        server.stop()


def _certify(folder: Path, server: PostgresServer) -> Secure:
    authority, stranger = trustme.CA(), trustme.CA()
    ours = Secure(server, *(folder / name for name in ("authority", "stranger", "cert", "key")))
    authority.cert_pem.write_to_path(ours.authority)
    stranger.cert_pem.write_to_path(ours.stranger)
    client = authority.issue_cert("certified.test", common_name="certified")
    client.cert_chain_pems[0].write_to_path(ours.certificate)
    client.private_key_pem.write_to_path(ours.key)
    own = authority.issue_cert("localhost")
    data = folder / "data"
    own.cert_chain_pems[0].write_to_path(data / "server.crt")
    own.private_key_pem.write_to_path(data / "server.key")
    authority.cert_pem.write_to_path(data / "authority.pem")
    who = data.stat()
    for name in ("server.crt", "server.key", "authority.pem"):
        shutil.chown(data / name, who.st_uid, who.st_gid)
        (data / name).chmod(0o600)
    return ours
