"""`ladder customers` and `ladder customer`: the customers of the policy and those of the database."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Final
from urllib.parse import quote

import typer

from ladder.client import completion
from ladder.client.options import LOCAL, ApiKey, AsJson, Url, connect
from ladder.client.output import print_json, print_table, say, say_lines
from ladder.terminal.command_line import Commands

_PIECE: Final = 256 * 1024
_IMPORT_SECONDS: Final = 600.0
_KINDS: Final = {".csv": "text/csv", ".ndjson": "application/x-ndjson", ".jsonl": "application/x-ndjson"}
_COLUMNS: Final = ("id", "name", "tier", "value", "owner", "known as", "reached by")

_Id = Annotated[
    str, typer.Argument(metavar="ID", help="The customer's id.", autocompletion=completion.customer)
]

customers = typer.Typer(
    name="customers",
    cls=Commands,
    help="List, import and remove customers.",
    rich_markup_mode=None,
    add_completion=False,
)


@customers.callback(invoke_without_command=True)
def list_customers(
    context: typer.Context,
    *,
    search: Annotated[str, typer.Option("--search", "-q", help="How an id or a name begins.")] = "",
    tier: Annotated[str, typer.Option(help="Of this tier only.")] = "",
    owner: Annotated[str, typer.Option(help="Who looks after them.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="At most this many.")] = 50,
    json: AsJson = False,
    url: Url = LOCAL,
    api_key: ApiKey = "",
) -> None:
    """List customers: those of the policy and those of the database."""
    if context.invoked_subcommand is not None:
        return
    filters = {"q": search, "tier": tier, "owner": owner}
    params = [(name, value) for name, value in filters.items() if value]
    with connect(url, api_key) as connection:
        found = list(connection.listed("/v1/customers", params, limit))
    if json:
        print_json(found)
    elif not found:
        say("No such customer.")
    else:
        print_table(_COLUMNS, [_cells(each) for each in found])


@customers.command("import")
def import_customers(
    file: Annotated[
        Path,
        typer.Argument(help=".csv with a header, or .ndjson.", dir_okay=False, exists=True, readable=True),
    ],
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would be done.")] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Remove every customer that is not in the file.")
    ] = False,
    encoding: Annotated[
        str,
        typer.Option(
            help="Of the file, such as windows-1250; otherwise UTF-8, a byte order mark's, or windows-1252."
        ),
    ] = "",
    json: AsJson = False,
    url: Url = LOCAL,
    api_key: ApiKey = "",
) -> None:
    """Add or replace all customers of a file; when one line is wrong, none of them."""
    kind = _KINDS.get(file.suffix.lower())
    if kind is None:
        raise typer.BadParameter(f"{file.name}: expected a name that ends with {', '.join(_KINDS)}")
    kind += f'; charset="{encoding}"' if re.fullmatch(r"[A-Za-z0-9_-]+", encoding) else ""
    chosen = {"dry_run": dry_run, "replace": replace}
    params = [(name, "true") for name, wanted in chosen.items() if wanted]
    with file.open("rb") as opened, connect(url, api_key) as connection:
        done = connection.upload("/v1/customers/import", _pieces(opened), kind, params, _IMPORT_SECONDS)
    if json:
        print_json(done)
    else:
        say_lines([_told(done), *(f"  {note}" for note in done.get("notes") or ())])


@customers.command()
def remove(customer_id: _Id, *, json: AsJson = False, url: Url = LOCAL, api_key: ApiKey = "") -> None:
    """Remove a customer; what incidents say of it stays."""
    with connect(url, api_key) as connection:
        connection.delete(f"/v1/customers/{quote(customer_id, safe='')}")
    print_json({"removed": customer_id}) if json else say(f"removed: {customer_id}")


def customer(customer_id: _Id, *, json: AsJson = False, url: Url = LOCAL, api_key: ApiKey = "") -> None:
    """Show one customer."""
    with connect(url, api_key) as connection:
        found = connection.get(f"/v1/customers/{quote(customer_id, safe='')}")
    if json:
        print_json(found)
        return
    where = "the policy" if found.get("source") == "policy" else f"the database, by {found.get('changed_by')}"
    facts = {
        "id": found["id"],
        "tier": found.get("tier"),
        "value": _value(found),
        "owner": found.get("owner"),
        "known as": ", ".join(found.get("match") or ()),
        "from": where,
    }
    lines = [found["name"], *(f"  {name}: {value}" for name, value in facts.items() if value)]
    for name, contact in (found.get("contacts") or {}).items():
        lines.append(f"  contact {name}: " + ", ".join(f"{part} {value}" for part, value in contact.items()))
    say_lines(lines)


def _pieces(opened: BinaryIO) -> Iterator[bytes]:
    while piece := opened.read(_PIECE):
        yield piece


def _cells(found: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        *(found["id"], found["name"], found.get("tier") or "", _value(found), found.get("owner") or ""),
        ", ".join(found.get("match") or ()),
        ", ".join(found.get("contacts") or ()),
    )


def _value(found: Mapping[str, Any]) -> str:
    return "" if found.get("value") is None else f"{found['value']:.15g}"


def _told(done: Mapping[str, Any]) -> str:
    figures = [f"{done[name]} {name}" for name in ("added", "changed", "unchanged", "removed") if done[name]]
    would = "would be: " if done["dry_run"] else ""
    many = "1 customer" if done["lines"] == 1 else f"{done['lines']} customers"
    return f"{many}: {would}{', '.join(figures)}"
