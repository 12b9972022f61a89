"""What cannot be done as asked is one clear sentence on standard error and exit code 2, never a traceback."""

import fcntl
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.ladder import forked

PROJECT = Path(__file__).parents[2]
POLICY = PROJECT / "deploy" / "policy"


def _ladder(*arguments: str, **variables: str | Path | int) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LADDER_")}
    kept |= {"HOME": "/nowhere"}  # where libpq would look for an authority
    settings = {f"LADDER_{name.upper()}": str(value) for name, value in variables.items()}
    return forked.run(arguments, folder=PROJECT, environment=kept | settings)


def _refused(ran: subprocess.CompletedProcess[str], *words: str, lines: int = 1) -> None:
    assert ran.returncode == 2, ran.stderr
    assert len(ran.stderr.splitlines()) == lines, ran.stderr
    assert "Traceback" not in ran.stderr
    for word in words:
        assert word in ran.stderr


@pytest.fixture
def up(tmp_path: Path) -> Mapping[str, str | Path]:
    """Settings with which `ladder up` would start."""
    return {"listen": "127.0.0.1:0", "data_dir": tmp_path / "data", "policy": POLICY}


def test_a_port_in_use_is_told_with_another_one_to_try(up: Mapping[str, str | Path]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        ran = _ladder("up", **{**up, "listen": f"127.0.0.1:{port}"})
    _refused(ran, f"Port {port} on 127.0.0.1 is in use", f"LADDER_LISTEN=127.0.0.1:{port + 1}")


@pytest.mark.parametrize("listen", ["nonsense", "127.0.0.1:99999", "no-such-host.invalid:80", "192.0.2.1:80"])
def test_an_address_that_is_none_is_told(up: Mapping[str, str | Path], listen: str) -> None:
    _refused(_ladder("up", **{**up, "listen": listen}), "LADDER_LISTEN")


def test_an_address_of_the_metrics_that_is_none_is_told(up: Mapping[str, str | Path]) -> None:
    _refused(_ladder("up", **{**up, "metrics_listen": "nonsense"}), "LADDER_METRICS_LISTEN")


def test_a_folder_that_cannot_be_written_is_told(up: Mapping[str, str | Path], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ran = _ladder("up", **{**up, "data_dir": tmp_path / "file" / "data"})
    _refused(ran, "The data folder", "cannot be used: Not a directory", "LADDER_DATA_DIR")


def test_a_data_folder_that_is_a_file_is_told(up: Mapping[str, str | Path], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ran = _ladder("up", **{**up, "data_dir": tmp_path / "file"})
    _refused(ran, "file cannot be used: it is not a folder", "LADDER_DATA_DIR")


def test_a_second_up_on_the_same_folder_is_told_who_has_it(
    up: Mapping[str, str | Path], tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    with (tmp_path / "data" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write("4711\n")
        lock.flush()
        _refused(_ladder("up", **up), "Another `ladder up` (process 4711) is running", "LADDER_DATA_DIR")


def test_a_broken_policy_is_told_with_the_place_of_every_error(
    up: Mapping[str, str | Path], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.yaml"
    good = (POLICY / "ladder.yaml").read_text()
    broken.write_text(good.replace("every: 20s", "every: soon").replace("lead: karel", "lead: nobody"))
    ran = _ladder("up", **{**up, "policy": broken})
    assert ran.returncode == 2
    assert "Traceback" not in ran.stderr
    for wrong in ("every: 20s", "lead: karel"):
        line = 1 + good[: good.index(wrong)].count("\n")
        assert f"{broken}:{line}:" in ran.stderr


def test_a_policy_that_is_not_there_is_told(up: Mapping[str, str | Path], tmp_path: Path) -> None:
    _refused(_ladder("up", **{**up, "policy": tmp_path / "missing.yaml"}), "missing.yaml")


def test_the_demo_key_is_refused_where_others_could_use_it(up: Mapping[str, str | Path]) -> None:
    _refused(_ladder("up", **{**up, "listen": "0.0.0.0:0"}), "demo key", "not loopback")


@pytest.mark.parametrize("name", ["router", "notifier"])
def test_a_service_with_state_needs_a_database(name: str) -> None:
    ran = _ladder(name, secret_key="x" * 32, kafka_bootstrap_servers="127.0.0.1:1", listen="127.0.0.1:0")
    _refused(ran, "LADDER_DATABASE_URL is not set")


@pytest.mark.parametrize("name", ["router", "notifier"])
def test_who_signs_links_or_opens_them_needs_the_secret_key_that_both_share(name: str) -> None:
    ran = _ladder(name, database_url="postgresql://nobody@127.0.0.1:1/none", listen="127.0.0.1:0")
    _refused(ran, "LADDER_SECRET_KEY is not set")


def test_a_notifier_on_its_own_needs_the_address_that_its_links_lead_to() -> None:
    """Its own would be wrong: the router answers them."""
    settings = {"database_url": "postgresql://nobody@127.0.0.1:1/none", "secret_key": "x" * 32}
    _refused(_ladder("notifier", **settings, listen="127.0.0.1:0"), "LADDER_PUBLIC_URL is not set", "router")


@pytest.mark.parametrize("name", ["notifier", "up"])
def test_a_public_address_that_is_none_is_told(name: str, tmp_path: Path) -> None:
    settings = {"database_url": "postgresql://nobody@127.0.0.1:1/none", "secret_key": "x" * 32}
    ran = _ladder(name, **settings, listen="127.0.0.1:0", data_dir=tmp_path, public_url="ladder.example.com")
    _refused(ran, "LADDER_PUBLIC_URL: 'ladder.example.com' is not an address")


def test_intake_needs_an_event_log() -> None:
    _refused(_ladder("intake"), "LADDER_KAFKA_BOOTSTRAP_SERVERS", "LADDER_DATABASE_URL")


def test_migrate_needs_a_database() -> None:
    _refused(_ladder("migrate"), "LADDER_DATABASE_URL is not set")


def test_migrate_says_that_the_database_does_not_answer() -> None:
    """After a while in which it may come; a person hears at once what is waited for."""
    url = "postgresql://nobody:hunter2@db.invalid,127.0.0.1:1/none"
    ran = _ladder("migrate", database_url=url, migrate_wait_seconds=0.2, log_format="json")
    _refused(
        ran,
        "The database of LADDER_DATABASE_URL cannot be reached: the name db.invalid cannot be resolved",
        "127.0.0.1:1: connection refused",
        '"action":"database_away"',
        lines=2,
    )
    assert "hunter2" not in ran.stderr


def test_a_database_url_that_is_none_is_told_without_showing_it() -> None:
    ran = _ladder("migrate", database_url="my-secret-password")
    _refused(ran, "LADDER_DATABASE_URL: it is not a URL")
    assert "my-secret-password" not in ran.stderr


PLACE = {"listen": "127.0.0.1:0", "secret_key": "x" * 32, "public_url": "http://ladder.test"}


@pytest.mark.parametrize("command", ["migrate", "up", "router", "notifier"])
@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("mysql://u:hunter2@127.0.0.1/x", "is not a URL such as postgresql://"),
        ("postgresql://u:hunter2@h/x?sslmode=verify-full", "needs sslrootcert=FILE"),
    ],
)
def test_a_database_that_cannot_be_is_one_sentence(
    command: str, url: str, words: str, tmp_path: Path
) -> None:
    ran = _ladder(command, **PLACE, data_dir=tmp_path / "data", database_url=url)
    _refused(ran, "LADDER_DATABASE_URL", words)
    assert "hunter2" not in ran.stderr
    assert not ran.stdout


@pytest.mark.parametrize("command", ["migrate", "up", "intake"])
@pytest.mark.parametrize(
    ("servers", "words"),
    [
        ("nonsense", "'nonsense' is not host:port"),
        ("127.0.0.1:http", "'127.0.0.1:http' is not host:port"),
        ("127.0.0.1:9092,kafka:0", "'kafka:0' is not host:port"),
        ("a..b:9092", "'a..b:9092' is not host:port"),
        ("[::1:9092", "'[::1:9092' is not host:port"),
    ],
)
def test_brokers_that_cannot_be_are_one_sentence(
    command: str, servers: str, words: str, tmp_path: Path
) -> None:
    url = {"database_url": "postgresql://u@127.0.0.1:1/x"} if command != "intake" else {}
    ran = _ladder(command, **PLACE, **url, data_dir=tmp_path / "data", kafka_bootstrap_servers=servers)
    _refused(ran, "LADDER_KAFKA_BOOTSTRAP_SERVERS", words)
    assert not ran.stdout


@pytest.mark.parametrize(
    ("command", "content", "words"),
    [
        ("migrate", None, "cannot be read: No such file or directory."),
        ("up", "no PEM", "not PEM files that fit together"),
        ("intake", "no PEM", "not PEM files that fit together"),
    ],
)
def test_authorities_for_the_brokers_that_cannot_be_used_are_one_sentence(
    command: str, content: str | None, words: str, tmp_path: Path
) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    url = {"database_url": "postgresql://u@127.0.0.1:1/x"} if command != "intake" else {}
    kafka = {"kafka_bootstrap_servers": "127.0.0.1:1", "kafka_security_protocol": "SSL", "kafka_tls_ca": file}
    ran = _ladder(command, **PLACE, **url, data_dir=tmp_path / "data", **kafka)
    _refused(ran, "LADDER_KAFKA_TLS_CA", str(file), words)
    assert not ran.stdout


def test_a_setting_that_does_not_fit_is_named(up: Mapping[str, str | Path]) -> None:
    _refused(_ladder("up", **up, log_level="LOUD"), "LADDER_LOG_LEVEL")


def test_a_secret_given_twice_is_told(up: Mapping[str, str | Path], tmp_path: Path) -> None:
    (tmp_path / "key").write_text("one")
    ran = _ladder("up", **up, secret_key="two", secret_key_file=tmp_path / "key")
    _refused(ran, "LADDER_SECRET_KEY and LADDER_SECRET_KEY_FILE are both set")


def test_an_unknown_command_is_told() -> None:
    """By a process that nothing was imported for."""
    ran = subprocess.run(
        [sys.executable, "-m", "ladder", "climb"], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 2
    assert "No such command" in ran.stderr
