"""Whatever a customer is, it comes out of CSV and NDJSON as it went in, in whatever pieces the file arrives."""

import csv
import io
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as some

from services.router.customers.lines import BrokenError, CsvLines, JsonLines, Line, Lines, checked
from shared.policy.model.people import Customer
from tests.domain.tale import bundle, compiled

LIVE = compiled(bundle())
names = some.from_regex(r"[a-z0-9][a-z0-9_-]{0,20}", fullmatch=True)
texts = some.text(
    some.characters(exclude_categories=("C", "Z"), exclude_characters=";,"), min_size=1, max_size=30
)
spaced = some.lists(texts, min_size=1, max_size=4).map(" ".join)
ADDRESSES = {
    "email": some.from_regex(r"[a-z0-9]{1,10}@[a-z0-9]{1,10}\.example", fullmatch=True),
    "sms": some.from_regex(r"\+[1-9][0-9]{7,13}", fullmatch=True),
    "inbox": names,
    "slack": some.from_regex(r"#[a-z0-9]{1,10}", fullmatch=True),
}


@some.composite
def customer(draw: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {"id": draw(names.filter(lambda name: name != "acme")), "name": draw(spaced)}
    if draw(some.booleans()):
        fields["tier"] = draw(some.sampled_from(["gold", "silver", "standard"]))
    if draw(some.booleans()):
        fields["value"] = draw(some.integers(0, 10**12)) / 100
    if draw(some.booleans()):
        fields["owner"] = draw(some.sampled_from(["ana", "petra"]))
    match = draw(some.lists(spaced, max_size=3))
    fields["match"] = [each for each in match if not each.casefold().startswith("acme")]
    channels = draw(some.lists(some.sampled_from(sorted(ADDRESSES)), unique=True, max_size=3))
    fields["contacts"] = {f"c-{channel}": {channel: draw(ADDRESSES[channel])} for channel in channels}
    return fields


def pieces(body: bytes, sizes: list[int]) -> list[bytes]:
    cut: list[bytes] = []
    for size in sizes:
        cut.append(body[:size])
        body = body[size:]
    return [*cut, body]


def came_out(lines: Lines, body: bytes, sizes: list[int]) -> list[tuple[str, Customer]]:
    read = [each for piece in pieces(body, sizes) for each in lines.feed(piece)] + list(lines.end())
    assert all(isinstance(each, Line) for each in read), read
    found = [checked(each, LIVE) for each in read if isinstance(each, Line)]
    assert all(isinstance(each, tuple) for each in found), found
    return [each for each in found if isinstance(each, tuple)]


def went_in(sent: list[dict[str, Any]]) -> list[tuple[str, Customer]]:
    return [
        (each["id"], Customer.model_validate({k: v for k, v in each.items() if k != "id"})) for each in sent
    ]


@settings(max_examples=60, deadline=None)
@given(some.lists(customer(), min_size=1, max_size=4), some.lists(some.integers(0, 40), max_size=20))
def test_lines_of_json(sent: list[dict[str, Any]], sizes: list[int]) -> None:
    body = "\n".join(json.dumps(each) for each in sent).encode()
    assert came_out(JsonLines(), body, sizes) == went_in(sent)


@settings(max_examples=60, deadline=None)
@given(
    some.lists(customer(), min_size=1, max_size=4),
    some.lists(some.integers(0, 40), max_size=20),
    some.sampled_from([",", ";", "\t"]),
    some.sampled_from(["\n", "\r\n"]),
)
def test_a_spreadsheet(sent: list[dict[str, Any]], sizes: list[int], separator: str, ending: str) -> None:
    columns = [
        "id",
        "name",
        "tier",
        "value",
        "owner",
        "match",
        *(f"contacts.c-{c}.{c}" for c in sorted(ADDRESSES)),
    ]
    written = io.StringIO()
    sheet = csv.writer(written, delimiter=separator, lineterminator=ending)
    sheet.writerow(columns)
    for each in sent:
        contacts = {f"contacts.{name}.{c}": a for name, of in each["contacts"].items() for c, a in of.items()}
        row = each | {"match": "; ".join(each["match"])} | contacts
        row["value"] = f"{row['value']:.2f}" if "value" in row else ""
        sheet.writerow([row.get(column, "") for column in columns])
    assert came_out(CsvLines(), written.getvalue().encode(), sizes) == went_in(sent)


@settings(max_examples=200, deadline=None)
@given(some.binary(max_size=200), some.sampled_from([CsvLines, JsonLines]))
def test_rubbish_is_told_and_never_a_surprise(body: bytes, kind: type[Lines]) -> None:
    lines = kind()
    try:
        read = [*lines.feed(b"id,name\n" + body), *lines.end()]
    except BrokenError as err:
        read = [err.fault]
    for each in read:
        if isinstance(each, Line):
            checked(each, LIVE)
        else:
            assert 1 <= each.line <= body.count(b"\n") + 2
