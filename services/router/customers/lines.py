"""Customers as lines of CSV or NDJSON: read piece by piece, each fault with its line and column.

CSV has a header. Its columns are `id`, `name`, `tier`, `value`, `owner`, `match` (several, separated by `;`
or line breaks; a comma separates mail domains, and belongs to any other name) and contacts:
`contacts.NAME.CHANNEL` and `contacts.NAME.secret`, or a channel alone (`email` means `contacts.email.email`).
An empty cell leaves the field out. The separator is whichever of `,`, `;` and tab the header uses. NDJSON has
one object per line: the body of `PUT /v1/customers/{id}` with the `id` in it.
"""

import csv
import re
import unicodedata
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, TypeAlias

import msgspec
from pydantic import ValidationError

from services.router.customers.encoding import Encoding, EncodingError
from services.router.customers.faults import KEPT, faults
from services.router.domain.model.compiled_bundle import CompiledBundle
from shared.http.request_faults import reason_of
from shared.json_object import JsonObject
from shared.policy.errors import nearest
from shared.policy.model.people import Customer
from shared.policy.model.targets import CHANNELS, NAME_PATTERN

LONGEST: Final = 64 * 1024  # bytes of one customer
_FIELDS: Final = ("id", "name", "tier", "value", "owner", "match")
_ID: Final = re.compile(NAME_PATTERN)
_CONTACT: Final = re.compile(rf"contacts\.({NAME_PATTERN})\.({'|'.join(CHANNELS)}|secret)")
_DOMAIN: Final = re.compile(r"[^\s@,;]+\.[^\s@,;.]{2,}")
_SHOWN: Final = 3
_NUMBER: Final = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,6})?")


@dataclass(frozen=True, slots=True)
class LineFault:
    """One fault; `column` is '' when it concerns the whole line. Lines count from 1."""

    line: int
    column: str
    reason: str


@dataclass(frozen=True, slots=True)
class Line:
    """One customer as it was sent, unchecked."""

    number: int
    fields: Mapping[str, Any]
    columns: Mapping[str, str]  # the file's own names for paths, where they differ


Read: TypeAlias = Line | LineFault


class BrokenError(Exception):
    """The rest of the file cannot be read; `fault` says from where on, and why."""

    def __init__(self, fault: LineFault) -> None:
        super().__init__(fault.reason)
        self.fault: Final = fault


class Lines:
    """Takes a file in pieces and yields customers as they become complete. Raises BrokenError."""

    guess: ClassVar[bool] = False  # whether it may be written in Windows-1252

    def __init__(self, charset: str = "") -> None:
        self.encoding: Final = Encoding(charset, guess=self.guess)
        self._rest = b""
        self._number = 0

    @property
    def notes(self) -> Sequence[str]:
        """Remarks on how the file was read."""
        return [self.encoding.note] if self.encoding.note else []

    def feed(self, piece: bytes) -> Iterator[Read]:
        """What this piece completes."""
        yield from self._feed(piece, last=False)

    def _feed(self, piece: bytes, *, last: bool) -> Iterator[Read]:
        try:
            read = self.encoding.utf8(piece, last=last)
        except EncodingError as err:
            raise BrokenError(LineFault(self._number + 1, "", str(err))) from err
        *whole, self._rest = (self._rest + read).split(b"\n")
        for raw in whole:
            yield from self._one(raw)
        if len(self._rest) > LONGEST:
            raise BrokenError(LineFault(self._number + 1, "", f"longer than {LONGEST} bytes"))

    def end(self) -> Iterator[Read]:
        """What the last line holds, with or without a line break."""
        yield from self._feed(b"", last=True)
        if self._rest:
            yield from self._one(self._rest)
            self._rest = b""
        yield from self.ended()

    def _one(self, raw: bytes) -> Iterator[Read]:
        self._number += 1
        if len(raw) > LONGEST:
            raise BrokenError(LineFault(self._number, "", f"longer than {LONGEST} bytes"))
        try:
            line = self.encoding.line(self._number, raw.removesuffix(b"\r"))
        except EncodingError as err:
            raise BrokenError(LineFault(self._number, "", str(err))) from err
        yield from self.line(self._number, line)

    @abstractmethod
    def line(self, number: int, text: str) -> Iterator[Read]:
        """One line, without its break."""

    def ended(self) -> Iterator[Read]:
        """What is left once there are no more lines."""
        return iter(())


class JsonLines(Lines):
    """NDJSON."""

    def line(self, number: int, text: str) -> Iterator[Read]:
        if not text.strip():
            return
        try:
            found = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError, UnicodeError) as err:
            yield LineFault(number, "", f"not JSON: {err}")
            return
        yield Line(number, found, {}) if isinstance(found, dict) else LineFault(number, "", "not an object")


@dataclass(frozen=True, slots=True)
class _Column:
    """One column of the header; for a contact, also its name and which part of it."""

    title: str
    contact: str = ""
    part: str = ""

    @property
    def path(self) -> str:
        return f"contacts.{self.contact}.{self.part}" if self.contact else self.title


class CsvLines(Lines):
    """CSV by RFC 4180: quotes where a cell holds the separator, a quote or a line break."""

    guess = True

    def __init__(self, charset: str = "") -> None:
        super().__init__(charset)
        self._commas: list[str] = []  # names with a comma, which somebody may mean as several
        self._open: list[str] = []  # lines of a record whose quote is still open
        self._length = 0
        self._columns: Sequence[_Column] = ()
        self._names: Mapping[str, str] = {}
        self._separator = ","

    @property
    def notes(self) -> Sequence[str]:
        """Also mentions names with a comma, which somebody may mean as several."""
        if not self._commas:
            return super().notes
        named = ", ".join(map(repr, self._commas))
        return [*super().notes, f"one `match` with a comma in it, not several (those have `;`): {named}"]

    def line(self, number: int, text: str) -> Iterator[Read]:
        self._open.append(text)
        self._length += len(text)
        if sum(part.count('"') for part in self._open) % 2 == 0:
            yield from self._record(number - len(self._open) + 1)
        elif self._length > LONGEST:
            raise self._endless(number)

    def ended(self) -> Iterator[Read]:
        if self._open:
            raise self._endless(self._number)
        return iter(())

    def _endless(self, number: int) -> BrokenError:
        return BrokenError(LineFault(number - len(self._open) + 1, "", "a quote that does not end"))

    def _record(self, number: int) -> Iterator[Read]:
        text = "\n".join(self._open)
        self._open, self._length = [], 0
        if not text.strip():
            return
        if not self._columns:
            self._separator = max(",;\t", key=text.count)
        try:
            [cells] = csv.reader([text], delimiter=self._separator, strict=True)
        except (csv.Error, ValueError) as err:
            yield LineFault(number, "", f"not CSV: {err}")
            return
        if not self._columns:
            self._columns = _header(number, cells)
            self._names = {column.path: column.title for column in self._columns}
        elif any(cell.strip() for cell in cells):
            yield self._customer(number, cells)

    def _customer(self, number: int, cells: Sequence[str]) -> Read:
        if len(cells) != len(self._columns):
            return LineFault(number, "", f"{len(cells)} cells; the header has {len(self._columns)}")
        fields: JsonObject = {}
        for column, written in zip(self._columns, cells, strict=True):
            cell = _one_line(written)
            if not cell:
                continue
            if column.contact:
                contacts = fields.setdefault("contacts", {})
                contacts.setdefault(column.contact, {})[column.part] = cell
            elif column.title == "match":
                fields["match"] = self._several(written)
            elif column.title != "value":
                fields[column.title] = cell
            elif _NUMBER.fullmatch(cell):
                fields["value"] = float(cell)
            else:
                return LineFault(number, "value", "a number such as 250000 or 99.5")
        return Line(number, fields, self._names)

    def _several(self, cell: str) -> Sequence[str]:
        """The names in one cell."""
        found: list[str] = []
        for each in filter(None, map(_one_line, re.split(r"[;\r\n]", cell))):
            parts = [part for name in each.split(",") if (part := name.strip())]
            if all(map(_DOMAIN.fullmatch, parts)):
                found += parts
            else:
                found.append(each)
                if "," in each and len(self._commas) < _SHOWN:
                    self._commas.append(each)
        return found


def _one_line(cell: str) -> str:
    return " ".join(cell.split())


def _header(number: int, cells: Sequence[str]) -> Sequence[_Column]:
    """The columns. Raises BrokenError: without them nothing can be read."""
    columns: list[_Column] = []
    for cell in cells:
        title = cell.strip()
        if contact := _CONTACT.fullmatch(title):
            columns.append(_Column(title, contact[1], contact[2]))
        elif title in CHANNELS:
            columns.append(_Column(title, title, title))
        elif title in _FIELDS:
            columns.append(_Column(title))
        else:
            raise BrokenError(LineFault(number, title[:100], _no_column(title)))
    paths = [column.path for column in columns]
    if twice := next((path for path in paths if paths.count(path) > 1), None):
        raise BrokenError(LineFault(number, twice, "a column that is there twice"))
    if missing := [name for name in ("id", "name") if name not in paths]:
        raise BrokenError(LineFault(number, missing[0], "this column must be there"))
    return columns


def _no_column(title: str) -> str:
    known = [*_FIELDS, *CHANNELS]
    near = nearest(title.lower(), known)
    hint = f"; did you mean {near!r}?" if near else ""
    return f"not a column: {', '.join(known)}, contacts.NAME.CHANNEL, contacts.NAME.secret{hint}"


def checked(line: Line, live: CompiledBundle) -> tuple[str, Customer] | Sequence[LineFault]:
    """The id and the customer, or every fault under the policy in force."""
    fields = dict(line.fields)
    customer_id = fields.pop("id", None)
    if isinstance(customer_id, str) and customer_id.isascii():
        customer_id = customer_id.lower()  # ids ignore case
    wrong = [] if _is_id(customer_id) else [LineFault(line.number, "id", _no_id(customer_id))]
    if not wrong and customer_id in live.spec.customers:
        why = f"customers.{customer_id} stands in the policy bundle {live.hash[:12]}: change it there"
        wrong.append(LineFault(line.number, "id", why))
    try:
        customer = Customer.model_validate(fields)
    except ValidationError as err:
        errors = err.errors(include_input=False, include_url=False)
        return [*wrong, *(_fault(line, each["loc"], reason_of(each)) for each in errors)]
    wrong += [_fault(line, fault.path, fault.reason) for fault in faults(customer, live)]
    wrong += [_fault(line, path, reason) for path, reason in _clashes(customer, live)]
    return wrong or (str(customer_id), customer)


def _clashes(customer: Customer, live: CompiledBundle) -> Iterator[tuple[tuple[str, ...], str]]:
    for said in customer.match:
        if (owner := live.customers.get(said.casefold())) is not None:
            yield ("match",), f"{said!r} is customers.{owner} of the policy bundle {live.hash[:12]}"
    for name, contact in customer.contacts.items():
        if contact.secret == KEPT:
            yield ("contacts", name, "secret"), f"{KEPT} is how a secret is shown, not one"


def _fault(line: Line, path: Sequence[str | int], reason: str) -> LineFault:
    place = ".".join(map(str, path))
    title = line.columns.get(place)
    if title is None:  # part of a cell, or a contact as a whole
        title = next((name for known, name in line.columns.items() if _holds(known, place)), place)
    return LineFault(line.number, title, reason)


def _holds(known: str, place: str) -> bool:
    return place.startswith(f"{known}.") or known.startswith(f"{place}.")


def _is_id(said: Any) -> bool:
    return isinstance(said, str) and len(said) <= 100 and _ID.fullmatch(said) is not None


def _no_id(said: Any) -> str:
    if said is None or said == "":
        return "a customer needs an id"
    rule = "an id is made of a-z, 0-9, - and _, begins with a letter or digit, and has at most 100 of them"
    letters = unicodedata.normalize("NFKD", str(said)).encode("ascii", "ignore").decode().lower()
    near = re.sub(r"[^a-z0-9_]+", "-", letters)[:100].strip("-_")
    return f"{rule}; such as {near!r}, and what others call them goes to `match`" if near else rule
