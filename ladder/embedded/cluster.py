"""The folder of a PostgreSQL cluster: made once, under whoever may run it, by one version of PostgreSQL."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Final

from ladder.embedded.data_folder import keep_secret, make
from ladder.embedded.os_processes import end_all, name_of, unprivileged, working_in
from ladder.embedded.programs import ENVIRONMENT, Owner, Programs, last_words, usable
from ladder.refusal import NotPossibleError

SUPERUSER: Final = "ladder"  # as older releases named the only role that there was


class Cluster:
    """`data/` of a folder, and the superuser's password beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder: Final = folder.resolve()  # as the system names a process's working folder
        self.data: Final = self.folder / "data"
        self._usable: Programs | None = None

    @cached_property
    def password(self) -> str:
        """The superuser's."""
        return keep_secret(self.folder / "password")

    def prepare(self) -> None:
        """Create it if it does not exist; otherwise check that it can be used. Raises NotPossibleError."""
        if (self.data / "PG_VERSION").exists():
            self._claim_ownership()
            self._refuse_another_version()
        else:
            self._initialise()

    def owner(self, folder: Path) -> Owner:
        """The owner of the folder, under whom the server runs."""
        found = folder.stat()
        return Owner(found.st_uid, found.st_gid)

    def programs(self, folder: Path) -> Programs:
        """The programs that the owner of this existing folder may run. Raises NotPossibleError."""
        if self._usable is None:
            self._usable = usable(self.folder, self.owner(folder))
        return self._usable

    def _refuse_another_version(self) -> None:
        theirs = (self.data / "PG_VERSION").read_text(encoding="ascii").strip()
        ours = self.programs(self.data).version
        if theirs != ours:
            raise NotPossibleError(
                f"The data folder {self.folder} was made by PostgreSQL {theirs}, this release brings {ours}: "
                "dump it with the release that made it and restore the dump here, "
                "or set LADDER_DATA_DIR to a new folder."
            )

    def _claim_ownership(self) -> None:
        """Raises NotPossibleError if it belongs to somebody else; a copy that belongs to root is given away
        again.
        """
        owner = self.data.stat().st_uid
        if os.geteuid() not in (0, owner):
            raise NotPossibleError(
                f"The data folder {self.folder} belongs to user {name_of(owner)}: "
                "start Ladder as that user or as root, or set LADDER_DATA_DIR to another folder."
            )
        if os.geteuid() == 0 and owner == 0:
            self._give_away(self.data)

    def _give_away(self, folder: Path) -> None:
        user = unprivileged()
        for place in (folder, *folder.rglob("*")):
            os.chown(place, user.pw_uid, user.pw_gid, follow_symlinks=False)

    def _initialise(self) -> None:
        """Create the cluster in a draft folder, so that an interrupted one is never taken for complete."""
        draft = self.folder / "data.new"
        try:
            make(self.folder)
            end_all(working_in(draft))
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir(mode=0o700)
            if os.geteuid() == 0:
                user = unprivileged()
                os.chown(draft, user.pw_uid, user.pw_gid)
            with self._shown_password() as shown:
                arguments = [
                    self.programs(draft).folder / "initdb",
                    "-D",
                    draft,
                    "-U",
                    SUPERUSER,
                    f"--pwfile={shown}",
                ]
                arguments += ["--auth=scram-sha-256", "--encoding=UTF8", "--no-instructions"]
                arguments += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
                made = self._run(draft, [str(argument) for argument in arguments])
        except OSError as err:
            raise NotPossibleError(f"The folder {self.folder} cannot be used: {err.strerror}.") from err
        if made.returncode != 0:
            raise NotPossibleError(f"PostgreSQL could not set up {draft}: {last_words(made.stderr)}")
        draft.rename(self.data)

    @contextmanager
    def _shown_password(self) -> Iterator[Path]:
        """A file for initdb, never readable for anybody else, and removed afterwards."""
        shown = self.folder / "password.initdb"
        shown.unlink(missing_ok=True)
        descriptor = os.open(shown, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(self.password)
                if os.geteuid() == 0:
                    user = unprivileged()
                    os.fchown(file.fileno(), user.pw_uid, user.pw_gid)
            yield shown
        finally:
            shown.unlink(missing_ok=True)

    def _run(self, folder: Path, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        as_owner = self.owner(folder).running(folder, command)
        return subprocess.run(as_owner, cwd="/", env=ENVIRONMENT, capture_output=True, check=False, text=True)  # noqa: S603
