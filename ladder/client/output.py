"""How answers are printed: JSON for programs, lines and tables for people. Importing this is cheap.

All output of commands goes through here, because most of it was written by others: titles, notes and names
cannot move the cursor or make lines of their own (ladder.terminal.plain_text).
"""

import os
import sys
from collections.abc import Iterable, Sequence
from shutil import get_terminal_size
from typing import Any, Final

import typer

from ladder.terminal.plain_text import on_lines, on_one_line

_GAP: Final = 2  # between two columns of a table
_UNCUT: Final = 20  # characters of a cell that are always shown


def say(text: str, *, err: bool = False) -> None:
    """A sentence, or several lines that are Ladder's own."""
    typer.echo(on_lines(text), err=err)


def say_lines(lines: Iterable[str]) -> None:
    """Lines, each printed as exactly one."""
    typer.echo("\n".join(map(on_one_line, lines)))


def print_as_sent(text: str) -> None:
    """A file, byte for byte; on a terminal without what would move its cursor."""
    typer.echo(on_lines(text.replace("\r\n", "\n")) if sys.stdout.isatty() else text, nl=False)


def as_json(document: Any, indent: int | None = 2) -> str:
    """JSON for people and for pipes: letters of every script as they are, what cannot be seen escaped."""
    import json

    written = json.dumps(document, indent=indent, ensure_ascii=False)
    if written.isascii():
        return written
    return "".join(c if c.isascii() or c.isprintable() else json.dumps(c)[1:-1] for c in written)


def print_json(document: Any) -> None:
    """JSON with its indents."""
    typer.echo(as_json(document))


def print_json_line(document: Any) -> None:
    """One object of a stream, at once."""
    typer.echo(as_json(document, indent=None))
    sys.stdout.flush()


def width_of_terminal() -> int | None:
    """In characters; None in a pipe, where nothing is cut, unless COLUMNS says it."""
    if sys.stdout.isatty() or os.environ.get("COLUMNS", "").isdecimal():
        return get_terminal_size().columns
    return None


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], spare: Sequence[str] = ()) -> None:
    """A table without frames; in a pipe nothing is cut.

    On a terminal only long cells are cut. Where even so it is too narrow, columns in which nothing stands are
    left out, then those of `spare` in that order; which ones is said below.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    width = width_of_terminal()
    left_out = [] if width is None else _left_out(columns, rows, width, spare)
    table = Table(box=None, pad_edge=False, header_style="bold")
    shown = [number for number, name in enumerate(columns) if name not in left_out]
    natural = _widths(columns, rows)
    fitting = _fitting([natural[number] for number in shown], width)
    for number, wide in zip(shown, fitting, strict=True):
        name = Text(on_one_line(columns[number]))
        table.add_column(name, no_wrap=True, overflow="ellipsis", width=wide)
    for row in rows:
        table.add_row(*(Text(on_one_line(row[number])) for number in shown))
    wide = 400 if width is None else max(width, sum(fitting) + _GAP * len(fitting))
    Console(width=wide, soft_wrap=width is None).print(table)
    missing = [name for name, *cells in zip(columns, *rows, strict=True) if name in left_out and any(cells)]
    if missing:
        say(f"Left out on a terminal as narrow as this: {', '.join(missing)}.")


def _left_out(
    columns: Sequence[str], rows: Sequence[Sequence[str]], width: int, spare: Sequence[str]
) -> list[str]:
    """The columns for which there is no room."""
    widths = dict(zip(columns, (min(each, _UNCUT) for each in _widths(columns, rows)), strict=True))
    empty = [name for name, *cells in zip(columns, *rows, strict=True) if not any(cells)]
    left_out: list[str] = []
    for name in dict.fromkeys([*empty, *spare]):
        if sum(widths.values()) + _GAP * (len(widths) - 1) <= width:
            break
        del widths[name]
        left_out.append(name)
    return left_out


def _fitting(widths: list[int], most: int | None) -> list[int]:
    """The same, the widest made narrower until they fit, none below what is always shown."""
    excess = 0 if most is None else sum(widths) + _GAP * (len(widths) - 1) - most
    while excess > 0 and (widest := max(widths)) > _UNCUT:
        narrower = [number for number, wide in enumerate(widths) if wide == widest]
        for number in narrower[:excess]:
            widths[number] -= 1
        excess -= len(narrower)
    return widths


def _widths(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    """How wide each column is when nothing is cut."""
    from rich.cells import cell_len

    return [max(map(cell_len, cells)) for cells in zip(columns, *rows, strict=True)]


def print_table_turned(columns: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> None:
    """A table whose rows are printed side by side, as many as fit; the rest below."""
    from rich.cells import cell_len

    names = max(map(cell_len, columns))
    beside: list[Sequence[str]] = []
    taken = names
    for row in rows:
        wide = _GAP + max(map(cell_len, row))
        if beside and taken + wide > width:
            _print_beside(columns, beside)
            typer.echo()
            beside, taken = [], names
        beside.append(row)
        taken += wide
    _print_beside(columns, beside)


def _print_beside(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    first, *others = zip(columns, *rows, strict=True)
    print_table(first, others)


def length_of_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    """Its width in characters when nothing is cut."""
    widths = _widths(columns, rows)
    return sum(widths) + _GAP * (len(widths) - 1)
