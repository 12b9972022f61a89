"""Customers by the thousand: CSV and NDJSON, all of a file or nothing, each mistake with its place."""

import json
from typing import Any

import pytest

from tests.domain.tale import bundle
from tests.services.router.api import Api, keys
from tests.services.router.desk import event
from tests.services.router.test_customers import GLOBEX, Customers

CSV = '''\ufeffid,name,tier,value,owner,match,email,contacts.bot.webhook,contacts.bot.secret
globex,Globex,gold,120000.5,petra,globex.example; Globex Corp,ops@globex.example,https://h.example/x,secret:globex
initech,"Initech, Inc.
of Texas",,,,initech.example,,,

umbrella,"The ""Umbrella""",silver,0,,,,,
'''


class Imports(Customers):
    async def send(self, body: str | bytes, kind: str = "text/csv", key: str = "lead", **query: Any) -> Any:
        content = body.encode() if isinstance(body, str) else body
        return await self.ask(
            "POST", "/import", key, content=content, headers={"content-type": kind}, params=query
        )

    async def lines(self, *customers: Any, **query: Any) -> Any:
        body = "\n".join(map(json.dumps, customers))
        return await self.send(body, "application/x-ndjson", **query)

    async def stored(self) -> dict[str, dict[str, Any]]:
        columns = "id, name, tier, value, owner, match, contacts"
        rows = await self.api.desk.sql(f"SELECT {columns} FROM router.customer ORDER BY id")
        return {row.id: dict(row._mapping) for row in rows}

    async def names(self) -> list[tuple[str, str, bool]]:
        return [
            tuple(row) for row in await self.api.desk.sql("SELECT * FROM router.customer_name ORDER BY 1, 2")
        ]


@pytest.fixture
async def imports(served: Api) -> Imports:
    await served.desk.put_in_force(bundle(api_keys=keys(), secrets={"customers": ["globex"]}))
    return Imports(served)


def done(**figures: int) -> dict[str, Any]:
    return dict.fromkeys(("lines", "added", "changed", "unchanged", "removed"), 0) | {
        "dry_run": False,
        "notes": [],
        **figures,
    }


async def test_an_imported_customer_names_no_secret_that_the_policy_does_not_list(imports: Imports) -> None:
    refused = await imports.send("id,name,webhook\nx,X,secret:ana-hook\n")
    assert refused.status_code == 422
    [error] = refused.json()["errors"]
    assert (error["line"], error["path"]) == (2, "webhook")
    assert "'ana-hook' is not listed under secrets.customers" in error["reason"]


async def test_a_spreadsheet_becomes_customers(imports: Imports) -> None:
    answer = await imports.send(CSV)
    assert answer.json() == done(lines=3, added=3), answer.text
    assert await imports.stored() == {
        "globex": {
            "id": "globex",
            "name": "Globex",
            "tier": "gold",
            "value": 120000.5,
            "owner": "petra",
            "match": ["globex.example", "Globex Corp"],
            "contacts": {
                "email": {"email": "ops@globex.example"},
                "bot": {"webhook": "https://h.example/x", "secret": "secret:globex"},
            },
        },
        "initech": {
            **dict.fromkeys(("tier", "value", "owner")),
            "id": "initech",
            "name": "Initech, Inc. of Texas",
            "match": ["initech.example"],
            "contacts": {},
        },
        "umbrella": {
            "id": "umbrella",
            "name": 'The "Umbrella"',
            "tier": "silver",
            "value": 0,
            "owner": None,
            "match": [],
            "contacts": {},
        },
    }
    await imports.api.desk.accept(event(customer="someone@Globex.Example"))
    assert (await imports.api.desk.only()).tier == "gold"
    assert await imports.api.desk.count("customer_import") == 0


@pytest.mark.parametrize("separator", [";", "\t"])
async def test_spreadsheets_of_other_countries_are_read(imports: Imports, separator: str) -> None:
    body = (
        separator.join(("id", "name", "match")) + "\r\n" + separator.join(("globex", "G", '"a;b"')) + "\r\n"
    )
    assert (await imports.send(body, "text/csv; charset=utf-8")).json() == done(lines=1, added=1)
    assert (await imports.stored())["globex"]["match"] == ["a", "b"]


async def test_the_same_file_again_changes_nothing(imports: Imports) -> None:
    await imports.send(CSV)
    before = await imports.api.desk.sql("SELECT customers FROM router.office")
    assert (await imports.send(CSV)).json() == done(lines=3, unchanged=3)
    assert await imports.api.desk.sql("SELECT customers FROM router.office") == before
    changed = CSV.replace("Globex Corp", "Globex Holding").replace("gold,", "silver,")
    assert (await imports.send(changed)).json() == done(lines=3, unchanged=2, changed=1)
    assert [name for name, owner, _ in await imports.names() if owner == "globex"] == [
        *("globex", "globex holding", "globex.example"),
    ]


async def test_a_dry_run_tells_and_does_nothing(imports: Imports) -> None:
    await imports.have("hooli", **GLOBEX)
    before = await imports.stored()
    answer = await imports.lines({"id": "globex", "name": "Globex"}, dry_run=True, replace=True)
    assert answer.json() == done(lines=1, added=1, removed=1) | {"dry_run": True}
    assert await imports.stored() == before
    assert await imports.api.desk.count("customer_import") == 0


async def test_what_is_not_in_the_file_stays_unless_it_is_to_be_replaced(imports: Imports) -> None:
    await imports.have("hooli", match=["hooli.example"])
    globex = {"id": "globex", "name": "Globex", "match": ["hooli.example"]}
    refused = await imports.lines(globex)
    assert refused.json()["errors"][0]["reason"] == "'hooli.example' is customer hooli"
    assert (await imports.lines(globex, replace=True)).json() == done(lines=1, added=1, removed=1)
    assert await imports.ids() == ["acme", "globex"]


async def test_a_match_may_move_from_one_customer_of_the_file_to_another(imports: Imports) -> None:
    await imports.have("globex", match=["shared.example", "Globex Corp"])
    moved = [
        {"id": "globex", "name": "Globex Corp"},
        {"id": "hooli", "name": "Hooli", "match": ["shared.example"]},
    ]
    assert (await imports.lines(*moved)).json() == done(lines=2, added=1, changed=1)
    assert await imports.names() == [
        ("globex corp", "globex", False),
        ("hooli", "hooli", False),
        ("shared.example", "hooli", True),
    ]


@pytest.mark.parametrize(
    ("body", "line", "column", "words"),
    [
        ("", 1, "", "no customer"),
        ("id,name\n", 1, "", "no customer"),
        ("id,nmae\nx,X\n", 1, "nmae", "did you mean 'name'?"),
        ("id,tier\nx,gold\n", 1, "name", "must be there"),
        ("id,name,email,contacts.email.email\n", 1, "contacts.email.email", "twice"),
        ("id,name\nx\n", 2, "", "1 cells; the header has 2"),
        ("id,name\nx,X,Y\n", 2, "", "3 cells"),
        ("id,name\n\n,X\n", 3, "id", "needs an id"),
        ("id,name\nÁcme,X\n", 2, "id", "a-z, 0-9"),
        ("id,name\n" + "x" * 101 + ",X\n", 2, "id", "at most 100"),
        ("id,name\nacme,Acme\n", 2, "id", "customers.acme stands in the policy bundle"),
        ("id,name,match\nx,X,acme LTD\n", 2, "match", "is customers.acme of the policy bundle"),
        ("id,name\nx,\n", 2, "name", "it is required"),
        ("id,name,value\nx,X,12k\n", 2, "value", "a number such as"),
        ("id,name,value\nx,X,-1\n", 2, "value", "a number such as"),
        ("id,name,tier\nx,X,glod\n", 2, "tier", "did you mean 'gold'?"),
        ("id,name,owner\nx,X,nobody\n", 2, "owner", "ana, karel, petra"),
        ("id,name,email\nx,X,nobody\n", 2, "email", "a mail address"),
        ("id,name,contacts.m.email\nx,X,nobody\n", 2, "contacts.m.email", "a mail address"),
        ("id,name,contacts.m.secret\nx,X,s\n", 2, "contacts.m.secret", "a contact such as"),
        ('id,name\nx,"X\ny,Y\n', 2, "", "a quote that does not end"),
        ('id,name\nx,"X" Y\n', 2, "", "not CSV"),
        (b"id,name\nx,\x81\n", 2, "", "neither UTF-8 nor Windows-1252 at byte 3: save the file as UTF-8"),
        (b"id,name\nx,\xc3\xbc\ny,\xfc\n", 3, "", "not UTF-8 at byte 3, and lines before it are"),
        (b"id,name\nx,\xfc\ny,\xc3\xbc\n", 3, "", "UTF-8, and lines before it are not"),
        ("id,name\n".encode("utf-16-le"), 1, "", "looks like UTF-16 without a byte order mark"),
        (b"\xff\xfei\0d\0,\0n", 1, "", "not utf-16"),
        ("id,name\nAcme Ltd,X\n", 2, "id", "such as 'acme-ltd', and what others call them goes to `match`"),
        (
            "id,name\nGlobex,X\nglobex,Y\n",
            3,
            "id",
            "'globex' stands in line 2, too (capitals make no difference)",
        ),
        ("id,name\nx," + "X" * 70_000 + "\n", 2, "", "longer than"),
        ("id,name\nx,X\ny,Y\nx,Z\n", 4, "id", "'x' stands in line 2, too"),
        ("id,name,match\nx,X,q.example\ny,Y,Q.Example\n", 3, "match", "is customer x of line 2"),
    ],
)
async def test_a_mistake_in_a_spreadsheet_is_told_with_its_place(
    imports: Imports, body: str | bytes, line: int, column: str, words: str
) -> None:
    answer = await imports.send(body)
    assert answer.status_code == 422, answer.text
    document = answer.json()
    assert (document["type"], document["title"]) == (
        "urn:ladder:problem:customers-refused",
        "Nothing was imported",
    )
    [error] = document["errors"]
    assert (error["line"], error["path"]) == (line, column)
    assert words in error["reason"]
    assert await imports.stored() == {}


@pytest.mark.parametrize(
    ("line", "column", "words"),
    [
        ("nonsense", "", "not JSON"),
        ("[" * 5000, "", "not JSON"),
        ('{"id": "x", "name": "\\ud800"}', "", "not JSON"),
        ("[1]", "", "not an object"),
        ('{"id": 7, "name": "X"}', "id", "a-z, 0-9"),
        ('{"id": "x", "name": "X\\u0000"}', "name", "control characters"),
        ('{"id": "x", "name": "X", "colour": 1}', "colour", "no such field"),
        ('{"id": "x", "name": "X", "value": 1e999}', "", "not JSON"),
        ('{"id": "x", "name": "X", "match": ["a", 7]}', "match.1", "expected text"),
        (
            '{"id": "x", "name": "X", "contacts": {"m": {"email": "a@b", "sms": "1"}}}',
            "contacts.m",
            "a contact",
        ),
        (
            '{"id": "x", "name": "X", "contacts": {"m": {"webhook": "https://x", "secret": "***"}}}',
            "contacts.m.secret",
            "how a secret is shown",
        ),
    ],
)
async def test_a_mistake_in_a_line_of_json_is_told_with_its_place(
    imports: Imports, line: str, column: str, words: str
) -> None:
    answer = await imports.send(f'{{"id": "fine", "name": "Fine"}}\n\n{line}', "application/x-ndjson")
    assert answer.status_code == 422, answer.text
    [error] = answer.json()["errors"]
    assert (error["line"], error["path"]) == (3, column)
    assert words in error["reason"]
    assert await imports.stored() == {}


@pytest.mark.parametrize(
    ("body", "note"),
    [
        (
            "id,name\nx,Müller & Søn – Köln\n".encode("cp1252"),
            "read as Windows-1252, because it is not UTF-8: line 2 is 'x,Müller & Søn – Köln'",
        ),
        ("id,name\nx,Müller & Søn – Köln\n".encode("utf-8-sig"), ""),
        ("id,name\nx,Müller & Søn – Köln\n".encode("utf-16"), ""),  # with its byte order mark
        (b"\xfe\xff" + "id;name\r\nx;Müller & Søn – Köln\r\n".encode("utf-16-be"), ""),
    ],
    ids=["windows-1252", "utf-8 with a mark", "utf-16 little", "utf-16 big"],
)
async def test_a_file_that_excel_saved_is_read_with_its_letters_and_says_how(
    imports: Imports, body: bytes, note: str
) -> None:
    answer = await imports.send(body)
    assert answer.json() == done(lines=1, added=1, notes=[note] if note else []), answer.text
    assert (await imports.stored())["x"]["name"] == "Müller & Søn – Köln"


async def test_an_encoding_that_is_named_is_not_guessed(imports: Imports) -> None:
    body = "id,name\nx,Škoda Plzeň\n".encode("cp1250")
    assert (await imports.send(body, 'text/csv; charset="windows-1250"')).json() == done(lines=1, added=1)
    assert (await imports.stored())["x"]["name"] == "Škoda Plzeň"
    refused = await imports.send(body, "text/csv; charset=utf-8")
    assert "not UTF-8 at byte 3: save the file as UTF-8" in refused.json()["errors"][0]["reason"]
    unknown = await imports.send(body, "text/csv; charset=klingon")
    assert (unknown.status_code, "expected utf-8" in unknown.text) == (415, True)


async def test_what_is_wrong_with_a_file_says_how_it_was_read(imports: Imports) -> None:
    refused = await imports.send("id,name,tier\nx,Müller,tin\n".encode("cp1252"))
    detail = refused.json()["detail"]
    assert detail.startswith("1 mistake in 1 customer. It was read as Windows-1252, because"), detail


@pytest.mark.parametrize("body", ["id,nmae\nx,X\n", "id,name\n", "id,name\nx\n"])
async def test_nobody_reads_of_a_mistake_in_0_customers(imports: Imports, body: str) -> None:
    detail = (await imports.send(body)).json()["detail"]
    assert detail.startswith("1 mistake, and no customer could be read")
    assert "0 customers" not in detail


async def test_ids_that_differ_in_capitals_only_are_one(imports: Imports) -> None:
    assert (await imports.send("id,name,tier\nGLOBEX,Globex,gold\n")).json() == done(lines=1, added=1)
    assert list(await imports.stored()) == ["globex"]
    assert (await imports.send("id,name,tier\nGlobex,Globex,gold\n")).json() == done(lines=1, unchanged=1)
    await imports.api.desk.accept(event(customer="GLOBEX"))
    assert (await imports.api.desk.only()).customer == "globex"


async def test_several_matches_in_one_cell_are_several(imports: Imports) -> None:
    body = (
        'id,name,match\na,A,"a.example, b.example,c.example"\nb,B,"B Ltd\nb2.example;B3"\n'
        'c,C,"C, Inc.; c2.example"\n'
    )
    answer = await imports.send(body)
    note = "one `match` with a comma in it, not several (those have `;`): 'C, Inc.'"
    assert answer.json() == done(lines=3, added=3, notes=[note])
    stored = await imports.stored()
    assert stored["a"]["match"] == ["a.example", "b.example", "c.example"]
    assert stored["b"]["match"] == ["B Ltd", "b2.example", "B3"]
    assert stored["c"]["match"] == ["C, Inc.", "c2.example"]


async def test_all_mistakes_are_counted_and_the_first_hundred_told(imports: Imports) -> None:
    answer = await imports.lines(*({"id": f"x{n}", "name": "X", "tier": "tin"} for n in range(250)))
    assert answer.json()["detail"] == "250 mistakes in 250 customers; the first 100 are listed."
    assert [error["line"] for error in answer.json()["errors"]] == list(range(1, 101))


async def test_a_customer_that_the_database_refuses_is_told_with_its_line(imports: Imports) -> None:
    """Its neighbours are not to blame, and nothing of the file is taken."""
    await imports.api.desk.sql(
        "ALTER TABLE router.customer_import ADD CONSTRAINT refuses CHECK (name NOT LIKE 'Poison%')"
    )
    answer = await imports.send("id,name\na,Acme\nb,Poison Ltd\nc,Globex\n")
    assert answer.status_code == 422, answer.text
    (wrong,) = answer.json()["errors"]
    assert "it cannot be stored" in str(wrong)
    assert wrong["line"] == 3
    assert await imports.stored() == {}


async def test_only_a_lead_imports_and_only_what_can_be_read(imports: Imports) -> None:
    assert (await imports.send(CSV, key="responder")).status_code == 403
    assert (await imports.send(CSV, key="")).status_code == 401
    refused = await imports.send(CSV, "application/json")
    assert refused.status_code == 415
    assert "text/csv" in refused.json()["errors"][0]["reason"]


async def test_an_import_may_be_longer_than_other_bodies_and_is_taken_in_pieces(imports: Imports) -> None:
    pieces = [b'{"id": "c%d", "name": "%s"}\n' % (n, b"X" * 190) for n in range(45_000)]
    assert sum(map(len, pieces)) > 8 * 1024 * 1024

    async def sent() -> Any:
        yield b"".join(pieces[:100])[:-7]
        yield b"".join(pieces[:100])[-7:]
        yield b"".join(pieces[100:])

    headers = {"content-type": "application/x-ndjson"}
    answer = await imports.ask("POST", "/import", content=sent(), headers=headers, timeout=100)
    assert answer.json()["added"] == 45_000, answer.text
    assert answer.json()["notes"] != []
    whole = await imports.send(b"".join(pieces), "application/x-ndjson")
    assert whole.json()["unchanged"] == 45_000


async def test_what_was_laid_down_by_an_import_that_ended_midway_is_cleared_by_the_next(
    imports: Imports,
) -> None:
    desk = imports.api.desk
    await desk.sql("""
        INSERT INTO router.customer_import (import_id, line, at, id, name, called, match, matched, contacts)
        VALUES (gen_random_uuid(), 1, now() - interval '2 days', 'x', 'X', 'x', '{}', '{}', '{}')
    """)
    await imports.send(CSV)
    assert await desk.count("customer_import") == 0
    assert "x" not in await imports.stored()


async def test_an_import_is_in_force_for_the_next_event_although_a_text_was_looked_up_before(
    imports: Imports,
) -> None:
    desk = imports.api.desk
    await imports.have("hooli")
    await desk.accept(event("first", customer="globex.example"))
    await imports.send(CSV)
    await desk.accept(event("second", customer="globex.example"))
    first, second = await desk.incidents()
    assert (first.customer, second.customer) == ("globex.example", "globex")
