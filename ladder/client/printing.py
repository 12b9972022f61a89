"""How answers are printed: as JSON for pipes, as tables for people. Importing this is cheap."""

import sys
from collections.abc import Sequence
from typing import Any

import typer


def print_json(document: Any) -> None:
    """JSON with its indents."""
    from ladder.client.connection import as_json

    typer.echo(as_json(document))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table without frames; in a pipe nothing is cut."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        table.add_column(name, no_wrap=True, overflow="ellipsis")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console(width=None if sys.stdout.isatty() else 400, soft_wrap=not sys.stdout.isatty()).print(table)
