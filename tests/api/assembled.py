"""The application that `ladder up` hosts, built and not started: its document, and a database that is away."""

import json
from typing import Any, Final

from pydantic import SecretStr

from ladder.web.edge import Edge
from ladder.web.host import assemble
from services.intake import app as intake
from services.intake.settings import IntakeSettings
from services.notifier import app as notifier
from services.notifier.settings import NotifierSettings
from services.router import app as router
from services.router.settings import RouterSettings
from shared.database.pool import Database
from tests.services.intake.fakes import FakeLog

SECRET: Final = "a secret for tests"


def nowhere() -> Database:
    """A database behind a port that nobody listens on."""
    return Database("postgresql://nobody@127.0.0.1:1/none")


def assembled() -> Edge:
    log, secret = FakeLog(), SecretStr(SECRET)
    app = assemble(
        [
            intake.build(IntakeSettings(), log=log),
            router.build(RouterSettings(secret_key=secret), log=log, database=nowhere()),
            notifier.build(NotifierSettings(secret_key=secret), log=log, database=nowhere()),
        ],
        loopback=True,
    )
    assert isinstance(app, Edge)
    return app


APP: Final = assembled()
DOCUMENT: Final[dict[str, Any]] = json.loads(json.dumps(APP.app.openapi()))
