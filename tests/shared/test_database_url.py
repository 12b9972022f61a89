"""The URL as providers hand it out: what of it reaches the driver, and what is refused in a sentence."""

from pathlib import Path

import pytest

from ladder.processes import HostSettings
from shared.database.url import BadDatabaseUrlError, Server, read
from shared.settings import BadSettingError

ORDINARY = "postgresql://ladder:secret@db.example.com:6432/app"


@pytest.mark.parametrize(
    "url",
    [
        ORDINARY,
        ORDINARY.replace("postgresql:", "postgres:"),  # Heroku, Aiven
        ORDINARY.replace("postgresql:", "postgresql+asyncpg:"),  # SQLAlchemy
        f" {ORDINARY}\n",  # out of a file
        "postgresql:///app?host=db.example.com&port=6432&user=ladder&password=secret",
        "postgresql://ladder@db.example.com/app?port=6432&password=secret",
    ],
)
def test_every_spelling_of_the_same_url_is_the_same_server(url: str) -> None:
    assert read(url).arguments(("db.example.com", 6432)) == {
        "user": "ladder",
        "password": "secret",
        "database": "app",
        "host": "db.example.com",
        "port": 6432,
    }
    assert read(url).hosts == (("db.example.com", 6432),)


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("postgresql://u@h/x", [("h", 5432)]),
        ("postgresql://u@h1:1,h2,[::1]:3/x", [("h1", 1), ("h2", 5432), ("::1", 3)]),
        ("postgresql://u@h1,h2/x?port=7", [("h1", 7), ("h2", 7)]),
        ("postgresql:///x?host=h1,h2&port=1,2", [("h1", 1), ("h2", 2)]),
        ("postgresql+asyncpg:///x?host=h1:1&host=h2:2", [("h1", 1), ("h2", 2)]),  # SQLAlchemy's
        ("postgresql:///x?host=/var/run/postgresql", [("/var/run/postgresql", 5432)]),
        ("postgresql://%2Fvar%2Frun%2Fpostgresql:6000/x", [("/var/run/postgresql", 6000)]),
        ("postgresql:///x", []),  # where libpq looks by itself
    ],
)
def test_hosts_and_ports_are_libpqs(url: str, hosts: list[tuple[str, int]]) -> None:
    assert list(read(url).hosts) == hosts


@pytest.mark.parametrize(
    ("written", "password"),
    [("p%40ss%2Fw%3Ard", "p@ss/w:rd"), ("p@ss", "p@ss"), ("a?b#c", "a?b#c"), ("50%25+1", "50%+1")],
)
def test_a_password_of_any_characters_arrives_as_it_is(written: str, password: str) -> None:
    """Percent-encoded as it should be, or plain where it can still be told."""
    server = read(f"postgresql://u:{written}@h/x?application_name=a@b")
    assert (server.identity["password"], server.hosts) == (password, (("h", 5432),))


# As the providers' own pages show them, with their names and passwords exchanged.
PROVIDERS = {
    "aiven": "postgres://avnadmin:pw@pg-1.aivencloud.com:12691/defaultdb?sslmode=require",
    "azure": "postgresql://me:pw@a.postgres.database.azure.com:5432/postgres?sslmode=require",
    "digitalocean": "postgresql://doadmin:pw@db-1.ondigitalocean.com:25060/defaultdb?sslmode=require",
    "heroku": "postgres://u:pw@ec2-1.compute-1.amazonaws.com:5432/d1",
    "neon": "postgresql://u:pw@ep-1.aws.neon.tech/neondb?sslmode=require&channel_binding=require",
    "neon without SNI": "postgresql://u:pw@ep-1.aws.neon.tech/neondb?sslmode=require&options=endpoint%3Dep-1",
    "rds": "postgresql://u:pw@a.rds.amazonaws.com/x?sslmode=verify-full&sslrootcert=/etc/global-bundle.pem",
    "supabase": "postgresql://postgres.ref:pw@aws-0.pooler.supabase.com:5432/postgres",
    "patroni": "postgresql://u:pw@pg-0:5432,pg-1:5432/x?target_session_attrs=read-write&connect_timeout=3",
    "an operator's": "postgresql://u:pw@pg-rw.ns/x?gssencmode=disable&keepalives=1&keepalives_idle=30",
}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_what_a_provider_hands_out_is_taken(provider: str) -> None:
    assert read(PROVIDERS[provider]).hosts


def test_what_nobody_but_libpq_knows_is_never_sent_to_the_server_as_a_setting() -> None:
    """asyncpg sends on every name that it does not know, and the server refuses the connection."""
    given = read(PROVIDERS["an operator's"]).arguments(("pg-rw.ns", 5432))
    assert given.keys() == {"user", "password", "database", "host", "port"}
    assert read(PROVIDERS["patroni"]).seconds == 3


def test_of_several_hosts_the_silent_ones_leave_time_for_the_others() -> None:
    assert read("postgresql://u@a,b/x").seconds == 2.5
    assert read("postgresql://u@a/x").seconds == 5
    assert read("postgresql://u@a/x?connect_timeout=600").seconds == 30  # nobody takes Ladder for stuck
    assert read("postgresql://u@a/x?connect_timeout=0").seconds == 30  # for ever


def test_of_several_hosts_ladder_wants_the_one_that_takes_writes() -> None:
    assert read("postgresql://u@a,b/x").needs == "read-write"
    assert read("postgresql://u@a/x").needs == "any"


@pytest.mark.parametrize("ssl", ["ssl=require", "ssl=true", "sslmode=require", "sslmode=REQUIRE"])
def test_require_is_understood_in_everybodys_words(ssl: str) -> None:
    assert read(f"postgresql+asyncpg://u@h/x?{ssl}").tls == {"sslmode": "require"}


def test_the_systems_authorities_verify_the_hosts_name_as_libpq_has_it() -> None:
    assert read("postgresql://u@h/x?sslrootcert=system").tls["sslmode"] == "verify-full"


def test_what_the_driver_cannot_keep_although_it_protects_is_said() -> None:
    assert "channel_binding=require" in read(PROVIDERS["neon"]).warnings[0]
    assert not read(PROVIDERS["neon"].replace("=require&", "=verify-full&")).warnings


@pytest.mark.parametrize(
    ("name", "application", "shown"),
    [
        ("", "ladder relay router", "ladder relay router"),
        ("ladder", "ladder", "ladder"),
        ("shop", "ladder", "ladder[shop]"),
        ("shop", "ladder read", "ladder[shop] read"),
        ("my read", "ladder", "ladder[my_read]"),  # no reader
        ("a]b[c", "ladder read", "ladder[a_b_c] read"),
        ("x" * 99, "ladder listen notifier_outbox", f"ladder[{'x' * 24}] listen notifier_outbox"),
    ],
)
def test_the_urls_application_name_stands_inside_ladders_own(name: str, application: str, shown: str) -> None:
    assert read(f"postgresql://u@h/x?application_name={name}").named(application) == shown
    assert len(shown) <= 63


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "it is not a URL such as postgresql://"),
        ("hunter2", "it is not a URL such as postgresql://"),
        ("mysql://u:hunter2@h/x", "it is not a URL such as postgresql://"),
        ("jdbc:postgresql://h/x?password=hunter2", "it is not a URL such as postgresql://"),
        ("host=h password=hunter2", "it is not a URL such as postgresql://"),
        ("postgresql://u:hunter2/x@h/x", "%2F"),
        ("postgresql://u:p@hunter2/x@h/x", "%2F"),
        ("postgresql://u:p/w?hunter2@h/x", "%2F"),
        ("postgresql://u:p/w?hunter2=&x=1@h/x", "%2F"),
        ("postgresql://u:hunter2@h:http/x", "the port in it is no number from 1 to 65535"),
        ("postgresql://u:hunter2@h:0/x", "the port in it is no number from 1 to 65535"),
        ("postgresql://u:hunter2@a,b/x?port=1,2,3", "2 hosts and 3 ports"),
        ("postgresql://u:hunter2@a..b/x", "the name of a host in it is none"),
        ("postgresql://u:hunter2@[::1/x", "brackets"),
        ("postgresql://u:hunter2@h/x?port=5433&sslmode", "the parameter 'sslmode' has no value"),
        ("postgresql://u:hunter2@h/x?sslmode=on", "sslmode=on is none of disable, allow, prefer, require"),
        ("postgresql://u:hunter2@h/x?sslrootcert=system&sslmode=require", "needs sslmode=verify-full"),
        ("postgresql://u:hunter2@h/x?sslnegotiation=direct", "needs sslmode=require"),
        ("postgresql://u:hunter2@h/x?ssl_min_protocol_version=1.2", "none of TLSv1"),
        ("postgresql://u:hunter2@h/x?pgbouncer=true", "'pgbouncer' is no parameter of libpq's"),
        ("postgresql://u:hunter2@h/x?statement_timeout=5", "options=-c%20NAME%3DVALUE"),
        ("postgresql://u:hunter2@h/x?connect_timeout=soon", "connect_timeout is no number of seconds"),
        ("postgresql://u:hunter2@h/x?target_session_attrs=standby", "Ladder writes"),
        ("postgresql://u:hunter2@h/x?gssencmode=require", "gssencmode=require cannot be kept"),
        (
            "postgresql://u:hunter2@h/x?require_auth=scram-sha-256",
            "the parameter require_auth cannot be kept",
        ),
        ("postgresql://u:hunter2%00@h/x", "%00"),
        ("postgresql://u:hunter2%ff@h/x", "not UTF-8"),
    ],
)
def test_what_cannot_be_used_is_a_sentence_without_the_password(url: str, words: str) -> None:
    with pytest.raises(BadDatabaseUrlError) as refused:
        read(url)
    assert words in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_a_setting_that_cannot_be_used_names_its_variable() -> None:
    with pytest.raises(BadSettingError, match=r"^LADDER_DATABASE_URL: it is not a URL such as [^\n]*\.$"):
        HostSettings.read(database_url="hunter2")


def test_the_password_does_not_show_where_a_server_is_logged() -> None:
    assert "secret" not in repr(read(ORDINARY))


def checked(**tls: object) -> Server:
    query = "&".join(f"{name}={value}" for name, value in tls.items())
    server = read(f"postgresql://u@h/x?{query}")
    server.check()
    return server


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    missing, broken = tmp_path / "ca.pem", tmp_path / "broken.pem"
    broken.write_text("not a certificate")
    with pytest.raises(BadDatabaseUrlError, match=f"sslrootcert: {missing} cannot be used: no such file"):
        checked(sslmode="verify-full", sslrootcert=missing)
    with pytest.raises(BadDatabaseUrlError, match=f"sslrootcert: {broken} cannot be used"):
        checked(sslmode="require", sslrootcert=broken)
    with pytest.raises(BadDatabaseUrlError, match=f"sslcert: {broken} cannot be used"):
        checked(sslcert=broken)
    with pytest.raises(BadDatabaseUrlError, match=f"sslkey: {missing} cannot be used"):
        checked(sslmode="require", sslcert=broken, sslkey=missing)
    assert checked(sslmode="disable", sslrootcert=missing)


def test_the_systems_authorities_need_no_file() -> None:
    assert checked(sslrootcert="system").arguments(("h", 5432))["ssl"].check_hostname
