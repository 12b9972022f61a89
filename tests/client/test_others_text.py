"""What others wrote is shown and never obeyed: no title, note or name moves the terminal's cursor."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from tests.client.conftest import Terminal
from tests.client.test_command_line import COMMANDS
from tests.client.test_commands import FIRST, incident
from tests.client.test_dead_letters import WHOLE
from tests.client.test_directory import DONE, GLOBEX
from tests.client.test_duty import OVERRIDE
from tests.client.test_silences import SILENCE, WORK

EVIL: Final = "\x1b[2J\x1b]0;owned\x07\r\x9b31m\u202etxt\n fake line \u2028\x85"
CURSOR: Final = frozenset("\x1b\x07\r\x9b\u202e\u2028\x85")
_OURS: Final = frozenset({"id", "status", "state", "dedup_key"})  # Ladder's own words, or looked up by them

ENTRY: Final = {"at": "2026-03-01T12:00:00Z", "kind": "paged", "actor": "ana", "text": "page", "reason": {}}
STEP: Final = {"at": "2026-03-01T12:00:00Z", "what": "paged", "because": {"rule": "r", "expression": "true"}}
DUTY: Final = {
    "schedule": "desk", "user": "ana", "until": "2026-03-08T07:00:00Z", "layer": "weekly", "passed": ["eva"],
}  # fmt: skip
SHIFT: Final = {
    "user": "ana", "from": "2026-03-08T07:00:00Z", "to": "2026-03-09T07:00:00Z", "layers": ["weekly"], "overrides": [],
}  # fmt: skip
REFUSED: Final = {
    "at": "2026-03-01T12:00:00Z", "kind": "invalid-request", "reason": "title is missing", "event": 1, "count": 2,
}  # fmt: skip
SENDER: Final = {
    "name": "shop", "kind": "json", "accepted": 1, "last_accepted_at": "2026-03-01T12:00:00Z", "refused": 2,
    "last_refused_at": "2026-03-01T12:00:00Z", "ignored": 0, "last_refused": REFUSED, "refusals": [REFUSED, REFUSED],
}  # fmt: skip
DELIVERY: Final = {
    "id": FIRST, "created_at": "2026-03-01T12:00:00Z", "event": "page", "recipient": "ana", "channel": "email",
    "contact": "mail", "state": "failed", "attempts": 3, "last_error": "said no", "reason": "level desk",
}  # fmt: skip
DISABLED: Final = {
    "endpoint": "https://x.example/…",
    "state": "disabled",
    "since": "s",
    "until": "u",
    "reason": "r",
}
ANSWERS: Final[Mapping[str, Any]] = {
    "/v1/incidents": {"items": [incident(may_follow_from=[{"title": "t", "service": "s", "id": FIRST}])]},
    f"/v1/incidents/{FIRST}": incident(links=[{"href": "https://x.example", "text": "x"}], status="closed"),
    f"/v1/incidents/{FIRST}/timeline": {"items": [ENTRY]},
    f"/v1/incidents/{FIRST}/explain": {
        "past": [STEP],
        "next": [STEP | {"unless": "u"}],
        "policy": {"name": "p"},
    },
    f"/v1/incidents/{FIRST}/actions": incident(assignee="ana"),
    "/v1/oncall": {"items": [DUTY]},
    "/v1/schedules/desk/shifts": {"items": [SHIFT]},
    "/v1/overrides": {"items": [OVERRIDE]},
    "/v1/silences": {"items": [SILENCE]},
    "/v1/maintenance": {"items": [WORK]},
    "/v1/customers": {"items": [GLOBEX]},
    "/v1/customers/globex": GLOBEX,
    "/v1/customers/import": DONE | {"notes": ["note"]},
    "/v1/dead-letters": {"items": [WHOLE]},
    f"/v1/dead-letters/{WHOLE['id']}": WHOLE,
    "/v1/integrations": {"items": [SENDER]},
    "/v1/deliveries": {"items": [DELIVERY]},
    "/v1/deliveries/endpoints": {"items": [DISABLED]},
    "/v1/channels": {"items": [{"channel": "sms", "sends": "nothing", "missing": "LADDER_TWILIO_TOKEN"}]},
    "/v1/reports/sla": {"items": [{"customer": "acme", "promised": 1}]},
    "/v1/policy": {"hash": "ab" * 32, "revision": 1, "warnings": ["w"], "not_in_force": ["n"]},
}
READING: Final = (
    "incidents", f"show {FIRST}", f"explain {FIRST}", f"watch {FIRST} --every 0.1", f"ack {FIRST}",
    f"ack {FIRST} {FIRST}", "oncall", "shifts desk", "overrides", "silences", "maintenance", "customers",
    "customer globex", "integrations", "integrations shop",
    "dead-letters list", f"dead-letters show {WHOLE['id']}", "report sla",
    "deliveries list", "deliveries endpoints", "channels", "preview",
)  # fmt: skip


def spoiled(document: Any, key: str = "") -> Any:
    """The same with marks that move a cursor behind every text that may be another's."""
    if isinstance(document, dict):
        return {name: spoiled(value, name) for name, value in document.items()}
    if isinstance(document, list):
        return [spoiled(each, key) for each in document]
    if not isinstance(document, str) or key in _OURS or _is_time(document):
        return document
    return document + EVIL


def _is_time(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


@pytest.fixture
def hostile(server: HTTPServer) -> None:
    def answer(request: Request) -> Response:
        return Response(json.dumps(spoiled(ANSWERS[request.path])), content_type="application/json")

    for path in ANSWERS:
        server.expect_request(path).respond_with_handler(answer)


@pytest.mark.usefixtures("hostile")
@pytest.mark.parametrize("command", READING, ids=lambda command: "-".join(command.split()[:2])[:18])
def test_no_command_prints_what_moves_a_cursor(ladder: Terminal, command: str) -> None:
    for way in ((), ("--json",)):
        printed = ladder(*command.split(), *way)
        assert (printed.exit_code, printed.err) == (0, "")
        assert printed.out.strip()
        found = {c for c in printed.out if c in CURSOR}
        assert not found, printed.out
        assert way or not any(line.startswith(" fake line") for line in printed.out.splitlines())


def test_every_command_that_lists_or_shows_is_tried_here() -> None:
    tried = {name for name in COMMANDS if any(f"{each} ".startswith(f"{name} ") for each in READING)}
    shows = {
        name
        for name, command in COMMANDS.items()
        if (command.help or "").startswith(("List", "Show", "Say who"))
    }
    assert shows - tried == {"assign"}  # which prints what `ack` prints


def test_a_refusal_moves_no_cursor_either(server: HTTPServer, ladder: Terminal) -> None:
    problem = {
        "title": f"No{EVIL}",
        "detail": f"why{EVIL}",
        "errors": [{"field": f"f{EVIL}", "reason": EVIL}],
    }
    server.expect_request("/v1/oncall").respond_with_json(problem, status=422)
    for way in ((), ("--json",)):
        printed = ladder("oncall", *way)
        assert printed.exit_code == 1
        assert not CURSOR & set(printed.err)
