"""`ladder customers` and `ladder customer`: what they ask, and what they print."""

import json
from pathlib import Path
from typing import Any

from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from tests.client.conftest import Terminal

GLOBEX: dict[str, Any] = {
    "id": "globex",
    "name": "Globex",
    "tier": "gold",
    "value": 250000.0,
    "owner": "petra",
    "match": ["globex.example", "Globex Corp"],
    "contacts": {"bot": {"webhook": "https://hooks.example/x", "secret": "***"}},
    "source": "api",
    "changed_at": "2026-01-07T12:00:00Z",
    "changed_by": "user:petra",
    "notes": [],
}
DONE = {"lines": 3, "added": 2, "changed": 0, "unchanged": 1, "removed": 0, "dry_run": False, "notes": []}


def test_customers_are_listed_page_by_page(server: HTTPServer, ladder: Terminal) -> None:
    pages = [{"items": [GLOBEX], "next": "more"}, {"items": [GLOBEX | {"id": "hooli"}], "next": None}]
    asked: list[dict[str, str]] = []

    def answer(request: Request) -> Response:
        asked.append(request.args.to_dict())
        return Response(json.dumps(pages[len(asked) - 1]), content_type="application/json")

    server.expect_request("/v1/customers").respond_with_handler(answer)
    printed = ladder("customers", "--tier", "gold", "-q", "g", "--limit", "2")
    assert printed.exit_code == 0, printed.err
    assert "globex.example, Globex Corp" in printed.out
    assert "250000" in printed.out
    assert "hooli" in printed.out
    assert asked[0] == {"q": "g", "tier": "gold", "limit": "2"}
    assert asked[1]["cursor"] == "more"


def test_one_customer_is_shown_with_its_contacts(server: HTTPServer, ladder: Terminal) -> None:
    server.expect_request("/v1/customers/globex").respond_with_json(GLOBEX)
    printed = ladder("customer", "globex")
    assert printed.out.splitlines()[0] == "Globex"
    assert "  contact bot: webhook https://hooks.example/x, secret ***" in printed.out
    assert "from: the database, by user:petra" in printed.out
    assert json.loads(ladder("customer", "globex", "--json").out) == GLOBEX


def test_a_file_is_imported_as_what_its_name_says(
    server: HTTPServer, ladder: Terminal, tmp_path: Path
) -> None:
    seen: list[tuple[str, bytes, dict[str, str]]] = []

    def answer(request: Request) -> Response:
        seen.append((request.content_type, request.get_data(), request.args.to_dict()))
        body = DONE | {"dry_run": "dry_run" in request.args, "notes": ["several share a name"]}
        return Response(json.dumps(body), content_type="application/json")

    server.expect_request("/v1/customers/import", method="POST").respond_with_handler(answer)
    for name, kind in (("some.csv", "text/csv"), ("some.ndjson", "application/x-ndjson")):
        file = tmp_path / name
        file.write_text("id,name\nx,X\n" * 30_000)
        printed = ladder("customers", "import", str(file), "--replace")
        assert printed.out.splitlines() == ["3 customers: 2 added, 1 unchanged", "  several share a name"]
        assert seen[-1] == (kind, file.read_bytes(), {"replace": "true"})
    assert "would be: 2 added" in ladder("customers", "import", str(file), "--dry-run").out
    assert ladder("customers", "import", str(tmp_path)).exit_code == 2
    (tmp_path / "some.xls").touch()
    assert "some.xls: expected a name that ends with .csv" in ladder(
        "customers", "import", str(tmp_path / "some.xls")
    ).err.replace("\n", " ")


def test_mistakes_in_a_file_are_told_with_their_lines(
    server: HTTPServer, ladder: Terminal, tmp_path: Path
) -> None:
    (tmp_path / "some.csv").write_text("id,name,tier\nx,X,tin\n")
    error = {"field": "tier", "reason": "'tin' is not a tier", "line": 2, "path": "tier"}
    problem = {"type": "urn:x", "title": "Nothing was imported", "detail": "1 mistake.", "errors": [error]}
    server.expect_request("/v1/customers/import").respond_with_json(
        problem, status=422, content_type="application/problem+json"
    )
    printed = ladder("customers", "import", str(tmp_path / "some.csv"))
    assert printed.exit_code == 1
    assert printed.err.splitlines() == [
        "Nothing was imported: 1 mistake.",
        "  line 2: tier: 'tin' is not a tier",
    ]


def test_a_line_is_named_once(server: HTTPServer, ladder: Terminal, tmp_path: Path) -> None:
    (tmp_path / "some.csv").write_text("id,name\nx\n")
    error = {"field": "line 2", "reason": "1 cells; the header has 2", "line": 2, "path": ""}
    problem = {"type": "urn:x", "title": "Nothing was imported", "detail": "1 mistake.", "errors": [error]}
    server.expect_request("/v1/customers/import").respond_with_json(problem, status=422)
    assert ladder("customers", "import", str(tmp_path / "some.csv")).err.splitlines() == [
        "Nothing was imported: 1 mistake.",
        "  line 2: 1 cells; the header has 2",
    ]


def test_the_encoding_of_a_file_can_be_said(server: HTTPServer, ladder: Terminal, tmp_path: Path) -> None:
    server.expect_request(
        "/v1/customers/import", headers={"content-type": 'text/csv; charset="windows-1250"'}
    ).respond_with_json(DONE | {"lines": 1, "added": 1, "unchanged": 0})
    (tmp_path / "some.csv").write_bytes("id,name\nx,Škoda\n".encode("cp1250"))
    printed = ladder("customers", "import", str(tmp_path / "some.csv"), "--encoding", "windows-1250")
    assert printed.out == "1 customer: 1 added\n"


def test_a_customer_is_removed(server: HTTPServer, ladder: Terminal) -> None:
    server.expect_request("/v1/customers/globex", method="DELETE").respond_with_data(status=204)
    assert ladder("customers", "remove", "globex").out == "removed: globex\n"
